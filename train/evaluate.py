"""Score a network in bounded batches, so that memory does not grow with the number of images, nor much with their size."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from train.datasets import mapped

if TYPE_CHECKING:
    import keras

BATCH = 500
_MAX_PIXELS = 24 * 224 * 224  # in a batch: 500 images of 224 pixels took a MobileNetV2 6.8 GB, 64 took 1.7


def logits(
    model: "keras.Model", images: np.ndarray, *, fed: Callable[[np.ndarray], np.ndarray] | None = None,
    paced: Callable[[float], None] | None = None,
) -> np.ndarray:  # fmt: skip
    """Logits of `model` on `images` (uint8 [N, H, W, C]): float32 [N, K], in their order.

    The network takes what `fed` makes of a batch, else the pixels as numbers. `paced` is told the seconds an image takes, as
    the second batch shows them: the first also compiles.
    """
    n = batch(*images.shape[1:3])
    answers = []
    for number, part in enumerate(mapped.batches(images, n=n)):
        start = time.perf_counter()
        answers.append(model.predict_on_batch(fed(part) if fed else part.astype(np.float32)))
        if number == 1 and paced:
            paced((time.perf_counter() - start) / len(part))
    return np.concatenate(answers)


def batch(height: int, width: int) -> int:
    """How many images of that size go through a network at once."""
    return max(1, min(BATCH, _MAX_PIXELS // (height * width)))


def top1(answers: np.ndarray, labels: np.ndarray) -> float:
    """Fraction of rows of `answers` (logits [N, K]) whose maximum is at the label, from 0 to 1."""
    return float(np.mean(answers.argmax(axis=1) == labels))
