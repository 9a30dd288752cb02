"""Figures for people: three significant digits and a unit, or the reason why there is none."""

from collections.abc import Callable, Sequence

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


def notes(rows: Sequence[ReportRow]) -> list[str]:
    """A line for each reason behind a missing figure or an interval, with the rows that it is about."""
    about: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        reasons = {
            "refused": row.refused, "unsteady": row.unsteady, "not re-checked": row.not_rechecked, "no bound": row.no_bound,
            "not counted": row.not_counted,
        }  # fmt: skip
        for what, why in reasons.items():
            if why:
                about.setdefault((what, why), []).append(f"{row.name} ({row.engine})")
    restless = [key for key in about if key[0] == "unsteady"]
    if len(restless) > 1:  # they differ in counts of calls only
        n = sum(len(about.pop(key)) for key in restless)
        about["unsteady", f"for reasons such as {restless[0][1]}"] = [""] * n
    return [f"{what}, {names[0] if len(names) == 1 else f'{len(names)} rows'}: {why}" for (what, why), names in about.items()]


def drop(row: ReportRow) -> str:
    """Percentage points of top-1 lost, with the paired 95 % interval."""
    if not row.accuracy:
        return DASH
    lower, upper = row.accuracy.interval_points
    return f"{_signed(row.accuracy.drop_points)} ({_signed(lower)} to {_signed(upper)})"


def memory(row: ReportRow) -> str:
    if row.speed and row.speed.peak_mib is not None:
        return f"{row.speed.peak_mib:.1f} MiB"
    return "refused" if row.refused else "no process"


def bound(row: ReportRow) -> str:
    return "no bound" if row.bound_ratio is None else f"{row.bound_ratio:.1f}×"


def instructions(row: ReportRow) -> str:
    return f"{row.instructions.per_prediction:,.0f}" if row.instructions else "not counted"


def stage(row: ReportRow, pipeline: str, percentile: int = 50, *, stage: str = "whole") -> str:
    """A latency of the row, or the reason why there is none."""
    latency = row.speed.figure(pipeline, stage) if row.speed else None
    if not latency:
        return "refused" if row.refused else "not timed"
    value = {50: latency.p50_us, 90: latency.p90_us, 99: latency.p99_us}[percentile]
    return "too few calls" if value is None else time(value)


def with_interval(row: ReportRow, pipeline: str, form: str, *, stage_name: str = "whole") -> str:
    """A latency of the row; behind it, by `form`, its interval if it has one."""
    latency, between = stage(row, pipeline, stage=stage_name), interval(row, pipeline, stage=stage_name)
    return latency + form.format(between) if between else latency


def interval(row: ReportRow, pipeline: str, *, stage: str = "whole") -> str:
    """The 95 % interval of the median on an unsteady machine; "" on a steady one."""
    latency = row.speed.figure(pipeline, stage) if row.speed else None
    if not latency or latency.pace_varied is None or latency.low_us is None:
        return ""
    (low, unit), (high, same) = (time(us).split() for us in (latency.low_us, latency.high_us))
    return f"{low} to {high} {unit}" if unit == same else f"{low} {unit} to {high} {same}"


def _signed(points: float) -> str:
    return f"{points:.2f}".replace("-", "−")
