"""Pages under docs/ with a part that a command writes, between two marks."""

import argparse
from pathlib import Path

from edge.errors import InputMissing
from edge.files import write_atomic

BEGIN, END = "<!-- written by a command, not by hand -->", "<!-- end of what the command writes -->"


def add_write(parser: argparse.ArgumentParser) -> None:
    """`--write PAGE`, which is refused before any work where show() could not write the page."""
    parser.add_argument("--write", type=_page, metavar="PAGE", help="write the tables between the marks on this page too")


def _page(name: str) -> Path:
    page = Path(name)
    try:
        _around(page)
    except (OSError, UnicodeDecodeError, InputMissing) as error:
        raise argparse.ArgumentTypeError(error if isinstance(error, InputMissing) else f"{page}: cannot be read") from None
    return page


def show(text: str, page: Path | None) -> int:
    """Print `text`; write it between the marks on `page` too, if there is one. Returns the exit code, 0."""
    print(text.rstrip())
    if page:
        write(page, text)
    return 0


def write(page: Path, text: str) -> None:
    """Write `text` between the marks on `page`. Raises InputMissing if a mark is missing."""
    before, after = _around(page)
    write_atomic(str(page), f"{before}{BEGIN}\n{text.rstrip()}\n{END}{after}".encode())


def _around(page: Path) -> tuple[str, str]:
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputMissing(f"{page}: the marks for the table are missing: {BEGIN}")
    return before, after
