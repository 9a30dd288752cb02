"""Markdown tables, for reports and pages."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, align: str = "l") -> str:
    """`head` and `rows` as Markdown; `align` has `l` or `r` for each column, the last letter also for those after it."""
    rule = ["--:" if side == "r" else "---" for side in align.ljust(len(head), align[-1])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))
