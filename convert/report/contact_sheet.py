"""Draw the images that a candidate lost on one sheet, each with its index in the test split and the two answers."""

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from convert.verify import LostImage
from train.datasets import Split

COLUMNS, MAX_IMAGES = 8, 64
_SIDE, _CAPTION, _GAP = 84, 26, 8
_PAPER, _INK = (255, 255, 255), (30, 30, 30)


def draw(lost: tuple[LostImage, ...], split: Split, class_names: tuple[str, ...]) -> bytes:
    """A PNG of the first MAX_IMAGES of `lost`, images of `split`, with captions like `1247` and `4 > 9`."""
    shown = lost[:MAX_IMAGES]
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    sheet = Image.new("RGB", (columns * (_SIDE + _GAP) + _GAP, rows * (_SIDE + _CAPTION + _GAP) + _GAP), _PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=11)
    for place, image in enumerate(shown):
        left = _GAP + place % columns * (_SIDE + _GAP)
        top = _GAP + place // columns * (_SIDE + _CAPTION + _GAP)
        sheet.paste(_enlarged(split.images[image.index]), (left, top))
        pen.text((left, top + _SIDE + 1), str(image.index), _INK, font)
        answers = f"{class_names[image.label]} > {class_names[image.answer]}"  # the font has no arrow
        while font.getlength(answers) > _SIDE + _GAP - 2:
            answers = answers[:-2] + "."
        pen.text((left, top + _SIDE + 12), answers, _INK, font)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _enlarged(image: np.ndarray) -> Image.Image:
    grey = image.shape[2] == 1
    return Image.fromarray(image[:, :, 0] if grey else image).convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.NEAREST)
