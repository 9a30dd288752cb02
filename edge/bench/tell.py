"""What bench prints: the circumstances, the table, and how far to trust it."""

from dataclasses import dataclass

from edge.bench.percentiles import CONFIDENCE, LatencySummary
from edge.bench.protocol import LatencyReport


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The measured model and the engine that runs it."""

    path: str
    name: str
    digest: str  # the artifact's seal
    file_bytes: int
    model_bytes: int
    engine: str
    engine_version: str
    kernels: str
    threads: int


def circumstances(abouts: list[Subject], report: LatencyReport) -> list[str]:
    device = report.host
    word = None if device.throttle_word is None else f"0x{device.throttle_word:x}"
    frequency = f"{_text(device.frequency_mhz)} then {_text(report.frequency_mhz_after)} MHz"
    temperature = f"{_text(device.temperature_c)} then {_text(report.temperature_c_after)} °C"
    return [
        *(f"{a.name} {a.digest[:12]}, {a.engine} {a.engine_version}, {a.kernels} kernels, threads {a.threads}" for a in abouts),
        f"board {_text(device.board)}, {_text(device.cpu_model)}, {_text(device.machine)}, Python {device.python}",
        f"governor {_text(device.governor)}, frequency {frequency}, temperature {temperature}, throttle word {_text(word)}",
        f"throttled during the run: {report.throttled}",
        "",
    ]


def _text(value: object) -> str:
    return "unknown" if value is None else str(value)


def table(report: LatencyReport) -> list[str]:
    rows: list[tuple[str, ...]] = [("", "least", "p50", "95 % interval", "p90", "p99", "calls")]
    for pipeline, stages in report.figures.items():
        shown = {stage: figure for stage, figure in stages.items() if len(stages) > 2 or stage != "whole"}
        for stage, figure in shown.items():
            times = [_time(t) for t in (figure.least_us, figure.p50_us, figure.p90_us, figure.p99_us)]
            times.insert(2, "-" if figure.low_us is None else f"{_time(figure.low_us)} to {_time(figure.high_us)}")
            rows.append((f"{pipeline}: {stage}", *times, f"{figure.windows} × {figure.calls:,}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join((row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:]))) for row in rows]
    return [*lines, "", *(_when_unsteady(report) if report.unsteady else _when_steady(report))]


def _when_steady(report: LatencyReport) -> list[str]:
    again = f"{report.measured_again} windows measured again for drift"
    median = f"The median of {report.plan.windows} windows, {_pace(report)}"
    lines = [f"{median}; a dash means too few calls in a window; {again}."]
    for pipeline, stages in report.figures.items():
        if (bound := stages["whole"].p99_bound_us) is not None:
            n = stages["whole"].windows * stages["whole"].calls
            lines.append(f"{pipeline}: 99 of 100 take at most {_time(bound)} ({CONFIDENCE:.0%} confidence, {n:,} calls).")
    return lines


def _when_unsteady(report: LatencyReport) -> list[str]:
    lines = [f"{pipeline}: {unsteady(stages['whole'])}" for pipeline, stages in report.figures.items()]
    how = f"p50 is at the machine's full pace: slices between calibration loops, {_pace(report)}"
    return [
        *lines,
        f"{how}; of a process it is the CPU time. p90 and p99 contain what other programs did; a dash means too few calls.",
        f"Why: {report.unsteady}. --strict refuses instead.",
    ]


def doubt(report: LatencyReport) -> list[str]:
    """A sentence on an unsteady machine, none on a steady one."""
    if not report.unsteady:
        return []
    varied = max(stages["whole"].pace_varied or 0.0 for stages in report.figures.values())
    return [f"Times are those of the machine's full pace, with 95 % intervals: its own speed varied by {100 * varied:.0f} %."]


def unsteady(figure: LatencySummary) -> str:
    """The figure of an unsteady machine in words, with how far to trust it."""
    assert figure.low_us is not None and figure.pace_varied is not None
    between = f"95 % interval {_time(figure.low_us)} to {_time(figure.high_us)}, least {_time(figure.least_us)}"
    return f"unsteady: {_time(figure.p50_us)}, {between}; the machine's own speed varied by {100 * figure.pace_varied:.0f} %"


def _pace(report: LatencyReport) -> str:
    unpaced = [pipeline for pipeline in report.figures if pipeline not in report.paced]
    parts = [f"{' and '.join(report.paced)} one every {_time(report.plan.every_ns / 1e3)}"] if report.paced else []
    return ", ".join(parts + ([f"{' and '.join(unpaced)} back to back"] if parts and unpaced else [])) or "back to back"


def _time(us: float | None) -> str:
    return "-" if us is None else f"{us:,.2f} µs" if us < 1000 else f"{us / 1000:,.3f} ms"


def footprint(about: Subject, peak_mib: float | None, installed: dict[str, int] | None) -> list[str]:
    mib = "unknown" if installed is None else f"{sum(installed.values()) / 2**20:,.1f} MiB in {len(installed)} packages"
    peak = "not measured" if peak_mib is None else f"{peak_mib:.1f} MiB"
    size = f"{about.file_bytes:,} bytes, {about.model_bytes:,} of them the network"
    return ["", f"File {size}; edge-predict's peak memory {peak}; installed {mib}, without Python."]
