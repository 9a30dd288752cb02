"""The fit `digit2`: one digit is found beside a line, an edge or a speck; what is not one digit is refused in words."""

import pytest
from PIL import Image, ImageDraw

from edge.contract import DIGIT, DIGIT2
from edge.errors import InputError
from edge.pictures.decode import fit
from tests.edge.pictures.test_digit import NAMES, difference, example

PAPER, INK, SIZE = 240, 30, (300, 200)


def paper(*digits: tuple[str, int, tuple[int, int]]) -> Image.Image:
    """Digits by name, the side of their 28 pixels, and their place, in ink on paper."""
    page = Image.new("L", SIZE, PAPER)
    for name, side, at in digits:
        page.paste(
            INK, (*at, at[0] + side, at[1] + side), example(f"{name}.png").resize((side, side), Image.Resampling.BICUBIC)
        )
    return page


def lines(page: Image.Image, *ends: tuple[int, int, int, int], width: int = 3) -> Image.Image:
    for each in ends:
        ImageDraw.Draw(page).line(each, fill=INK, width=width)
    return page


def refusal(page: Image.Image) -> str:
    with pytest.raises(InputError) as caught:
        fit(page, DIGIT2)
    return str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_one_digit_on_plain_paper_is_what_digit_makes_of_it(name):
    for page in (paper((name, 120, (20, 70))), example(f"{name}.png").resize((200, 200)), example(f"{name}.png")):
        assert fit(page, DIGIT2) == fit(page, DIGIT)


def with_table(page: Image.Image) -> Image.Image:
    page.paste(110, (0, 0, 60, 200))
    return page


def with_shadow(page: Image.Image) -> Image.Image:
    page.paste(page.crop((0, 0, 110, 200)).point([v * 7 // 10 for v in range(256)]), (0, 0))
    return page


def with_specks(page: Image.Image) -> Image.Image:
    for x, y in ((20, 20), (280, 30), (30, 180)):
        ImageDraw.Draw(page).ellipse((x, y, x + 6, y + 6), fill=INK)
    return page


BESIDE = {
    "a margin": lambda page: lines(page, (40, -5, 44, 205)),
    "a rule that stays on the sheet": lambda page: lines(page, (10, 185, 290, 188)),
    "lines above and below": lambda page: lines(page, (-5, 20, 305, 22), (-5, 190, 305, 190)),
    "a table": with_table,
    "a shadow": with_shadow,
    "specks": with_specks,
}


@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("name", ["one", "four", "eight"])
def test_a_digit_is_found_beside(beside, name):
    found = fit(BESIDE[beside](paper((name, 120, (140, 45)))), DIGIT2)
    assert difference(example(f"{name}.png").tobytes(), found) < 0.25


@pytest.mark.parametrize("beside", BESIDE)
def test_without_a_digit_there_is_none(beside):
    assert refusal(BESIDE[beside](paper())).startswith("no digit found")


def test_several_shapes_are_counted_and_the_remedy_is_named():
    side_by_side, three = ("two", 90, (40, 50)), [("one", 80, (20 + 80 * n, 60)) for n in range(3)]
    below = [("five", 80, (100, 5)), ("six", 80, (105, 105))]
    large_and_small = [("five", 150, (20, 20)), ("six", 80, (200, 60))]
    for digits, n in ((three, 3), (below, 2), (large_and_small, 2), ([side_by_side, ("four", 90, (120, 52))], 2)):
        assert refusal(paper(*digits)) == f"{n} shapes of similar size: give one digit, or read them all with --many"


def test_a_small_digit_beside_a_large_one_is_counted_too():
    assert refusal(paper(("five", 150, (20, 45)), ("two", 80, (122, 20)))).startswith("2 shapes of similar size")


def test_a_form_s_box_and_an_underline_are_left_out():
    plain = fit(paper(("eight", 120, (140, 30))), DIGIT2)
    box = lines(
        paper(("eight", 120, (140, 30))), *[(120, 5, 280, 5), (280, 5, 280, 180), (280, 180, 120, 180), (120, 180, 120, 5)]
    )
    assert fit(box, DIGIT2) == plain
    assert fit(lines(paper(("eight", 120, (140, 30))), (170, 152, 230, 154)), DIGIT2) == plain


def test_a_digit_that_the_edge_cuts_is_refused_and_one_that_only_touches_is_read():
    assert refusal(paper(("four", 140, (80, 100)))).startswith("a line or the picture's edge runs into the digit; ")
    assert difference(example("zero.png").tobytes(), fit(paper(("zero", 140, (80, -20))), DIGIT2)) < 0.25


def test_a_filled_shape_is_no_digit():
    page = paper()
    ImageDraw.Draw(page).ellipse((90, 50, 200, 160), fill=INK)
    assert refusal(page).startswith("no digit found, only a filled shape")


@pytest.mark.parametrize("line", [(-5, 100, 305, 104), (150, -5, 154, 205)])
def test_a_line_that_runs_through_the_digit_is_refused(line):
    assert refusal(lines(paper(("eight", 140, (80, 30))), line)).startswith(
        "a line or the picture's edge runs into the digit; "
    )


def test_a_digit_of_two_strokes_is_one():
    five, four = paper(), paper()
    lines(
        five, (110, 50, 105, 95), (105, 95, 150, 110), (150, 110, 140, 150), (140, 150, 100, 150), (122, 50, 165, 48), width=9
    )
    lines(four, (110, 40, 100, 100), (100, 100, 139, 100), (152, 40, 152, 160), width=9)
    for page in (five, four):
        assert fit(page, DIGIT2) == fit(page, DIGIT)


def test_a_texture_of_many_shapes_is_refused():
    page = Image.new("L", (512, 512), PAPER)
    for at in range(20, 480, 24):
        page.paste(INK, (at, at, at + 4, at + 12))
        for other in range(20, 480, 24):
            page.paste(INK, (at, other, at + 4, other + 12))
    assert refusal(page) == "over 100 shapes: give one digit in clear ink on plain paper"
