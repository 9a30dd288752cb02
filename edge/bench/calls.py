"""One sequence of timed calls, and the calibration loop beside it."""

import gc
import statistics
from collections.abc import Callable

from edge.bench.percentiles import fewest_calls
from edge.bench.throttling import ThrottleMonitor
from edge.bench.timing import Machine, TimedPipeline, TimingPlan

LOOK_NS = 1_000_000_000  # between two readings of the device within a window
FEWEST, FEWEST_PROCESSES = fewest_calls(90), 3  # in a window that ends by time


def is_paced(pipeline: TimedPipeline, plan: TimingPlan) -> bool:
    """Whether calls begin `every_ns` apart; a process is started as soon as the one before has ended."""
    return pipeline.settles and bool(plan.every_ns)


def fewest(pipeline: TimedPipeline) -> int:
    """The fewest calls in a window that ends by time."""
    return FEWEST if pipeline.settles else FEWEST_PROCESSES


def timed(
    pipeline: TimedPipeline, n: int, plan: TimingPlan, monitor: ThrottleMonitor, *, most_s: float = 0.0
) -> list[tuple[int, ...]]:
    """The ns of each stage of `n` calls, begun `every_ns` apart if the pipeline is paced.

    A positive `most_s` ends them early, but not before the `fewest`.
    """
    machine, results = monitor.machine, []
    # As timeit does: collecting the measurement's own garbage is not the model's latency.
    collecting = gc.isenabled()
    gc.disable()
    try:
        due = started = machine.clock()
        look = due + LOOK_NS
        for number in range(n):
            if (now := machine.clock()) >= look:  # in a long window a bit may come and go
                monitor.look()
                look = now + LOOK_NS
            if most_s and number >= fewest(pipeline) and now - started >= most_s * 1e9:
                break
            if is_paced(pipeline, plan):
                machine.sleep(max(due - machine.clock(), 0) / 1e9)
                due += plan.every_ns
            results.append(pipeline.call(number))
    finally:
        if collecting:
            gc.enable()
    return results


def calibrate(machine: Machine) -> float:
    """The median ns of five calibration loops."""
    return _median_ns(machine, machine.spin, 5)


def probe(machine: Machine) -> float:
    """The median ns of eight short calibration loops: the machine's pace at this moment."""
    return _median_ns(machine, machine.probe, 8)


def _median_ns(machine: Machine, loop: Callable[[], object], n: int) -> float:
    times = []
    for _ in range(n):
        started = machine.clock()
        loop()
        times.append(machine.clock() - started)
    return statistics.median(times)
