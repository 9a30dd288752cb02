"""The protocol behind every latency we print: when a figure may be given, and when it is refused.

A chain of stages is called again and again in windows, chains taking turns. A window between two runs of a fixed
calibration loop that differ is measured again. What stays unsteady, was throttled, disagrees with itself or has too few
calls is refused: no figure rather than a wrong one. The clock, the sleep and the device are handed in.
"""

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from edge import doctor, errors, host
from edge.host import Host
from edge.percentiles import CONFIDENCE, PERCENTILES, Figure, fewest_calls, figure, nearest_rank

MIN_WINDOWS = 5
AGAIN = 5  # times a window that drifted is measured again
MAX_BLOCKS = 40  # of warm-up calls, before a chain that does not settle is given up


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
class Chain:
    """Stages that follow one another. `call(number)` goes through them once and returns the ns of each.

    `calls` make a window. Warm-up comes in blocks of `warm_up` calls: until three in a row agree where the chain
    `settles` (one in this process), else one block (a process of its own: its files are in memory from then on).
    """

    name: str
    stages: tuple[str, ...]
    call: Callable[[int], tuple[int, ...]]
    calls: int
    warm_up: int = 50
    settles: bool = True


@dataclass(frozen=True, kw_only=True)
class Plan:
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
        """How far the medians of a chain's windows may lie apart."""
        return 0.20 if self.shared_machine else 0.10


@dataclass(frozen=True, kw_only=True)
class LatencyReport:
    """The figures of each chain by stage, `whole` for all of its stages together, and what they were measured under."""

    figures: dict[str, dict[str, Figure]]
    plan: Plan
    measured_again: int  # windows thrown away for drift
    host: Host  # before the first window; what is None is unknown
    temperature_c_after: float | None
    frequency_mhz_after: int | None

    def as_dict(self) -> dict[str, object]:
        """The report as JSON takes it; null is unknown, or too few calls to say."""
        limits = {"drift_limit": self.plan.drift_limit, "disagreement_limit": self.plan.disagreement_limit}
        return asdict(self) | {"plan": asdict(self.plan) | limits}


def measure(
    chains: Sequence[Chain], plan: Plan, machine: Machine, tell: Callable[[str], None] = lambda line: None
) -> LatencyReport:
    """Warm every chain up, measure its windows in turn with the others', and judge them. Raises Refusal.

    `tell` hears of each window that is measured again.
    """
    if plan.windows < MIN_WINDOWS:
        raise Refusal("too few calls", f"{plan.windows} windows have no spread to speak of: {MIN_WINDOWS} or more do")
    for chain in chains:
        _check_calls(chain, plan)
    before = machine.host()
    _check_throttling(before, before)
    for chain in chains:
        _settle(chain, plan, machine)
    kept: dict[str, list[list[tuple[int, ...]]]] = {chain.name: [] for chain in chains}
    again = 0
    for number in range(1, plan.windows + 1):
        for chain in chains:
            for window, drift in _attempts(chain, plan, machine):
                _check_throttling(before, machine.host())
                if drift <= plan.drift_limit:
                    kept[chain.name].append(window)
                    break
                again += 1
                tell(f"{chain.name}: window {number} is measured again: the calibration loop drifted by {drift:.1%}")
            else:
                found = f"window {number} was measured {AGAIN + 1} times, the calibration loop drifted by more than"
                raise Refusal("unsteady", f"{chain.name}: {found} {plan.drift_limit:.0%} each time; {_advice(plan)}")
    after = machine.host()
    return LatencyReport(
        figures={chain.name: _judged(chain, kept[chain.name], plan) for chain in chains},
        plan=plan,
        measured_again=again,
        host=before,
        temperature_c_after=after.temperature_c,
        frequency_mhz_after=after.frequency_mhz,
    )


