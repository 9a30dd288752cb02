"""Score a network in bounded batches: the memory taken does not grow with the number of pictures."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras

BATCH = 500


def logits(model: "keras.Model", images: np.ndarray) -> np.ndarray:
    """Logits of `model` on uint8 [N, H, W, C] pictures: float32 [N, K], in their order."""
    parts = [model.predict_on_batch(images[start : start + BATCH].astype(np.float32)) for start in range(0, len(images), BATCH)]
    return np.concatenate(parts)


def top1(answers: np.ndarray, labels: np.ndarray) -> float:
    """Share of rows of `answers` ([N, K] logits) whose greatest value is at the label, from 0 to 1."""
    return float(np.mean(answers.argmax(axis=1) == labels))
