"""Two sides measured in turns: rounds of fresh processes, and in each round short slices of one side after the other.

A slice takes milliseconds, so disturbances of the machine affect all sides alike. Properties of a process (its memory layout,
its hash seed) do not, so every round starts new processes. The base runs twice: its difference from itself is the noise.
"""

import math
import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from benchmarks.regression.sides import Side
from benchmarks.worker_process import WorkerProcess
from edge.bench import process
from edge.errors import ToolchainError

SLICES = 20  # a round
SLICE_NS = 4e6
PROCESSES = 5  # of each side in a round
IN_PROCESS = ("pixels", "file")
FIGURES = (*IN_PROCESS, "process")


@dataclass(frozen=True)
class Round:
    """One round of one figure: log(now / base), log(base again / base), and the ns of both sides.

    The change is relative to one turn of the base, not to the mean of both: the bounds need a difference of two equally
    distributed values, which errs as often up as down even if times are skewed.
    """

    change: float
    noise: float
    base_ns: float
    now_ns: float


def measure(base: Side, now: Side, *, model: str, picture: str, rounds: int, draw: random.Random) -> dict[str, list[Round]]:
    """`rounds` rounds of each of FIGURES; `model` "" is each side's own, in its wheel. `draw` draws the order of turns."""
    measured: dict[str, list[Round]] = {figure: [] for figure in FIGURES}
    for _ in range(rounds):
        for figure, result in _round((base, base, now), model, picture, draw):
            measured[figure].append(result)
    return measured


def _round(sides: Sequence[Side], model: str, picture: str, draw: random.Random) -> Iterator[tuple[str, Round]]:
    with ExitStack() as stack:
        workers = [stack.enter_context(side.start(model, picture)) for side in sides]
        for figure in IN_PROCESS:
            n = _calls(workers, figure)
            asks = [partial(_ask_ns, worker, f"{figure} {n}") for worker in workers]
            yield figure, _paired([_turns(asks, draw) for _ in range(SLICES)])
    flags = ["--trust", "--model", model] if model else []
    starts = [partial(_process_ns, [side.edge_predict, picture, *flags]) for side in sides]
    yield "process", _paired([_turns(starts, draw) for _ in range(PROCESSES)])


def _calls(workers: Sequence[WorkerProcess], figure: str) -> int:
    """The calls in a slice, measured after a warm-up."""
    took = [_ask_ns(worker, f"{figure} 50") for worker in workers for _ in range(3)]
    return max(round(SLICE_NS / min(took)), 10)


def _ask_ns(worker: WorkerProcess, line: str) -> float:
    return float(worker.ask(line))


def _process_ns(command: list[str]) -> float:
    try:
        return 1e6 * process.measure(command)[0]
    except RuntimeError as error:  # its exit code was not 0
        raise ToolchainError(str(error)) from None


def _turns(calls: Sequence[Callable[[], float]], draw: random.Random) -> list[float]:
    """The ns of each call, called in a drawn order."""
    order = draw.sample(range(len(calls)), len(calls))
    taken = {at: calls[at]() for at in order}
    return [taken[at] for at in range(len(calls))]


def _paired(slices: Sequence[Sequence[float]]) -> Round:
    """One round from its slices: ns of the base, of the base again, of the other."""
    return Round(
        change=statistics.median(math.log(now / base) for base, _, now in slices),
        noise=statistics.median(math.log(again / base) for base, again, _ in slices),
        base_ns=statistics.median(ns for base, again, _ in slices for ns in (base, again)),
        now_ns=statistics.median(now for _, _, now in slices),
    )
