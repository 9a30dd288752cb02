"""Which statistic tells the time of a quiet machine from calls on a busy one? Simulated, before it was trusted.

    python -m benchmarks.studies.pace_model [--runs 400] [--seed 0] [--write docs/decisions/0011-unsteady.md]

A machine changes between a fast and a slow state, as recorded on a shared virtual machine: spells of 10 to 300 ms, in which the
calibration loop takes 1.85 times as long and the network 1.3 times. On top come a speed that wanders, slices that wait for a
processor, noise of each slice, and an offset of each process. The true time is 100; a process's own offset has an s.d. of 1 %.
Half a minute.
"""

import argparse
import random
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks import pages
from edge import errors
from edge.bench.interleaved import estimate, full_pace
from edge.bench.percentiles import MARGIN, interval
from train import markdown

PROGRAM = "benchmarks.studies.pace_model"
TRUE, OFFSET = 100.0, 0.01
LOOP_SLOW, CALLS_SLOW = 1.85, 1.3
SLICES = 700  # of a pipeline in a measurement
SLICE_MS = 1.4


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """How busy a machine is: the share of time in the slow state, its spells in ms, slices that wait, a wandering speed."""

    name: str
    slow: float
    spell_ms: float = 30.0
    waits: float = 0.0
    wander: float = 0.0


SCENARIOS = (
    Scenario(name="quiet", slow=0.0),
    Scenario(name="slow a tenth of the time", slow=0.1),
    Scenario(name="slow half of the time", slow=0.5, waits=0.1),
    Scenario(name="slow nine tenths, waits", slow=0.9, waits=0.4),
    Scenario(name="long spells, 300 ms", slow=0.7, spell_ms=300.0, waits=0.3),
    Scenario(name="speed wanders by 5 %", slow=0.3, wander=0.05),
    Scenario(name="always slow", slow=1.0),
)
Sample = list[tuple[float, float, bool]]  # of each slice: the median call, the slower loop, whether it waited


def simulate(scenario: Scenario, draw: random.Random) -> Sample:
    """The slices of one measurement."""
    own = TRUE * draw.gauss(1.0, OFFSET)
    slow, speed, slices = draw.random() < scenario.slow, 1.0, []
    loops = []
    for _ in range(SLICES + 1):
        leave = SLICE_MS / scenario.spell_ms / (scenario.slow if slow else 1 - scenario.slow or 1.0) / 2
        if 0.0 < scenario.slow < 1.0 and draw.random() < leave:
            slow = not slow
        speed = 1.0 + 0.999 * (speed - 1.0) + draw.gauss(0.0, scenario.wander * 0.045)
        waited = draw.random() < scenario.waits
        calls = (
            own * (CALLS_SLOW if slow else 1.0) * speed * draw.gauss(1.0, 0.01) * (draw.uniform(1.2, 4.0) if waited else 1.0)
        )
        loops.append(50.0 * (LOOP_SLOW if slow else 1.0) * speed * draw.gauss(1.0, 0.015))
        slices.append((calls, waited))
    return [(calls, max(loops[at], loops[at + 1]), waited) for at, (calls, waited) in enumerate(slices[:-1])]


def plain(sample: Sample) -> tuple[float, float, float]:
    """The median of all slices; its interval from all of them as if they were independent."""
    calls = [each[0] for each in sample]
    low, high = interval(calls) or (min(calls), max(calls))
    return statistics.median(calls), low, high


def ratio(sample: Sample) -> tuple[float, float, float]:
    """Each slice over its loop, times the fastest loops."""
    best = _best(sample)
    return _blocks([calls / loop * best for calls, loop, _ in sample])


def least(sample: Sample) -> tuple[float, float, float]:
    """The least slice; no interval comes with it but the margin."""
    fastest = min(calls for calls, _, _ in sample)
    return fastest, fastest, fastest


def unblocked(sample: Sample) -> tuple[float, float, float]:
    """The slices at full pace, as if they were independent."""
    calls = [sample[at][0] for at in _kept(sample)]
    low, high = interval(calls) or (min(calls), max(calls))
    return statistics.median(calls), low, high


def chosen(sample: Sample) -> tuple[float, float, float]:
    """The slices at full pace, in 20 blocks: what edge bench does."""
    calls = [each[0] for each in sample]
    return estimate(calls, _kept(sample), min(calls))


STATISTICS: dict[str, Callable[[Sample], tuple[float, float, float]]] = {
    "median of all": plain, "ratio to the loop": ratio, "least": least, "full pace, single": unblocked,
    "full pace, 20 blocks": chosen,
}  # fmt: skip


def _best(sample: Sample) -> float:
    return sorted(loop for _, loop, _ in sample)[len(sample) // 50]


def _kept(sample: Sample) -> list[int]:
    return full_pace([loop * (2.0 if waited else 1.0) for _, loop, waited in sample], _best(sample))


def _blocks(values: Sequence[float]) -> tuple[float, float, float]:
    return estimate(values, range(len(values)), min(values))


def table(runs: int, seed: int) -> str:
    """How often each statistic's interval holds the true time, and half its width at the median."""
    rows = []
    for scenario in SCENARIOS:
        draw = random.Random(seed)
        samples = [simulate(scenario, draw) for _ in range(runs)]
        cells = [scenario.name]
        for statistic in STATISTICS.values():
            estimates = [statistic(sample) for sample in samples]
            holds = sum(low * (1 - MARGIN) <= TRUE <= high * (1 + MARGIN) for _, low, high in estimates) / runs
            width = statistics.median(
                (high * (1 + MARGIN) - low * (1 - MARGIN)) / 2 / middle for middle, low, high in estimates
            )
            middle = statistics.median(middle for middle, _, _ in estimates)
            cells.append(f"{100 * holds:.0f} %, ±{100 * width:.1f} % ({middle:.0f})")
        rows.append(cells)
    return markdown.table(("machine", *STATISTICS), rows, align="lr")


def main() -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {PROGRAM}", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=400, metavar="N", help="measurements of each machine (default: 400)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    pages.add_write(parser)
    flags = parser.parse_args()
    if flags.runs < 1:
        raise errors.UsageError("--runs wants 1 or more")
    text = f"`{' '.join([f'python -m {PROGRAM}', *sys.argv[1:]])}`: {flags.runs} measurements each, seed {flags.seed}.\n\n"
    return pages.show(text + table(flags.runs, flags.seed) + "\n", flags.write)


if __name__ == "__main__":
    sys.exit(errors.run(main, PROGRAM))
