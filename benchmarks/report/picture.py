"""One picture of the trade-off: size against accuracy, with latency as area.

python -m benchmarks.report.picture [REPORT.json] [--data NAME] [--out docs/pictures/trade-off.svg]
"""

import argparse
import math
import sys
from collections.abc import Sequence

from benchmarks.report import merge, plots, svg, words
from benchmarks.report.row import Report, ReportRow
from edge import errors
from edge.errors import InputError
from edge.files import write_atomic

WIDTH, HEIGHT = 720, 420
LEAST, MOST = 5.0, 34.0  # radius
# In the file itself, as an image in a README gets no style sheet from its page.
STYLE = """
svg { font: 13px system-ui, sans-serif; background: #fdfdfc; }
text { fill: #66707a; } .name { fill: #1d2329; } .head { fill: #1d2329; font-size: 16px; font-weight: 600; }
.grid { stroke: #e4e6e8; } .tflite { fill: #2f6f9f; fill-opacity: 0.45; stroke: #2f6f9f; }
.onnx { fill: #d9a441; fill-opacity: 0.45; stroke: #b07f22; } .c { fill: #2c7a4b; fill-opacity: 0.45; stroke: #2c7a4b; }
"""


def draw(report: Report, data: str) -> str:
    """The SVG file: each network and precision in its fastest format. Raises InputError with fewer than two of `data`."""
    fastest_last = sorted(report.rows, key=lambda row: -(row.inference_us or math.inf))
    able = [row for row in fastest_last if row.data == data and row.accuracy and row.inference_us]
    rows = list({(row.network, row.precision): row for row in able}.values())
    if len(rows) < 2:
        raise InputError(f"{len(rows)} models for {data} with an accuracy and a time; a picture needs 2: measure more --models")
    left, right, top, bottom = 78, WIDTH - 40, 74, HEIGHT - 62
    x, x_ticks = svg.log_scale([row.model_bytes for row in rows], left + MOST, right - MOST)
    tops = [100 * row.accuracy.top1 for row in rows if row.accuracy]
    room = max(max(tops) - min(tops), 0.1) * 0.2
    y, y_ticks = svg.linear_scale(min(tops) - room, max(tops) + room, bottom, top)
    marks = [svg.line(left, y(tick), right, y(tick), kind="grid") for tick in y_ticks]
    marks += [svg.text(left - 8, y(tick) + 4, f"{tick:.4g} %", anchor="end") for tick in y_ticks]
    marks += [svg.text(x(tick), bottom + 20, words.tick(words.size, tick), anchor="middle") for tick in x_ticks]
    longest = max(row.inference_us or 0.0 for row in rows)
    for row in sorted(rows, key=lambda row: -(row.inference_us or 0.0)):  # small ones in front
        place = x(row.model_bytes), y(100 * (row.accuracy.top1 if row.accuracy else 0.0))
        told = f"{row.name}, {row.engine}: {words.top1(row)}, {words.size(row.model_bytes)}, {words.time(row.inference_us)}"
        marks.append(svg.dot(*place, radius(row.inference_us or 0.0, longest), kind=row.format, title=told))
    marks += _labels(rows, x, y, longest, right)
    n = max(row.accuracy.n_images for row in rows if row.accuracy)
    marks.append(
        svg.text(left - 60, 26, f"Top-1 on {data} (n = {n:,}) against size; area is the time of one answer", kind="head")
    )
    kinds = ", ".join(f"{row_kind} {colour}" for row_kind, colour in COLOURS.items() if any(r.format == row_kind for r in rows))
    machine = report.machine.get("board") or report.machine.get("cpu_model") or "unknown machine"
    doubt = ", at the full pace of a busy machine" if any(row.unsteady for row in rows) else ""
    marks.append(svg.text(left - 60, 48, f"{kinds}. {machine}, one thread{doubt}."))
    marks.append(svg.text((left + right) / 2, bottom + 44, "bytes of the network", anchor="middle"))
    return svg.file(marks, width=WIDTH, height=HEIGHT, style=STYLE, title=f"size, accuracy and latency on {data}")


COLOURS = {"tflite": "blue", "onnx": "yellow", "c": "green"}


def radius(us: float, longest_us: float) -> float:
    """So that areas are as the times; a dot of LEAST at least."""
    return max(MOST * math.sqrt(us / longest_us), LEAST)


def _labels(rows: Sequence[ReportRow], x: plots.Scale, y: plots.Scale, longest: float, right: float) -> list[str]:
    """The name and time of each model beside its dot, moved down until no two overlap."""
    marks, placed = [], []
    for row in sorted(rows, key=lambda row: -(row.accuracy.top1 if row.accuracy else 0.0)):
        r = radius(row.inference_us or 0.0, longest)
        text = f"{row.network} {row.precision}, {words.time(row.inference_us)}"
        at = x(row.model_bytes)
        anchor, place = ("end", at - r - 5) if at > right - 200 else ("start", at + r + 5)
        start = place - 6.6 * len(text) if anchor == "end" else place
        line = y(100 * (row.accuracy.top1 if row.accuracy else 0.0)) + 4
        while any(abs(line - other) < 14 and start < end and begin < start + 6.6 * len(text) for other, begin, end in placed):
            line += 14
        placed.append((line, start, start + 6.6 * len(text)))
        marks.append(svg.text(place, line, text, anchor=anchor, kind="name"))
    return marks


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report.picture", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("report", nargs="?", default="reports/report.json", metavar="REPORT.json", help="default: %(default)s")
    parser.add_argument("--data", metavar="NAME", help="the data set (default: that of the first row)")
    parser.add_argument("--out", default="docs/pictures/trade-off.svg", metavar="FILE", help="default: %(default)s")
    flags = parser.parse_args()
    report = merge.read(flags.report)
    data = flags.data or next((row.data for row in report.rows), "")
    write_atomic(flags.out, draw(report, data).encode())
    print(flags.out)
    return 0


if __name__ == "__main__":
    sys.exit(errors.run(main, "benchmarks.report.picture"))
