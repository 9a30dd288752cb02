"""A narrow network against a wide one: accuracy per step, and time per step."""

import argparse

from train import recipe_book
from train.compare.variants import TrainingVariant, VariantOutcome, against, percent
from train.datasets import Dataset
from train.training_state import HistoryRow

NARROW, WIDE = "lenet5-relu", "lenet5-wide"
TITLE = "Narrow against wide"
CURVE = "accuracy"
ABOUT = (
    f"`{NARROW}` (6 and 16 kernels, 120 neurons) against `{WIDE}` (32 and 64 kernels, 1,024 neurons), both by the "
    "documented recipe. The document claims that more kernels and neurons learn in fewer steps, and that each step costs "
    "more. A training accuracy is the mean over the batches since the previous row of history.csv, each "
    "measured before its step."
)


def add_flags(flags: argparse.ArgumentParser) -> None:
    flags.add_argument("--steps", type=int, default=300, metavar="N", help="steps of each variant (default: %(default)s)")


def variants(flags: argparse.Namespace) -> list[TrainingVariant]:
    # Nothing is held out: a validation would add to the time of a step, and in the first epoch every image is new.
    given = {"steps": flags.steps, "seed": flags.seed, "log_every": min(10, max(flags.steps // 3, 1))}
    return [
        TrainingVariant.of(name, name, recipe_book.recipe(name, "documented", data=flags.data), **given)
        for name in (NARROW, WIDE)
    ]


def ms_a_step(rows: tuple[HistoryRow, ...]) -> float:
    """Milliseconds per step, from the first row on: the steps before it compile the network."""
    first, last = rows[0], rows[-1]
    if first is last:
        return 1000 * last.seconds / last.step
    return 1000 * (last.seconds - first.seconds) / (last.step - first.step)


def measured(outcome: VariantOutcome, dataset: Dataset) -> dict[str, str]:
    thirds = {f"training accuracy at step {row.step:,}": percent(row.accuracy) for row in _thirds(outcome)}
    return {
        "parameters": f"{outcome.figures['n_parameters']:,}",
        **thirds,
        "milliseconds a step": f"{ms_a_step(outcome.rows):.1f}",
    }


def finding(outcomes: list[VariantOutcome], dataset: Dataset) -> str:
    if gone := [o.variant.name for o in outcomes if not o.finished]:
        return f"{' and '.join(gone)} diverged: nothing to compare."
    narrow, wide = outcomes
    n = narrow.variant.recipe.batch * narrow.variant.recipe.log_every
    ahead = "; ".join(
        f"at step {a.step:,}, {against(a.accuracy, b.accuracy, n=n)}"
        for a, b in zip(_thirds(wide), _thirds(narrow), strict=True)
    )
    cost = ms_a_step(wide.rows), ms_a_step(narrow.rows)
    goal = narrow.rows[-1]
    reached = next((row for row in wide.rows if row.accuracy >= goal.accuracy), None)
    catches_up = f"first at step {reached.step:,}, after {reached.seconds:.1f} s" if reached else "nowhere"
    return (
        f"Training accuracy of {WIDE}: {ahead} {NARROW}. A step takes {WIDE} {cost[0]:.1f} ms and {NARROW} "
        f"{cost[1]:.1f} ms, a ratio of {cost[0] / cost[1]:.1f}. {NARROW} has {percent(goal.accuracy)} "
        f"at step {goal.step:,}, after {goal.seconds:.1f} s; {WIDE} has that {catches_up}."
    )


def _thirds(outcome: VariantOutcome) -> list[HistoryRow]:
    n = len(outcome.rows)
    return [outcome.rows[i] for i in sorted({max(n * third // 3, 1) - 1 for third in (1, 2, 3)})]
