"""Markdown tables."""

from train.markdown import table


def test_the_last_letter_of_align_goes_on():
    assert table(("a", "b", "c"), [("1", "2", "3")], align="lr") == "| a | b | c |\n| --- | --: | --: |\n| 1 | 2 | 3 |"
