"""The installed wheel on an emulated aarch64 device: right answers, and int8 outputs equal to x86-64's to the last bit.

Which instructions the kernels use depends on the processor, so the comparison runs on the cores of three Raspberry Pis.
Nothing here is timed: emulated times mean nothing.
"""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from conftest import ROOT
from edge import artifact
from tests.arm.conftest import REPORT
from tests.arm.root import Device, build
from tests.debian import Unavailable
from tests.edge.on_device import SHIPPED, flip
from tests.edge.pictures import fitted
from tests.promises import asking
from train import datasets

pytestmark = [pytest.mark.arm, pytest.mark.slow]

PI_4 = "cortex-a72"
CORES = {"Pi 3": "cortex-a53", "Pi 4": PI_4, "Pi 5": "cortex-a76"}  # only the last has int8 dot products
# Each core with one engine here, with the other in `make check-full`.
PAIRS = [
    pytest.param(board, engine, marks=[] if (board == "Pi 4") == (engine == "litert-c") else pytest.mark.long)
    for board in CORES
    for engine in ("litert", "litert-c")
]
PROGRAM = Path(__file__).with_name("program.py")
EXAMPLES = dict(asking.examples())  # the class of each, by its path


@pytest.fixture(scope="module")
def device(wheel) -> Device:
    try:
        return build(ROOT / ".arm", wheel)
    except Unavailable as error:
        pytest.skip(f"no emulated Arm: {error}")


@pytest.fixture(scope="module")
def report(device, request) -> list[str]:
    """Lines of what ran where, for the end of the output and for reports/arm.txt."""
    lines = request.config.stash[REPORT]
    lines.append(f"emulated aarch64 ({device.emulator}, user mode): no real board, no times")
    return lines


@pytest.fixture(scope="module")
def artifacts(request) -> list[Path]:
    """What `make demo` made: in EDGEPROOF_ARTIFACTS, else in demo/, else made here by the same commands."""
    folder = Path(os.environ.get("EDGEPROOF_ARTIFACTS") or ROOT / "demo")
    found = sorted(path for path in folder.glob("*") if path.suffix in (".tflite", ".onnx"))
    if not found and "EDGEPROOF_ARTIFACTS" in os.environ:
        pytest.fail(f"EDGEPROOF_ARTIFACTS={folder}: no .tflite or .onnx in it")
    return found or [request.getfixturevalue("tflite"), request.getfixturevalue("onnx")]


@pytest.fixture(scope="module")
def pictures() -> tuple[str, datasets.Split]:
    """Every tenth test picture of MNIST where EDGEPROOF_DATA has it, else the test split of the digits."""
    if os.environ.get("EDGEPROOF_DATA"):
        return "MNIST", datasets.mnist.load().test[::10]
    return "digits", datasets.digits.load().test


@pytest.fixture(scope="module")
def answers(device, pictures, tmp_path_factory):
    """A function: the raw outputs of a model for all the pictures, and the account of what gave them; x86-64's kept."""
    folder = tmp_path_factory.mktemp("answers")
    (folder / "pictures").write_bytes(pictures[1].images.tobytes())
    kept: dict[tuple[str, str], tuple[bytes, dict]] = {}

    def ask(model: Path, engine: str, cpu: str | None) -> tuple[bytes, dict]:
        if cpu is None and (str(model), engine) in kept:
            return kept[str(model), engine]
        given = (PROGRAM, model, engine, folder / "pictures", folder / "answers")
        done = device.run(*given, cpu=cpu) if cpu else device.run_x86_64(*given)
        assert done.returncode == 0, f"exit {done.returncode}\n{done.stderr}"
        answer = ((folder / "answers").read_bytes(), json.loads(done.stdout))
        if cpu is None:
            kept[str(model), engine] = answer
        return answer

    return ask


def processor(account: dict) -> str:
    return f"{account['cpu_model']} ({' '.join(account['cpu_features'])})"


