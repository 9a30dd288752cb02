"""A trained network and the digits it learnt, for every test of the conversion."""

import shutil
from pathlib import Path

import pytest

from convert import evaluation, unknown
from convert.publishing import programs
from edge import artifact
from tests.edge.on_device import SHIPPED
from train import checkpoint, datasets
from train.checkpoint import Checkpoint
from train.datasets import Dataset


@pytest.fixture(scope="module", autouse=True)
def few_outliers():
    """Conversions whose units are fitted on a few hundred images, and that redraw few: seconds less each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "N_REDRAWN_HALF", 4)
        patch.setattr(unknown, "N_GENUINE", 300)
        patch.setattr(unknown, "N_OUTLIERS", 300)
        patch.setattr(unknown, "N_REDRAWN", 4)
        yield


@pytest.fixture(scope="session")
def trained(workshop) -> Checkpoint:
    return checkpoint.load(workshop / "runs" / "lenet5-relu-digits-modern")


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return datasets.digits.load()


@pytest.fixture(scope="session")
def c_program(tmp_path_factory) -> Path:
    """NAME.c of the shipped model, NAME.h and NAME.tflite beside it; tests only read them."""
    folder = tmp_path_factory.mktemp("c")
    source = Path(shutil.copy(SHIPPED, folder))
    made = programs.program(artifact.read(str(source)))
    source.with_suffix(".h").write_bytes(made.header)
    source.with_suffix(".c").write_bytes(made.source)
    return source.with_suffix(".c")
