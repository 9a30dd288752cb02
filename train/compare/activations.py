"""ReLU in place of the sigmoid, at the documented learning rate and at smaller ones."""

import argparse
import functools
from typing import TYPE_CHECKING

import numpy as np

from train import checkpoint, recipe_book
from train.compare.variants import HELD_OUT, TrainingVariant, VariantOutcome, against, margin, percent
from train.datasets import Dataset
from train.evaluate import BATCH

if TYPE_CHECKING:
    import keras

NETWORK = "lenet5-sigmoid"
# The documented rate is divided by these: weights of σ 1 need a far smaller rate than the document's ReLU networks use.
DIVISORS = (1, 10, 100, 1_000, 10_000)
N_PROBED = 1_000  # held-out images; a unit that is zero for all of them is dead
TITLE = "ReLU in place of the sigmoid"
CURVE = "accuracy"
ABOUT = (
    f"`{NETWORK}` by its documented recipe, and with ReLU at the same rate and at smaller ones. The document claims that "
    "ReLU does not help at an unchanged rate, because units die, and that a smaller rate helps: here, that it is better "
    "than the unchanged rate beyond chance. A variant that diverged counts as guessing. A unit (a neuron or a kernel) is "
    f"dead if it is zero for all of the first {N_PROBED:,} held-out images."
)


def add_flags(flags: argparse.ArgumentParser) -> None:
    flags.add_argument("--steps", type=int, default=1_000, metavar="N", help="steps of each variant (default: %(default)s)")


def variants(flags: argparse.Namespace) -> list[TrainingVariant]:
    base = recipe_book.recipe(NETWORK, "documented", data=flags.data)
    given = {"steps": flags.steps, "seed": flags.seed, "held_out": HELD_OUT}
    rates = [base.rate / divisor for divisor in DIVISORS]
    relu = [
        TrainingVariant.of(f"relu-{rate:g}", NETWORK, base, activation="relu", learning_rate=rate, **given) for rate in rates
    ]
    return [TrainingVariant.of(f"sigmoid-{base.rate:g}", NETWORK, base, **given), *relu]


def dead_units(model: "keras.Model", images: np.ndarray) -> dict[str, tuple[int, int]]:
    """By ReLU layer: how many of its units are zero, kernels at every position, for all `images` (uint8 [N, H, W, C])."""
    import keras

    layers = [layer for layer in model.layers if getattr(layer, "activation", None) is keras.activations.relu]
    if not layers:
        return {}
    probe = keras.Model(model.inputs[0], [layer.output for layer in layers])
    alive = [np.zeros(layer.output.shape[-1], bool) for layer in layers]
    for start in range(0, len(images), BATCH):
        for layer_alive, output in zip(alive, probe(images[start : start + BATCH].astype(np.float32)), strict=True):
            values = keras.ops.convert_to_numpy(output)
            layer_alive |= (values > 0).any(axis=tuple(range(values.ndim - 1)))
    return {layer.name: (int((~layer_alive).sum()), len(layer_alive)) for layer, layer_alive in zip(layers, alive, strict=True)}


def measured(outcome: VariantOutcome, dataset: Dataset) -> dict[str, str]:
    dead = _dead(outcome, dataset)
    return {
        f"held-out accuracy (n = {len(outcome.variant.held_out(dataset)):,})": percent(outcome.accuracy(dataset)),
        "dead units": _share(dead) or "–",
        "dead, by layer": ", ".join(f"{name} {n} of {of}" for name, (n, of) in dead.items()) or "–",
        "seconds": f"{outcome.figures['seconds']:.1f}",
    }


def finding(outcomes: list[VariantOutcome], dataset: Dataset) -> str:
    sigmoid, unchanged, *smaller = outcomes
    n = len(sigmoid.variant.held_out(dataset))
    base, swapped = sigmoid.accuracy(dataset), unchanged.accuracy(dataset)
    best = max(smaller, key=lambda o: o.accuracy(dataset))
    top = best.accuracy(dataset)
    helps = swapped - base > margin(swapped, base, n=n)
    smaller_helps = top - swapped > margin(top, swapped, n=n)
    sentences = [
        _reached(sigmoid, dataset),
        *(f"{_reached(o, dataset)}{_compared(o, base, dataset)}" for o in (unchanged, *smaller)),
        f"So at the unchanged rate ReLU {'helps' if helps else 'does not help'}; "
        + (f"the smaller rate of {best.variant.name} does" if smaller_helps else "no smaller rate does"),
    ]
    return f"{'. '.join(sentences)}."


def _reached(outcome: VariantOutcome, dataset: Dataset) -> str:
    if not outcome.finished:
        return f"{outcome.variant.name} diverged (detected at step {outcome.diverged_at:,})"
    return f"{outcome.variant.name} reaches {percent(outcome.accuracy(dataset))}"


def _compared(outcome: VariantOutcome, base: float, dataset: Dataset) -> str:
    if not outcome.finished:
        return ""
    compared = against(outcome.accuracy(dataset), base, n=len(outcome.variant.held_out(dataset)))
    return f", {compared} the sigmoid, with {_share(_dead(outcome, dataset))} of its units dead"


@functools.cache  # needed by the table and by the finding
def _dead(outcome: VariantOutcome, dataset: Dataset) -> dict[str, tuple[int, int]]:
    return dead_units(checkpoint.load(outcome.folder).build(), outcome.variant.held_out(dataset).images[:N_PROBED])


def _share(dead: dict[str, tuple[int, int]]) -> str:
    return percent(sum(n for n, _ in dead.values()) / sum(of for _, of in dead.values())) if dead else ""
