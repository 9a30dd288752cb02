"""The kinds of sheets with MNIST digits on them, each drawn from a seed."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from benchmarks.studies.sheets.paper import BOX, DrawnSheet

Digit = Callable[[], tuple[np.ndarray, int]]  # the next digit, uint8 [28, 28], light on dark, and its class


@dataclass(frozen=True)
class Kind:
    """A kind of sheet. Its `group` says what is on it: `clean`, a digit; `beside`, one and something else; `none`, not one."""

    name: str
    group: str
    draw: Callable[[DrawnSheet, Digit], int | None]


# Clean: one digit and nothing else, as `digit` reads them.


def _one(sheet: DrawnSheet, digit: Digit, *, low: float = 0.3, high: float = 0.65, tilt: float = 5) -> int:
    image, label = digit()
    height = sheet.short * sheet.rng.uniform(low, high)
    sheet.digit(image, height=height, centre=sheet.anywhere(height), tilt=sheet.rng.uniform(-tilt, tilt))
    return label


def plain(sheet: DrawnSheet, digit: Digit) -> int:
    return _one(sheet, digit)


def ruled(sheet: DrawnSheet, digit: Digit) -> int:
    _ruling(sheet, vertical=False)
    return _one(sheet, digit)


def grid(sheet: DrawnSheet, digit: Digit) -> int:
    _ruling(sheet, vertical=False)
    _ruling(sheet, vertical=True)
    return _one(sheet, digit)


def _ruling(sheet: DrawnSheet, *, vertical: bool) -> None:
    """Faint lines, as printed on paper, at most a third as strong as the pen."""
    step, pen = sheet.short * sheet.rng.uniform(0.08, 0.15), float(sheet.paper[0, 0]) - sheet.rng.uniform(15, 45)
    length = sheet.width if vertical else sheet.height
    for at in np.arange(step / 2, length, step):
        ends = ((at, -5), (at, sheet.height + 5)) if vertical else ((-5, at), (sheet.width + 5, at))
        sheet.line(*ends, width=1.2, pen=pen)


def red_ink(sheet: DrawnSheet, digit: Digit) -> int:
    sheet.tint = (sheet.rng.uniform(180, 220), sheet.rng.uniform(20, 60), sheet.rng.uniform(20, 60))
    return _one(sheet, digit)


def pencil(sheet: DrawnSheet, digit: Digit) -> int:
    """Grey, and not all of the paper's grain covered."""
    sheet.pen = float(sheet.rng.uniform(90, 140))
    label = _one(sheet, digit)
    _grain(sheet, 0.35)
    return label


def chalk(sheet: DrawnSheet, digit: Digit) -> int:
    sheet.inverted = True
    sheet.pen = float(sheet.rng.uniform(20, 60))
    label = _one(sheet, digit)
    _grain(sheet, 0.5)
    return label


def _grain(sheet: DrawnSheet, strength: float) -> None:
    missing = sheet.rng.random((sheet.height, sheet.width), np.float32) * strength * sheet.ink
    sheet.paper = sheet.paper + (sheet.paper.max() - sheet.paper) * missing


def tilted(sheet: DrawnSheet, digit: Digit) -> int:
    return _one(sheet, digit, tilt=30)


def broken(sheet: DrawnSheet, digit: Digit) -> int:
    """The pen was lifted: a straight gap of 4 to 7 % of the height through the digit."""
    image, label = digit()
    height = sheet.short * sheet.rng.uniform(0.35, 0.65)
    mask = sheet.mask(image, height=height, centre=(centre := sheet.anywhere(height)))
    angle, off = sheet.rng.uniform(0, np.pi), sheet.rng.uniform(-0.25, 0.25, 2) * height
    x, y = centre[0] + off[0], centre[1] + off[1]
    far = 2 * (sheet.width + sheet.height)
    ends = [(x + far * t * np.cos(angle), y + far * t * np.sin(angle)) for t in (-1, 1)]
    ImageDraw.Draw(mask).line(ends, fill=0, width=max(2, round(height * sheet.rng.uniform(0.04, 0.07))))
    sheet.cover(mask)
    return label


