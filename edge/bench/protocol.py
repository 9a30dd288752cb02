"""The protocol behind every latency we print: when a figure may be given, and when it is refused.

A pipeline of stages is called again and again in windows, pipelines taking turns. A window between two runs of a fixed
calibration loop that differ is measured again. What stays unsteady, was throttled, disagrees with itself or has too few
calls is refused: no figure rather than a wrong one. The clock, the sleep and the device are handed in.
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
AGAIN = 5  # times a window that drifted is measured again
LOOK_NS = 1_000_000_000  # within a window the device is looked at so often
SETTLE_S = 2.1  # after which what happened has reached the throttle word
MAX_BLOCKS = 40  # of warm-up calls, before a pipeline that does not settle is given up


class Refusal(errors.Refused):
    """A figure that would be false. `kind`: `unsteady`, `throttled`, `disagreeing`, `overrun` or `too few calls`."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(f"refused: {why}")
        self.kind, self.why = kind, why


def _spin() -> int:
    # Integer steps in the interpreter: no memory to speak of, and the same work whatever the model.
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
    """Stages that follow one another. `call(number)` goes through them once and returns the ns of each.

    `calls` make a window. Warm-up comes in blocks of `warm_up` calls: until three in a row agree where the pipeline
    `settles` (one in this process), else one block (a process of its own: its files are in memory from then on).
    """

    name: str
    stages: tuple[str, ...]
    call: Callable[[int], tuple[int, ...]]
    calls: int
    warm_up: int = 50
    settles: bool = True


@dataclass(frozen=True, kw_only=True)
class TimingPlan:
    """How much is measured, and what is let pass. The limits are fractions; `every_ns` is 0 for back to back."""

    windows: int = MIN_WINDOWS
    percentile: int = 99  # the highest that is asked for
    every_ns: int = 0
    shared_machine: bool = False

    @property
    def drift_limit(self) -> float:
        """How far the calibration loop may differ before and after a window."""
        return 0.05 if self.shared_machine else 0.02

    @property
    def disagreement_limit(self) -> float:
        """How far the medians of a pipeline's windows may lie apart."""
        return 0.20 if self.shared_machine else 0.10


@dataclass(frozen=True, kw_only=True)
class LatencyReport:
    """The figures of each pipeline by stage, `whole` for all of its stages together, and what they were measured under."""

    figures: dict[str, dict[str, LatencySummary]]
    plan: TimingPlan
    paced: tuple[str, ...]  # the pipelines whose calls began `plan.every_ns` apart; the others ran back to back
    measured_again: int  # windows thrown away for drift
    host: Host  # before the first window; what is None is unknown
    temperature_c_after: float | None
    frequency_mhz_after: int | None
    throttled: str  # "no", or "unknown" and why; a device that was seen throttled gets no report

    def as_dict(self) -> dict[str, object]:
        """The report as JSON takes it; null is unknown, or too few calls to say."""
        limits = {"drift_limit": self.plan.drift_limit, "disagreement_limit": self.plan.disagreement_limit}
        return asdict(self) | {"plan": asdict(self.plan) | limits}


