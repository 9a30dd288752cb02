"""The figures of the report: size, accuracy and latency; the spread of times; the parts of a cold start."""

from collections.abc import Callable, Sequence

from benchmarks.report import svg, words
from benchmarks.report.row import ReportRow

LEFT, RIGHT = 8, svg.WIDTH - 8
Scale = Callable[[float], float]
LINE = 34  # height of a row with its name above


def front(rows: Sequence[ReportRow]) -> set[str]:
    """The digests of the models on the Pareto front of size, time and accuracy.

    A time that was not measured counts as the worst. Rows without a top-1 are on no front.
    """
    judged = {row.digest: _merits(row, rows) for row in rows if row.accuracy}
    return {
        digest
        for digest, mine in judged.items()
        if not any(all(a <= b for a, b in zip(other, mine, strict=True)) and other != mine for other in judged.values())
    }


def _merits(row: ReportRow, rows: Sequence[ReportRow]) -> tuple[float, float, float]:
    """Bytes, the least median time over all engines, and error rate of a model: less is better in each."""
    times = [r.inference_us for r in rows if r.digest == row.digest and r.inference_us is not None]
    assert row.accuracy
    return row.model_bytes, min(times, default=float("inf")), 1 - row.accuracy.top1


def trade_offs(rows: Sequence[ReportRow]) -> list[tuple[str, str]]:
    """Captions and figures of top-1 over bytes and over time, for each data set with two models or more."""
    figures = []
    for data in dict.fromkeys(row.data for row in rows if row.accuracy):
        # Each model with the engine that is fastest here.
        slowest_first = sorted(rows, key=lambda row: -(row.inference_us or float("inf")))
        models = list({row.digest: row for row in slowest_first if row.data == data and row.accuracy}.values())
        timed = [row for row in models if row.inference_us is not None]
        if len(models) > 1:
            drawn = _scatter(models, lambda row: row.model_bytes, words.size, "bytes of the network")
            figures.append((f"{data}: accuracy and size", drawn))
        if len(timed) > 1:
            drawn = _scatter(timed, lambda row: row.inference_us, words.time, "time of the network, p50")
            figures.append((f"{data}: accuracy and time", drawn))
    return figures


def _scatter(rows: Sequence[ReportRow], of: Callable[[ReportRow], float], show: Callable, axis: str) -> str:
    top, bottom, left, right = 16, 212, 52, RIGHT - 8
    x, x_ticks = svg.log_scale([of(row) for row in rows], left, right)
    ends = [limit for row in rows for limit in _top1_ends(row)]
    room = max(max(ends) - min(ends), 0.1) * 0.12
    y, y_ticks = svg.linear_scale(min(ends) - room, min(max(ends) + room, 100.0), bottom, top)
    marks = [svg.line(left, y(tick), right, y(tick), kind="grid") for tick in y_ticks]
    marks += [svg.text(left - 6, y(tick) + 4, f"{tick:.4g} %", anchor="end") for tick in y_ticks]
    marks += [svg.text(x(tick), bottom + 18, words.tick(show, tick), anchor="middle") for tick in x_ticks]
    best = front(rows)
    stairs = sorted({(of(row), row.accuracy.top1) for row in rows if row.digest in best})
    if len(stairs) > 1:
        marks.append(svg.path([(x(value), y(100 * top1)) for value, top1 in stairs], kind="front"))
    placed: list[tuple[float, float]] = []
    for row in sorted(rows, key=of):
        point = (x(of(row)), y(100 * row.accuracy.top1))
        low, high = _top1_ends(row)
        name = f"{row.name}, {row.engine}: {words.percent(row.accuracy.top1)}, {show(of(row))}"
        marks.append(svg.line(point[0], y(low), point[0], y(high), kind="interval"))
        marks.append(svg.dot(*point, 4.5, kind="best" if row.digest in best else "other", title=name))
        marks += _label(point, row, placed, right)
    marks.append(svg.text((left + right) / 2, bottom + 36, axis, anchor="middle", kind="axis"))
    return svg.figure(marks, height=bottom + 44, title=f"top-1 against {axis}")


def _top1_ends(row: ReportRow) -> tuple[float, float]:
    """The ends of the paired interval around the float model's top-1, in percent."""
    assert row.accuracy
    lower, upper = row.accuracy.interval_points
    return 100 * row.accuracy.float_top1 - upper, min(100 * row.accuracy.float_top1 - lower, 100.0)


