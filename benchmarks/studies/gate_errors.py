"""How often the gate is wrong: candidates with a known true drop, judged by the gate itself.

    python -m benchmarks.studies.gate_errors [--candidates N] [--seed S] [--write docs/gate.md]

The verdict depends only on (lost, gained, n), so each distinct pair is judged once: two minutes on one core for 200,000
candidates in each of some 300 cells.
"""

import argparse
import dataclasses
import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from benchmarks import pages
from benchmarks.studies import unlabelled_errors
from convert.judging.gate import Gate
from convert.judging.verify import Verification
from edge import errors
from train import markdown

LIMITS_POINTS = (0.5, 1.0, 2.0)
N_IMAGES = (500, 600, 1_000, 10_000)
# True drops as multiples of the limit.
SOUND, HALF, AT_LIMIT, ABOVE = 0.0, 0.5, 1.0, 1.5
# Shares of the test images on which one of int8 and float is right and the other wrong. Measured (docs/matrix.md): 0.0006
# at most on MNIST but for lenet5-sigmoid's 0.0043, on CIFAR-10 0.007 and 0.017.
DISAGREEMENTS = (0.0001, 0.003, 0.01, 0.02, 0.04)
OUTCOMES = ("passed", "failed", "undecided")


@dataclass(frozen=True)
class Cell:
    """Candidates that lose `drop` of all images and differ from the float model on `disagreement` of them, as shares."""

    n_images: int
    limit_points: float
    drop: float
    disagreement: float


@dataclass(frozen=True)
class Rates:
    """How many candidates of a cell had each outcome."""

    passed: int
    failed: int
    undecided: int

    @property
    def candidates(self) -> int:
        return self.passed + self.failed + self.undecided

    def percent(self, outcome: str) -> float:
        return 100 * getattr(self, outcome) / self.candidates


# The cells with the highest rate of wrong passes, of n from 32 to 700 and disagreements up to 0.1; docs/gate.md says why.
WORST = (Cell(223, 0.5, 0.005, 0.0391), Cell(110, 1.0, 0.01, 0.0792), Cell(98, 2.0, 0.02, 0.0877))


def draw(cell: Cell, *, candidates: int, seed: int) -> np.ndarray:
    """Lost and gained of each candidate: int64 [candidates, 2]. Equal arguments give equal draws."""
    lost, gained = (cell.disagreement + cell.drop) / 2, (cell.disagreement - cell.drop) / 2
    entropy = [seed, cell.n_images, round(1e6 * cell.drop), round(1e6 * cell.disagreement)]
    return np.random.default_rng(entropy).multinomial(cell.n_images, [lost, gained, 1 - lost - gained], candidates)[:, :2]


@functools.cache
def simulate(cell: Cell, *, candidates: int, seed: int) -> Rates:
    """The counts of the verdicts on `candidates` drawn for `cell`."""
    base = cell.n_images + 1
    drawn = draw(cell, candidates=candidates, seed=seed) @ (base, 1)
    counts = dict.fromkeys(OUTCOMES, 0)
    for pair, times in zip(*np.unique(drawn, return_counts=True), strict=True):
        lost, gained = divmod(int(pair), base)
        counts[outcome(cell.limit_points, cell.n_images, lost, gained)] += int(times)
    return Rates(**counts)


@functools.cache
def outcome(limit_points: float, n_images: int, lost: int, gained: int) -> str:
    """The gate's verdict, in a word."""
    gate = Gate(limit_points)
    return gate.decide(gate.grounds(_verification(n_images, lost, gained)))


@functools.cache
def _verification(n_images: int, lost: int, gained: int) -> Verification:
    """Cached together with its interval, which all limits use. The gate ignores the accuracies."""
    return Verification(n_images, lost, gained, agreeing=n_images - lost - gained, float_top1=1.0, top1=1.0)


def disagreements(drop: float) -> list[float]:
    """The DISAGREEMENTS that allow `drop`, after the two least ones: none gained, and one gained for eleven lost."""
    sparsest = [round(drop, 6), round(1.2 * drop, 6)] if drop else []
    return sparsest + [share for share in DISAGREEMENTS if share > max(sparsest, default=0)]