def assert_equal_to_the_last_bit(answers, report, pictures, *, model: Path, engine: str, cpu: str, board: str) -> None:
    """Every raw output of `model` on the emulated `cpu` equals x86-64's; both sides ran the same version."""
    contract = artifact.read(str(model)).contract
    assert contract.output_dtype == "int8"
    name, split = pictures
    here, x86_64 = answers(model, engine, None)
    there, arm = answers(model, engine, cpu)
    assert (x86_64["machine"], arm["machine"], arm["cpu_model"].lower()) == ("x86_64", "aarch64", cpu)
    assert x86_64["version"] == arm["version"] and x86_64["kernels"] == arm["kernels"] == "XNNPACK"
    expected, found = (np.frombuffer(raw, np.int8).reshape(len(split), contract.n_outputs).astype(int) for raw in (here, there))
    n_equal = int((expected == found).all(axis=1).sum())
    n_right = int((found.argmax(axis=1) == split.labels).sum())
    report.append(
        f"{model.stem}: {n_equal:,} of {len(split):,} {name} pictures bit-identical to x86-64, {n_right:,} right: {board}'s "
        f"{processor(arm)} against {processor(x86_64)}, {arm['engine']} {arm['version']}, {arm['kernels']} kernels on both"
    )
    assert n_equal == len(split), f"differ by up to {abs(expected - found).max()} steps"
    if f"-{name.lower()}-" in contract.name:  # the kind of pictures it was trained to read
        assert n_right > 0.9 * len(split)  # equal, and not equally broken


def test_the_console_script_answers_every_example_right(device, report):
    done = device.run(device.script, *EXAMPLES, "--verbose", cpu=PI_4)
    assert done.returncode == 0, done.stderr
    expected = [f"{path}: {digit} " for path, digit in EXAMPLES.items()]
    lines = done.stdout.splitlines()
    assert [line.split("(")[0] for line in lines] == expected
    said = done.stderr.strip().rpartition(": ")[2]
    assert said.startswith("litert-c ")
    report.append(f"edge-predict: {len(lines)} of {len(EXAMPLES)} examples right: {PI_4}, {said}")


def test_a_picture_gives_the_same_pixels_as_on_x86_64(device, report):
    done = device.run(fitted.__file__, cpu=PI_4)
    assert done.returncode == 0, done.stderr
    there, here = json.loads(done.stdout), fitted.digests()
    version = there.pop("Pillow")
    assert there == here
    report.append(f"pixels: {sum(map(len, here.values()))} made pictures fitted alike by Pillow {version}: {PI_4}")


def verify(device, report, model: Path) -> None:
    done = device.run("-m", "edge", "verify", model, cpu=PI_4)
    assert done.returncode == 0, done.stderr
    assert ": passed: " in done.stdout and "aarch64" in done.stdout
    report.append(f"verify {model.name}{done.stdout.removeprefix(str(model)).rstrip()}")


def test_the_shipped_model_passes_its_own_test_on_the_device(device, report):
    verify(device, report, device.folder / "aarch64" / "edge" / "models" / SHIPPED.name)


def test_what_make_demo_makes_passes_its_own_test_on_the_device(device, report, artifacts):
    for model in artifacts:
        verify(device, report, model)


def test_a_damaged_model_is_refused_on_the_device_as_elsewhere(device, tmp_path):
    damaged = Path(shutil.copy(SHIPPED, tmp_path))
    flip(damaged)
    done = device.run(device.script, asking.SEVEN, "--model", damaged, cpu=PI_4)
    assert (done.returncode, done.stdout) == (78, "")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("board", "engine"), PAIRS)
def test_int8_answers_equal_x86_64s_to_the_last_bit(answers, report, pictures, board, engine):
    assert_equal_to_the_last_bit(answers, report, pictures, model=SHIPPED, engine=engine, cpu=CORES[board], board=board)


@pytest.mark.long
def test_so_do_those_of_what_make_demo_makes(answers, report, pictures, artifacts):
    models = [path for path in artifacts if path.name.endswith("-int8.tflite")]
    models = [path for path in models if artifact.read(str(path)).contract.input.is_digit]
    if not models:
        pytest.skip(f"no int8 .tflite that reads digits among {', '.join(path.name for path in artifacts)}")
    for model in models:
        assert_equal_to_the_last_bit(answers, report, pictures, model=model, engine="litert", cpu=PI_4, board="Pi 4")


def test_a_machine_that_cannot_emulate_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(
        Unavailable, match="answers are compared with x86-64's, and this is Linux on riscv64; run on x86-64 Linux"
    ):
        build(tmp_path)