def _check_calls(chain: Chain, plan: Plan) -> None:
    """Raise Refusal where windows of the chain cannot tell the percentile that is asked for."""
    wanted = fewest_calls(plan.percentile)
    if chain.settles and chain.calls < wanted:
        found = f"{chain.calls} calls cannot tell a p{plan.percentile}: it wants at least {wanted}"
        able = [p for p in PERCENTILES if chain.calls >= fewest_calls(p)]
        advice = f"; --percentile {max(able)} can be had" if able else ""
        raise Refusal("too few calls", f"{found} (MLPerf's bound, {CONFIDENCE:.0%} confidence){advice}")


def _settle(chain: Chain, plan: Plan, machine: Machine) -> None:
    medians: list[float] = []
    for _ in range(MAX_BLOCKS if chain.settles else 1):
        block = _calls(chain, chain.warm_up, plan, machine)
        medians.append(statistics.median(map(sum, block)))
        if not chain.settles or (len(medians) >= 3 and _apart(medians[-3:]) <= plan.drift_limit):
            return
    found = f"{MAX_BLOCKS * chain.warm_up:,} warm-up calls, and no three blocks in a row within {plan.drift_limit:.0%}"
    raise Refusal("unsteady", f"{chain.name}: {found}; {_advice(plan)}")


def _attempts(chain: Chain, plan: Plan, machine: Machine) -> Iterator[tuple[list[tuple[int, ...]], float]]:
    """A window, and how far the calibration loop moved from before it to after it; so often as it may be tried."""
    for _ in range(1 + AGAIN):
        if chain.settles:  # other chains ran meanwhile
            _calls(chain, chain.warm_up, plan, machine)
        before = _calibrate(machine)
        window = _calls(chain, chain.calls, plan, machine)
        yield window, abs(_calibrate(machine) / before - 1)


def _calls(chain: Chain, n: int, plan: Plan, machine: Machine) -> list[tuple[int, ...]]:
    """The ns of each stage of `n` calls, begun `every_ns` apart where that is not 0."""
    results = []
    # As timeit does: collecting the garbage of the measurement itself is not the model's latency.
    collecting = gc.isenabled()
    gc.disable()
    try:
        due = machine.clock()
        for number in range(n):
            if plan.every_ns and chain.settles:
                machine.sleep(max(due - machine.clock(), 0) / 1e9)
                due += plan.every_ns
            results.append(chain.call(number))
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


def _check_throttling(before: Host, now: Host) -> None:
    """Raise Refusal where the device holds its clock down now, or did since `before`."""
    word, was = now.throttle_word or 0, before.throttle_word or 0
    during = (word | (word & ~was) >> 16) & 0xF
    check = doctor.throttling(replace(now, throttle_word=during))
    if check.status == "fail":
        raise Refusal("throttled", f"the device held its clock down, {check.found}: {check.advice}")


def _judged(chain: Chain, windows: list[list[tuple[int, ...]]], plan: Plan) -> dict[str, Figure]:
    """Each stage's figure, and the `whole`. Raises Refusal where the windows disagree or the calls overran their cadence."""
    columns = {stage: [[call[at] for call in window] for window in windows] for at, stage in enumerate(chain.stages)}
    whole = [[sum(call) for call in window] for window in windows]
    medians = [nearest_rank(window, 50) for window in whole]
    if (apart := _apart(medians)) > plan.disagreement_limit:
        found = f"the medians of its windows, {min(medians) / 1e3:,.1f} to {max(medians) / 1e3:,.1f} µs, lie {apart:.0%} apart"
        raise Refusal("disagreeing", f"{chain.name}: {found}, wanted {plan.disagreement_limit:.0%}; {_advice(plan)}")
    typical = statistics.median_low(medians)
    if chain.settles and plan.every_ns and typical >= plan.every_ns:
        found = f"a call takes {typical / 1e3:,.1f} µs and one was asked for every {plan.every_ns / 1e3:,.1f}"
        raise Refusal("overrun", f"{chain.name}: {found}; give --every more time")
    shown = medians.index(typical)
    return {stage: figure(windows, windows[shown]) for stage, windows in (columns | {"whole": whole}).items()}


def _apart(values: Sequence[float]) -> float:
    return max(values) / min(values) - 1


def _advice(plan: Plan) -> str:
    return "try again when the machine is idle" if plan.shared_machine else "stop other programs, or allow --shared-machine"
