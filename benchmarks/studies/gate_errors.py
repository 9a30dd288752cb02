"""How often the gate is wrong: candidates whose true drop is known, judged by the gate itself.

    python -m benchmarks.studies.gate_errors [--candidates N] [--seed S] [--write docs/gate.md]

The verdict depends on (lost, gained, n) alone, so each distinct pair is judged once: 20 s on one core for 200,000
candidates in each of some 200 cells.
"""

import argparse
import dataclasses
import functools
import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import pages
from convert.gate import Gate
from convert.tango import Z_95
from convert.verify import Verification
from edge import errors

LIMITS_POINTS = (0.5, 1.0, 2.0)
N_IMAGES = (500, 600, 1_000, 10_000)
# True drops as multiples of the limit.
SOUND, HALF, AT_LIMIT, ABOVE = 0.0, 0.5, 1.0, 1.5
# Shares of the test pictures on which one of int8 and float is right and the other wrong. Measured (docs/matrix.md): 0.0006
# at most on MNIST but for lenet5-sigmoid's 0.0043, on CIFAR-10 0.007 and 0.017.
DISAGREEMENTS = (0.0001, 0.003, 0.01, 0.02, 0.04)
OUTCOMES = ("passed", "failed", "undecided")

Row = tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """Candidates that truly lose `drop` and differ from the float model on `disagreement` of all pictures, as shares."""

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


# Where most are wrongly published, of n from 32 to 700 and disagreements up to 0.1; docs/gate.md says why.
WORST = (Cell(223, 0.5, 0.005, 0.0391), Cell(110, 1.0, 0.01, 0.0792), Cell(98, 2.0, 0.02, 0.0877))


class _SilentGate(Gate):
    """The gate without its advice on how many images are enough: twenty times faster, and no verdict rests on it."""

    def _images_needed(self, seen: Verification) -> None:
        return None


def draw(cell: Cell, *, candidates: int, seed: int) -> np.ndarray:
    """Lost and gained of each candidate: int64 [candidates, 2]. Equal cells and seeds give equal draws."""
    lost, gained = (cell.disagreement + cell.drop) / 2, (cell.disagreement - cell.drop) / 2
    entropy = [seed, cell.n_images, round(1e6 * cell.drop), round(1e6 * cell.disagreement)]
    return np.random.default_rng(entropy).multinomial(cell.n_images, [lost, gained, 1 - lost - gained], candidates)[:, :2]


@functools.cache
def simulate(cell: Cell, *, candidates: int, seed: int) -> Rates:
    """The verdicts on `candidates` drawn for `cell`."""
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
    return _SilentGate(limit_points).judge(_seen(n_images, lost, gained)).decision


@functools.cache
def _seen(n_images: int, lost: int, gained: int) -> Verification:
    """Kept, because it keeps its interval, which every limit asks for. The accuracies do not matter to the gate."""
    return Verification(n_images, lost, gained, agreeing=n_images - lost - gained, float_top1=1.0, top1=1.0)


def disagreements(drop: float) -> list[float]:
    """Those in DISAGREEMENTS that allow `drop`; before them the sparsest: nothing gained, and one gained for eleven lost."""
    sparsest = [round(drop, 6), round(1.2 * drop, 6)] if drop else []
    return sparsest + [share for share in DISAGREEMENTS if share > max(sparsest, default=0)]


def most_lost(limit_points: float, n_images: int) -> int | None:
    """The most pictures that can be lost, none gained, and pass; None where even no difference is too few pictures."""
    lost = 0
    while outcome(limit_points, n_images, lost, 0) == "passed":
        lost += 1
    return lost - 1 if lost else None


def wilson_percent(count: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of count / n, in percent."""
    share, z2 = count / n, Z_95**2
    half = Z_95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    middle, scale = share + z2 / (2 * n), 100 / (1 + z2 / n)
    return scale * max(0.0, middle - half), scale * (middle + half)


def page(*, candidates: int, seed: int) -> str:
    """Every table, and how it was made."""

    def published(cell: Cell) -> str:
        passed = simulate(cell, candidates=candidates, seed=seed).passed
        lower, upper = wilson_percent(passed, candidates)
        return f"{100 * passed / candidates:.2f} ({lower:.2f} to {upper:.2f})"

    def outcomes(cell: Cell) -> str:
        rates = simulate(cell, candidates=candidates, seed=seed)
        return " / ".join(f"{rates.percent(name):.2f}" for name in OUTCOMES)

    def worst(cell: Cell) -> Row:
        sound = outcomes(dataclasses.replace(cell, drop=0.0))
        return (f"{cell.limit_points}", f"{100 * cell.disagreement:.4g}", f"{cell.n_images}", published(cell), sound)

    parts = [
        f"`python -m benchmarks.studies.gate_errors --candidates {candidates} --seed {seed}`: {candidates:,} candidates "
        "a cell.",
        "### Wrongly published: the true drop is the limit",
        "% of candidates passed, with its 95 % interval; nominally 2.5.",
        _table(_rows(AT_LIMIT, published)),
        "The same at the worst sizes of test split, and a sound model's three outcomes there:",
        _table([("limit, points", "differ, %", "n", "at the limit", "sound"), *map(worst, WORST)]),
    ]
    for multiple, heading in (
        (SOUND, "A sound model: the true drop is 0"),
        (HALF, "The true drop is half the limit"),
        (AT_LIMIT, "The true drop is the limit"),
        (ABOVE, "The true drop is 1.5 × the limit"),
    ):
        parts += [f"### {heading}", "% passed / failed / undecided.", _table(_rows(multiple, outcomes))]
    return "\n\n".join([*parts, "### The most pictures lost, none gained, that pass", most_lost_table()])


def most_lost_table() -> str:
    """A line for every n, a column for every limit."""
    rows = [("n", *(f"limit {limit}" for limit in LIMITS_POINTS))]
    for n_images in N_IMAGES:
        found = (most_lost(limit, n_images) for limit in LIMITS_POINTS)
        rows.append((f"{n_images:,}", *("not even 0" if lost is None else str(lost) for lost in found)))
    return _table(rows)


def _rows(multiple: float, show: Callable[[Cell], str]) -> list[Row]:
    """A line for every limit and disagreement at one true drop, a column for every n."""
    rows: list[Row] = [("limit, points", "differ, %", *(f"n = {n_images:,}" for n_images in N_IMAGES))]
    for limit in LIMITS_POINTS:
        drop = multiple * limit / 100
        for share in disagreements(drop):
            cells = [Cell(n_images, limit, drop, share) for n_images in N_IMAGES]
            rows.append((f"{limit}", f"{100 * share:.4g}", *map(show, cells)))
    return rows


def _table(rows: Iterable[Row]) -> str:
    head, *body = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ("--:",) * len(head), *body])


def main() -> int:
    flags = _flags()
    if flags.candidates < 1:
        raise errors.UsageError(f"--candidates {flags.candidates}: at least one is needed")
    text = page(candidates=flags.candidates, seed=flags.seed)
    print(text)
    if flags.write:
        pages.write(flags.write, text)
    return 0


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies.gate_errors", description=__doc__.splitlines()[0])
    parser.add_argument("--candidates", type=int, default=200_000, help="drawn for each cell (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the draws (default: %(default)s)")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables between the marks on this page, too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(errors.run(main, "benchmarks.studies.gate_errors"))
