"""Choose the images that an artifact carries for the device's self-test."""

from pathlib import Path

import numpy as np

from edge.pictures import in_folder, read_pixels
from train.datasets import Dataset

MAX_BYTES = 2 << 20  # of the images that we choose: 13 of 224x224x3


def golden_images(dataset: Dataset, folder: Path | None) -> list[bytes]:
    """Pixels, uint8 [H, W, C]: of each picture in `folder` (InputMissing without any), else a test image of each class.

    Where those would take over MAX_BYTES, of as many classes as these hold, evenly spread over them.
    """
    if folder is None:
        _, first = np.unique(dataset.test.labels, return_index=True)
        n = min(len(first), max(1, MAX_BYTES // dataset.contract.n_values))
        return [dataset.test.images[index].tobytes() for index in first[np.arange(n) * len(first) // n]]
    return [read_pixels(path, dataset.contract) for path in in_folder(str(folder))[0]]
