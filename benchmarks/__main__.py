"""Measure every model here and write report.json, report.md and report.html.

On an unsteady machine figures have intervals, and what is refused has a reason; neither is a failure. With --compare the
change since another revision is measured too, and a change for the worse beyond limit and noise is a failure.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.instructions import count
from benchmarks.regression import compare
from benchmarks.report import collect, html, markdown, merge
from benchmarks.report.row import How, Report
from convert.publishing.git_commit import commit
from edge import errors
from edge.console import called
from edge.device import host
from edge.errors import Refused, ToolchainError
from edge.files import write_atomic


def main(arguments: list[str] | None = None) -> int:
    flags = parse(arguments)
    if flags.merge:
        return merged(flags.merge, Path(flags.out))
    settings = compare.settings(flags) if flags.compare else None
    left_out: list[str] = []
    count_by = count.able() if flags.instructions else ""
    how = How(short=flags.short, shared_machine=flags.shared_machine, count_by=count_by, tell=lambda line: tell(line, left_out))
    rows = tuple(collect.rows(collect.files(flags.models), how))
    if flags.short:
        rows = tuple(replace(row, no_bound="not measured with --short") for row in rows)
    else:
        from benchmarks.report import limits  # brings onnx and its runtime

        rows = limits.with_bounds(rows, tell)
    report = Report(
        version=version("edgeproof"),
        commit=commit(),
        machine=host.read().as_dict(),
        rows=rows,
        operations=collect.operations(Path(flags.out, "benchmarks.json")),
        left_out=tuple(left_out),
        comparison=None,
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    write(report, Path(flags.out))  # these figures stay, even if a later step fails
    failures: list[ToolchainError] = []
    if flags.recheck:
        from benchmarks.report.recheck import recheck

        report = replace(report, rows=tuple(recheck(rows, flags.data_dir, failures.append)))
    if settings:
        report = replace(report, comparison=asdict(compare.compare(settings, tell=tell)))
    write(report, Path(flags.out))
    print(markdown.page(report), end="")
    return judge(report, flags.out, failures)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=called("benchmarks"),
        description="Measure every model here and write report.json, report.md and report.html.",
        epilog="Exit code 1: worse than --compare's base, or --recheck did not confirm a manifest's top-1. If a row could not "
        "be re-checked: the code of that failure. Unsteady rows are no failure.",
    )
    parser.add_argument(
        "--models", nargs="*", metavar="FILE|DIR", default=["artifacts"] if Path("artifacts").is_dir() else [],
        help="models to measure besides the one in the wheel (default: artifacts/ if it exists; none: only that one)",
    )  # fmt: skip
    parser.add_argument("--out", default="reports", metavar="DIR", help="where the three files go (default: reports)")
    parser.add_argument("--short", action="store_true", help="one engine for each model, fewer calls, fewer rounds")
    parser.add_argument(
        "--shared-machine", action="store_true", help="allow 5 %% drift of the calibration loop instead of 2 %%"
    )
    parser.add_argument(
        "--instructions", action="store_true", help="also count the instructions of a prediction (counters, or valgrind)"
    )
    parser.add_argument("--recheck", action="store_true", help="measure each top-1 again on the test split; needs the data set")
    parser.add_argument("--data-dir", metavar="DIR", help="folder with the data set (default: $EDGEPROOF_DATA)")
    parser.add_argument(
        "--merge", nargs="+", metavar="JSON", help="measure nothing: make merged.html and merged.md of these report.json files"
    )
    compare.add_flags(parser)
    return parser.parse_args(arguments)


def merged(paths: Sequence[str], folder: Path) -> int:
    """Write merged.html and merged.md from the report.json files `paths`, and print the tables. Returns 0."""
    reports = [merge.read(path) for path in paths]
    write_atomic(str(folder / "merged.html"), merge.page(reports).encode())
    write_atomic(str(folder / "merged.md"), (text := merge.text(reports)).encode())
    print(text, end="")
    return 0


def tell(line: str, left_out: list[str] | None = None) -> None:
    """Print `line` on stderr; lines about models left out are also kept for the report."""
    errors.say("benchmarks", line)
    if left_out is not None and line.startswith("left out"):
        left_out.append(line)


def write(report: Report, folder: Path) -> None:
    """Write the three files into `folder`."""
    write_atomic(str(folder / "report.json"), json.dumps(report.as_dict(), indent=1).encode() + b"\n")
    write_atomic(str(folder / "report.md"), markdown.page(report).encode())
    write_atomic(str(folder / "report.html"), html.page(report).encode())


def judge(report: Report, out: str, failures: Sequence[ToolchainError] = ()) -> int:
    """Print a line for each failure. Returns Refused's code, else that of the first row not re-checked, else 0."""
    wrong = []
    if refuted := [row for row in report.rows if row.recheck and row.recheck.agrees is False]:
        from benchmarks.report.recheck import disagreement

        wrong += [disagreement(row) for row in refuted]
    if report.comparison and report.comparison["verdict"] == "worse":
        wrong.append(f"{report.comparison['why']} ({out}/report.md)")
    for line in [*(f"not re-checked: {failure}" for failure in failures), *wrong]:
        errors.say("benchmarks", line)
    return Refused.exit_code if wrong else next((failure.exit_code for failure in failures), 0)


if __name__ == "__main__":
    sys.exit(errors.run(main, "benchmarks"))
