"""Picture folders to load as a data set."""

import numpy as np
import pytest
from PIL import Image

from edge.contract import InputContract
from edge.errors import InputError
from train.datasets import folder

COLOUR = InputContract(height=16, width=20, channels=3, fit="resize")


def fill(path, n, *, seed, size=(24, 18)):
    """`n` pictures in the folder `path`, no two alike."""
    path.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for index in range(n):
        noise = rng.integers(0, 256, (size[1], size[0], 3), np.uint8)
        Image.fromarray(noise).save(path / f"{index:02}.png")
    return path


def refusal(path, contract=COLOUR, kind=InputError) -> str:
    with pytest.raises(kind) as raised:
        folder.load(path, contract)
    message = str(raised.value)
    assert "\n" not in message
    return message


@pytest.fixture
def pets(tmp_path):
    """Twenty dogs and ten cats, not split."""
    fill(tmp_path / "My Pets" / "dog", 20, seed=1)
    fill(tmp_path / "My Pets" / "cat", 10, seed=2)
    return tmp_path / "My Pets"


@pytest.fixture
def halves(tmp_path):
    """Eight and four of each, split by hand."""
    for seed, part in enumerate(("train/cat", "train/dog", "test/cat", "test/dog")):
        fill(tmp_path / "halves" / part, 8 if "train" in part else 4, seed=seed)
    return tmp_path / "halves"
