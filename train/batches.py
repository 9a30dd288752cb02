"""The batches of a run: batch k is a pure function of the recipe and k, so a run can be taken up at any step."""

import keras
import numpy as np

from train.datasets import Split
from train.recipes import Recipe


class Batches(keras.utils.PyDataset):
    """Item k is step k of the whole run: float32 [B, H, W, C] pixels 0 to 255 and uint8 [B] labels.

    Keras calls it from a thread of its own, so augmentation runs beside the training step.
    """

    def __init__(self, split: Split, recipe: Recipe) -> None:
        super().__init__(workers=1, max_queue_size=16)
        self.split, self.recipe = split, recipe
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def __len__(self) -> int:
        return self.recipe.n_steps(len(self.split))

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        first = step * self.recipe.batch
        which = np.concatenate([self._shuffled(at, first + self.recipe.batch) for at in self._starts(first)])
        images = self.split.images[which]
        rng = np.random.default_rng([self.recipe.seed, 1, step])
        return augment(images, self.recipe, rng), self.split.labels[which]

    def _starts(self, first: int) -> list[int]:
        """Where this batch begins, and where each further epoch begins within it."""
        n = len(self.split)
        boundary = (first // n + 1) * n
        return [first, *range(boundary, first + self.recipe.batch, n)]

    def _shuffled(self, start: int, stop: int) -> np.ndarray:
        """Positions `start` up to `stop` or the epoch's end, in an endless row of shuffled epochs."""
        n = len(self.split)
        if start // n != self._epoch:
            self._epoch = start // n
            self._order = np.random.default_rng([self.recipe.seed, 0, self._epoch]).permutation(n)
        return self._order[start % n : start % n + stop - start]


def augment(images: np.ndarray, recipe: Recipe, rng: np.random.Generator) -> np.ndarray:
    """`images` (uint8 [B, H, W, C]) moved, turned and stretched as the recipe says: float32, same shape, 0 to 255."""
    if recipe.turn or recipe.stretch:
        return _warped(images, recipe, rng)
    if recipe.shift:
        images = _shifted(images, recipe.shift, rng)
    return images.astype(np.float32)


def _shifted(images: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    n, height, width, _ = images.shape
    padded = np.pad(images, ((0, 0), (most, most), (most, most), (0, 0)))
    top, left = rng.integers(0, 2 * most + 1, (2, n, 1, 1))
    rows = top + np.arange(height)[:, None]
    columns = left + np.arange(width)
    return padded[np.arange(n)[:, None, None], rows, columns]


def _warped(images: np.ndarray, recipe: Recipe, rng: np.random.Generator) -> np.ndarray:
    """One affine map a picture about its centre, sampled bilinearly; outside is black."""
    n, height, width, _ = images.shape
    angle = np.deg2rad(rng.uniform(-recipe.turn, recipe.turn, (n, 1, 1)))
    zoom = 1 / (1 + rng.uniform(-recipe.stretch, recipe.stretch, (2, n, 1, 1)))
    shift = rng.uniform(-recipe.shift, recipe.shift, (2, n, 1, 1))
    y, x = np.meshgrid(np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2, indexing="ij")
    source_y = zoom[0] * (np.cos(angle) * y - np.sin(angle) * x) + shift[0] + (height - 1) / 2
    source_x = zoom[1] * (np.sin(angle) * y + np.cos(angle) * x) + shift[1] + (width - 1) / 2
    # One black pixel all round, and coordinates clipped to it, stand for everything outside.
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0))).astype(np.float32)
    source_y = np.clip(source_y + 1, 0, height + 0.999)
    source_x = np.clip(source_x + 1, 0, width + 0.999)
    top, left = source_y.astype(np.int64), source_x.astype(np.int64)
    down, right = (source_y - top)[..., None], (source_x - left)[..., None]
    which = np.arange(n)[:, None, None]
    upper = padded[which, top, left] * (1 - right) + padded[which, top, left + 1] * right
    lower = padded[which, top + 1, left] * (1 - right) + padded[which, top + 1, left + 1] * right
    return (upper * (1 - down) + lower * down).astype(np.float32)
