"""The owner's own answers are the reference: file → device's pixels → float network must give them again.

Where they differ, other conventions are tried, and the one that agrees is named. Pictures with a known class that neither
training nor calibration saw become the gate's: lost and gained then run from the owner's answers to the device's.
"""

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from convert import contact_sheet, effort
from convert.calibration.checks import contents
from convert.calibration.images import CalibrationSet
from convert.pictures import answers
from convert.pictures.conventions import Convention, Found, Owned, Search
from convert.pictures.evidence import disagreement_bound, interval, is_sound
from convert.pictures.trials import order_share
from edge.errors import InputError, Refused, note, one_line
from edge.files import write_atomic
from train.datasets import Dataset, Split
from train.datasets.folder import FolderDataset, content

MAX_DISAGREEMENT = 0.05  # the one-sided 95 % bound
LEAST_PICTURES = 59  # with fewer, not even full agreement shows that
N_SEARCHED = 1_000
N_DRAWN = 10


@dataclass(frozen=True, eq=False)
class Agreement:
    """How many of `n` distinct pictures the float network answers on the device's pixels as the owner's code did.

    `judging` are those with a known class that neither training nor calibration saw, `paths` their absolute files, `owners` the
    owner's answers to them: int [n]. `sha256` is the reference file's.
    """

    n: int
    agreeing: int
    sha256: str
    judging: Split
    paths: tuple[str, ...]
    owners: np.ndarray

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper and Pearson's 95 % interval of the share that agrees."""
        return interval(self.agreeing, self.n)

    def as_test_split(self, dataset: Dataset) -> Dataset:
        """`dataset` with the judging pictures as its test split."""
        assert isinstance(dataset, FolderDataset)
        return replace(dataset, test=self.judging, test_files=self.paths)

    @property
    def in_words(self) -> str:
        low, high = self.interval
        share = f"{self.agreeing:,} of {self.n:,} pictures (95 % interval {100 * low:.1f} to {100 * high:.1f} %)"
        return f"the float network on the device's pixels answers as the owner's own code on {share}"

    def as_json(self) -> dict[str, object]:
        """For the manifest."""
        return {
            "n_images": self.n,
            "agreeing": self.agreeing,
            "interval": list(self.interval),
            "reference_sha256": self.sha256,
        }


def check(owned: Owned, file: Path, pictures: Path, calibration: CalibrationSet, *, drawing: Path) -> Agreement:
    """The agreement with the answers in `file`. Raises InputError where they cannot be compared or another convention agrees
    significantly better, Refused where nothing explains the difference; `drawing` then shows the worst pictures."""
    given = answers.read(file, pictures, owned.class_names)
    search = Search(owned, given.paths)
    pixels = search.read(search.given.contract)  # raises with the picture it cannot read
    # Equal pixels that the owner's code answers otherwise count each: the device cannot tell them apart.
    keys = [(content(image), int(answer)) for image, answer in zip(pixels, given.classes, strict=True)]
    first = np.array(sorted({key: index for index, key in reversed(list(enumerate(keys)))}.values()))
    paths, owners, images = (
        tuple(given.paths[i] for i in first),
        given.classes[first],
        pixels if len(first) == len(pixels) else pixels[first],
    )
    if len(first) < LEAST_PICTURES:
        raise InputError(f"{file}: {len(first)} distinct pictures; at least {LEAST_PICTURES} are wanted: answer more")
    logits = search.logits(search.given)
    assert logits is not None
    logits = logits[first]
    agrees = logits.argmax(axis=1) == owners
    _explain(file, owned, paths, owners, logits, images, drawing=drawing)
    labels = _labels(owned, paths, images)
    seen = contents([owned.dataset.train]) | {content(image) for image in calibration.images}
    judge = np.array([label >= 0 and content(image) not in seen for label, image in zip(labels, images, strict=True)])
    return Agreement(
        n=len(first),
        agreeing=int(agrees.sum()),
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        judging=Split(images if judge.all() else images[judge], labels[judge].astype(owned.dataset.test.labels.dtype)),
        paths=tuple(os.path.abspath(path) for path, judges in zip(paths, judge, strict=True) if judges),
        owners=owners[judge],
    )


