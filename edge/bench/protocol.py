"""The protocol behind every latency we print: how it is measured, and when it is refused.

Each pipeline is called in windows of many calls, and the pipelines take turns. A fixed calibration loop runs before and
after a window; if its time drifts, the window is measured again. A latency is refused if the machine stays unsteady or was
throttled, if the windows disagree, or if the calls are too few: no figure rather than a wrong one. The clock, the sleep
and the device are parameters.
"""

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from edge import errors
from edge.bench.percentiles import CONFIDENCE, PERCENTILES, LatencySummary, fewest_calls, nearest_rank, summarize
from edge.device import doctor, host
from edge.device.host import Host

MIN_WINDOWS = 5
MAX_REPEATS = 5  # of a window that drifted
LOOK_NS = 1_000_000_000  # between two readings of the device within a window
SETTLE_S = 2.1  # until an event has reached the throttle word
MAX_BLOCKS = 40  # of warm-up calls, before a pipeline that does not settle is refused


class Refusal(errors.Refused):
    """A latency that cannot be trusted. `kind`: `unsteady`, `throttled`, `disagreeing`, `overrun` or `too few calls`."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(f"refused: {why}")
        self.kind, self.why = kind, why


def _spin() -> int:
    # Integer arithmetic in the interpreter: next to no memory, and the same work for every model.
    state = 1
    for _ in range(20_000):
        state = (state * 1_103_515_245 + 12_345) & 0x7FFFFFFF
    return state


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What the protocol needs of the machine: a clock in ns, a sleep in s, the device's state, the calibration loop."""

    clock: Callable[[], int] = time.perf_counter_ns
    sleep: Callable[[float], None] = time.sleep
    host: Callable[[], Host] = host.read
    spin: Callable[[], object] = _spin


@dataclass(frozen=True, kw_only=True)
class TimedPipeline:
    """Consecutive stages. `call(number)` runs them once and returns the ns of each.

    A window has `calls` calls. Warm-up runs in blocks of `warm_up` calls. A pipeline in this process `settles`: its warm-up
    ends when three blocks in a row agree. A pipeline that starts processes has one block, which brings its files into memory.
    """

    name: str
    stages: tuple[str, ...]
    call: Callable[[int], tuple[int, ...]]
    calls: int
    warm_up: int = 50
    settles: bool = True


@dataclass(frozen=True, kw_only=True)
class TimingPlan:
    """How much is measured, and the limits, as fractions. `every_ns` is 0 for calls back to back."""

    windows: int = MIN_WINDOWS
    percentile: int = 99  # the highest requested
    every_ns: int = 0
    shared_machine: bool = False

    @property
    def drift_limit(self) -> float:
        """How far the calibration loop may drift from before a window to after it."""
        return 0.05 if self.shared_machine else 0.02

    @property
    def disagreement_limit(self) -> float:
        """How far the medians of a pipeline's windows may differ."""
        return 0.20 if self.shared_machine else 0.10


@dataclass(frozen=True, kw_only=True)
class LatencyReport:
    """The latency of each pipeline by stage, with `whole` for all stages together, and the circumstances of the measurement."""

    figures: dict[str, dict[str, LatencySummary]]
    plan: TimingPlan
    paced: tuple[str, ...]  # the pipelines whose calls began `plan.every_ns` apart; the others ran back to back
    measured_again: int  # windows discarded for drift
    host: Host  # before the first window; None is unknown
    temperature_c_after: float | None
    frequency_mhz_after: int | None
    throttled: str  # "no", or "unknown" and why; a throttled device gets no report

    def as_dict(self) -> dict[str, object]:
        """The report for JSON; null is unknown, or too few calls."""
        limits = {"drift_limit": self.plan.drift_limit, "disagreement_limit": self.plan.disagreement_limit}
        return asdict(self) | {"plan": asdict(self.plan) | limits}


