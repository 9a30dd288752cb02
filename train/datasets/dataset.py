"""Images with labels, in the two splits that a data set publishes."""

import hashlib
from dataclasses import dataclass

import numpy as np

from edge.contract import InputContract
from train.datasets import mapped


@dataclass(frozen=True, eq=False)
class Split:
    """Images in a fixed order: images uint8 [N, H, W, C], labels uint8 [N], or uint16 where there are over 256 classes."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, which: slice | np.ndarray) -> "Split":
        return Split(self.images[which], self.labels[which])


@dataclass(frozen=True, eq=False)
class Dataset:
    """The training and test splits; a recipe sets how much of `train` is held out for validation."""

    name: str
    class_names: tuple[str, ...]
    contract: InputContract
    train: Split
    test: Split

    @property
    def digest(self) -> str:
        """SHA-256 over training images, training labels, test images and test labels, in hexadecimal."""
        sha = hashlib.sha256()
        for split in (self.train, self.test):
            for part in mapped.batches(split.images, n=64):
                sha.update(np.ascontiguousarray(part).data)
            sha.update(np.ascontiguousarray(split.labels).data)
        return sha.hexdigest()