def measure(
    pipelines: Sequence[TimedPipeline], plan: TimingPlan, machine: Machine, tell: Callable[[str], None] = lambda line: None
) -> LatencyReport:
    """Warm every pipeline up, measure its windows in turn with the others', and judge them. Raises Refusal.

    `tell` hears of each window that is measured again.
    """
    if plan.windows < MIN_WINDOWS:
        raise Refusal("too few calls", f"{plan.windows} windows have no spread to speak of: {MIN_WINDOWS} or more do")
    for pipeline in pipelines:
        _check_calls(pipeline, plan)
    monitor = ThrottleMonitor(machine)
    for pipeline in pipelines:
        _settle(pipeline, plan, monitor)
    kept: dict[str, list[list[tuple[int, ...]]]] = {pipeline.name: [] for pipeline in pipelines}
    again = 0
    for number in range(1, plan.windows + 1):
        for pipeline in pipelines:
            for window, drift in _attempts(pipeline, plan, monitor):
                monitor.look()
                if drift <= plan.drift_limit:
                    kept[pipeline.name].append(window)
                    break
                again += 1
                tell(f"{pipeline.name}: window {number} is measured again: the calibration loop drifted by {drift:.1%}")
            else:
                found = f"window {number} was measured {AGAIN + 1} times, the calibration loop drifted by more than"
                raise Refusal("unsteady", f"{pipeline.name}: {found} {plan.drift_limit:.0%} each time; {_advice(plan)}")
    after = monitor.last
    monitor.settle()
    return LatencyReport(
        figures={pipeline.name: _judged(pipeline, kept[pipeline.name], plan) for pipeline in pipelines},
        plan=plan,
        paced=tuple(pipeline.name for pipeline in pipelines if _paced(pipeline, plan)),
        measured_again=again,
        host=monitor.first,
        temperature_c_after=after.temperature_c,
        frequency_mhz_after=after.frequency_mhz,
        throttled=monitor.said,
    )


