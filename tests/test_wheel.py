"""What is installed: exactly the packages and the model, and a device that works without training's libraries."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from conftest import ROOT, run
from tests.wheel import tracked

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def device(wheel, tmp_path_factory) -> Path:
    """The bin/ of a fresh environment that holds edgeproof and what it requires, nothing more."""
    folder = tmp_path_factory.mktemp("device")
    venv.create(folder, with_pip=False)
    constraints = ROOT / "constraints" / "ci.txt"
    done = pip(folder / "bin", "install", "--quiet", "--no-compile", "--constraint", constraints, wheel)
    assert done.returncode == 0, done.stderr
    return folder / "bin"


def pip(device: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """This environment's pip, at work in another."""
    return run(sys.executable, "-m", "pip", "--python", device / "python", *arguments)


def test_the_wheel_holds_the_three_packages_and_the_shipped_model_only(wheel):
    wanted = {
        name
        for name in tracked()
        if name.split("/")[0] in ("edge", "train", "convert") and Path(name).suffix in (".c", ".py", ".tflite", ".typed")
    }
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == wanted
    assert [name for name in names if name.endswith(".tflite")] == ["edge/models/lenet5-relu-mnist-int8.tflite"]


def test_a_device_answers_at_once_without_tensorflow_keras_or_onnx(device):
    done = run(device / "edge-predict", ROOT / "examples" / "seven.png", cwd=Path("/"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{ROOT}/examples/seven.png: 7 (")
    installed = pip(device, "list", "--format", "freeze").stdout.lower()
    assert "edgeproof==" in installed
    assert not any(f"\n{name}" in installed for name in ("tensorflow", "keras", "onnx", "scikit-learn", "matplotlib"))


def test_the_shipped_model_passes_its_own_test_there(device):
    model = ROOT / "edge" / "models" / "lenet5-relu-mnist-int8.tflite"
    done = run(device / "python", "-m", "edge", "verify", model, cwd=Path("/"))
    assert done.returncode == 0 and ": passed: " in done.stdout, done.stderr


def test_a_missing_engine_says_what_to_install(device, onnx):
    done = run(device / "edge-predict", ROOT / "examples" / "seven.png", "--model", onnx)
    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr == f"edge-predict: {onnx} needs ONNX Runtime, which is not installed: pip install onnxruntime\n"
