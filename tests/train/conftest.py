"""A place for the files of a data set."""

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path, nowhere_else) -> Path:
    """A folder yet to be made, and no other place to look in."""
    return tmp_path / "data"
