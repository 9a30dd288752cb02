"""Models to install, and where they go."""

from pathlib import Path

import pytest

from tests.edge.on_device import resealed


@pytest.fixture
def model_files(tmp_path) -> dict[str, Path]:
    """Three good models, by name: the same network under three names."""
    return {name: resealed(tmp_path / f"{name}.tflite", name=name) for name in ("first", "second", "third")}


@pytest.fixture
def store(tmp_path) -> Path:
    """Where the models go, as $EDGEPROOF_STORE names it."""
    return tmp_path / "data" / "edgeproof"
