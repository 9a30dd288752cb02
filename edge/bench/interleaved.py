"""A figure on an unsteady machine: calls in short slices between calibration loops, judged at the machine's full pace.

Other programs, and other tenants of the same processor, slow this process in bursts of milliseconds. A slice of calls takes
one millisecond (a whole process: one start) and has a short calibration loop before and after it. Slices beside which both
loops ran within PACE of the fastest, and which did not wait for a processor, are at full pace; the others are left out. The
figure is the median of the full-pace slices. Its interval comes from the medians of consecutive blocks of them, because
neighbouring slices err alike.

Dividing each slice by its loop would be simpler and wrong: a busy neighbour slowed the loop by 85 % and a network by 30 %
(docs/unsteady.md).
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from edge.bench import calls
from edge.bench.percentiles import MARGIN, LatencySummary, interval, summarize
from edge.bench.throttling import ThrottleMonitor
from edge.bench.timing import WINDOWS, TimedPipeline, TimingPlan

PACE = 1.05
ROUNDS = 24  # for each WINDOWS windows, where time allows
BURST_S = 0.12  # of slices of one pipeline in a round
SLICE_S = 0.001
PROCESSES = 2  # in a burst
BLOCKS = 20
FEWEST = 6  # slices or blocks: fewer have no 95 % interval
SELDOM = 0.05  # with fewer slices at full pace, the least time seen is the lower end


@dataclass(frozen=True)
class Slice:
    """Consecutive calls: the ns of each stage, and the slower of the calibration loops before and after them.

    `waited`: how many times as long the calls took as this process had a processor, at least 1. `busy`: the CPU ns of each
    stage, where the call starts a process.
    """

    stages: list[tuple[int, ...]]
    loop_ns: float
    waited: float = 1.0
    busy: Sequence[int] = ()


def measure(
    pipelines: Sequence[TimedPipeline],
    plan: TimingPlan,
    monitor: ThrottleMonitor,
    *,
    usual_s: dict[str, float],
    until_ns: float,
) -> dict[str, dict[str, LatencySummary]]:
    """Each stage and the whole of all `pipelines`, in turns until the clock says `until_ns`. Raises Refusal (throttled).

    `usual_s` is about how long a call of each takes.
    """
    slices: dict[str, list[Slice]] = {pipeline.name: [] for pipeline in pipelines}
    for _ in range(ROUNDS * plan.windows // WINDOWS):
        for pipeline in pipelines:
            slices[pipeline.name] += burst(pipeline, plan, monitor, usual_s[pipeline.name])
            monitor.look()
        if monitor.machine.clock() >= until_ns and min(map(len, slices.values())) >= FEWEST:
            break
    loops = [each.loop_ns for measured in slices.values() for each in measured]
    return {pipeline.name: summaries(pipeline, slices[pipeline.name], loops) for pipeline in pipelines}


def burst(pipeline: TimedPipeline, plan: TimingPlan, monitor: ThrottleMonitor, usual_s: float) -> list[Slice]:
    """Slices of one pipeline for BURST_S, after some calls that bring its memory back into the caches."""
    machine = monitor.machine
    alone = not pipeline.settles or calls.is_paced(pipeline, plan)
    size = 1 if alone else max(1, min(pipeline.calls, round(SLICE_S / usual_s)))
    if pipeline.settles:
        calls.timed(pipeline, size, replace(plan, every_ns=0), monitor)
    made: list[Slice] = []
    before, started = calls.probe(machine), machine.clock()
    for number in range(round(BURST_S / SLICE_S)):
        if number >= PROCESSES and (not pipeline.settles or machine.clock() - started >= BURST_S * 1e9):
            break
        had = machine.cpu_clock()
        stages = calls.timed(pipeline, size, plan, monitor)
        waited = 1.0 if pipeline.busy else sum(map(sum, stages)) / max(machine.cpu_clock() - had, 1)
        after = calls.probe(machine)
        made.append(Slice(stages, max(before, after), max(waited, 1.0), pipeline.busy() if pipeline.busy else ()))
        before = after
    return made


def summaries(pipeline: TimedPipeline, slices: Sequence[Slice], loops: Sequence[float]) -> dict[str, LatencySummary]:
    """The latency of each stage and the `whole` from the slices of a pipeline and the loops of the whole measurement."""
    varied = _quantile(loops, 0.9) / _quantile(loops, 0.1) - 1
    kept = full_pace([each.loop_ns * each.waited for each in slices], _quantile(loops, 0.02))
    columns = {stage: [[call[at] for call in each.stages] for each in slices] for at, stage in enumerate(pipeline.stages)}
    columns["whole"] = [list(map(sum, each.stages)) for each in slices]
    medians: dict[str, Sequence[float]] = {
        stage: [statistics.median(each) for each in column] for stage, column in columns.items()
    }
    beyond: dict[str, float] = {}
    if pipeline.busy:
        # A start of some 50 ms is interrupted whenever other programs run; a slice of a millisecond seldom is.
        busy = {stage: [float(each.busy[at]) for each in slices] for at, stage in enumerate(pipeline.stages)}
        busy["whole"] = list(map(sum, zip(*busy.values(), strict=True)))
        beyond = {stage: least_beyond(medians[stage], busy[stage]) for stage in busy}
        medians = dict(busy)
    return {stage: _summary(columns[stage], medians[stage], kept, varied, beyond=beyond.get(stage, 0.0)) for stage in columns}


def least_beyond(took: Sequence[float], busy: Sequence[float]) -> float:
    """The least ns that a process took beyond its CPU time: on a quiet machine it would have taken no longer beyond it."""
    return max(min(wall - cpu for wall, cpu in zip(took, busy, strict=True)), 0.0)


def full_pace(paces: Sequence[float], best: float) -> list[int]:
    """Which slices ran at full pace, in order; if they are too few for an interval, those that came closest."""
    kept = [at for at, pace in enumerate(paces) if pace <= PACE * best]
    return kept if len(kept) >= FEWEST else sorted(sorted(range(len(paces)), key=paces.__getitem__)[:FEWEST])


def estimate(medians: Sequence[float], kept: Sequence[int], least: float) -> tuple[float, float, float]:
    """The median over the slices `kept`, and its 95 % interval without MARGIN."""
    values = [medians[at] for at in kept]
    blocks = min(BLOCKS, len(values))
    ends = [len(values) * number // blocks for number in range(blocks + 1)]
    by_block = [statistics.median(values[start:end]) for start, end in pairwise(ends)]
    low, high = interval(by_block) or (min(values), max(values))
    if len(kept) < SELDOM * len(medians):
        low = min(low, least)
    return statistics.median(values), low, high


def _summary(
    column: list[list[int]], medians: Sequence[float], kept: list[int], varied: float, *, beyond: float
) -> LatencySummary:
    every = [ns for each in column for ns in each]
    p50, low, high = estimate(medians, kept, min(min(every), min(medians)))
    return replace(
        summarize([every], every),
        p50_us=p50 / 1e3,
        p50_lowest_us=low / 1e3,
        p50_highest_us=high / 1e3,
        low_us=low / 1e3 * (1 - MARGIN),
        high_us=(high + beyond) / 1e3 * (1 + MARGIN),
        pace_varied=varied,
    )


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]
