"""Glyphs and strokes, drawn as a `digit` contract draws digits, or in colours on a ground for any other contract.

The glyphs are those of DejaVu, which matplotlib carries, without those that resemble a digit.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from edge.contract import InputContract
from edge.pictures.digit import BOX, SIDE

_SIDE, _POINTS = 64, 36  # pixels: of the sheet that is drawn on, and of a glyph's body
_PER_DRAWING = 2
# Of Latin, Greek and Cyrillic what does not resemble a digit in print or by hand; of other scripts and symbols whole blocks.
LETTERS = (
    "ACEFHKMNPRUVWXYÆŒÑÄÖÜŁÐÞ" "acdefhkmnprtuvwxyß" "ΓΔΛΞΠΣΦΨΩ" "αγηκλμνξπτυχψω" "ДЖИКЛМНПРТУФХЦШЩЪЫЮЯ" "джиклмнптфхцшщъыюя"
    "&@#%?!+=*$€£"
)  # fmt: skip
_BLOCKS = (  # Armenian, Hebrew, Arabic, Georgian, Canadian syllabics, arrows, mathematics, shapes, dingbats, Tifinagh
    (0x0531, 0x0557), (0x05D0, 0x05D5), (0x05D8, 0x05D9), (0x05DE, 0x05EB), (0x0628, 0x063B), (0x10D0, 0x10F1),
    (0x1401, 0x144B), (0x146B, 0x14A0), (0x2190, 0x2200), (0x2200, 0x2300), (0x25A0, 0x25CB), (0x2600, 0x2670),
    (0x2701, 0x2760), (0x2D30, 0x2D3F),
)  # fmt: skip
_FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSerif-Italic", "DejaVuSansMono", "DejaVuSans-Oblique")


def glyphs(contract: InputContract, *, n: int, rng: np.random.Generator, letters: float = 0.5) -> np.ndarray:
    """`n` glyphs, slanted, turned, thinned and thickened at random: uint8 [n, H, W, C]. A share of `letters` are LETTERS."""
    every = _every_glyph()

    def draw() -> Image.Image:
        if rng.random() < letters:
            font, glyph = _FONTS[rng.integers(len(_FONTS))], LETTERS[rng.integers(len(LETTERS))]
        else:
            font, glyph = _FONTS[0], every[rng.integers(len(every))]
        return glyph_on_sheet(glyph, _font(font), rng)

    return _drawn(draw, contract, n=n, rng=rng)


def strokes(contract: InputContract, *, n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` scribbles of two to six strokes: uint8 [n, H, W, C]."""

    def draw() -> Image.Image:
        sheet = Image.new("L", (_SIDE, _SIDE))
        pen, width = ImageDraw.Draw(sheet), int(rng.integers(2, 7))
        for _ in range(rng.integers(2, 7)):
            if rng.random() < 0.3:
                left, top, right, bottom = rng.integers(4, _SIDE - 4, 4)
                box = (min(left, right), min(top, bottom), max(left, right) + 2, max(top, bottom) + 2)
                pen.arc(tuple(map(int, box)), int(rng.integers(360)), int(rng.integers(360)), fill=255, width=width)
            else:
                points = rng.integers(4, _SIDE - 4, (rng.integers(2, 4), 2))
                pen.line([tuple(map(int, p)) for p in points], fill=255, width=width, joint="curve")
        return sheet

    return _drawn(draw, contract, n=n, rng=rng)


def glyph_on_sheet(glyph: str, font: ImageFont.FreeTypeFont, rng: np.random.Generator) -> Image.Image:
    """`glyph` white on black on a square sheet (mode L), under a random affine map."""
    sheet = Image.new("L", (_SIDE, _SIDE))
    ImageDraw.Draw(sheet).text(
        (_SIDE / 2, _SIDE / 2), glyph, fill=255, font=font, anchor="mm", stroke_width=int(rng.integers(0, 3)), stroke_fill=255
    )
    return _bent(sheet, rng)