# Beside: one digit, and something that is none.


def margin(sheet: DrawnSheet, digit: Digit) -> int:
    """A line as dark as the pen or less from edge to edge, upright, a few degrees off at most."""
    at, off = sheet.width * sheet.rng.uniform(0.1, 0.25), sheet.height * sheet.rng.uniform(-0.05, 0.05)
    mirrored = sheet.rng.random() < 0.3
    ends = [(at - off, -5), (at + off, sheet.height + 5)]
    if mirrored:
        ends = [(sheet.width - x, y) for x, y in ends]
    sheet.line(*ends, width=sheet.rng.uniform(1.5, 5), pen=float(sheet.rng.uniform(20, 130)))
    image, label = digit()
    height = sheet.short * sheet.rng.uniform(0.3, 0.6)
    left, right = (0.0, 0.74) if mirrored else (0.26, 1.0)
    sheet.digit(image, height=height, centre=sheet.anywhere(height, left=left, right=right))
    return label


def rule_below(sheet: DrawnSheet, digit: Digit) -> int:
    """A dark rule from edge to edge, or nearly, above or below the digit."""
    image, label = digit()
    height = sheet.short * sheet.rng.uniform(0.3, 0.5)
    x, _ = sheet.anywhere(height)
    above = sheet.rng.random() < 0.4
    at = sheet.height * sheet.rng.uniform(0.12, 0.22)
    inset = sheet.rng.choice([-5, 0.04 * sheet.width])
    y = sheet.rng.uniform(at + 0.6 * height + 6, sheet.height - 0.6 * height)
    line, centre = (at, y) if above else (sheet.height - at, sheet.height - y)
    slope = sheet.rng.uniform(-0.03, 0.03) * sheet.height
    ends = ((inset, line - slope), (sheet.width - inset, line + slope))
    sheet.line(*ends, width=sheet.rng.uniform(1.5, 5), pen=float(sheet.rng.uniform(20, 110)))
    sheet.digit(image, height=height, centre=(x, centre))
    return label


def table_edge(sheet: DrawnSheet, digit: Digit) -> int:
    """The sheet ends inside the picture, and the table is darker: on one side or two."""
    image, label = digit()
    height = sheet.short * sheet.rng.uniform(0.3, 0.5)
    table = float(sheet.rng.uniform(40, 150))
    off = sheet.rng.uniform(0.05, 0.2)
    sheet.digit(image, height=height, centre=sheet.anywhere(height, left=0.1 + off))
    x, slope = off * sheet.width, sheet.rng.uniform(-0.06, 0.06) * sheet.width
    mask = Image.new("L", (sheet.width, sheet.height))
    draw = ImageDraw.Draw(mask)
    draw.polygon([(-1, -1), (x - slope, -1), (x + slope, sheet.height), (-1, sheet.height)], fill=255)
    if sheet.rng.random() < 0.3:
        draw.rectangle((0, -1, sheet.width, sheet.height * 0.03), fill=255)
    sheet.cover(mask, table)
    sheet.ink[:] = 0
    return label


def shadow_edge(sheet: DrawnSheet, digit: Digit) -> int:
    """A hard or soft shadow over a part of the sheet; the digit is wholly in it, or wholly out of it."""
    image, label = digit()
    height = sheet.short * sheet.rng.uniform(0.3, 0.5)
    at = sheet.rng.uniform(0.15, 0.85)
    left, right = (at, 1.0) if at < 0.5 else (0.0, at)
    sheet.digit(image, height=height, centre=sheet.anywhere(height, left=left + 0.03, right=right - 0.03))
    _shade(sheet, at * sheet.width, slope=sheet.rng.uniform(-0.03, 0.03) * sheet.width)
    return label


