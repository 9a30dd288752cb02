"""Making other pictures MNIST digits: what passes untouched, what comes back in place, what is no digit."""

import hashlib
import random
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageFilter, ImageOps

from edge.contract import DIGIT
from edge.errors import InputError
from edge.pictures import read_pixels
from edge.pictures.decode import fit
from tests.edge.pictures import fitted

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def example(name: str) -> Image.Image:
    return Image.open(EXAMPLES / name).convert("L")


def difference(one: bytes, other: bytes) -> float:
    """Mean absolute difference as a fraction of the first one's mean, with one pixel's shift forgiven.

    The centre of mass is rounded to a pixel, so a hair's breadth may move a redrawn digit by one.
    """
    image = Image.frombytes("L", (28, 28), one)
    shifted = [ImageChops.offset(image, x, y).tobytes() for x in (-1, 0, 1) for y in (-1, 0, 1)]
    return min(sum(abs(a - b) for a, b in zip(s, other, strict=True)) for s in shifted) / sum(one)


def on_page(digit: Image.Image, *, side: int, at: tuple[int, int], size=(300, 200), ink=30, paper=240) -> Image.Image:
    cover = Image.new("L", size)
    cover.paste(digit.resize((side, side), Image.Resampling.BICUBIC), at)
    return Image.composite(Image.new("L", size, ink), Image.new("L", size, paper), cover)


def refusal(image: Image.Image) -> str:
    with pytest.raises(InputError) as caught:
        fit(image, DIGIT)
    return str(caught.value)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P"])
def test_a_small_grey_light_on_dark_picture_passes_untouched_in_any_mode(name, mode):
    digit = example(f"{name}.png")
    assert fit(digit.convert(mode), DIGIT) == digit.tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_a_digit_inverted_comes_back(name):
    digit = example(f"{name}.png")
    assert difference(digit.tobytes(), fit(ImageOps.invert(digit), DIGIT)) < 0.15


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("side", "at"), [(64, (230, 3)), (120, (20, 70)), (190, (90, 5))])
def test_a_digit_anywhere_on_a_page_comes_back(name, side, at):
    digit = example(f"{name}.png")
    assert difference(digit.tobytes(), fit(on_page(digit, side=side, at=at), DIGIT)) < 0.25


@pytest.mark.parametrize(("ink", "paper"), [(0, 255), (255, 0), (90, 120), (200, 180), (140, 100)])
def test_polarity_and_contrast_do_not_matter(ink, paper):
    digit = example("five.png")
    page = on_page(digit, side=120, at=(20, 70), ink=ink, paper=paper)
    assert difference(digit.tobytes(), fit(page, DIGIT)) < 0.25


@pytest.mark.parametrize("paper", [230, 40])
def test_uneven_light_a_shadow_and_noise_are_taken_away(paper):
    digit = example("three.png")
    page = on_page(digit, side=330, at=(150, 120), size=(640, 480), ink=paper // 3 if paper > 99 else 200, paper=paper)
    light = Image.linear_gradient("L").rotate(90).resize(page.size).point([140 + v * 115 // 255 for v in range(256)])
    shadow = Image.new("L", page.size, 255)
    shadow.paste(180, (0, 250, 330, 480))
    lit = ImageChops.multiply(ImageChops.multiply(page, light), shadow.filter(ImageFilter.GaussianBlur(25)))
    grain = Image.frombytes("L", page.size, random.Random(0).randbytes(640 * 480)).point([v // 16 for v in range(256)])
    photo = ImageChops.add(lit, grain, 1, -8)
    assert difference(digit.tobytes(), fit(photo, DIGIT)) < 0.35


def test_the_digit_fills_twenty_pixels_and_its_mass_is_central():
    redrawn = Image.frombytes("L", (28, 28), fit(on_page(example("four.png"), side=150, at=(10, 20)), DIGIT))
    left, top, right, bottom = redrawn.getbbox()
    assert max(right - left, bottom - top) == 20
    mass = sum(redrawn.tobytes())
    x = sum(value * (i % 28) for i, value in enumerate(redrawn.tobytes())) / mass
    y = sum(value * (i // 28) for i, value in enumerate(redrawn.tobytes())) / mass
    assert (x, y) == pytest.approx((14, 14), abs=0.5 + 1e-6)  # placed by whole pixels


def test_a_part_that_does_not_touch_belongs_to_the_digit_and_a_speck_does_not():
    page = Image.new("L", (300, 200), 255)
    page.paste(0, (100, 90, 120, 170))
    page.paste(0, (100, 50, 150, 66))  # a bar above, as a five has
    without_speck = fit(page, DIGIT)
    page.paste(0, (280, 10, 284, 14))
    assert fit(page, DIGIT) == without_speck
    # 120 high, so 20 pixels: the bar 16/6, the gap 24/6, the stem 80/6.
    columns = Image.frombytes("L", (28, 28), without_speck).resize((1, 28), Image.Resampling.BOX).tobytes()
    assert [value > 0 for value in columns].count(True) in (16, 17)


@pytest.mark.parametrize(("mode", "right"), [("L", 152), ("1", 170)], ids=["a thin pen", "two levels only"])
def test_a_thin_pens_line_is_as_white_as_a_thick_ones_and_two_levels_are_enough(mode, right):
    page = Image.new(mode, (300, 200), 255)
    page.paste(0, (150, 20, right, 180))
    assert max(fit(page, DIGIT)) == 255


@pytest.mark.parametrize("size", [(1, 1), (28, 28), (300, 200), (1, 900), (2000, 1500)])
@pytest.mark.parametrize("shade", [0, 128, 255])
def test_a_blank_picture_holds_no_digit(size, shade):
    wanted = "no digit found: the picture is blank or the ink too faint; give it one digit in clear ink"
    assert refusal(Image.new("L", size, shade)) == wanted


@pytest.mark.parametrize("strength", [4, 16, 64, 256])
def test_noise_holds_no_digit(strength):
    noise = Image.frombytes("L", (400, 300), random.Random(1).randbytes(120_000))
    assert refusal(noise.point([v * strength // 256 for v in range(256)])).startswith("no digit found: ")


def test_the_line_about_no_digit_names_the_file(tmp_path):
    Image.new("L", (40, 40)).save(tmp_path / "blank.png")
    with pytest.raises(InputError, match=r"blank\.png: no digit found: "):
        read_pixels(str(tmp_path / "blank.png"), DIGIT)


def test_artifacts_with_digit_get_the_pixels_that_they_always_got():
    """The digest was made by `tests/edge/pictures/fitted.py` at revision 42df23f, before `digit2` shared its parts."""
    digests = "".join(fitted.digests()["digit"])
    assert hashlib.sha256(digests.encode()).hexdigest() == "8cbd00e7f55fff3909c428f79cbfbc1d85d1030ebf7c5e7e66510054007af4bc"


def test_the_examples_are_what_the_script_draws(tmp_path):
    sys.path.insert(0, str(EXAMPLES))
    try:
        import draw
    finally:
        sys.path.remove(str(EXAMPLES))
    draw.write_all(tmp_path)
    for path in tmp_path.iterdir():
        kept, drawn = (Image.open(place).convert("RGBA") for place in (EXAMPLES / path.name, path))
        # Another Pillow may round and compress otherwise; the picture is the same.
        assert max(high for _, high in ImageChops.difference(kept, drawn).getextrema()) <= 24