def most_lost(limit_points: float, n_images: int) -> int | None:
    """The most images that can be lost, none gained, in a pass; None if the gate does not pass even without a difference."""
    lost = 0
    while outcome(limit_points, n_images, lost, 0) == "passed":
        lost += 1
    return lost - 1 if lost else None


def wilson_percent(count: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of count / n, in percent."""
    interval = binomtest(count, n).proportion_ci(method="wilson")
    return 100 * float(interval.low), 100 * float(interval.high)


def page(*, candidates: int, seed: int) -> str:
    """Every table, and the command that made it."""

    def published(cell: Cell) -> str:
        passed = simulate(cell, candidates=candidates, seed=seed).passed
        lower, upper = wilson_percent(passed, candidates)
        return f"{100 * passed / candidates:.2f} ({lower:.2f} to {upper:.2f})"

    def outcomes(cell: Cell) -> str:
        rates = simulate(cell, candidates=candidates, seed=seed)
        return " / ".join(f"{rates.percent(name):.2f}" for name in OUTCOMES)

    def worst(cell: Cell) -> tuple[str, ...]:
        sound = outcomes(dataclasses.replace(cell, drop=0.0))
        return (f"{cell.limit_points}", f"{100 * cell.disagreement:.4g}", f"{cell.n_images}", published(cell), sound)

    parts = [
        f"`python -m benchmarks.studies.gate_errors --candidates {candidates} --seed {seed}`: {candidates:,} candidates "
        "a cell.",
        "### Wrongly published: the true drop is the limit",
        "% of candidates passed, with its 95 % interval; nominally 2.5.",
        _rows(AT_LIMIT, published),
        "The same at the worst sizes of test split, and a sound model's three outcomes there:",
        markdown.table(("limit, points", "differ, %", "n", "at the limit", "sound"), map(worst, WORST), align="r"),
    ]
    for multiple, heading in (
        (SOUND, "A sound model: the true drop is 0"),
        (HALF, "The true drop is half the limit"),
        (AT_LIMIT, "The true drop is the limit"),
        (ABOVE, "The true drop is 1.5 × the limit"),
    ):
        parts += [f"### {heading}", "% passed / failed / undecided.", _rows(multiple, outcomes)]
    parts += ["### The most pictures lost, none gained, that pass", most_lost_table()]
    return "\n\n".join([*parts, unlabelled_errors.section(disagreements, candidates=candidates, seed=seed)])


def most_lost_table() -> str:
    """A row for every n, a column for every limit."""
    rows = []
    for n_images in N_IMAGES:
        counts = (most_lost(limit, n_images) for limit in LIMITS_POINTS)
        rows.append((f"{n_images:,}", *("not even 0" if lost is None else str(lost) for lost in counts)))
    return markdown.table(("n", *(f"limit {limit}" for limit in LIMITS_POINTS)), rows, align="r")


def _rows(multiple: float, show: Callable[[Cell], str]) -> str:
    """The table of one true drop: a row for every limit and disagreement, a column for every n."""
    rows = []
    for limit in LIMITS_POINTS:
        drop = multiple * limit / 100
        for share in disagreements(drop):
            cells = [Cell(n_images, limit, drop, share) for n_images in N_IMAGES]
            rows.append((f"{limit}", f"{100 * share:.4g}", *map(show, cells)))
    head = ("limit, points", "differ, %", *(f"n = {n_images:,}" for n_images in N_IMAGES))
    return markdown.table(head, rows, align="r")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies.gate_errors", description=__doc__.splitlines()[0])
    parser.add_argument("--candidates", type=int, default=200_000, help="drawn for each cell (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the draws (default: %(default)s)")
    pages.add_write(parser)
    flags = parser.parse_args()
    if flags.candidates < 1:
        raise errors.UsageError(f"--candidates {flags.candidates}: wanted 1 or more")
    text = page(candidates=flags.candidates, seed=flags.seed)
    return pages.show(text, flags.write)


if __name__ == "__main__":
    sys.exit(errors.run(main, "benchmarks.studies.gate_errors"))
