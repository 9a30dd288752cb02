"""Images of noise: each pixel on its own, or smooth; of every density and contrast."""

import numpy as np

from edge.contract import InputContract


def images(contract: InputContract, *, n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` images in turn uniform, black and white, smooth, and sparse specks: uint8 [n, H, W, C]."""
    kinds = (_uniform, _binary, _smooth, _specks)
    shape = (contract.height, contract.width, contract.channels)
    made = [kinds[i % len(kinds)](shape, rng) for i in range(n)]
    return np.stack(made) if made else np.empty((0, *shape), np.uint8)


def _uniform(shape, rng):
    low, high = sorted(rng.integers(0, 256, 2)) if rng.random() < 0.5 else (0, 255)
    return rng.integers(low, high + 1, shape).astype(np.uint8)


def _binary(shape, rng):
    grey = rng.random((*shape[:2], 1 if rng.random() < 0.5 else shape[2])) < rng.uniform(0.1, 0.9)
    return np.broadcast_to(np.where(grey, 255, 0), shape).astype(np.uint8)


def _smooth(shape, rng):
    """White noise under a box filter applied three times, stretched to the full range."""
    values = rng.random(shape)
    side = int(rng.integers(2, max(3, min(shape[:2]) // 3)))
    for axis in (0, 1):
        for _ in range(3):
            values = sum(np.roll(values, k, axis) for k in range(side))
    values -= values.min()
    return (values * (255 / max(values.max(), 1e-9))).astype(np.uint8)


def _specks(shape, rng):
    return np.where(rng.random(shape) < rng.uniform(0.02, 0.2), rng.integers(64, 256, shape), 0).astype(np.uint8)