def _shade(sheet: DrawnSheet, x: float, *, slope: float) -> None:
    mask = Image.new("L", (sheet.width, sheet.height))
    side = -1 if sheet.rng.random() < 0.5 else sheet.width + 1
    ImageDraw.Draw(mask).polygon([(side, -1), (x - slope, -1), (x + slope, sheet.height), (side, sheet.height)], fill=255)
    mask = mask.filter(ImageFilter.GaussianBlur(sheet.rng.uniform(0.5, 6)))
    sheet.light = 1 - sheet.rng.uniform(0.2, 0.5) * np.asarray(mask, np.float32) / 255


def specks(sheet: DrawnSheet, digit: Digit) -> int:
    """One to three dots, each a sixtieth to a twentieth of the short side wide, away from the digit."""
    image, label = digit()
    height = sheet.short * sheet.rng.uniform(0.3, 0.55)
    x, y = sheet.anywhere(height)
    sheet.digit(image, height=height, centre=(x, y))
    for _ in range(int(sheet.rng.integers(1, 4))):
        _dot(sheet, away_from=(x, y), by=0.75 * height)
    return label


def _dot(sheet: DrawnSheet, *, away_from: tuple[float, float] | None = None, by: float = 0) -> None:
    radius = sheet.short * sheet.rng.uniform(1 / 120, 1 / 40)
    for _ in range(50):
        x, y = sheet.rng.uniform(0.03, 0.97) * sheet.width, sheet.rng.uniform(0.03, 0.97) * sheet.height
        if not away_from or np.hypot(x - away_from[0], y - away_from[1]) > by + radius:
            mask = Image.new("L", (sheet.width, sheet.height))
            ImageDraw.Draw(mask).ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
            sheet.cover(mask)
            return


# None: not one digit, so that there is no right answer.


def neighbours(sheet: DrawnSheet, digit: Digit, n: int = 2) -> None:
    """Digits of one height in a row, 8 to 60 % of it apart, a little up and down."""
    images = [digit()[0] for _ in range(n)]
    widths = [np.ptp(np.flatnonzero(image.max(axis=0) > 60)) / BOX for image in images]
    gaps = sheet.rng.uniform(0.08, 0.6, n - 1)
    most = 0.85 * sheet.width / (sum(widths) + gaps.sum())
    height = min(most, sheet.short * sheet.rng.uniform(0.25, 0.5))
    x = sheet.rng.uniform(0.05 * sheet.width, max(0.06 * sheet.width, 0.95 * sheet.width - height * (sum(widths) + gaps.sum())))
    y = sheet.rng.uniform(0.65 * height, sheet.height - 0.65 * height)
    for image, width, gap in zip(images, widths, [*gaps, 0], strict=True):
        columns = np.flatnonzero(image.max(axis=0) > 60)
        off = ((columns[0] + columns[-1]) / 2 - 13.5) / BOX * height  # of the ink's middle from the image's
        sheet.digit(
            image, height=height * sheet.rng.uniform(0.9, 1.1),
            centre=(x + width / 2 * height - off, y + sheet.rng.uniform(-0.06, 0.06) * height),
        )  # fmt: skip
        x += (width + gap) * height


def number(sheet: DrawnSheet, digit: Digit) -> None:
    neighbours(sheet, digit, int(sheet.rng.integers(3, 6)))


def column(sheet: DrawnSheet, digit: Digit) -> None:
    """Two digits, one below the other."""
    height = sheet.height * sheet.rng.uniform(0.25, 0.38)
    x = sheet.anywhere(height)[0]
    gap = height * sheet.rng.uniform(0.12, 0.4)
    for side in (-1, 1):
        centre = (x + sheet.rng.uniform(-0.1, 0.1) * height, sheet.height / 2 + side * (height + gap) / 2)
        sheet.digit(digit()[0], height=height, centre=centre)


def unlike(sheet: DrawnSheet, digit: Digit) -> None:
    """Two digits, one half to three quarters as large as the other, apart."""
    height = sheet.short * sheet.rng.uniform(0.4, 0.55)
    small = height * sheet.rng.uniform(0.5, 0.75)
    sheet.digit(digit()[0], height=height, centre=sheet.anywhere(height, right=0.55))
    sheet.digit(digit()[0], height=small, centre=sheet.anywhere(small, left=0.62))