def _label(point: tuple[float, float], row: ReportRow, placed: list[tuple[float, float]], right: float) -> list[str]:
    # No name within a line's height and a name's width of another; crowded points have only their tooltip.
    x, y = point
    if any(abs(x - other_x) < 110 and abs(y - other_y) < 13 for other_x, other_y in placed):
        return []
    placed.append(point)
    anchor, shift = ("end", -8) if x > right - 110 else ("start", 8)
    return [svg.text(x + shift, y - 7, f"{row.network} {row.precision}", anchor=anchor, kind="name")]


def spreads(rows: Sequence[ReportRow]) -> str:
    """A line for each row's calls of the network, logarithmic: least to p99, thick from p50 to p90, a dot at p50.

    On an unsteady machine a pale box is the 95 % interval of p50.
    """
    shown = [(row, calls) for row in rows if row.speed and (calls := row.speed.figure("pixels", "inference"))]
    if not shown:
        return ""
    everything = [t for _, f in shown for t in (f.least_us, f.p50_us, f.p90_us, f.p99_us, f.low_us, f.high_us) if t]
    x, ticks = svg.log_scale(everything, LEFT, RIGHT)
    bottom = LINE * len(shown) + 6
    marks = _time_grid(x, ticks, bottom)
    for number, (row, calls) in enumerate(shown):
        y = LINE * number + 26
        last = calls.p99_us or calls.p90_us or calls.p50_us
        marks.append(svg.text(LEFT, y - 9, _title(row), kind="name"))
        marks.append(svg.line(x(calls.least_us), y, x(last), y, kind="whisker"))
        if calls.pace_varied is not None and calls.low_us and calls.high_us:
            interval = f"unsteady: 95 % interval {words.time(calls.low_us)} to {words.time(calls.high_us)}"
            marks.append(svg.bar(x(calls.low_us), y - 6, x(calls.high_us) - x(calls.low_us), 12, kind="doubt", title=interval))
        if calls.p90_us and calls.p90_us > calls.p50_us:
            marks.append(svg.bar(x(calls.p50_us), y - 3, x(calls.p90_us) - x(calls.p50_us), 6, kind="part-1"))
        summary = f"least {words.time(calls.least_us)}, p50 {words.time(calls.p50_us)}, p90 {words.time(calls.p90_us)}, "
        marks.append(svg.dot(x(calls.p50_us), y, 4, kind="best", title=f"{summary}p99 {words.time(calls.p99_us)}"))
        if calls.p99_us:
            marks.append(svg.line(x(last), y - 4, x(last), y + 4, kind="whisker"))
    return svg.figure(marks, height=bottom + 20, title="how the times of single calls spread")


def cold_starts(rows: Sequence[ReportRow]) -> str:
    """A bar for each row: the PARTS of one edge-predict process."""
    shown = [(row, parts) for row in rows if (parts := cold_parts(row))]
    if not shown:
        return ""
    most = max(sum(parts) for _, parts in shown)
    x, ticks = svg.linear_scale(0, most * 1.02, LEFT, RIGHT)
    bottom = LINE * len(shown) + 6
    marks = _time_grid(x, ticks, bottom)
    for number, (row, parts) in enumerate(shown):
        y, at = LINE * number + 18, 0.0
        marks.append(svg.text(LEFT, y - 2, _title(row), kind="name"))
        marks.append(svg.text(RIGHT, y - 2, words.time(sum(parts)), anchor="end", kind="name"))
        for kind, (name, part) in enumerate(zip(PARTS, parts, strict=True), 1):
            title = f"{name}: {words.time(part)}"
            marks.append(svg.bar(x(at), y + 3, x(at + part) - x(at), 9, kind=f"part-{kind}", title=title))
            at += part
    return svg.figure(marks, height=bottom + 20, title="where a cold start goes")


def _time_grid(x: Callable[[float], float], ticks: Sequence[float], bottom: float) -> list[str]:
    lines = [svg.line(x(tick), 4, x(tick), bottom, kind="grid") for tick in ticks]
    return lines + [svg.text(x(t), bottom + 14, words.tick(words.time, t), anchor="middle") for t in ticks]


PARTS = ("start of Python, imports and the rest", "load the engine and the model", "first answer")


def cold_parts(row: ReportRow) -> tuple[float, float, float] | None:
    """The median µs of each of PARTS; None if one was not measured."""
    wanted = (("edge-predict", "whole"), ("start", "load"), ("start", "first call"))
    process, load, first = (row.speed.figure(*name) if row.speed else None for name in wanted)
    if process is None or load is None or first is None:
        return None
    return max(process.p50_us - load.p50_us - first.p50_us, 0.0), load.p50_us, first.p50_us


def _title(row: ReportRow) -> str:
    return f"{row.network} {row.data} {row.precision}, {row.engine}{' (wheel)' if row.shipped else ''}"