def _explain(
    file: Path,
    owned: Owned,
    paths: tuple[str, ...],
    owners: np.ndarray,
    logits: np.ndarray,
    images: np.ndarray,
    *,
    drawing: Path,
) -> None:
    agrees = logits.argmax(axis=1) == owners
    if agrees.all():
        return
    counted = f"{file}: {agrees.sum():,} of {len(agrees):,} pictures answered as the owner's code did"
    # From all over the file: it often lists one class after the other, and of one class a blind convention answers all right.
    n = effort.n_images(N_SEARCHED, owned.contract, least=200)
    some: np.ndarray = np.sort(np.random.default_rng(0).permutation(len(paths))[:n])
    search = Search(owned, [paths[index] for index in some])
    best = max(search.best(owners[some]), key=lambda best: best.n_hits, default=None)
    agreed = agrees[some]
    rival = ""
    if best and best.n_hits > agreed.sum():
        of = f"{len(agreed):,}" if len(agreed) == len(agrees) else f"{len(agreed):,} pictures tried"
        rival = f"{best.n_hits:,} of {of} with {best.convention.words}, {agreed.sum():,} with the one given"
        is_clear = best.beats(agreed) and is_sound(best.answers, owners[some])
        if is_clear and best.hits.mean() >= order_share(owned):  # else the caller names the order
            ask = best.convention.ask
            raise InputError(f"{file}: {rival}" + ("" if ask in rival else f"; say so with {ask}"))
    bound = disagreement_bound(int(agrees.sum()), len(agrees))
    if bound > MAX_DISAGREEMENT:
        write_atomic(str(drawing), _drawn(search, best, some, paths, owners, logits, images, owned.class_names))
        raise Refused(
            f"{counted}, the rest otherwise: up to {100 * bound:.1f} % differ (one-sided 95 % bound; at most "
            f"{100 * MAX_DISAGREEMENT:.0f} %), and no convention tried explains it"
            f"{f' ({rival})' if rival else ''}; {drawing} shows the worst pictures both ways"
        )
    note(one_line(f"{counted}{f'; {rival}, too few to tell' if rival else ''}"))


def _drawn(
    search: Search, found: Found | None, searched: np.ndarray, paths: tuple[str, ...], owners: np.ndarray, logits: np.ndarray,
    images: np.ndarray, names: tuple[str, ...],
) -> bytes:  # fmt: skip
    """The pictures whose answer is farthest from the owner's, each read as given and as the next best convention reads it."""
    short = logits.max(axis=1) - logits[np.arange(len(owners)), owners]
    differ = np.flatnonzero(logits.argmax(axis=1) != owners)
    place = {int(index): at for at, index in enumerate(searched)}
    entries = []
    other: Convention | None = found.convention if found else None
    for index in differ[np.argsort(-short[differ])][:N_DRAWN]:
        name = Path(paths[index]).name
        entries.append((images[index], name, f"{names[owners[index]]} > {names[int(logits[index].argmax())]}"))
        if other is not None and int(index) in place and (pixels := search.pixels(other.contract)) is not None:
            entries.append((other.arithmetic.shown(pixels[place[int(index)]]), "or read so:", other.words))
        else:
            entries.append((images[index], "or read so:", "(no other)"))
    return contact_sheet.draw(entries, columns=8)


def _labels(owned: Owned, paths: tuple[str, ...], images: np.ndarray) -> np.ndarray:
    """The true class of each picture: that of the folder it lies in, or of an equal test picture; -1 where unknown. int [N]."""
    dataset, names = owned.dataset, {name: index for index, name in enumerate(owned.class_names)}
    tested = {content(image): int(label) for image, label in zip(dataset.test.images, dataset.test.labels, strict=True)}
    folders = (names.get(Path(os.path.abspath(path)).parent.name, -1) for path in paths)
    return np.array([tested.get(content(image), label) for image, label in zip(images, folders, strict=True)], np.int64)
