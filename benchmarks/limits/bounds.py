"""How close each network comes to the least time possible on this machine, and that time on Raspberry Pis.

    python -m benchmarks.limits.bounds --models FILE... [--trust] [--shared-machine] [--write docs/bounds.md]

The bound is the greater of two times: reading every weight, the image and the answer once at the measured bandwidth, and doing
every multiply-add at the measured peak. Both peaks are measured in the same run, before and after each network, on one core.
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass

from benchmarks import pages
from benchmarks.limits import breakdown, peaks, work
from benchmarks.limits.boards import BOARDS, Board
from benchmarks.limits.peaks import Peaks
from benchmarks.limits.work import OperatorWork, Work
from edge import errors, predictor
from edge.bench import pipelines, protocol, samples
from edge.bench.percentiles import LatencySummary
from edge.bench.timing import Machine, Refusal, TimingPlan
from edge.device import host
from edge.predictor import Predictor
from train import markdown

LANES = 8  # with VNNI, LiteRT's int8 convolutions take as long for 8 input channels as for 1
# The goal for LiteRT: at most so many times the bound, by what the bound comes from.
GOALS = {"bytes": 2.0, "multiply-adds": 4.0}


@dataclass(frozen=True)
class Bound:
    """The least time of a prediction in µs: for reading its bytes, and for its multiply-adds."""

    reading_us: float
    multiplying_us: float

    @property
    def us(self) -> float:
        return max(self.reading_us, self.multiplying_us)

    @property
    def by(self) -> str:
        return "bytes" if self.reading_us >= self.multiplying_us else "multiply-adds"


@dataclass(frozen=True)
class MeasuredNetwork:
    """One network: its work, its bound, and its latency or why that was refused."""

    ready: Predictor
    work: Work
    bound: Bound
    figure: LatencySummary | None
    refused: str = ""

    @property
    def name(self) -> str:
        return f"{self.ready.contract.name} {self.ready.contract.kind}"

    @property
    def ratio(self) -> float | None:
        return self.figure.p50_us / self.bound.us if self.figure else None

    @property
    def misses_goal(self) -> bool:
        """The goals are for LiteRT."""
        return self.ready.contract.kind == "tflite" and self.ratio is not None and self.ratio > GOALS[self.bound.by]


def bound(work: Work, core: Peaks | Board) -> Bound:
    """The bound of `work` at the rates of `core`; a billion a second is one a nanosecond."""
    products_ns = work.macs_in("float32") / core.float32_gmacs + work.macs_in("int8") / core.int8_gmacs
    return Bound(work.least_bytes / core.read_gbs(work.least_bytes) / 1e3, products_ns / 1e3)


def rows(models: list[Predictor], plan: TimingPlan, *, calls: int) -> tuple[list[MeasuredNetwork], Peaks]:
    """Measure the peaks and every model, in turn; the peaks returned are the best of the run."""
    works = [work.count(ready.artifact) for ready in models]
    sizes = sorted({each.least_bytes for each in works})
    measured_peaks, latencies = [peaks.measure(sizes)], []
    for ready in models:
        errors.say("benchmarks.limits.bounds", f"{ready.artifact.path}: {ready.engine.name}")
        latencies.append(_latency(ready, plan, calls=calls))
        measured_peaks.append(peaks.measure(sizes))
    best = peaks.best(measured_peaks)
    bounds = [bound(each, best) for each in works]
    return [MeasuredNetwork(*row, *latency) for *row, latency in zip(models, works, bounds, latencies, strict=True)], best


def _latency(ready: Predictor, plan: TimingPlan, *, calls: int) -> tuple[LatencySummary | None, str]:
    """From decoded pixels to the raw answer, measured as `edge bench` does; or None and why it was refused."""
    machine = Machine()
    with tempfile.TemporaryDirectory() as folder:
        pipeline = pipelines.in_this_process(ready, samples.write(ready.artifact, folder), calls=calls, clock=machine.clock)[0]
    try:
        return protocol.measure([pipeline], plan, machine).figures[pipeline.name]["inference"], ""
    except Refusal as refusal:
        return None, refusal.why


def page(networks: list[MeasuredNetwork], best: Peaks, plan: TimingPlan) -> str:
    """The peaks, the networks, the reasons and the predictions for the boards, as Markdown."""
    machine = host.read()
    engines = sorted({f"{row.ready.engine.name} {row.ready.engine.version}" for row in networks})
    peak_lines = [
        f"- float32: {best.float32_gmacs:,.0f} billion multiply-adds a second ({best.float32_by})",
        f"- int8: {best.int8_gmacs:,.0f} billion ({best.int8_by}), {best.int8_over_float32:.1f} times float32's; "
        "the byte dot products of x86's VNNI and Arm's SDOT allow at most 4 times",
    ]
    boards = ("network", *(f"{board.name}, {board.core} {board.ghz} GHz" for board in BOARDS))
    parts = [
        f"{machine.cpu_model or 'processor unknown'}, {machine.machine}, one thread, {', '.join(engines)}; "
        f"{plan.windows} windows of calls{', on a shared machine' if plan.shared_machine else ''}. Peaks of one core, "
        "the best of the run:",
        "\n".join(peak_lines),
        markdown.table(_HEAD, map(_cells, networks), align="llrrrrrrrr"),
        "\n".join(line for row in networks for line in _remarks(row, best)),
        "### Predictions",
        "Not measured: the least time of one core of each board by its published peaks (sources: "
        "docs/bounds.md). The real time is longer, by the ratio above or more.",
        markdown.table(boards, map(_predicted, networks), align="lr"),
    ]
    return "\n\n".join(part for part in parts if part)


def _remarks(row: MeasuredNetwork, best: Peaks) -> list[str]:
    """Why a network has no latency, misses its goal, or is faster than its bound; else nothing."""
    if row.ratio is None:
        return [f"- {row.name}: refused: {row.refused}"]
    if row.ratio < 1:
        low = "the peak was measured too low; run this again on an idle machine"
        return [f"- {row.name} is faster than its bound: {low}."]
    goal = f"the goal is at most {GOALS[row.bound.by]:.0f}"
    return [f"- **{row.name}** takes {row.ratio:.1f} times its bound; {goal}. {why(row, best)}"] if row.misses_goal else []


def why(row: MeasuredNetwork, best: Peaks) -> str:
    """Where the time goes, in words: the slowest operator, those without multiply-adds, and the call itself."""
    empty, *taken = breakdown.operator_us(row.ready.artifact)
    total = empty + sum(taken)
    greatest = max(range(len(taken)), key=taken.__getitem__)
    operator, us = row.work.operators[greatest], max(taken[greatest], 1e-3)
    idle = sum(each_us for each_us, each in zip(taken, row.work.operators, strict=True) if not each.macs)
    return (
        f"Its {operator.kind} with {'×'.join(map(str, operator.output_shape[1:]))} outputs, each a sum of {operator.depth:,} "
        f"products, takes {us / total:.0%} of the time for {operator.macs / row.work.macs:.0%} of the multiply-adds and "
        f"{operator.weight_bytes / row.work.weight_bytes:.0%} of the weights, at {_rate(operator, us, row, best)}; operators "
        f"without multiply-adds take {idle / total:.0%}, a call without operators {empty:.1f} µs."
        f"{_channels(row, greatest)}"
    )


def _channels(row: MeasuredNetwork, at: int) -> str:
    """A sentence about a convolution of few input channels that would take hardly longer with LANES of them; else ""."""
    operator = row.work.operators[at]
    if operator.kind != "CONV_2D" or operator.input_channels >= LANES:
        return ""
    few, many = breakdown.channels_us(row.ready.artifact, at, (operator.input_channels, LANES))
    if many / few > LANES / operator.input_channels / 2:  # its time grows with its work
        return ""
    factor = f" With {LANES} input channels instead of {operator.input_channels} it takes {many / few:.1f} times as long"
    return f"{factor}: most of its vector lanes are empty."


def _rate(operator: OperatorWork, us: float, row: MeasuredNetwork, best: Peaks) -> str:
    """How fast an operator reads or multiplies, whichever bounds it, and the peak of that."""
    peak = best.int8_gmacs if operator.data_type == "int8" else best.float32_gmacs
    read_gbs = best.read_gbs(row.work.least_bytes)
    if operator.weight_bytes / read_gbs > operator.macs / peak:
        return f"{operator.weight_bytes / us / 1e3:,.1f} GB/s of the {read_gbs:,.1f} measured"
    return f"{operator.macs / us / 1e3:,.0f} billion multiply-adds a second of the {peak:,.0f} measured"


_HEAD = (
    "network", "engine", "10⁶ multiply-adds", "bytes", "reading, µs", "multiplying, µs", "bound, µs", "p50, µs",
    "ratio", "goal",
)  # fmt: skip


def _cells(row: MeasuredNetwork) -> tuple[str, ...]:
    goal = f"≤ {GOALS[row.bound.by]:.0f}" if row.ready.contract.kind == "tflite" else ""
    p50, ratio = (f"{row.figure.p50_us:,.1f}", f"{row.ratio:.2f}") if row.figure else ("refused", "")
    return (
        row.name, row.ready.engine.name, f"{row.work.macs / 1e6:,.2f}", f"{row.work.least_bytes:,}",
        f"{row.bound.reading_us:,.1f} at {row.work.least_bytes / row.bound.reading_us / 1e3:,.1f} GB/s",
        f"{row.bound.multiplying_us:,.1f}", f"{row.bound.us:,.1f} ({row.bound.by})",
        p50, ratio, goal,
    )  # fmt: skip


def _predicted(row: MeasuredNetwork) -> tuple[str, ...]:
    bounds = (bound(row.work, board) for board in BOARDS)
    return row.name, *(f"≥ {each.us:,.0f} µs ({each.by})" for each in bounds)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limits.bounds", description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", required=True, metavar="FILE", help="edgeproof models, .tflite or .onnx")
    parser.add_argument("--calls", type=int, default=1000, metavar="N", help="calls in a window (default: %(default)s)")
    parser.add_argument(
        "--trust", action="store_true", help="allow litert-c, which skips structure checks; for models you trust"
    )
    parser.add_argument(
        "--shared-machine", action="store_true", help="allow the calibration loop to drift by 5 %% instead of 2 %%"
    )
    pages.add_write(parser)
    flags = parser.parse_args()
    plan = TimingPlan(percentile=50, shared_machine=flags.shared_machine)
    models = [predictor.load(path, trusted=flags.trust) for path in flags.models]
    networks, best = rows(models, plan, calls=flags.calls)
    text = page(networks, best, plan)
    return pages.show(text, flags.write)


if __name__ == "__main__":
    sys.exit(errors.run(main, "benchmarks.limits.bounds"))
