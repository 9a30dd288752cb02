"""Draw the images that set the int8 ranges.

Only training images are used: the test split decides the gate, so it may not tune the model.
"""

from dataclasses import dataclass

import numpy as np

from edge.errors import InputError
from train.datasets import Split

N_IMAGES = 512


@dataclass(frozen=True, eq=False)
class CalibrationSet:
    """Training images uint8 [n, H, W, C], where in the training split each stood, and the seed that drew them."""

    images: np.ndarray
    indices: tuple[int, ...]
    seed: int


def draw_calibration_set(split: Split, *, n: int = N_IMAGES, seed: int = 0) -> CalibrationSet:
    """`n` images of the training split `split`, drawn without replacement; all of them where it holds fewer.

    Raises InputError where no image reaches 0 or none reaches 255: their range becomes the model's input range, and
    the device feeds pixels from 0 to 255.
    """
    chosen = np.sort(np.random.default_rng(seed).permutation(len(split))[:n])
    images = split.images[chosen]
    darkest, brightest = int(images.min()), int(images.max())
    if (darkest, brightest) != (0, 255):
        raise InputError(
            f"calibration: the {len(images)} images drawn hold values from {darkest} to {brightest}; "
            "wanted at least one 0 and one 255, or brighter pixels would be clipped on the device"
        )
    return CalibrationSet(images, tuple(int(index) for index in chosen), seed)
