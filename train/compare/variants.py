"""The variants of a comparison: training runs that differ in one setting, and their outcomes."""

import argparse
import csv
import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.errors import InputError, UsageError, missing, note
from train import recipes, run
from train.architectures import architecture
from train.datasets import Dataset, Split
from train.recipes import Recipe
from train.training_state import Diverged, HistoryRow

# Fraction of the training images by which a comparison is judged: the test split may not choose.
HELD_OUT = 1 / 6


@dataclass(frozen=True)
class TrainingVariant:
    """One training run of a comparison; its name is that of its run folder and of its line in the plot."""

    name: str
    network: str
    recipe: Recipe

    @classmethod
    def of(cls, name: str, network: str, base: Recipe, *, steps: int | None, **given: Any) -> "TrainingVariant":
        """The variant of `network` by the recipe `base`, with the settings in `given` that are not None. Raises UsageError."""
        if steps is not None and steps < 1:
            raise UsageError(f"--steps {steps} is out of range")
        every = dict.fromkeys(field.name for field in dataclasses.fields(Recipe))
        recipe = recipes.from_flags(base, argparse.Namespace(**(every | given | {"steps": steps})))
        architecture(network).check(recipe)
        return cls(name, network, recipe)

    def held_out(self, dataset: Dataset) -> Split:
        """The training images that the variant does not train on."""
        return dataset.train[self.recipe.n_training(len(dataset.train)) :]


@dataclass(frozen=True)
class VariantOutcome:
    """A variant's run folder, figures and history; or the step at which it diverged, as detected."""

    variant: TrainingVariant
    folder: Path
    figures: dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    rows: tuple[HistoryRow, ...] = ()
    diverged_at: int | None = None

    @property
    def finished(self) -> bool:
        """Whether the variant did not diverge; only then it has figures and rows."""
        return self.diverged_at is None

    def accuracy(self, dataset: Dataset) -> float:
        """Held-out accuracy at the end, from 0 to 1; that of guessing if the variant diverged."""
        return self.rows[-1].validation_accuracy if self.finished else 1 / len(dataset.class_names)

    def training_loss(self) -> float:
        """Mean training loss over the rows of the history in the last tenth of the steps."""
        last = self.rows[-1].step
        steps = [row.step - before for row, before in zip(self.rows, [0, *(r.step for r in self.rows)], strict=False)]
        late = [(row.loss, n) for row, n in zip(self.rows, steps, strict=True) if row.step > 0.9 * last]
        return sum(loss * n for loss, n in late) / sum(n for _, n in late)


def train(variant: TrainingVariant, dataset: Dataset, folder: Path) -> VariantOutcome:
    """Train `variant` in the run folder `folder`, or resume it. Divergence is an outcome, not an error."""
    if variant.recipe.held_out and not len(variant.held_out(dataset)):
        raise UsageError(f"{dataset.name} has {len(dataset.train)} training images: too few to hold any out")
    try:
        figures = run.train(variant.network, dataset, variant.recipe, folder)
    except Diverged as error:
        note(f"{variant.name}: {error}")
        return VariantOutcome(variant, folder, diverged_at=error.step)
    return VariantOutcome(variant, folder, figures, tuple(history(folder / "history.csv")))


def history(path: Path) -> list[HistoryRow]:
    """The rows of a history.csv. Raises InputMissing, or InputError if it is damaged."""
    try:
        lines = list(csv.DictReader(path.read_text().splitlines()))
        return [
            HistoryRow(int(line.pop("step")), **{name: float(value) if value else None for name, value in line.items()})
            for line in lines
        ]
    except OSError as error:
        raise missing(str(path), error) from None
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: damaged ({error}); remove the run's folder and train again") from None


def margin(a: float, b: float, *, n: int) -> float:
    """Half of Wald's 95 % interval of the difference of fractions of `n` images each; too wide, as they are the same images."""
    return 1.96 * math.sqrt((a * (1 - a) + b * (1 - b)) / n)


def against(a: float, b: float, *, n: int) -> str:
    """The accuracy `a` against `b`, each on `n` images: "1.20 points above", or level within chance."""
    points, chance = 100 * (a - b), 100 * margin(a, b, n=n)
    if abs(points) <= chance:
        return f"level within chance ({points:+.2f} points, 95 % margin {chance:.2f}) with"
    return f"{abs(points):.2f} points {'above' if points > 0 else 'below'}"


def percent(fraction: float) -> str:
    """A `fraction` from 0 to 1 as the tables print it: 98.90 %."""
    return f"{100 * fraction:.2f} %"