def measure(
    pipelines: Sequence[TimedPipeline], plan: TimingPlan, machine: Machine, tell: Callable[[str], None] = lambda line: None
) -> LatencyReport:
    """Measure the windows of all pipelines in turn and judge them; `tell` hears of each repetition. Raises Refusal."""
    if plan.windows < MIN_WINDOWS:
        raise Refusal(
            "too few calls", f"{plan.windows} windows are too few to show a spread; at least {MIN_WINDOWS} are needed"
        )
    for pipeline in pipelines:
        _check_calls(pipeline, plan)
    monitor = ThrottleMonitor(machine)
    for pipeline in pipelines:
        _settle(pipeline, plan, monitor)
    windows: dict[str, list[list[tuple[int, ...]]]] = {pipeline.name: [] for pipeline in pipelines}
    measured_again = 0
    for number in range(1, plan.windows + 1):
        for pipeline in pipelines:
            for window, drift in _attempts(pipeline, plan, monitor):
                monitor.look()
                if drift <= plan.drift_limit:
                    windows[pipeline.name].append(window)
                    break
                measured_again += 1
                tell(f"{pipeline.name}: window {number} is measured again: the calibration loop drifted by {drift:.1%}")
            else:
                drifted = f"window {number} was measured {MAX_REPEATS + 1} times, and each time the calibration loop drifted"
                raise Refusal("unsteady", f"{pipeline.name}: {drifted} by more than {plan.drift_limit:.0%}; {_advice(plan)}")
    after = monitor.last
    monitor.settle()
    return LatencyReport(
        figures={pipeline.name: _judge(pipeline, windows[pipeline.name], plan) for pipeline in pipelines},
        plan=plan,
        paced=tuple(pipeline.name for pipeline in pipelines if _paced(pipeline, plan)),
        measured_again=measured_again,
        host=monitor.first,
        temperature_c_after=after.temperature_c,
        frequency_mhz_after=after.frequency_mhz,
        throttled=monitor.throttled,
    )


