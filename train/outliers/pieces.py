"""Images made of genuine ones: tiles in a wrong order, halves that do not belong together, two laid over each other."""

import numpy as np

from train.datasets import Split


def images(genuine: Split, *, n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` images in turn tiled, joined and mixed, of pairs of images with different labels: uint8 [n, H, W, C]."""
    kinds = (_tiles, _joined, _mixed)
    made: list[np.ndarray] = []
    while len(made) < n:
        a, b = rng.integers(0, len(genuine), 2)
        if genuine.labels[a] != genuine.labels[b]:
            made.append(kinds[len(made) % len(kinds)](genuine.images[a], genuine.images[b], rng))
    return np.stack(made) if made else np.empty((0, *genuine.images.shape[1:]), np.uint8)


def _tiles(image, _other, rng):
    """The image cut into 3x3 or 4x4 tiles, in another order; what is left over at the edges stays."""
    made, side = image.copy(), int(rng.integers(3, 5))
    height, width = image.shape[0] // side, image.shape[1] // side
    order = rng.permutation(side * side)
    for to, start in enumerate(order):
        (y, x), (v, u) = divmod(to, side), divmod(int(start), side)
        made[y * height : (y + 1) * height, x * width : (x + 1) * width] = image[
            v * height : (v + 1) * height, u * width : (u + 1) * width
        ]
    return made


def _joined(image, other, rng):
    """The front of one image and the rest of the other, cut across or down, not in the middle of the other's shape."""
    axis = int(rng.integers(2))
    size = image.shape[axis]
    at = int(rng.integers(round(0.35 * size), round(0.65 * size) + 1))
    front, rest = [slice(None)] * 3, [slice(None)] * 3
    front[axis], rest[axis] = slice(0, at), slice(at, None)
    return np.concatenate([image[tuple(front)], other[tuple(rest)]], axis=axis)


def _mixed(image, other, rng):
    """A weighted mean of the two, or the brighter of both at each pixel."""
    if rng.random() < 0.4:
        return np.maximum(image, other)
    share = rng.uniform(0.35, 0.65)
    return (share * image + (1 - share) * other).astype(np.uint8)
