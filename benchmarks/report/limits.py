"""How close each row comes to the least time possible on this machine (benchmarks/limits/bounds.py)."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from benchmarks.limits import bounds, peaks, work
from benchmarks.report.row import ReportRow
from edge import artifact
from edge.errors import InputMissing, ModelError, ToolchainError


def with_bounds(rows: Sequence[ReportRow], tell: Callable[[str], None]) -> tuple[ReportRow, ...]:
    """The rows with their ratio to the bound, or the reason why there is none; `tell` gets the reason too.

    The peaks are measured twice, right after the rows; the higher ones count.
    """
    if not any(row.inference_us for row in rows):
        return tuple(rows)
    works, reasons = {}, {}
    for row in rows:
        try:
            works[row.digest] = work.count(artifact.read(row.path))
        except (InputMissing, ModelError) as error:
            reasons[row.digest] = str(error)
            tell(f"no bound: {error}")
    sizes = sorted({each.least_bytes for each in works.values()})
    try:
        best = peaks.best([peaks.measure(sizes) for _ in range(2)])
    except ToolchainError as error:
        tell(f"no bounds: {error}")
        return tuple(replace(row, no_bound=str(error)) for row in rows)
    return tuple(
        replace(row, bound_ratio=row.inference_us / bounds.bound(works[row.digest], best).us)
        if row.inference_us and row.digest in works
        else replace(row, no_bound=reasons.get(row.digest, row.refused))
        for row in rows
    )
