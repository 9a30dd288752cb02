"""Draw small images on one sheet, each with two lines under it."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

COLUMNS, MAX_IMAGES = 8, 64
_SIDE, _CAPTION, _GAP = 84, 26, 8
_PAPER, _INK = (255, 255, 255), (30, 30, 30)


def draw(entries: Sequence[tuple[np.ndarray, str, str]], *, columns: int = COLUMNS) -> bytes:
    """A PNG of the first MAX_IMAGES of `entries`: an image uint8 [H, W, C], and two lines such as `1247` and `4 > 9`."""
    shown = entries[:MAX_IMAGES]
    columns = min(columns, len(shown))
    rows = -(-len(shown) // columns)
    sheet = Image.new("RGB", (columns * (_SIDE + _GAP) + _GAP, rows * (_SIDE + _CAPTION + _GAP) + _GAP), _PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=11)
    for place, (image, *lines) in enumerate(shown):
        left = _GAP + place % columns * (_SIDE + _GAP)
        top = _GAP + place // columns * (_SIDE + _CAPTION + _GAP)
        sheet.paste(_enlarged(image), (left, top))
        for n, line in enumerate(lines):
            while font.getlength(line) > _SIDE + _GAP - 2:
                line = line[:-2] + "."
            pen.text((left, top + _SIDE + 1 + 11 * n), line, _INK, font)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _enlarged(image: np.ndarray) -> Image.Image:
    grey = image.shape[2] == 1
    return Image.fromarray(image[:, :, 0] if grey else image).convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.NEAREST)
