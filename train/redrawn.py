"""Genuine digits as they reach a network from pictures of them: drawn on a sheet and fitted as the device does.

A data set's images come straight from its files. A device redraws a photographed digit, which leaves other edges; what tells
pictures of no class must not take those for a sign of one.
"""

import numpy as np
from PIL import Image, ImageFilter

from edge.contract import InputContract
from edge.errors import InputError
from edge.pictures import decode

SCALES = (2.0, 4.0)  # of a digit on its sheet


def redrawn(images: np.ndarray, contract: InputContract, *, seed: int) -> np.ndarray:
    """`images`, uint8 [N, 28, 28, 1], light on dark, each in dark ink on a light sheet and fitted again: the same shape.

    Half of the sheets are even, half have uneven light and grain. Where the fit refuses a sheet, the image stays as it is.
    """
    rng = np.random.default_rng([seed, 11])
    made = images.copy()
    for number, image in enumerate(images):
        sheet = _sheet(image[:, :, 0], rng, photographed=bool(number % 2))
        try:
            made[number] = np.frombuffer(decode.fit(sheet, contract), np.uint8).reshape(image.shape)
        except InputError:
            continue
    return made


def _sheet(digit: np.ndarray, rng: np.random.Generator, *, photographed: bool) -> Image.Image:
    """`digit`, uint8 [28, 28], as mode L, somewhere on a sheet of twice its side."""
    scale = rng.uniform(*SCALES)
    side = round(scale * len(digit))
    resample = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)[rng.integers(3)]
    drawn = Image.fromarray(digit).resize((side, side), resample)
    drawn = drawn.filter(ImageFilter.GaussianBlur(scale * rng.uniform(0, 0.4)))
    cover = np.zeros((round(1.5 * side), 2 * side), np.float32)
    top, left = rng.integers(0, cover.shape[0] - side), rng.integers(0, cover.shape[1] - side)
    cover[top : top + side, left : left + side] = np.asarray(drawn, np.float32) / 255
    paper, ink = rng.uniform(170, 255), rng.uniform(0, 80)
    grey = paper + (ink - paper) * cover
    if photographed:
        y, x = np.mgrid[-1 : 1 : cover.shape[0] * 1j, -1 : 1 : cover.shape[1] * 1j]
        slope = rng.uniform(-0.25, 0.25, 2)
        grey = grey * (1 + slope[0] * y + slope[1] * x) / (1 + np.abs(slope).sum()) + rng.normal(
            0, rng.uniform(1, 6), cover.shape
        )
    return Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))
