"""Genuine digits as they reach a network from pictures of them: drawn on a sheet and fitted as the device does.

A data set's images come straight from its files. A device redraws a photographed digit, which leaves other edges; what tells
pictures of no class must not take those for a sign of one.
"""

import numpy as np
from PIL import Image, ImageFilter

from edge.contract import InputContract
from edge.errors import InputError
from edge.pictures import decode
from edge.pictures.digit import SIDE

SCALES = (2.0, 4.0)  # of a digit on its sheet
TILT = 30.0  # degrees
_PENS, _COARSE = 0.15, 0.25  # the share drawn with a thicker pen, as many with a thinner; the share of coarse ones
_COARSE_SIDES, _FINE_SIDE = (10, 19), 84  # pixels


def redrawn(images: np.ndarray, contract: InputContract, *, seed: int, varied: bool = False) -> np.ndarray:
    """`images`, uint8 [N, 28, 28, 1], light on dark, each in dark ink on a light sheet and fitted again: the same shape.

    Half of the sheets are even, half have uneven light and grain. Where the fit refuses a sheet, the image stays as it is.
    With `varied` each lies turned by up to TILT degrees, and some have another pen or are coarse: other hands, other scanners.
    """
    rng = np.random.default_rng([seed, 11])
    made = images.copy()
    for number, image in enumerate(images):
        digit = Image.fromarray(image[:, :, 0])
        sheet = _sheet(_varied(digit, rng) if varied else digit, rng, photographed=bool(number % 2))
        try:
            made[number] = np.frombuffer(decode.fit(sheet, contract), np.uint8).reshape(image.shape)
        except InputError:
            continue
    return made


def _varied(digit: Image.Image, rng: np.random.Generator) -> Image.Image:
    """`digit` turned, some with another pen or coarse, _FINE_SIDE pixels a side."""
    if rng.random() < _COARSE:
        digit = digit.resize((int(rng.integers(*_COARSE_SIDES)),) * 2, Image.Resampling.BOX)
    fine = digit.resize((_FINE_SIDE, _FINE_SIDE), Image.Resampling.BICUBIC)
    fine = fine.rotate(rng.uniform(-TILT, TILT), Image.Resampling.BICUBIC)
    pen = rng.random()
    if pen < _PENS:
        return fine.filter(ImageFilter.MaxFilter(3))
    return fine.filter(ImageFilter.MinFilter(3)) if pen < 2 * _PENS else fine


def _sheet(digit: Image.Image, rng: np.random.Generator, *, photographed: bool) -> Image.Image:
    """`digit`, mode L, somewhere on a sheet of twice its side."""
    scale = rng.uniform(*SCALES)
    side = round(scale * SIDE)
    resample = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)[rng.integers(3)]
    drawn = digit.resize((side, side), resample)
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