class ThrottleMonitor:
    """Looks at the device again and again, and raises Refusal when it holds its clock down or did since the last look.

    Bits 0 to 3 of the throttle word say what is so now, bits 16 to 19 what was so earlier: since boot in `vcgencmd
    get_throttled` (raspberrypi.com/documentation/computers/os.html#get_throttled); in /sys since the kernel's voltage
    monitor last asked and made the firmware forget, every 2 s where it is loaded, and what it was told is what we read
    (drivers/hwmon/raspberrypi-hwmon.c, drivers/firmware/raspberrypi.c of github.com/raspberrypi/linux). A bit of 16 to
    19 that is set from the start, and stays, cannot tell of what happens later: `said` then is "unknown".
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
        """Wait until the word tells of the last window too, where the device has one, and look at it."""
        if self.first.throttle_word is not None or self.first.under_voltage_alarm is not None:
            self.machine.sleep(SETTLE_S)
            self.look()

    @property
    def said(self) -> str:
        """Whether the clock was held down during the run, when no look has found it so."""
        if self.first.throttle_word is None or not self.always_readable:
            known = self.first.under_voltage_alarm is not None
            return "unknown: the device tells of under-voltage only, and there was none" if known else "unknown"
        if not (bits := self.first.throttle_word >> 16 & 0xF):
            return "no"
        hidden = ", ".join(name for bit, (name, _) in enumerate(doctor.THROTTLE) if bits >> bit & 1)
        return f"unknown: {hidden} before the run began may hide more of it; run again, or after a reboot, to know"

    def _judge(self, now: Host, *, earlier: Host) -> None:
        word, was = now.throttle_word or 0, earlier.throttle_word or 0
        check = doctor.throttling(replace(now, throttle_word=(word | (word & ~was) >> 16) & 0xF))
        if check.status == "fail":
            raise Refusal("throttled", f"the device held its clock down, {check.found}: {check.advice}")


def _check_calls(pipeline: TimedPipeline, plan: TimingPlan) -> None:
    """Raise Refusal where windows of the pipeline cannot tell the percentile that is asked for."""
    wanted = fewest_calls(plan.percentile)
    if pipeline.settles and pipeline.calls < wanted:
        found = f"{pipeline.calls} calls cannot tell a p{plan.percentile}: it wants at least {wanted}"
        able = [p for p in PERCENTILES if pipeline.calls >= fewest_calls(p)]
        advice = f"; --percentile {max(able)} can be had" if able else ""
        raise Refusal("too few calls", f"{found} (MLPerf's bound, {CONFIDENCE:.0%} confidence){advice}")


def _settle(pipeline: TimedPipeline, plan: TimingPlan, monitor: ThrottleMonitor) -> None:
    medians: list[float] = []
    for _ in range(MAX_BLOCKS if pipeline.settles else 1):
        block = _calls(pipeline, pipeline.warm_up, plan, monitor)
        medians.append(statistics.median(map(sum, block)))
        if not pipeline.settles or (len(medians) >= 3 and _apart(medians[-3:]) <= plan.drift_limit):
            return
    found = f"{MAX_BLOCKS * pipeline.warm_up:,} warm-up calls, and no three blocks in a row within {plan.drift_limit:.0%}"
    raise Refusal("unsteady", f"{pipeline.name}: {found}; {_advice(plan)}")


def _attempts(
    pipeline: TimedPipeline, plan: TimingPlan, monitor: ThrottleMonitor
) -> Iterator[tuple[list[tuple[int, ...]], float]]:
    """A window, and how far the calibration loop moved from before it to after it; so often as it may be tried."""
    for _ in range(1 + AGAIN):
        if pipeline.settles:  # other pipelines ran meanwhile
            _calls(pipeline, pipeline.warm_up, plan, monitor)
        before = _calibrate(monitor.machine)
        window = _calls(pipeline, pipeline.calls, plan, monitor)
        yield window, abs(_calibrate(monitor.machine) / before - 1)


def _paced(pipeline: TimedPipeline, plan: TimingPlan) -> bool:
    """Whether calls begin `every_ns` apart: a process of its own is started when the one before has ended."""
    return pipeline.settles and bool(plan.every_ns)


def _calls(pipeline: TimedPipeline, n: int, plan: TimingPlan, monitor: ThrottleMonitor) -> list[tuple[int, ...]]:
    """The ns of each stage of `n` calls, begun `every_ns` apart where the pipeline is paced."""
    machine, results = monitor.machine, []
    # As timeit does: collecting the garbage of the measurement itself is not the model's latency.
    collecting = gc.isenabled()
    gc.disable()
    try:
        due = machine.clock()
        look = due + LOOK_NS
        for number in range(n):
            if (now := machine.clock()) >= look:  # a long window, in which a live bit may come and go
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
    """Median ns of five calibration loops."""
    times = []
    for _ in range(5):
        started = machine.clock()
        machine.spin()
        times.append(machine.clock() - started)
    return statistics.median(times)


def _judged(pipeline: TimedPipeline, windows: list[list[tuple[int, ...]]], plan: TimingPlan) -> dict[str, LatencySummary]:
    """Each stage's summarize, and the `whole`. Raises Refusal where the windows disagree or the calls overran their cadence."""
    columns = {stage: [[call[at] for call in window] for window in windows] for at, stage in enumerate(pipeline.stages)}
    whole = [[sum(call) for call in window] for window in windows]
    medians = [nearest_rank(window, 50) for window in whole]
    if (apart := _apart(medians)) > plan.disagreement_limit:
        found = f"the medians of its windows, {min(medians) / 1e3:,.1f} to {max(medians) / 1e3:,.1f} µs, lie {apart:.0%} apart"
        raise Refusal("disagreeing", f"{pipeline.name}: {found}, wanted {plan.disagreement_limit:.0%}; {_advice(plan)}")
    typical = statistics.median_low(medians)
    if _paced(pipeline, plan) and typical >= plan.every_ns:
        found = f"a call takes {typical / 1e3:,.1f} µs and one was asked for every {plan.every_ns / 1e3:,.1f}"
        raise Refusal("overrun", f"{pipeline.name}: {found}; give --every more time")
    shown = medians.index(typical)
    return {stage: summarize(windows, windows[shown]) for stage, windows in (columns | {"whole": whole}).items()}


def _apart(values: Sequence[float]) -> float:
    return max(values) / min(values) - 1


def _advice(plan: TimingPlan) -> str:
    return "try again when the machine is idle" if plan.shared_machine else "stop other programs, or allow --shared-machine"
