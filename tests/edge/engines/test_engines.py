"""The same artifact on every engine: the same answers. tflite-runtime lives in an environment of its own."""

import subprocess
import sys
import venv

import numpy as np
import pytest

from conftest import ROOT, run
from edge import predictor
from edge.errors import EngineMissing
from train import datasets

RAW = """
import sys
from edge import predictor
ready = predictor.load(sys.argv[1], engine_name=sys.argv[2])
data, n = sys.stdin.buffer.read(), ready.contract.input.n_values
sys.stdout.buffer.write(b"".join(ready.engine.run(data[at : at + n]) for at in range(0, len(data), n)))
"""


@pytest.fixture(scope="module")
def pictures():
    return datasets.digits.load().test.images


@pytest.fixture(scope="module")
def tflite_runtime(tmp_path_factory):
    """The Python of an environment with tflite-runtime 2.14, numpy 1 and nothing else of ours."""
    folder = tmp_path_factory.mktemp("tflite-runtime")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    done = run(python, "-m", "pip", "install", "--quiet", "--requirement", ROOT / "constraints" / "tflite.txt")
    assert done.returncode == 0, done.stderr
    return python


def raw_outputs(python, model, engine: str, pictures) -> np.ndarray:
    """int8 [N, K] of `engine` in the environment of `python`."""
    done = subprocess.run(
        [python, "-c", RAW, model, engine], input=pictures.tobytes(), capture_output=True, check=True, cwd=ROOT
    )
    return np.frombuffer(done.stdout, np.int8).reshape(len(pictures), -1)


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="tflite-runtime 2.14 has no wheel for Python 3.12 and later")
def test_tflite_runtime_is_within_a_step_of_litert_with_the_same_classes(tflite_runtime, tflite, pictures):
    old = raw_outputs(tflite_runtime, tflite, "tflite-runtime", pictures).astype(int)
    new = raw_outputs(sys.executable, tflite, "litert", pictures).astype(int)
    logits, units = np.split(np.abs(old - new), [10], axis=1)
    assert logits.max() <= 1 and units.max() <= 2  # whose steps are finer
    assert np.mean(old[:, :10].argmax(axis=1) == new[:, :10].argmax(axis=1)) >= 0.999


def test_tflite_runtime_is_missed_by_name(tflite):
    with pytest.raises(EngineMissing, match="not installed: pip install tflite-runtime 'numpy<2'"):
        predictor.load(str(tflite), engine_name="tflite-runtime")
