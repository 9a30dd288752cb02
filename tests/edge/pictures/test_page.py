"""Every digit of a page: in which order, in which box, from what it may come, and how many are too many."""

import io

import pytest
from PIL import Image

from edge.contract import DIGIT, DIGIT2
from edge.errors import InputError
from edge.pictures import frames, page
from edge.pictures.decode import fit
from edge.pictures.mark import Mark
from tests.edge.pictures.test_sheet import lines, paper

# By name, the side of their 28 pixels, and their place: two lines that slope, the second in two words.
PLACES = [("one", 60, (20, 30)), ("two", 60, (70, 40)), ("three", 60, (120, 50)),
          ("four", 60, (30, 110)), ("five", 60, (80, 115)), ("six", 60, (190, 120))]  # fmt: skip


def test_digits_come_line_by_line_from_the_left_with_their_words():
    digits = frames.digits(paper(*PLACES), DIGIT2)
    assert [(digit.line, digit.word) for digit in digits] == [(1, 1)] * 3 + [(2, 1)] * 2 + [(2, 2)]
    for digit, (_, side, (left, top)) in zip(digits, PLACES, strict=True):
        x, y = (digit.box[0] + digit.box[2]) / 2, (digit.box[1] + digit.box[3]) / 2
        assert (x, y) == pytest.approx((left + side / 2, top + side / 2), abs=8)
        assert 35 <= max(digit.box[2] - digit.box[0], digit.box[3] - digit.box[1]) <= 48


def test_each_is_what_it_is_alone():
    alone = [fit(paper(place), DIGIT2) for place in PLACES]
    assert [digit.pixels for digit in frames.digits(paper(*PLACES), DIGIT)] == alone


def test_lines_are_told_by_how_far_marks_overlap_from_top_to_bottom():
    boxes = [(0, 0, 10, 20), (20, 8, 30, 28), (40, 16, 50, 36), (0, 30, 10, 50), (20, 41, 30, 61)]
    marks = [Mark([], box, 1, 1) for box in boxes]
    assert [[mark.box for mark in line] for line in page.in_lines(marks[::-1])] == [boxes[:3], boxes[3:4], boxes[4:]]


def test_a_page_of_any_size_and_turn_gives_boxes_in_the_upright_picture():
    upright = paper(*PLACES).resize((2400, 1600))
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    upright.transpose(Image.Transpose.ROTATE_90).save(file, "JPEG", quality=90, exif=exif)
    wanted = [digit.box for digit in frames.digits(paper(*PLACES), DIGIT2)]
    for digits in (frames.digits(file.getvalue(), DIGIT2), frames.digits(upright, DIGIT2)):
        for digit, box in zip(digits, wanted, strict=True):
            assert digit.box == pytest.approx([8 * v for v in box], abs=12)


def test_a_line_across_and_half_a_digit_at_the_edge_are_left_out():
    digits = frames.digits(lines(paper(*PLACES, ("eight", 90, (-50, 60))), (-5, 190, 305, 194)), DIGIT2)
    assert len(digits) == len(PLACES)


def test_a_table_s_lines_a_dash_and_a_sum_s_line_are_no_digits():
    cells = [("two", 60, (40, 25)), ("four", 60, (180, 25)), ("five", 60, (40, 115)), ("eight", 60, (180, 115))]
    rules = [(15, y, 285, y) for y in (10, 100, 190)] + [(x, 10, x, 190) for x in (15, 150, 285)]
    for drawn in (lines(paper(*cells), *rules), lines(paper(*cells), (120, 50, 150, 50), (30, 97, 160, 97), width=5)):
        assert [(digit.line, digit.box[0] < 150) for digit in frames.digits(drawn, DIGIT2)] == [
            (1, True), (1, False), (2, True), (2, False)
        ]  # fmt: skip


def test_digits_of_lines_that_are_close_stay_apart_and_small_ones_below_large_ones_are_read():
    close = [("zero", 50, (20 + 50 * n + 20 * row, 10 + 46 * row)) for row in range(4) for n in range(4)]
    assert [digit.line for digit in frames.digits(paper(*close), DIGIT2)] == [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4
    heading = [("eight", 110, (20 + 90 * n, 0)) for n in range(2)]
    small = [("one", 36, (10 + 40 * n, 140)) for n in range(7)]
    assert [digit.line for digit in frames.digits(paper(*heading, *small), DIGIT2)] == [1] * 2 + [2] * 7


def test_no_digit_and_too_many_are_refused():
    with pytest.raises(InputError, match="no digit found"):
        frames.digits(paper(), DIGIT2)
    many = Image.new("L", (1200, 1000), 240)
    for at in range(550):
        x, y = 20 + at % 25 * 46, 20 + at // 25 * 44
        many.paste(30, (x, y, x + 4, y + 24))
    with pytest.raises(InputError, match="550 digits; at most 500 are read: give the page in parts"):
        frames.digits(many, DIGIT2)
