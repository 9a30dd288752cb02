"""The batches of a run. Batch k is a pure function of the recipe and k, so that a run can resume at any step."""

import functools
from concurrent.futures import Future, ThreadPoolExecutor

import keras
import numpy as np

from train.datasets import Split
from train.distributed.training import ALONE, Rank
from train.recipes import Recipe

_AHEAD = 8  # batches
_PER_OUTLIER = 4  # images to one made outlier


class Batches(keras.utils.PyDataset):
    """Item k is step `first` + k of the whole run: float32 [B, H, W, C] pixels 0 to 255 and the labels [B].

    A thread augments the next few batches, in numpy, while the backend trains. Keras's own queue would not do: on JAX it
    loses the batch that the model is built with, so that the order varies from run to run.
    One of several processes gets the rows of its `rank`. To every four images one of `outliers`, uint8 [n, H, W, C], is added,
    with the label `n_classes`; None: none.
    """

    def __init__(
        self, split: Split, recipe: Recipe, *, first: int = 0, rank: Rank = ALONE, outliers: np.ndarray | None = None,
        n_classes: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.split, self.recipe, self.first, self.rank = split, recipe, first, rank
        self.outliers = outliers if outliers is None else Split(outliers, np.full(len(outliers), n_classes, np.uint8))
        self._maker = ThreadPoolExecutor(max_workers=1)
        self._coming: dict[int, Future[tuple[np.ndarray, np.ndarray]]] = {}

    def __len__(self) -> int:
        return self.recipe.n_steps(len(self.split)) - self.first

    def __getitem__(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        for later in range(k, max(k + 1, min(k + _AHEAD, len(self)))):
            if later not in self._coming:
                self._coming[later] = self._maker.submit(self._made, self.first + later)
        return self._coming.pop(k).result()

    def _made(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        which = self._drawn(step) if self.recipe.sampling == "replacement" else self._next(step)
        rng = np.random.default_rng([self.recipe.seed, 1, step])
        # The whole batch is augmented before it is shared out: together the processes see just what one alone would see.
        chosen = self.split[which]
        images, labels = self._my_part(chosen, rng)
        if self.outliers is not None:
            added = np.random.default_rng([self.recipe.seed, 3, step])
            drawn = self.outliers[added.integers(0, len(self.outliers), max(1, self.recipe.batch // _PER_OUTLIER))]
            more = self._my_part(drawn, added)
            images, labels = np.concatenate([images, more[0]]), np.concatenate([labels, more[1]])
        return images, labels

    def _my_part(self, chosen: Split, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        mine = self.rank.rows(len(chosen))
        return augment(chosen.images, self.recipe, rng)[mine], chosen.labels[mine]

    def _drawn(self, step: int) -> np.ndarray:
        return np.random.default_rng([self.recipe.seed, 2, step]).integers(0, len(self.split), self.recipe.batch)

    def _next(self, step: int) -> np.ndarray:
        first = step * self.recipe.batch
        return np.concatenate([self._shuffled(at, first + self.recipe.batch) for at in self._starts(first)])

    def _starts(self, first: int) -> list[int]:
        """The position at which this batch begins, and those at which further epochs begin within it."""
        n = len(self.split)
        boundary = (first // n + 1) * n
        return [first, *range(boundary, first + self.recipe.batch, n)]

    def _shuffled(self, start: int, stop: int) -> np.ndarray:
        """Image indices at positions `start` to `stop`, or to the epoch's end, in an endless series of shuffled epochs."""
        n = len(self.split)
        return _permutation(self.recipe.seed, start // n, n)[start % n : start % n + stop - start]


@functools.lru_cache(maxsize=2)  # a batch may span two epochs
def _permutation(seed: int, epoch: int, n: int) -> np.ndarray:
    return np.random.default_rng([seed, 0, epoch]).permutation(n)


def augment(images: np.ndarray, recipe: Recipe, rng: np.random.Generator) -> np.ndarray:
    """`images` (uint8 [B, H, W, C]) augmented by `recipe`: float32, within 0 to 255 but for brightness and contrast."""
    if recipe.turn or recipe.stretch:
        images = _warped(images, recipe, rng)
    elif recipe.shift:
        images = _shifted(images, recipe.shift, rng)
    if recipe.flip:
        mirrored = rng.random(len(images)) < recipe.flip
        images = np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
    images = images.astype(np.float32)
    if recipe.brightness:
        images += rng.uniform(-recipe.brightness, recipe.brightness, (len(images), 1, 1, 1)).astype(np.float32)
    if recipe.contrast:
        images = _contrasted(images, recipe, rng)
    if recipe.erase:
        _erase(images, recipe.erase, rng)
    return images


def _shifted(images: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    n, height, width, _ = images.shape
    padded = np.pad(images, ((0, 0), (most, most), (most, most), (0, 0)))
    top, left = rng.integers(0, 2 * most + 1, (2, n, 1, 1))
    rows = top + np.arange(height)[:, None]
    columns = left + np.arange(width)
    return padded[np.arange(n)[:, None, None], rows, columns]


def _warped(images: np.ndarray, recipe: Recipe, rng: np.random.Generator) -> np.ndarray:
    """One random affine map per image about its centre, sampled bilinearly; outside is black."""
    n, height, width, channels = images.shape
    angle = np.deg2rad(rng.uniform(-recipe.turn, recipe.turn, n))
    zoom_y, zoom_x = 1 / (1 + rng.uniform(-recipe.stretch, recipe.stretch, (2, n)))
    # The source of each result pixel: [N, 2, 3] times the grid's [3, H·W], y before x.
    maps = np.empty((n, 2, 3), np.float32)
    maps[:, 0, 0], maps[:, 0, 1] = zoom_y * np.cos(angle), -zoom_y * np.sin(angle)
    maps[:, 1, 0], maps[:, 1, 1] = zoom_x * np.sin(angle), zoom_x * np.cos(angle)
    maps[:, :, 2] = rng.uniform(-recipe.shift, recipe.shift, (n, 2)) + np.array([height - 1, width - 1]) / 2
    y, x = np.meshgrid(np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2, indexing="ij")
    grid = np.stack([y.ravel(), x.ravel(), np.ones(height * width)]).astype(np.float32)
    # A border of one black pixel, to which positions are clipped, replaces everything outside.
    places = np.clip(maps @ grid + 1, 0, np.float32([[height + 0.999], [width + 0.999]]))
    corner = places.astype(np.int32)
    down, right = np.moveaxis((places - corner)[..., None], 1, 0)
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0))).reshape(-1, channels).astype(np.float32)
    row = width + 2
    first = (np.arange(n, dtype=np.int32) * (height + 2))[:, None]
    at = (first + corner[:, 0]) * row + corner[:, 1]
    upper = padded[at] * (1 - right) + padded[at + 1] * right
    lower = padded[at + row] * (1 - right) + padded[at + row + 1] * right
    return (upper * (1 - down) + lower * down).reshape(images.shape)


def _contrasted(images: np.ndarray, recipe: Recipe, rng: np.random.Generator) -> np.ndarray:
    """Scales values about each channel's mean, which is taken where no shift can fill in black."""
    margin = slice(recipe.shift, -recipe.shift or None)
    means = images[:, margin, margin].mean(axis=(1, 2), keepdims=True)
    factor = rng.uniform(1 - recipe.contrast, 1 + recipe.contrast, (len(images), 1, 1, 1)).astype(np.float32)
    return (images - means) * factor + means


def _erase(images: np.ndarray, side: int, rng: np.random.Generator) -> None:
    """Cutout (DeVries, Taylor 2017): in place, a square about a random pixel gets the image's mean colour."""
    n, height, width, _ = images.shape
    down = np.arange(height) - rng.integers(0, height, (n, 1)) + side // 2
    across = np.arange(width) - rng.integers(0, width, (n, 1)) + side // 2
    rows, columns = (down >= 0) & (down < side), (across >= 0) & (across < side)
    means = images.mean(axis=(1, 2), keepdims=True)
    np.copyto(images, means, where=(rows[:, :, None] & columns[:, None, :])[..., None])
