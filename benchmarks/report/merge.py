"""Several reports as one: the devices side by side, and for a device with several reports the trend over its commits."""

import json
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path

from benchmarks.report import html, svg, words
from benchmarks.report.row import Report, ReportRow
from edge.errors import InputError, InputMissing
from train import markdown

Key = tuple[str, ...]
MODEL = ("network", "data", "format", "precision", "engine")
INTRO = (
    "Median time of the network alone, one thread, with the 95 % interval where a machine was unsteady; of each device the "
    "last report. A model is told by its name: where the weights differ between the reports, the cell says so."
)


def read(path: str) -> Report:
    """A report.json. Raises InputMissing, InputError."""
    try:
        return Report.from_dict(json.loads(Path(path).read_text()))
    except OSError as error:
        raise InputMissing(f"{path}: {error.strerror}; wanted a report.json of python -m benchmarks") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{path}: not a report.json of python -m benchmarks; name the file that it wrote") from None


def by_device(reports: Iterable[Report]) -> dict[str, list[Report]]:
    """The reports of each machine, the oldest first; those without a time keep the order in which they are named."""
    devices: dict[str, list[Report]] = {}
    for report in sorted(reports, key=lambda report: report.measured_at):
        devices.setdefault(report.where.removesuffix(", one thread"), []).append(report)
    return devices


def page(reports: Sequence[Report]) -> str:
    """The HTML page."""
    devices = by_device(reports)
    head, body = _side_by_side(devices)
    told = f"{len(reports)} reports, {len(devices)} device{'s' * (len(devices) > 1)}."
    cells = [[escape(cell) for cell in row] for row in body]
    parts = [
        f"<h1>edgeproof benchmarks, merged</h1>\n<p class=soft>{told}</p>\n",
        f"<h2>Devices side by side</h2>\n<p>{INTRO}</p>\n{html.grid([escape(h) for h in head], cells, words=2)}",
    ]
    for where, of_device in devices.items():
        if len(of_device) > 1:
            drawn = [(_name(key), _trend(key, of_device)) for key in _keys(of_device) if len(_series(key, of_device)) > 1]
            commits = " → ".join(report.commit[:7] for report in of_device)
            parts.append(html.section(f"Over commits: {escape(where)}", f"p50 of the network: {escape(commits)}.", drawn))
    return html.document("edgeproof benchmarks, merged", parts)


def text(reports: Sequence[Report]) -> str:
    """The same tables as Markdown."""
    devices = by_device(reports)
    head, body = _side_by_side(devices)
    parts = ["## Devices side by side", INTRO, markdown.table(head, body, align="llr")]
    for where, of_device in devices.items():
        if len(of_device) > 1:
            columns = ("model", "engine", *(report.commit[:7] for report in of_device))
            lines = [(*_titles(key), *(_cell(_find(key, report)) for report in of_device)) for key in _keys(of_device)]
            parts += [f"## Over commits: {where}", markdown.table(columns, lines, align="llr")]
    return "\n\n".join(parts) + "\n"


def _side_by_side(devices: dict[str, list[Report]]) -> tuple[list[str], list[list[str]]]:
    last = {where: reports[-1] for where, reports in devices.items()}
    head = ["model", "engine", *(f"{where} ({report.commit[:7]})" for where, report in last.items())]
    body = []
    for key in _keys(last.values()):
        rows = [_find(key, report) for report in last.values()]
        first = next(row for row in rows if row)
        body.append([*_titles(key), *(_cell(row, first) for row in rows)])
    return head, body


def _keys(reports: Iterable[Report]) -> list[Key]:
    return list(dict.fromkeys(_key(row) for report in reports for row in report.rows))


def _key(row: ReportRow) -> Key:
    return tuple(getattr(row, name) for name in MODEL)


def _find(key: Key, report: Report) -> ReportRow | None:
    return next((row for row in report.rows if _key(row) == key), None)


def _titles(key: Key) -> tuple[str, str]:
    network, data, kind, precision, engine = key
    return f"{network} {data} {precision} {kind}", engine


def _name(key: Key) -> str:
    return ", ".join(_titles(key))


def _cell(row: ReportRow | None, first: ReportRow | None = None) -> str:
    if row is None:
        return "not in this report"
    interval = words.interval(row, "pixels", stage="inference")
    other = ", other weights" if first and first.digest != row.digest else ""
    return words.stage(row, "pixels", stage="inference") + (f" ({interval})" if interval else "") + other


def _series(key: Key, reports: Sequence[Report]) -> list[tuple[Report, ReportRow]]:
    pairs = ((report, _find(key, report)) for report in reports)
    return [(report, row) for report, row in pairs if row and row.inference_us]


def _trend(key: Key, reports: Sequence[Report]) -> str:
    """p50 of one model over the reports of one device, with the intervals; the axis starts at 0."""
    points = _series(key, reports)
    ends = [_ends(row) for _, row in points]
    top, bottom, left, right = 12, 120, 58, svg.WIDTH - 16
    y, ticks = svg.linear_scale(0, 1.1 * max(high for _, high in ends), bottom, top)
    step = (right - left) / max(len(points) - 1, 1)
    places = [left + step * number for number in range(len(points))]
    marks = [svg.line(left, y(tick), right, y(tick), kind="grid") for tick in ticks]
    marks += [svg.text(left - 8, y(tick) + 4, words.tick(words.time, tick), anchor="end") for tick in ticks]
    values = [row.inference_us or 0.0 for _, row in points]
    marks.append(svg.path([(x, y(value)) for x, value in zip(places, values, strict=True)], kind="front"))
    shown: Callable[[int], bool] = lambda at: len(points) <= 6 or at in (0, len(points) - 1)  # noqa: E731
    for at, ((report, row), x, (low, high)) in enumerate(zip(points, places, ends, strict=True)):
        marks.append(svg.line(x, y(low), x, y(high), kind="interval"))
        marks.append(svg.dot(x, y(row.inference_us or 0.0), 4, kind="best", title=f"{report.commit[:7]}: {_cell(row)}"))
        if shown(at):
            anchor = "start" if at == 0 else "end" if at == len(points) - 1 else "middle"
            marks.append(svg.text(x, bottom + 18, report.commit[:7], anchor=anchor))
    return svg.figure(marks, height=bottom + 26, title=f"{_name(key)} over commits")


def _ends(row: ReportRow) -> tuple[float, float]:
    """The 95 % interval; where there is none, the time itself."""
    assert row.speed
    figure = row.speed.figure("pixels", "inference")
    assert figure
    return figure.low_us or figure.p50_us, figure.high_us or figure.p50_us
