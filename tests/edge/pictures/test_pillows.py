"""The same picture gives the same pixels with every Pillow that pyproject.toml allows."""

import json
import sys

import pytest

from conftest import ROOT, run
from tests.edge.pictures import fitted
from tests.wheel import pip

# The oldest that pyproject.toml allows, one from before the order of resampling changed (12.3 has begun to), and the newest.
PILLOWS = ("10.3.0", *(pytest.param(version, marks=pytest.mark.long) for version in ("12.0.0", "13.0.0")))


@pytest.mark.slow
@pytest.mark.parametrize("version", PILLOWS)
def test_a_picture_gives_the_same_pixels_with_pillow(version, tmp_path):
    try:
        pip("install", "--no-deps", "--only-binary", ":all:", "--target", tmp_path, f"pillow=={version}")
    except RuntimeError as error:
        pytest.skip(f"Pillow {version} was not tried: {str(error).splitlines()[-1]}")
    there = run(sys.executable, "-m", "tests.edge.pictures.fitted", PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert there.returncode == 0, there.stderr
    assert json.loads(there.stdout) == {"Pillow": version, **fitted.digests()}
