"""Tables that commands write into pages."""

import argparse

import pytest

from benchmarks import pages
from benchmarks.pages import BEGIN, END
from edge.errors import InputMissing


def test_the_page_keeps_what_stands_around_the_table(tmp_path):
    page = tmp_path / "results.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    pages.write(page, "new\n")
    assert page.read_text() == f"before\n{BEGIN}\nnew\n{END}\nafter\n"


def test_a_page_without_its_marks_is_left_alone(tmp_path):
    page = tmp_path / "results.md"
    page.write_text(f"no marks but {END}")
    with pytest.raises(InputMissing, match="the marks for the table are missing"):
        pages.write(page, "new")
    assert page.read_text() == f"no marks but {END}"


def test_a_page_that_cannot_be_written_is_refused_before_the_work(tmp_path, capsys):
    parser, page = argparse.ArgumentParser(), tmp_path / "missing.md"
    pages.add_write(parser)
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(["--write", str(page)])
    assert capsys.readouterr().err.endswith(f"argument --write: {page}: cannot be read\n")