class ThrottleMonitor:
    """Reads the device repeatedly, and raises Refusal if it is throttled or was since the last reading.

    Bits 0 to 3 of the throttle word are about now, bits 16 to 19 about earlier: since boot in `vcgencmd get_throttled`
    (raspberrypi.com/documentation/computers/os.html#get_throttled). In /sys, the kernel's voltage monitor, where loaded,
    reads the word every 2 s and makes the firmware forget; we read what it got (drivers/hwmon/raspberrypi-hwmon.c and
    drivers/firmware/raspberrypi.c of github.com/raspberrypi/linux). A bit of 16 to 19 that is set before the run and stays
    set hides later events: `throttled` is then "unknown".
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.first = self.last = machine.host()
        self.always_readable = self.first.throttle_word is not None
        self._judge(self.first, earlier=self.first)

    def look(self) -> None:
        earlier, self.last = self.last, self.machine.host()
        self.always_readable &= self.last.throttle_word is not None
        self._judge(self.last, earlier=earlier)

    def settle(self) -> None:
        """Wait until the throttle word, if the device has one, covers the last window too, and read it."""
        if self.first.throttle_word is not None or self.first.under_voltage_alarm is not None:
            self.machine.sleep(SETTLE_S)
            self.look()

    @property
    def throttled(self) -> str:
        """Whether the device was throttled during the run, if no reading raised Refusal: "no", or "unknown" and why."""
        if self.first.throttle_word is None or not self.always_readable:
            has_alarm = self.first.under_voltage_alarm is not None
            return "unknown: the device reports under-voltage only, and there was none" if has_alarm else "unknown"
        if not (bits := self.first.throttle_word >> 16 & 0xF):
            return "no"
        hidden = ", ".join(name for bit, (name, _) in enumerate(doctor.THROTTLE) if bits >> bit & 1)
        return f"unknown: {hidden} before the run may hide it; run again, if need be after a reboot"

    def _judge(self, now: Host, *, earlier: Host) -> None:
        word, was = now.throttle_word or 0, earlier.throttle_word or 0
        check = doctor.throttling(replace(now, throttle_word=(word | (word & ~was) >> 16) & 0xF))
        if check.status == "fail":
            raise Refusal("throttled", f"the device throttled its clock, {check.found}: {check.advice}")


def _check_calls(pipeline: TimedPipeline, plan: TimingPlan) -> None:
    wanted = fewest_calls(plan.percentile)
    if pipeline.settles and pipeline.calls < wanted:
        needed = f"{pipeline.calls} calls cannot support a p{plan.percentile}: at least {wanted} are needed"
        able = [p for p in PERCENTILES if pipeline.calls >= fewest_calls(p)]
        advice = f"; they support --percentile {max(able)}" if able else ""
        raise Refusal("too few calls", f"{needed} (MLPerf's bound, {CONFIDENCE:.0%} confidence){advice}")


def _settle(pipeline: TimedPipeline, plan: TimingPlan, monitor: ThrottleMonitor) -> None:
    medians: list[float] = []
    for _ in range(MAX_BLOCKS if pipeline.settles else 1):
        block = _calls(pipeline, pipeline.warm_up, plan, monitor)
        medians.append(statistics.median(map(sum, block)))
        if not pipeline.settles or (len(medians) >= 3 and _apart(medians[-3:]) <= plan.drift_limit):
            return
    calls = f"{MAX_BLOCKS * pipeline.warm_up:,} warm-up calls, and no three blocks in a row within {plan.drift_limit:.0%}"
    raise Refusal("unsteady", f"{pipeline.name}: {calls}; {_advice(plan)}")


def _attempts(
    pipeline: TimedPipeline, plan: TimingPlan, monitor: ThrottleMonitor
) -> Iterator[tuple[list[tuple[int, ...]], float]]:
    """A window, and how far the calibration loop moved from before it to after it; so often as it may be tried."""
    for _ in range(1 + MAX_REPEATS):
        if pipeline.settles:  # other pipelines ran in between
            _calls(pipeline, pipeline.warm_up, plan, monitor)
        before = _calibrate(monitor.machine)
        window = _calls(pipeline, pipeline.calls, plan, monitor)
        yield window, abs(_calibrate(monitor.machine) / before - 1)


def _paced(pipeline: TimedPipeline, plan: TimingPlan) -> bool:
    """Whether calls begin `every_ns` apart; a process is started as soon as the one before has ended."""
    return pipeline.settles and bool(plan.every_ns)


def _calls(pipeline: TimedPipeline, n: int, plan: TimingPlan, monitor: ThrottleMonitor) -> list[tuple[int, ...]]:
    """The ns of each stage of `n` calls, begun `every_ns` apart if the pipeline is paced."""
    machine, results = monitor.machine, []
    # As timeit does: collecting the measurement's own garbage is not the model's latency.
    collecting = gc.isenabled()
    gc.disable()
    try:
        due = machine.clock()
        look = due + LOOK_NS
        for number in range(n):
            if (now := machine.clock()) >= look:  # in a long window a bit may come and go
                monitor.look()
                look = now + LOOK_NS
            if _paced(pipeline, plan):
                machine.sleep(max(due - machine.clock(), 0) / 1e9)
                due += plan.every_ns
            results.append(pipeline.call(number))
    finally:
        if collecting:
            gc.enable()
    return results


def _calibrate(machine: Machine) -> float:
    times = []
    for _ in range(5):
        started = machine.clock()
        machine.spin()
        times.append(machine.clock() - started)
    return statistics.median(times)


def _judge(pipeline: TimedPipeline, windows: list[list[tuple[int, ...]]], plan: TimingPlan) -> dict[str, LatencySummary]:
    """The latency of each stage and the `whole`. Raises Refusal if windows disagree or calls take longer than their cadence."""
    columns = {stage: [[call[at] for call in window] for window in windows] for at, stage in enumerate(pipeline.stages)}
    totals = [[sum(call) for call in window] for window in windows]
    medians = [nearest_rank(window, 50) for window in totals]
    if (apart := _apart(medians)) > plan.disagreement_limit:
        spread = f"the medians of its windows, {min(medians) / 1e3:,.1f} to {max(medians) / 1e3:,.1f} µs, differ by {apart:.0%}"
        raise Refusal("disagreeing", f"{pipeline.name}: {spread}, limit {plan.disagreement_limit:.0%}; {_advice(plan)}")
    typical = statistics.median_low(medians)
    if _paced(pipeline, plan) and typical >= plan.every_ns:
        overrun = f"a call takes {typical / 1e3:,.1f} µs, but one was requested every {plan.every_ns / 1e3:,.1f} µs"
        raise Refusal("overrun", f"{pipeline.name}: {overrun}; give --every a longer time")
    shown = medians.index(typical)
    return {stage: summarize(windows, windows[shown]) for stage, windows in (columns | {"whole": totals}).items()}


def _apart(values: Sequence[float]) -> float:
    return max(values) / min(values) - 1


def _advice(plan: TimingPlan) -> str:
    return "try again when the machine is idle" if plan.shared_machine else "stop other programs, or allow --shared-machine"
