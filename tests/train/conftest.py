"""What the tests of training share: a place for the files of a data set, and a run that nothing interrupted."""

from pathlib import Path

import pytest

from conftest import made_once


@pytest.fixture
def folder(tmp_path, nowhere_else) -> Path:
    """A folder yet to be made, and no other place to look in."""
    return tmp_path / "data"


@pytest.fixture(scope="session")
def undisturbed(session_folder) -> Path:
    """The run folder of the training that others interrupt, on TensorFlow."""
    from tests.train import test_interruptions as interruptions  # brings Keras

    def train(folder: Path) -> None:
        done = interruptions.train(folder, KERAS_BACKEND="tensorflow")
        assert done.returncode == 0, done.stderr

    return made_once(session_folder / "undisturbed", train) / interruptions.RUN
