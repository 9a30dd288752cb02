"""The report as one self-contained HTML page: style, figures and images are inside it, and it has no scripts."""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

from benchmarks.report import plots, words
from benchmarks.report.row import Operation, Report, ReportRow

STYLE = Path(__file__).with_name("style.css")
# The browser loads nothing, whatever a name in a model contains.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
HEAD = ("network", "format", "engine", "bytes", "top-1", "drop, points", "cold", "p50", "p90", "p99", "memory", "× bound")
WORDS = 3  # the first columns are words, the others figures


def page(report: Report) -> str:
    """The HTML file."""
    parts = [
        f"<h1>edgeproof benchmarks</h1>\n<p class=soft>Version {escape(report.version)}, commit "
        f"{escape(report.commit[:12])}. Measured on {escape(report.where)}.</p>",
        _comparison(report.comparison),
        _table(report.rows),
        _figures(report.rows),
        _lost(report.rows),
        _operations(report.operations),
        _left_out(report),
    ]
    return document("edgeproof benchmarks", parts)


def document(title: str, parts: Sequence[str]) -> str:
    """A whole page of `parts`."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE.read_text()}</style>\n</head>\n<body>\n<main>\n{''.join(parts)}\n</main>\n</body>\n</html>\n"
    )


def _comparison(compared: dict | None) -> str:
    if not compared:
        return ""
    kind = {"worse": "bad", "suspicious": "bad", "no worse": "good"}.get(compared["verdict"], "")
    head = ("figure", "base", "now", "change (95 %)", "noise", "verdict")
    body = [[escape(cell) for cell in figure["cells"]] for figure in compared["figures"]]
    return (
        f"<h2>Against {escape(compared['base'][:12])}</h2>\n<p class='verdict {kind}'>{escape(compared['why'])}</p>\n"
        + grid(head, body, words=1)
    )


def _table(rows: Sequence[ReportRow]) -> str:
    notes = words.notes(rows)
    intro = (
        "Top-1 and its drop from the float model, with the paired 95 % interval, are from each model's manifest. Cold is a "
        "whole edge-predict process. p50, p90 and p99 are of the network alone, in the median window. Under a time of an "
        "unsteady machine stands its 95 % interval; p90 and p99 then contain what other programs did, and cold is CPU time. "
        "× bound is p50 over the least time possible on this machine."
    )
    head, body = list(HEAD), list(map(_cells, rows))
    if any(row.instructions for row in rows):
        head.append("instructions")
        body = [[*cells, _instructions(row)] for cells, row in zip(body, rows, strict=True)]
    table = grid(head, body, words=WORDS)
    listed = "".join(f"<p class='soft note'>{escape(note)}</p>\n" for note in notes)
    return f"<h2>Every model, every engine</h2>\n<p>{intro}</p>\n{table}{listed}"


def _cells(row: ReportRow) -> list[str]:
    where = f"{row.data}, in the wheel" if row.shipped else row.data
    top1 = words.top1(row)
    if row.recheck:
        kind = {True: " class=good", False: " class=bad", None: ""}[row.recheck.agrees]
        result = "re-checked" if row.recheck.agrees else f"here {words.percent(row.recheck.top1)}"
        top1 += f"<small{kind}>{result}</small>"
    elif row.accuracy:
        top1 += f"<small>n = {row.accuracy.n_images:,}</small>"
    value, _, interval = words.drop(row).partition(" ")
    return [
        f"{escape(row.network)}<small>{escape(where)}</small>",
        f"{row.format}<small>{escape(row.precision)}</small>",
        f"{row.engine}<small>{escape(row.ran)}</small>",
        f"{row.model_bytes:,}",
        top1,
        f"{value}<small>{interval.strip('()')}</small>",
        words.with_interval(row, "edge-predict", "<small>{}</small>"),
        words.with_interval(row, "pixels", "<small>{}</small>", stage_name="inference"),
        *(words.stage(row, "pixels", percentile, stage="inference") for percentile in (90, 99)),
        words.memory(row),
        words.bound(row),
    ]


def _instructions(row: ReportRow) -> str:
    kernels = f"<small>{escape(row.instructions.kernels)}</small>" if row.instructions else ""
    return words.instructions(row) + kernels


def grid(head: Sequence[str], body: Sequence[Sequence[str]], *, words: int) -> str:
    """A table whose first `words` columns are words; cells are HTML."""

    def line(cells: Sequence[str], tag: str) -> str:
        return "".join(f"<{tag}{' class=word' if at < words else ''}>{cell}</{tag}>" for at, cell in enumerate(cells))

    lines = "\n".join(f"<tr>{line(cells, 'td')}</tr>" for cells in body)
    # The box scrolls, so that a wide table does not widen the page; tabindex lets the keyboard scroll it.
    table = f"<table>\n<thead><tr>{line(head, 'th')}</tr></thead>\n<tbody>\n{lines}\n</tbody></table>"
    return f"<div class=box tabindex=0>{table}</div>\n"


def _figures(rows: Sequence[ReportRow]) -> str:
    parts = []
    if pairs := plots.trade_offs(rows):
        intro = (
            "A full dot is on the Pareto front: no other model for that data set is as good in size, time and accuracy and "
            "better in one. The line through a dot is the paired 95 % interval of its drop from the float model's top-1."
        )
        parts.append(section("Size, accuracy, latency", intro, pairs))
    times = []
    if spread := plots.spreads(rows):
        times.append(
            (
                "Single calls of the network, logarithmic: dot p50, bar to p90, line from least to p99; box: 95 % interval",
                spread,
            )
        )
    if cold := plots.cold_starts(rows):
        names = (f"<li><i class=part-{n}></i>{escape(name)}</li>" for n, name in enumerate(plots.PARTS, 1))
        times.append(("A cold start: one edge-predict process", f"{cold}<ul class=key>{''.join(names)}</ul>"))
    if times:
        parts.append(section("Where the time goes", "", times))
    return "\n".join(parts)


def section(title: str, intro: str, pairs: Sequence[tuple[str, str]]) -> str:
    """Figures under a heading, each with its caption."""
    drawn = "\n".join(f"<figure><figcaption>{escape(caption)}</figcaption>{drawing}</figure>" for caption, drawing in pairs)
    intro = f"<p>{intro}</p>\n" if intro else ""
    return f"<h2>{title}</h2>\n{intro}<div class=figures>{drawn}</div>\n"


def _lost(rows: Sequence[ReportRow]) -> str:
    parts = []
    for row in {row.digest: row for row in rows if row.lost}.values():
        shown = [_picture(picture.png, f"{picture.index}: {picture.label} → {picture.answer}") for picture in row.lost[:48]]
        more = f"<p class=soft>and {len(row.lost) - 48:,} more</p>" if len(row.lost) > 48 else ""
        parts.append(f"<p class=soft>{escape(row.name)}</p>\n<div class=lost>{''.join(shown)}</div>{more}\n")
    if not parts:
        return ""
    intro = "<p>Right in float, wrong after quantization: index in the test split, true class → answer.</p>\n"
    return f"<h2>Lost images</h2>\n{intro}{''.join(parts)}"


def _picture(png: bytes, caption: str) -> str:
    source = base64.b64encode(png).decode()
    drawn = f'<img alt="{escape(caption)}" src="data:image/png;base64,{source}">' if png else ""
    return f"<figure>{drawn}<figcaption>{escape(caption)}</figcaption></figure>"


def _operations(operations: Sequence[Operation]) -> str:
    if not operations:
        return ""
    body = [[escape(o.name), words.time(o.median_us), words.time(o.iqr_us), f"{o.rounds:,}"] for o in operations]
    head = ("operation", "median", "interquartile range", "rounds")
    return "<h2>Single operations</h2>\n<p>Measured by pytest-benchmark.</p>\n" + grid(head, body, words=1)


def _left_out(report: Report) -> str:
    return "".join(f"<p class='soft note'>{escape(line)}</p>\n" for line in report.left_out)
