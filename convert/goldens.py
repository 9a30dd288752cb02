"""Choose the images that an artifact carries for the device's self-test."""

from pathlib import Path

import numpy as np

from edge.pictures import in_folder, read_pixels
from train.datasets import Dataset


def golden_images(dataset: Dataset, folder: Path | None) -> list[bytes]:
    """Pixels, uint8 [H, W, C]: of each picture in `folder` (InputMissing without any), else a test image of each class."""
    if folder is None:
        _, first = np.unique(dataset.test.labels, return_index=True)
        return [dataset.test.images[index].tobytes() for index in first]
    return [read_pixels(path, dataset.contract) for path in in_folder(str(folder))[0]]
