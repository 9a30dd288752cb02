"""Pictures in colours that a test can tell apart: sky above, earth below."""

import numpy as np

from edge.contract import InputContract
from train.datasets import Split

COLOURS = InputContract(height=16, width=20, channels=3, fit="resize")


def landscapes(n: int, *, seed: int) -> Split:
    """Blue above, brown below a horizon anywhere, some clouds: uint8 [n, 16, 20, 3]."""
    rng = np.random.default_rng(seed)
    images = np.empty((n, 16, 20, 3), np.uint8)
    for image in images:
        horizon = rng.integers(4, 13)
        image[:horizon], image[horizon:] = rng.normal((90, 140, 220), 15), rng.normal((130, 90, 40), 15)
        image[1:3, 3 : rng.integers(5, 18)] = rng.integers(235, 256)
        image[-1, rng.integers(0, 20)] = rng.integers(0, 5)
    return Split(images, np.zeros(n, np.uint8))
