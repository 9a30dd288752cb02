"""Windows of calls on a machine that is expected to be steady, and which pipelines turn out not to be."""

import statistics
from collections.abc import Callable, Iterator, Sequence

from edge.bench import calls
from edge.bench.percentiles import LatencySummary, nearest_rank, summarize
from edge.bench.throttling import ThrottleMonitor
from edge.bench.timing import Refusal, TimedPipeline, TimingPlan

MAX_REPEATS = 5  # of a window that drifted
PATIENCE_S = 1.5  # in a warm-up, and in all windows that drifted; a strict plan has more
MAX_BLOCKS = 40  # of warm-up calls, before a pipeline that does not settle is unsteady


class Windows:
    """The windows of each pipeline, the time of one of its calls, and why the machine is `unsteady`; "" if it is not.

    Once it is, no further window is measured; with a strict plan that raises Refusal.
    """

    def __init__(self, plan: TimingPlan, monitor: ThrottleMonitor, tell: Callable[[str], None]) -> None:
        self.plan, self.monitor, self.tell = plan, monitor, tell
        self.unsteady = ""
        self.usual_s: dict[str, float] = {}
        self.measured_again = 0
        self._windows: dict[str, list[list[tuple[int, ...]]]] = {}
        self._loops: list[float] = []
        self._wasted_s = 0.0

    def warm_up(self, pipeline: TimedPipeline) -> None:
        """Call `pipeline` until three blocks of calls agree; for one block if it starts processes."""
        plan, clock = self.plan, self.monitor.machine.clock
        medians: list[float] = []
        patience_ends = clock() + PATIENCE_S * 1e9
        for _ in range(MAX_BLOCKS if pipeline.settles and not self.unsteady else 1):
            block = calls.timed(pipeline, pipeline.warm_up, plan, self.monitor)
            medians.append(statistics.median(map(sum, block)))
            self.usual_s[pipeline.name] = statistics.median(medians[-3:]) / 1e9
            if not pipeline.settles or (len(medians) >= 3 and _apart(medians[-3:]) <= plan.drift_limit):
                return
            if clock() > patience_ends and not plan.strict:
                break
        n = f"{len(medians) * pipeline.warm_up:,} warm-up calls"
        self._give_up("unsteady", pipeline.name, f"{n}, and no three blocks in a row within {plan.drift_limit:.0%}")

    def seconds(self, pipelines: Sequence[TimedPipeline]) -> float:
        """About how long all windows take if none is measured again."""
        waits = [self.plan.every_ns / 1e9 if calls.is_paced(p, self.plan) else self.usual_s[p.name] for p in pipelines]
        return self.plan.windows * sum(
            min(p.calls, max(calls.fewest(p), self.plan.window_s / wait)) * wait if self.plan.window_s else p.calls * wait
            for p, wait in zip(pipelines, waits, strict=True)
        )

    def add(self, pipeline: TimedPipeline, number: int) -> None:
        """Measure window `number` of `pipeline`, again while the calibration loop drifts; nothing on an unsteady machine."""
        if self.unsteady:
            return
        limit, tries = self.plan.drift_limit, 0
        for window, loops in self._attempts(pipeline):
            self.monitor.look()
            tries += 1
            if (drift := abs(loops[1] / loops[0] - 1)) <= limit:
                self._windows.setdefault(pipeline.name, []).append(window)
                self._loops += loops
                return
            self._wasted_s += sum(map(sum, window)) / 1e9
            if self._wasted_s > PATIENCE_S and not self.plan.strict:
                break
            if tries <= MAX_REPEATS:
                self.measured_again += 1
                self.tell(f"{pipeline.name}: window {number} is measured again: the calibration loop drifted by {drift:.1%}")
        times = f"window {number} was measured {tries} times, and each time the calibration loop drifted"
        self._give_up("unsteady", pipeline.name, f"{times} by more than {limit:.0%}")

    def judged(self, pipelines: Sequence[TimedPipeline]) -> dict[str, dict[str, LatencySummary]]:
        """The figures of a steady machine. Raises Refusal where calls take longer than their cadence."""
        if self._loops and (apart := _apart(self._loops)) > self.plan.disagreement_limit:
            why = f"the calibration loop took up to {apart:.0%} longer in one window than in another"
            self._give_up("unsteady", pipelines[0].name, why)
        return {} if self.unsteady else {pipeline.name: self._judge(pipeline) for pipeline in pipelines}

    def _judge(self, pipeline: TimedPipeline) -> dict[str, LatencySummary]:
        """The latency of each stage and the `whole`."""
        windows, plan = self._windows[pipeline.name], self.plan
        columns = {stage: [[call[at] for call in window] for window in windows] for at, stage in enumerate(pipeline.stages)}
        totals = [[sum(call) for call in window] for window in windows]
        medians = [nearest_rank(window, 50) for window in totals]
        if (apart := _apart(medians)) > plan.disagreement_limit:
            spread = f"{min(medians) / 1e3:,.1f} to {max(medians) / 1e3:,.1f} µs, differ by {apart:.0%}"
            why = f"the medians of its windows, {spread}, limit {plan.disagreement_limit:.0%}"
            self._give_up("disagreeing", pipeline.name, why)
        typical = statistics.median_low(medians)
        if calls.is_paced(pipeline, plan) and typical >= plan.every_ns:
            overrun = f"a call takes {typical / 1e3:,.1f} µs, but one was requested every {plan.every_ns / 1e3:,.1f} µs"
            raise Refusal("overrun", f"{pipeline.name}: {overrun}; give --every a longer time")
        shown = medians.index(typical)
        return {stage: summarize(windows, windows[shown]) for stage, windows in (columns | {"whole": totals}).items()}

    def _attempts(self, pipeline: TimedPipeline) -> Iterator[tuple[list[tuple[int, ...]], tuple[float, float]]]:
        """A window, and the calibration loop before and after it; as often as it may be tried."""
        machine = self.monitor.machine
        for _ in range(1 + MAX_REPEATS):
            if pipeline.settles:  # other pipelines ran in between
                calls.timed(pipeline, pipeline.warm_up, self.plan, self.monitor)
            before = calls.calibrate(machine)
            window = calls.timed(pipeline, pipeline.calls, self.plan, self.monitor, most_s=self.plan.window_s)
            yield window, (before, calls.calibrate(machine))

    def _give_up(self, kind: str, name: str, why: str) -> None:
        if self.plan.strict:
            advice = (
                "try again when the machine is idle"
                if self.plan.shared_machine
                else "stop other programs, or allow --shared-machine"
            )
            raise Refusal(kind, f"{name}: {why}; {advice}")
        self.unsteady = self.unsteady or f"{name}: {why}"


def _apart(values: Sequence[float]) -> float:
    return max(values) / min(values) - 1
