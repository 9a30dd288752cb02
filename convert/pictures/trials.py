"""Without the owner's answers: do the training pictures speak for another convention, or another order of the classes?

What costs a point, as EXIF or transparency may, does not show here; only a reference file can show that.
"""

import os
from pathlib import Path

import numpy as np

from convert import effort
from convert.pictures.conventions import MAX_P, Found, Owned, Search
from convert.pictures.evidence import MAX_CHANCE, balanced_accuracy, best_order, chance, is_sound, mcnemar
from edge.errors import InputError, Refused
from edge.silence import silence_native_output
from train import evaluate
from train.datasets import Split

N_TRIED = (100, 500)
MAX_OFF_POINTS = 1.0


def check(path: Path, owned: Owned) -> None:
    """Raises InputError where training pictures speak significantly for another convention, or for another class order."""
    tried = _tried(owned)
    labels, answers = tried.labels.astype(np.int64), _answers(owned, tried)
    if 0.5 ** int((answers != labels).sum()) >= MAX_P:
        return  # so few are wrong that no test could show another way to be better
    files = owned.dataset.train_files[: len(tried)]
    search = Search(owned, [os.path.join(owned.dataset.folder, file) for file in files])
    measured = f"{path}: answers {np.mean(answers == labels):.0%} of {len(labels)} training pictures right"
    reordered = _order(answers, labels, owned.class_names)
    if rivals := search.best(labels):
        rival = rivals[0]
        speaks = rival.beats(answers == labels) and is_sound(rival.answers, labels)
        if speaks and (reordered is None or rival.hits.mean() >= reordered[1]):
            # Of two classes, whatever turns all answers round looks like the other order.
            both = ""
            if reordered is not None and len(owned.class_names) == 2:
                both = f"; or {_renamed(reordered, owned.class_names)}; only you know which it is"
            raise InputError(f"{measured}, and {rival.hits.mean():.0%} with {_advice(rival, rivals[1:])}{both}")
    if reordered is not None:
        raise InputError(f"{measured}, and {_renamed(reordered, owned.class_names)}")


def check_order(path: Path, owned: Owned) -> None:
    """The class order alone: raises InputError as `check` does."""
    reordered, answers, labels = _order_on_training(owned)
    if reordered is not None:
        measured = f"{path}: answers {np.mean(answers == labels):.0%} of {len(labels)} training pictures right"
        raise InputError(f"{measured}, and {_renamed(reordered, owned.class_names)}")


def order_share(owned: Owned) -> float:
    """The share of training pictures that another class order makes right, from 0 to 1; 0 where none suits better."""
    reordered = _order_on_training(owned)[0]
    return 0.0 if reordered is None else reordered[1]


def _order_on_training(owned: Owned) -> tuple[tuple[np.ndarray, float] | None, np.ndarray, np.ndarray]:
    """What `_order` says of the training pictures that are tried, with the answers and the labels, int [N]."""
    tried = _tried(owned)
    labels, answers = tried.labels.astype(np.int64), _answers(owned, tried)
    return _order(answers, labels, owned.class_names), answers, labels


def _tried(owned: Owned) -> Split:
    """The training pictures that are tried, in an order in which classes are mixed; fewer of larger ones."""
    return owned.dataset.train[: effort.n_images(N_TRIED[1], owned.contract, least=N_TRIED[0])]


def _answers(owned: Owned, split: Split) -> np.ndarray:
    with silence_native_output():
        logits: np.ndarray = evaluate.logits(owned.build(), split.images)
    return np.asarray(logits.argmax(axis=1))


def check_chance(name: str, answers: np.ndarray, labels: np.ndarray) -> None:
    """Raises Refused where `answers`, int [N], are no better than guessing: balanced, so that one common class is no skill.

    InputError where the pictures are too few to tell, even if all answers were right.
    """
    labels = labels.astype(np.int64)
    if len(np.unique(labels)) < 2:
        return  # one class shows nothing
    if (p := chance(answers, labels)) >= MAX_CHANCE:
        if chance(labels, labels) >= MAX_CHANCE:
            few = f"{len(labels):,} test pictures of {len(np.unique(labels))} classes"
            raise InputError(f"{name}: {few} cannot tell a network from guessing, were every answer right: add test pictures")
        top1, balanced = np.mean(answers == labels), balanced_accuracy(answers, labels)
        raise Refused(
            f"{name}: the float model is no better than guessing on {len(labels):,} test pictures: top-1 {100 * top1:.1f} %, "
            f"balanced over {len(np.unique(labels))} classes {100 * balanced:.1f} % (p = {p:.2g}; wanted below {MAX_CHANCE}): "
            "train it, or say how its pictures became pixels (--pixels, --contract)"
        )


def question(top1: float, n: int) -> str:
    """What exposes most faults, where nothing else was said of the owner's own way."""
    return (
        f"float top-1 on your test pictures: {100 * top1:.1f} % (n = {n:,}). Is that what you measured? "
        "--expect-top1 0.916 (yours) makes it a rule, --reference proves it picture by picture"
    )


def check_top1(name: str, top1: float, n: int, *, expected: float) -> None:
    """Raises Refused where `top1`, measured on `n` test images, is off by more than MAX_OFF_POINTS."""
    off = 100 * abs(top1 - expected)
    if off > MAX_OFF_POINTS + 1e-9:
        raise Refused(
            f"{name}: float top-1 {100 * top1:.2f} % (n = {n:,}); {100 * expected:.2f} % was expected, {off:.2f} points off "
            f"(at most {MAX_OFF_POINTS}): say how pictures became pixels (--pixels, --contract); --reference tells which way"
        )


def _advice(found: Found, alike: list[Found]) -> str:
    convention = found.convention
    ask = "" if convention.words == convention.ask else f"; say so with {convention.ask}"
    presets = [other.convention.words for other in alike if other.convention.words.startswith("--pixels")]
    others = f"; these pictures do not tell it from {' or '.join(presets[:3])}, a --reference may" if presets else ""
    return f"{convention.words}{ask}{others}"


def _order(answers: np.ndarray, labels: np.ndarray, names: tuple[str, ...]) -> tuple[np.ndarray, float] | None:
    """The order of the answers that suits the classes better, and the share it gets right; None where none does.

    Chosen on one half of the pictures and tested on the other, so that chance among all orders is not taken for one.
    """
    half = slice(0, None, 2), slice(1, None, 2)
    order = best_order(answers[half[0]], labels[half[0]], len(names))
    as_is, turned = (which == answers[half[1]] for which in (labels[half[1]], order[labels[half[1]]]))
    p = mcnemar(int((turned & ~as_is).sum()), int((as_is & ~turned).sum()))
    if p >= MAX_P or not is_sound(answers, order[labels]):
        return None
    return order, float(np.mean(order[labels] == answers))


def _renamed(reordered: tuple[np.ndarray, float], names: tuple[str, ...]) -> str:
    order, share = reordered
    theirs = [names[int(np.flatnonzero(order == answer)[0])] for answer in range(len(names))]
    width = max(2, len(str(len(names) - 1)))
    wanted = ", ".join(f"{n:0{width}}-{name}" for n, name in enumerate(theirs))
    better = f"{share:.0%} were the classes in the order {', '.join(theirs)}"
    return f"{better}; rename the sub-folders so that they sort in that order: {wanted}"
