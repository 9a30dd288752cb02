"""What is timed, how much of it, and what of the machine that needs: clock, sleep, state and calibration loop."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge import errors
from edge.device import host
from edge.device.host import Host

MIN_WINDOWS = 5
WINDOWS = 6  # the lowest and the highest of six medians enclose the true one in 97 of 100 measurements
MOST_CALLS = 1000  # a window, unless asked for more
WINDOW_S = 0.5  # of one pipeline, unless asked for more
MOST_S = 18.0  # of timing on an unsteady machine, for WINDOWS windows


class Refusal(errors.Refused):
    """A latency that cannot be trusted. `kind`: `unsteady`, `throttled`, `disagreeing`, `overrun` or `too few calls`."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(f"refused: {why}")
        self.kind, self.why = kind, why


def _spin(turns: int = 20_000) -> int:
    # Integer arithmetic in the interpreter: next to no memory, and the same work for every model.
    state = 1
    for _ in range(turns):
        state = (state * 1_103_515_245 + 12_345) & 0x7FFFFFFF
    return state


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What the protocol needs of the machine: two clocks in ns, a sleep in s, the device's state, the calibration loop.

    `probe` is a fiftieth of the loop `spin`: short enough to stand between calls.
    """

    clock: Callable[[], int] = time.perf_counter_ns
    cpu_clock: Callable[[], int] = time.process_time_ns
    sleep: Callable[[float], None] = time.sleep
    host: Callable[[], Host] = host.read
    spin: Callable[[], object] = _spin
    probe: Callable[[], object] = lambda: _spin(400)


@dataclass(frozen=True, kw_only=True)
class TimedPipeline:
    """Consecutive stages. `call(number)` runs them once and returns the ns of each.

    A window has `calls` calls, fewer where the plan ends it by time. Warm-up runs in blocks of `warm_up` calls. A pipeline in
    this process `settles`: its warm-up ends when three blocks in a row agree. A pipeline that starts processes has one block,
    which brings its files into memory, and knows how long each stage of its last call was `busy`, in ns of CPU time.
    """

    name: str
    stages: tuple[str, ...]
    call: Callable[[int], tuple[int, ...]]
    calls: int
    warm_up: int = 50
    settles: bool = True
    busy: Callable[[], Sequence[int]] | None = None


@dataclass(frozen=True, kw_only=True)
class TimingPlan:
    """How much is measured, and the limits, as fractions. `every_ns` is 0 for calls back to back.

    `window_s` ends a window early, but not before its calls support a p90 (three processes, a median); 0: never.
    `most_s` is how long an unsteady machine is timed, and more only where a pipeline would have too few calls.
    `strict`: an unsteady machine is refused, after every attempt that the protocol allows.
    """

    windows: int = WINDOWS
    percentile: int = 99  # the highest requested
    every_ns: int = 0
    window_s: float = 0.0
    shared_machine: bool = False
    strict: bool = False
    most_s: float = MOST_S

    @property
    def drift_limit(self) -> float:
        """How far the calibration loop may drift from before a window to after it."""
        return 0.05 if self.shared_machine else 0.02

    @property
    def disagreement_limit(self) -> float:
        """How far the medians of a pipeline's windows may differ."""
        return 0.20 if self.shared_machine else 0.10
