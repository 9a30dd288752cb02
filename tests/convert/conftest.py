"""A trained network and the digits it learnt, for every test of the conversion."""

import pytest

from train import checkpoint, datasets
from train.checkpoint import Checkpoint
from train.datasets import Dataset


@pytest.fixture(scope="session")
def trained(workshop) -> Checkpoint:
    return checkpoint.load(workshop / "runs" / "lenet5-relu-digits-modern")


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return datasets.digits.load()