def word(sheet: DrawnSheet, digit: Digit) -> None:
    """Two to six letters."""
    n = int(sheet.rng.integers(2, 7))
    letters = "".join(sheet.rng.choice(list("abcdefghkmnopqrstuvwxyzABDEFGHKLMNPQRT"), n))
    size = int(min(sheet.short * 0.5, 1.5 * sheet.width / n))
    mask = Image.new("L", (sheet.width, sheet.height))
    ImageDraw.Draw(mask).text(
        (sheet.width / 2, sheet.height / 2), letters, fill=255, font=ImageFont.load_default(size), anchor="mm"
    )
    sheet.cover(mask)


def line_alone(sheet: DrawnSheet, digit: Digit) -> None:
    """A margin, a rule or a fold from edge to edge, and no digit."""
    at, slope = sheet.rng.uniform(0.15, 0.85), sheet.rng.uniform(-0.1, 0.1)
    if sheet.rng.random() < 0.5:
        ends = (((at - slope) * sheet.width, -5.0), ((at + slope) * sheet.width, sheet.height + 5.0))
    else:
        ends = ((-5.0, (at - slope) * sheet.height), (sheet.width + 5.0, (at + slope) * sheet.height))
    sheet.line(*ends, width=sheet.rng.uniform(1.5, 8), pen=float(sheet.rng.uniform(20, 130)))


def edge_alone(sheet: DrawnSheet, digit: Digit) -> None:
    """A table's edge or a shadow's edge, and no digit."""
    x, slope = sheet.rng.uniform(0.1, 0.4) * sheet.width, sheet.rng.uniform(-0.06, 0.06) * sheet.width
    if sheet.rng.random() < 0.5:
        _shade(sheet, x, slope=slope)
        return
    mask = Image.new("L", (sheet.width, sheet.height))
    ImageDraw.Draw(mask).polygon([(-1, -1), (x - slope, -1), (x + slope, sheet.height), (-1, sheet.height)], fill=255)
    sheet.cover(mask, float(sheet.rng.uniform(40, 150)))


def specks_alone(sheet: DrawnSheet, digit: Digit) -> None:
    """One to four dots, and no digit."""
    for _ in range(int(sheet.rng.integers(1, 5))):
        _dot(sheet)


def _put(
    sheet: DrawnSheet, digit: Digit, *, low: float, high: float, room: float = 1
) -> tuple[np.ndarray, int, float, tuple[float, float]]:
    """A digit drawn somewhere, with `room` times its height around: its image, class, height and centre."""
    image, label = digit()
    height = sheet.short * sheet.rng.uniform(low, high)
    centre = sheet.anywhere(room * height)
    sheet.digit(image, height=height, centre=centre)
    return image, label, height, centre


def line_through(sheet: DrawnSheet, digit: Digit) -> int:
    """A digit that a dark line from edge to edge runs through or touches: refused, or read right."""
    _, label, height, (x, y) = _put(sheet, digit, low=0.35, high=0.6)
    at, width = sheet.rng.uniform(-0.45, 0.45) * height, sheet.rng.uniform(1.5, 4)
    if sheet.rng.random() < 0.5:
        sheet.line((x + at, -5), (x + at, sheet.height + 5), width=width)
    else:
        sheet.line((-5, y + at), (sheet.width + 5, y + at), width=width)
    return label


def underlined(sheet: DrawnSheet, digit: Digit) -> int:
    """A short stroke below the digit, apart from it."""
    image, label, height, (x, y) = _put(sheet, digit, low=0.3, high=0.45, room=1.4)
    lowest = np.nonzero(image > 60)[0].max() + 1 - 14
    half, at = height * sheet.rng.uniform(0.25, 0.5), y + height * (lowest / BOX + sheet.rng.uniform(0.14, 0.28))
    sheet.line((x - half, at), (x + half, at), width=height * sheet.rng.uniform(0.03, 0.08))
    return label


