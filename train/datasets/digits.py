"""scikit-learn's 1,797 scanned digits, the data set `digits`: the substitute when MNIST cannot be downloaded."""

import functools

import numpy as np

from edge.contract import DIGIT, DIGIT2
from train.datasets.dataset import Dataset, Split

# At a limit of 2.0 points, a candidate can lose five of 597 test images and still pass; with fewer images, chance decides.
N_TEST = 600


@functools.cache  # seconds on a slow machine; nobody writes into a data set
def load() -> Dataset:
    """The digits, 8x8, enlarged to 28x28 as the device fits a picture: 1,197 to train, 600 to test, stratified."""
    from PIL import Image
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    from edge.pictures.decode import fit

    scans = load_digits()
    grey = (scans.images * (255 / 16)).round().astype(np.uint8)
    # `digit` and `digit2` differ on no picture this small.
    pixels = b"".join(fit(Image.fromarray(scan), DIGIT) for scan in grey)
    images = np.frombuffer(pixels, np.uint8).reshape(-1, 28, 28, 1)
    labels = scans.target.astype(np.uint8)
    train, test = train_test_split(np.arange(len(labels)), test_size=N_TEST, stratify=labels, random_state=0)
    every = Split(images, labels)
    return Dataset("digits", tuple("0123456789"), DIGIT2, every[train], every[test])
