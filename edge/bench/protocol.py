"""The protocol behind every latency we print: how it is measured, when it is steady, and when it is refused.

Each pipeline is called in windows of many calls, and the pipelines take turns. A fixed calibration loop runs before and
after a window; if its time drifts, the window is measured again. Where windows drift on or disagree, the machine is unsteady:
everything is measured once more, between short calibration loops (interleaved.py), and gets a figure with a wider interval.
With `strict` it is refused instead. A throttled device, too few calls for a percentile and calls longer than their cadence are
always refused. The clock, the sleep and the device are parameters.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from edge.bench import calls, interleaved
from edge.bench.percentiles import CONFIDENCE, PERCENTILES, LatencySummary, fewest_calls
from edge.bench.throttling import ThrottleMonitor
from edge.bench.timing import MIN_WINDOWS, Machine, Refusal, TimedPipeline, TimingPlan
from edge.bench.windows import Windows
from edge.device.host import Host

MANY = 5  # pipelines that a line names
LEAST_S = 6.0  # between calibration loops, however long it took to find the machine unsteady


@dataclass(frozen=True, kw_only=True)
class LatencyReport:
    """The latency of each pipeline by stage, with `whole` for all stages together, and the circumstances of the measurement."""

    figures: dict[str, dict[str, LatencySummary]]
    plan: TimingPlan
    paced: tuple[str, ...]  # the pipelines whose calls began `plan.every_ns` apart; the others ran back to back
    measured_again: int  # windows discarded for drift
    unsteady: str  # why the calls were timed between calibration loops; "" on a steady machine
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
    """Measure the windows of all pipelines in turn and judge them; `tell` hears of progress. Raises Refusal."""
    if plan.windows < MIN_WINDOWS:
        raise Refusal(
            "too few calls", f"{plan.windows} windows are too few to show a spread; at least {MIN_WINDOWS} are needed"
        )
    for pipeline in pipelines:
        _check_calls(pipeline, plan)
    monitor = ThrottleMonitor(machine)
    run = Windows(plan, monitor, tell)
    until_ns = machine.clock() + 1e9 * plan.most_s
    for pipeline in pipelines:
        run.warm_up(pipeline)
    named = ", ".join(pipeline.name for pipeline in pipelines) if len(pipelines) <= MANY else f"{len(pipelines)} models"
    tell(f"timing {named}: about {run.seconds(pipelines):,.0f} s, up to {plan.most_s:,.0f} s on an unsteady machine")
    for number in range(1, plan.windows + 1):
        for pipeline in pipelines:
            run.add(pipeline, number)
    figures = run.judged(pipelines)
    if run.unsteady:
        left_s = max((until_ns - machine.clock()) / 1e9, LEAST_S)
        tell(f"unsteady: {run.unsteady}; timing between calibration loops: about {left_s:,.0f} s more")
        figures = interleaved.measure(pipelines, plan, monitor, usual_s=run.usual_s, until_ns=machine.clock() + 1e9 * left_s)
    after = monitor.last
    monitor.settle()
    return LatencyReport(
        figures=figures,
        plan=plan,
        paced=tuple(pipeline.name for pipeline in pipelines if calls.is_paced(pipeline, plan)),
        measured_again=run.measured_again,
        unsteady=run.unsteady,
        host=monitor.first,
        temperature_c_after=after.temperature_c,
        frequency_mhz_after=after.frequency_mhz,
        throttled=monitor.throttled,
    )


def _check_calls(pipeline: TimedPipeline, plan: TimingPlan) -> None:
    wanted = fewest_calls(plan.percentile)
    if pipeline.settles and pipeline.calls < wanted:
        needed = f"{pipeline.calls} calls cannot support a p{plan.percentile}: at least {wanted} are needed"
        able = [p for p in PERCENTILES if pipeline.calls >= fewest_calls(p)]
        advice = f"; they support --percentile {max(able)}" if able else ""
        raise Refusal("too few calls", f"{needed} (MLPerf's bound, {CONFIDENCE:.0%} confidence){advice}")
