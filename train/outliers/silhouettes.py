"""Filled shapes, evenly lit or textured, half of them symmetrical: what things look like that are no line drawing."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from edge.contract import InputContract
from edge.pictures.digit import SIDE
from train.outliers import drawn

_SHEET, _LEAST = 56, 14  # pixels: of the sheet, and of a shape's sides, so that none is a stroke


def images(contract: InputContract, *, n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` silhouettes of one to four shapes: uint8 [n, H, W, C]. For a `digit` contract a third is placed as a digit is."""
    made: list[np.ndarray] = []
    while len(made) < n:
        sheet: Image.Image = _silhouette(rng)
        if like_mnist := drawn.is_like_mnist(contract):
            sheet = _textured(sheet, rng)
        as_it_is = like_mnist and rng.random() < 2 / 3
        image = np.asarray(sheet)[:, :, None] if as_it_is else drawn.as_image(sheet, contract, rng)
        if image is not None and np.ptp(image):
            made.append(image)
    return np.stack(made) if made else np.empty((0, contract.height, contract.width, contract.channels), np.uint8)


def _silhouette(rng: np.random.Generator) -> Image.Image:
    """White on black, mode L: rectangles, ellipses and polygons, some of them holes."""
    sheet = Image.new("L", (_SHEET, _SHEET))
    pen = ImageDraw.Draw(sheet)
    for number in range(rng.integers(1, 5)):
        fill = 0 if number and rng.random() < 0.2 else 255
        left, top = rng.integers(0, _SHEET - _LEAST, 2).tolist()
        right, bottom = int(rng.integers(left + _LEAST, _SHEET + 1)), int(rng.integers(top + _LEAST, _SHEET + 1))
        kind = rng.integers(3)
        if kind == 0:
            pen.rectangle((left, top, right, bottom), fill=fill)
        elif kind == 1:
            pen.ellipse((left, top, right, bottom), fill=fill)
        else:
            pen.polygon([tuple(point) for point in rng.integers(0, _SHEET, (rng.integers(3, 7), 2)).tolist()], fill=fill)
    if rng.random() < 0.5:
        half = np.asarray(sheet)
        sheet = Image.fromarray(np.maximum(half, half[:, ::-1]))
    return sheet.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.5)))


def _textured(sheet: Image.Image, rng: np.random.Generator) -> Image.Image:
    """`sheet` at a digit's side, its white of a brightness that varies over the shape."""
    cover = np.asarray(sheet.resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float32) / 255
    n = int(rng.integers(2, 15))
    cells = Image.fromarray(rng.integers(0, 256, (n, n), dtype=np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    low, high = sorted(rng.uniform(0.1, 1, 2))
    light = cover * (low + (high - low) * np.asarray(cells, np.float32) / 255)
    return Image.fromarray((light * (255 * rng.uniform(0.6, 1) / max(float(light.max()), 1e-3))).astype(np.uint8))