def boxed(sheet: DrawnSheet, digit: Digit) -> int:
    """In a form's box."""
    _, label, height, (x, y) = _put(sheet, digit, low=0.3, high=0.4, room=1.8)
    half, pen, width = height * sheet.rng.uniform(0.7, 0.95), float(sheet.rng.uniform(20, 130)), sheet.rng.uniform(1.5, 3.5)
    for a, b in zip(corners := [(-1, -1), (1, -1), (1, 1), (-1, 1)], [*corners[1:], corners[0]], strict=True):
        sheet.line((x + a[0] * half, y + a[1] * half), (x + b[0] * half, y + b[1] * half), width=width, pen=pen)
    return label


def exponent(sheet: DrawnSheet, digit: Digit) -> None:
    """A digit, and one less than half as high, beside it and up."""
    height = sheet.short * sheet.rng.uniform(0.35, 0.5)
    small = height * sheet.rng.uniform(0.38, 0.48)
    x, y = sheet.anywhere(1.4 * height)
    sheet.digit(digit()[0], height=height, centre=(x, y))
    sheet.digit(digit()[0], height=small, centre=(x + 0.6 * height + 0.5 * small, y - 0.5 * height))


def coin(sheet: DrawnSheet, digit: Digit) -> None:
    """A disc, and no digit."""
    size = sheet.short * sheet.rng.uniform(0.15, 0.5)
    (x, y), mask = sheet.anywhere(size), Image.new("L", (sheet.width, sheet.height))
    ImageDraw.Draw(mask).ellipse((x - size / 2, y - size / 2, x + size / 2, y + size / 2), fill=255)
    sheet.cover(mask, float(sheet.rng.uniform(20, 130)))


def cut_off(sheet: DrawnSheet, digit: Digit) -> int:
    """The picture ends 15 to 50 % into the digit: refused, or read right."""
    image, label = digit()
    height = sheet.short * sheet.rng.uniform(0.4, 0.65)
    ys, xs = np.nonzero(image > 60)
    wide, high = np.ptp(xs) / BOX * height, np.ptp(ys) / BOX * height
    off, (x, y) = sheet.rng.uniform(0.15, 0.5) - 0.5, sheet.anywhere(height)
    ends = (-off * wide, y), (sheet.width + off * wide, y), (x, -off * high), (x, sheet.height + off * high)
    x, y = ends[sheet.rng.integers(4)]
    sheet.digit(image, height=height, centre=(x, y))
    return label


# Later kinds come last: a kind's place in the list is part of its seed.
KINDS = (
    *(Kind(f.__name__.replace("_", " "), "clean", f) for f in (plain, ruled, grid, red_ink, pencil, chalk, tilted, broken)),
    *(Kind(f.__name__.replace("_", " "), "beside", f) for f in (margin, rule_below, table_edge, shadow_edge, specks)),
    *(
        Kind(f.__name__.replace("_", " "), "none", f)
        for f in (neighbours, number, column, unlike, word, line_alone, edge_alone, specks_alone, line_through)
    ),
    *(Kind(f.__name__, "beside", f) for f in (underlined, boxed)),
    *(Kind(f.__name__.replace("_", " "), "none", f) for f in (exponent, coin, cut_off)),
)


def draw(kind: Kind, number: int, digits: tuple[np.ndarray, np.ndarray], *, seed: int) -> tuple[Image.Image, int | None]:
    """Sheet `number` of `kind`, and its digit's class, or None; every second one is a photograph.

    `digits` are uint8 [N, 28, 28] and their classes.
    """
    rng = np.random.default_rng([seed, [each.name for each in KINDS].index(kind.name), number])

    def digit() -> tuple[np.ndarray, int]:
        which = int(rng.integers(len(digits[1])))
        return digits[0][which], int(digits[1][which])

    sheet = DrawnSheet(rng, photo=number % 2 == 1)
    label = kind.draw(sheet, digit)
    return sheet.picture(), label
