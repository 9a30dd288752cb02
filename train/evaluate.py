"""Score a network in bounded batches, so that memory does not grow with the number of images."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras

BATCH = 500


def logits(model: "keras.Model", images: np.ndarray) -> np.ndarray:
    """Logits of `model` on `images` (uint8 [N, H, W, C]): float32 [N, K], in their order."""
    parts = [model.predict_on_batch(images[start : start + BATCH].astype(np.float32)) for start in range(0, len(images), BATCH)]
    return np.concatenate(parts)


def top1(answers: np.ndarray, labels: np.ndarray) -> float:
    """Fraction of rows of `answers` (logits [N, K]) whose maximum is at the label, from 0 to 1."""
    return float(np.mean(answers.argmax(axis=1) == labels))