def _bent(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """`image` (mode L) under a random affine map about its centre; outside is black."""
    angle, slant = np.deg2rad(rng.uniform(-12, 12)), rng.uniform(-0.25, 0.25)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = np.diag(rng.uniform(0.85, 1.15, 2)) @ turn @ np.array([[1, slant], [0, 1]])
    centre = np.array(image.size) / 2
    shift = centre - matrix @ centre
    affine = (*matrix[0], shift[0], *matrix[1], shift[1])
    return image.transform(image.size, Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR)


def coloured(sheet: Image.Image, contract: InputContract, rng: np.random.Generator) -> np.ndarray:
    """The white of `sheet` in one colour, its black in another, each with some shading: uint8 [H, W, C]."""
    size = (contract.width, contract.height)
    mask = np.asarray(sheet.resize(size, Image.Resampling.BILINEAR), np.float32)[:, :, None] / 255
    ink, ground = rng.uniform(0, 255, (2, contract.channels))
    while np.abs(ink - ground).max() < 60:
        ink, ground = rng.uniform(0, 255, (2, contract.channels))
    slope = rng.uniform(-40, 40, 2)
    shade = (
        slope[0] * np.linspace(-1, 1, contract.height)[:, None, None] + slope[1] * np.linspace(-1, 1, contract.width)[:, None]
    )
    grain = rng.normal(0, rng.uniform(0, 10), (contract.height, contract.width, contract.channels))
    image: np.ndarray = np.clip(mask * ink + (1 - mask) * (ground + shade) + grain, 0, 255).astype(np.uint8)
    return image


def as_image(sheet: Image.Image, contract: InputContract, rng: np.random.Generator) -> np.ndarray | None:
    """`sheet` as `contract` would see it: uint8 [H, W, C]; None where it holds no ink."""
    if not is_like_mnist(contract):
        return coloured(sheet, contract, rng)
    inked = sheet.getbbox()
    return None if inked is None else _placed(sheet.crop(inked))


def _placed(strokes: Image.Image) -> np.ndarray:
    """`strokes` (mode L, cropped to its ink) as MNIST places a digit: within 20x20, centred by mass: uint8 [28, 28, 1]."""
    scale = BOX / max(strokes.size)
    small = np.asarray(strokes.resize([max(1, round(n * scale)) for n in strokes.size], Image.Resampling.BICUBIC))
    small = (small * (255 / max(1, small.max()))).astype(np.uint8)
    image = np.zeros((SIDE, SIDE, 1), np.uint8)
    corner = []
    for axis, n in enumerate(small.shape):
        mass = small.sum(axis=1 - axis, dtype=np.int64)
        centre = (mass * np.arange(n)).sum() / max(1, mass.sum())
        corner.append(min(max(0, round(SIDE / 2 - centre)), SIDE - n))
    image[corner[0] : corner[0] + small.shape[0], corner[1] : corner[1] + small.shape[1], 0] = small
    return image


def _drawn(draw: Callable[[], Image.Image], contract: InputContract, *, n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` images of what `draw` draws: one in _PER_DRAWING is drawn, the others are variants, which cost far less."""
    drawings: list[np.ndarray] = []
    while len(drawings) * _PER_DRAWING < n:
        if (image := as_image(draw(), contract, rng)) is not None:
            drawings.append(image)
    if not drawings:
        return np.empty((0, contract.height, contract.width, contract.channels), np.uint8)
    images = np.tile(np.stack(drawings), (_PER_DRAWING, 1, 1, 1))[:n]
    for image in images[len(drawings) :]:
        if is_like_mnist(contract):
            image[:, :, 0] = _bent(Image.fromarray(image[:, :, 0]), rng)
        else:
            image[:] = image[:, :: rng.choice([1, -1]), rng.permutation(contract.channels)] ^ np.uint8(rng.choice([0, 255]))
    return images


def is_like_mnist(contract: InputContract) -> bool:
    """Whether its images are 28x28 in grey, so that outliers are placed as MNIST's digits are."""
    return (contract.height, contract.width, contract.channels) == (SIDE, SIDE, 1)


@cache
def _every_glyph() -> str:
    """The glyphs of the blocks that the font has: the missing ones are all drawn alike."""
    font = _font(_FONTS[0])
    without = (bytes(font.getmask(chr(0x10FFFF))), b"")
    every = (chr(code) for start, stop in _BLOCKS for code in range(start, stop))
    return "".join(glyph for glyph in every if bytes(font.getmask(glyph)) not in without)


@cache
def _font(name: str) -> ImageFont.FreeTypeFont:
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf")), _POINTS)
