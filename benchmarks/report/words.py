"""Figures as people read them: three digits that mean something, a unit, and a dash for what is not known."""

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


def tick(said: Callable[[float], str], value: float) -> str:
    """The round value of an axis: 10 µs, not 10.0 µs."""
    figure, _, unit = said(value).partition(" ")
    return f"{float(figure):g} {unit}" if value else "0"


def percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def top1(row: ReportRow) -> str:
    """What the manifest states."""
    return percent(row.accuracy.top1) if row.accuracy else "not stated"


def missing(row: ReportRow) -> list[str]:
    """A line for each thing that was asked for and could not be had."""
    named = {"unsteady": row.unsteady, "not re-checked": row.not_rechecked}
    return [f"{what}, {row.name} ({row.engine}): {why}" for what, why in named.items() if why]


def drop(row: ReportRow) -> str:
    """Points of top-1 lost with the paired 95 % interval."""
    if not row.accuracy:
        return DASH
    lower, upper = row.accuracy.interval_points
    return f"{_signed(row.accuracy.drop_points)} ({_signed(lower)} to {_signed(upper)})"


def mib(value: float | None) -> str:
    return DASH if value is None else f"{value:.1f} MiB"


def ratio(value: float | None) -> str:
    return DASH if value is None else f"{value:.1f}×"


def stage(row: ReportRow, chain: str, percentile: int = 50, *, stage: str = "whole") -> str:
    """One figure of a row's, `unsteady` where it was refused."""
    found = row.speed.figure(chain, stage) if row.speed else None
    if not found:
        return "unsteady" if row.unsteady else DASH
    return time({50: found.p50_us, 90: found.p90_us, 99: found.p99_us}[percentile])


def _signed(points: float) -> str:
    return f"{points:.2f}".replace("-", "−")
