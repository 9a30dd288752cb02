"""Figures for people: three significant digits, a unit, and a dash for what is unknown."""

from collections.abc import Callable

from benchmarks.report.row import ReportRow

DASH = "–"


def time(us: float | None) -> str:
    if us is None:
        return DASH
    value, unit = (us, "µs") if us < 1000 else (us / 1000, "ms") if us < 1e6 else (us / 1e6, "s")
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"


def size(n_bytes: int) -> str:
    if n_bytes < 1000:
        return f"{n_bytes} B"
    value, unit = (n_bytes / 1e3, "kB") if n_bytes < 999_500 else (n_bytes / 1e6, "MB")
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"


def tick(show: Callable[[float], str], value: float) -> str:
    """A round value on an axis: 10 µs, not 10.0 µs."""
    figure, _, unit = show(value).partition(" ")
    return f"{float(figure):g} {unit}" if value else "0"


def percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def top1(row: ReportRow) -> str:
    """The top-1 that the manifest states."""
    return percent(row.accuracy.top1) if row.accuracy else "not stated"


def missing(row: ReportRow) -> list[str]:
    """A line for each requested figure that is missing, with the reason."""
    reasons = {"unsteady": row.unsteady, "not re-checked": row.not_rechecked}
    return [f"{what}, {row.name} ({row.engine}): {why}" for what, why in reasons.items() if why]


def drop(row: ReportRow) -> str:
    """Percentage points of top-1 lost, with the paired 95 % interval."""
    if not row.accuracy:
        return DASH
    lower, upper = row.accuracy.interval_points
    return f"{_signed(row.accuracy.drop_points)} ({_signed(lower)} to {_signed(upper)})"


def mib(value: float | None) -> str:
    return DASH if value is None else f"{value:.1f} MiB"


def ratio(value: float | None) -> str:
    return DASH if value is None else f"{value:.1f}×"


def stage(row: ReportRow, pipeline: str, percentile: int = 50, *, stage: str = "whole") -> str:
    """A latency of the row; `unsteady` if it was refused."""
    latency = row.speed.figure(pipeline, stage) if row.speed else None
    if not latency:
        return "unsteady" if row.unsteady else DASH
    return time({50: latency.p50_us, 90: latency.p90_us, 99: latency.p99_us}[percentile])


def _signed(points: float) -> str:
    return f"{points:.2f}".replace("-", "−")
