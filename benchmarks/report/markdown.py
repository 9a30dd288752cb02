"""The report as a pull-request comment: the comparison, the table, and why figures are missing."""

from benchmarks.report import words
from benchmarks.report.row import Report, ReportRow
from train import markdown

LIMIT = 65_536  # characters GitHub takes in a comment
HEAD = ("network", "format", "engine", "bytes", "top-1", "drop (95 %), points", "cold", "p50", "p99", "memory", "× bound")


def page(report: Report) -> str:
    """The comment, shorter than LIMIT; rows that do not fit are counted."""
    head = f"## Benchmarks\n\nedgeproof {report.version}, commit `{report.commit[:12]}` on {report.where}.\n"
    return head + _comparison(report.comparison) + _fitted(report.rows, LIMIT - len(head) - 30_000) + _left_out(report)


def comparison(compared: dict) -> str:
    """The result of `--compare`: the verdict's sentence, then each figure."""
    head = ("figure", "base", "now", "change (95 %)", "noise", "verdict")
    grid = markdown.table(head, (figure["cells"] for figure in compared["figures"]), align="lrrrrl")
    return f"### Against `{compared['base'][:12]}`: {compared['verdict']}\n\n{compared['why']}\n\n{grid}"


def _comparison(compared: dict[str, object] | None) -> str:
    if compared is None:
        return ""
    return f"\n{comparison(compared)}\n"[: LIMIT // 4]


def _fitted(rows: tuple[ReportRow, ...], room: int) -> str:
    counted = any(row.instructions for row in rows)
    head = (*HEAD, "instructions") if counted else HEAD
    lines = ["", markdown.table(head, (), align="lllr")]
    notes = ["", "Cold: a whole `edge-predict` process. p50, p99: the network alone, one thread. " + _legend(rows)]
    if any(row.unsteady for row in rows):
        doubt = "p99 then contains what other programs did, and cold is CPU time"
        notes.append(f"In brackets: the 95 % interval on an unsteady machine; {doubt}.")
    reasons = [f"- {reason}" for reason in words.notes(rows)]
    while sum(map(len, reasons)) > room // 3:
        reasons = [*reasons[: len(reasons) // 2], "- more reasons in report.html"]
    notes += reasons
    for shown, row in enumerate(rows):
        line = f"| {' | '.join(_cells(row) + ((words.instructions(row),) if counted else ()))} |"
        if sum(map(len, [*lines, line, *notes])) + len(lines) + len(notes) > room:
            notes.append(f"- {len(rows) - shown:,} more rows in report.html")
            break
        lines.append(line)
    return "\n".join([*lines, *notes]) + "\n"


def _cells(row: ReportRow) -> tuple[str, ...]:
    return (
        f"{row.network} ({row.data}{', in the wheel' if row.shipped else ''})",
        f"{row.format} {row.precision}",
        row.engine,
        f"{row.model_bytes:,}",
        words.top1(row) + _rechecked(row),
        words.drop(row),
        words.with_interval(row, "edge-predict", " ({})"),
        words.with_interval(row, "pixels", " ({})", stage_name="inference"),
        words.stage(row, "pixels", 99, stage="inference"),
        words.memory(row),
        words.bound(row),
    )


def _rechecked(row: ReportRow) -> str:
    if not row.recheck:
        return ""
    return " ✓" if row.recheck.agrees else f" (here {words.percent(row.recheck.top1)})"  # also without a stated top-1


def _legend(rows: tuple[ReportRow, ...]) -> str:
    n = sorted({row.accuracy.n_images for row in rows if row.accuracy})
    images = f" n = {' or '.join(f'{count:,}' for count in n)} test images." if n else ""
    return f"Drop: top-1 lost against the float model, paired; from each model's manifest.{images}"


def _left_out(report: Report) -> str:
    return "".join(f"- {line}\n" for line in report.left_out[:20])
