"""Draw the example pictures: `python examples/draw.py [OUT]`.

Every digit is a few strokes through points of our own, so no data set's picture is published. zero.png to nine.png
are 28x28, light on dark, as MNIST has them; the others are kinds of picture people really have. The same Pillow
makes the same bytes.
"""

import math
import random
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from edge.contract import DIGIT
from edge.pictures.decode import fit

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

# A digit a line: the points its strokes pass, x to the right and y down, from 0 to 100; a slash lifts the pen.
STROKES = (
    "56,5 32,14 18,50 28,86 50,95 74,78 82,42 70,12 52,6",
    "58,4 52,35 46,65 41,96",
    "20,26 34,9 58,5 73,22 60,50 36,75 16,93 / 16,93 42,88 84,94",
    "20,13 48,4 70,20 60,38 38,47 / 38,47 68,55 75,77 50,95 18,87",
    "28,8 20,33 18,54 46,56 82,50 / 72,10 66,50 60,95",
    "78,7 52,8 30,10 / 30,10 25,42 50,39 74,56 70,82 45,95 18,87",
    "64,4 40,25 25,55 28,82 50,95 70,82 66,60 46,56 29,70",
    "16,11 50,10 82,7 / 82,7 60,45 42,95",
    "68,16 46,5 27,20 45,43 70,65 64,89 42,95 25,79 42,54 63,37 72,20 62,9",
    "70,20 50,6 28,20 30,42 52,47 69,30 72,15 / 71,18 70,50 60,95",
)


def write_all(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for digit, name in enumerate(NAMES):
        mnist_like(digit).save(out / f"{name}.png", optimize=True)
    page(7).save(out / "seven-page.png", optimize=True)
    with_alpha(3).save(out / "three-alpha.png", optimize=True)
    palette(5).save(out / "five-palette.png", optimize=True)
    mnist_like(2, seed=1).save(out / "two.bmp")
    photo(4).save(out / "four-photo.jpg", quality=70, optimize=True)


def mnist_like(digit: int, seed: int = 0) -> Image.Image:
    """`digit` as MNIST has it: mode L, 28x28, light on dark."""
    return Image.frombytes("L", (28, 28), fit(stroked(digit, side=560, pen=0.115, seed=seed), DIGIT))


def page(digit: int) -> Image.Image:
    """Dark blue ink on a cream page of 300x200, off centre."""
    ink = Image.new("L", (300, 200))
    ink.paste(stroked(digit, side=90, pen=0.09, seed=2), (185, 80))
    return Image.composite(Image.new("RGB", ink.size, (28, 34, 92)), Image.new("RGB", ink.size, (250, 246, 232)), ink)


def with_alpha(digit: int) -> Image.Image:
    """Black ink on nothing, mode RGBA, as a drawing program exports a layer."""
    image = Image.new("RGBA", (160, 160))
    image.putalpha(stroked(digit, side=160, pen=0.08, seed=3))
    return image


def palette(digit: int) -> Image.Image:
    """Red chalk on a green board, mode P with 32 colours."""
    ink = stroked(digit, side=200, pen=0.1, seed=4)
    chalk, board = Image.new("RGB", ink.size, (250, 205, 190)), Image.new("RGB", ink.size, (24, 66, 44))
    return Image.composite(chalk, board, ink).quantize(32)


def photo(digit: int, width: int = 1600, height: int = 1200) -> Image.Image:
    """A phone's photo of pen on paper: uneven light, a soft shadow, a slight tilt, grain; mode RGB."""
    chance = random.Random(5)
    ink = Image.new("L", (width, height))
    ink.paste(stroked(digit, side=560, pen=0.055, seed=5).rotate(5, Image.Resampling.BICUBIC), (590, 270))
    paper = Image.composite(Image.new("L", ink.size, 52), Image.new("L", ink.size, 214), ink)
    light = Image.linear_gradient("L").rotate(35).crop((50, 50, 206, 206)).resize(ink.size, Image.Resampling.BICUBIC)
    light = light.point([150 + v * 105 // 255 for v in range(256)])
    shadow = Image.new("L", ink.size, 255)
    ImageDraw.Draw(shadow).polygon([(0, height), (0, 500), (420, 640), (900, height)], fill=190)
    lit = ImageChops.multiply(ImageChops.multiply(paper, light), shadow.filter(ImageFilter.GaussianBlur(60)))
    coarse = (width // 4, height // 4)
    grain = Image.frombytes("L", coarse, chance.randbytes(coarse[0] * coarse[1])).point([v // 16 for v in range(256)])
    grey = ImageChops.add(lit, grain.resize(ink.size, Image.Resampling.BICUBIC), 1, -8).filter(ImageFilter.GaussianBlur(1.2))
    shades = [grey.point([round(v * part) for v in range(256)]) for part in (1.0, 0.97, 0.9)]
    return Image.merge("RGB", shades)


def stroked(digit: int, *, side: int, pen: float, seed: int) -> Image.Image:
    """The strokes of `digit`, white on black in mode L, side x side; `pen` is their width as a part of `side`."""
    chance = random.Random(f"{digit} {seed}")
    large = 4 * side  # drawn large and reduced, so that edges are smooth
    image = Image.new("L", (large, large))
    draw = ImageDraw.Draw(image)
    radius = pen * large / 2
    for stroke in STROKES[digit].split(" / "):
        points = [[int(v) for v in point.split(",")] for point in stroke.split()]
        # The ends stay, so that strokes that meet go on meeting.
        shaky = [(x + chance.gauss(0, 0.8), y + chance.gauss(0, 0.8)) for x, y in points[1:-1]]
        for place in _along([tuple(points[0]), *shaky, tuple(points[-1])]):
            x, y = (large * (0.1 + 0.8 * v / 100) for v in place)
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return image.resize((side, side), Image.Resampling.BOX)


def _along(points: list[tuple[float, ...]]) -> Iterator[tuple[float, ...]]:
    """Close-set places on the Catmull-Rom curve through `points`."""
    points = [points[0], *points, points[-1]]
    for before, start, end, after in zip(points, points[1:], points[2:], points[3:], strict=False):
        n_steps = max(2, round(3 * math.dist(start, end)))
        for step in range(n_steps + 1):
            t = step / n_steps
            yield tuple(
                0.5 * (2 * q + (r - p) * t + (2 * p - 5 * q + 4 * r - s) * t**2 + (3 * q - p - 3 * r + s) * t**3)
                for p, q, r, s in zip(before, start, end, after, strict=True)
            )


if __name__ == "__main__":
    write_all(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
