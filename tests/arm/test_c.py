"""Generated C on emulated Arm cores: the output tensors of x86-64's LiteRT, byte for byte, on every path of each core.

The other side is LiteRT on x86-64, which `test_arm.py` finds equal to LiteRT on the emulated core. A real Arm core's LiteRT may
choose kernels that round otherwise; the C program would not follow it.
"""

import contextlib
import os
from pathlib import Path

import numpy as np
import pytest

from conftest import ROOT
from convert.publishing import programs
from convert.to_c import identity, parts
from edge import artifact, predictor
from edge.contract import CIFAR, DIGIT
from edge.errors import InputMissing
from tests.arm import cross
from tests.arm.conftest import REPORT
from tests.debian import Unavailable
from tests.edge.on_device import SHIPPED
from train import datasets

pytestmark = [pytest.mark.arm, pytest.mark.slow]

CORES = {"cortex-a53": "aarch64", "cortex-a72": "aarch64", "cortex-a76": "aarch64", "cortex-a7": "armv7"}
PATHS = {"cortex-a76": {"neondot", "neon", "plain"}, "cortex-a7": {"plain"}}  # the others: neon and plain
NETWORKS = ("lenet5-relu", "mnist-tiny", "resnet8", "deep-mnist")


@pytest.fixture(scope="module")
def tools() -> cross.Cross:
    try:
        return cross.unpack(ROOT / ".arm" / "cross")
    except Unavailable as error:
        pytest.skip(f"no cross compilers: {error}")


def images(contract, n: int) -> tuple[str, np.ndarray]:
    """Test images of the network's data set where EDGEPROOF_DATA has it, else made ones; what they are."""
    of = {DIGIT: datasets.mnist, CIFAR: datasets.cifar10}.get(contract)
    if os.environ.get("EDGEPROOF_DATA") and of:
        with contextlib.suppress(InputMissing):
            return f"{of.__name__.rpartition('.')[2]} test", of.load().test.images[:n]
    return "made", np.concatenate([identity.made_images(contract)] * (n // 60 + 1))[:n]


def agree(tools: cross.Cross, source: Path, core: str, report: list[str], folder: Path, *, n: int) -> None:
    """Every output tensor for `n` images on the emulated `core` is x86-64's."""
    model, machine = artifact.read(str(source)), CORES[core]
    made, name = programs.program(model), model.contract.name
    (folder / f"{name}.c").write_bytes(made.source)
    (folder / f"{name}.h").write_bytes(made.header)
    (folder / "compare.c").write_text(parts.part("compare.c", model.contract, made.symbol))
    tools.build(machine, [folder / "compare.c", folder / f"{name}.c"], folder / "compare")
    what, given = images(model.contract.input, n)
    (folder / "images").write_bytes(given.tobytes())
    ready = predictor.from_artifact(model, engine_name="litert")
    expected = b"".join(ready.engine.run(image.tobytes()) for image in given)
    ran = set()
    for path in made.paths:
        done = tools.run(machine, core, folder / "compare", path, folder / "images", folder / "answers")
        if done.returncode != 3:
            assert done.returncode == 0, done.stderr
            assert (folder / "answers").read_bytes() == expected, f"{name} on {core}, path {path}"
            ran.add(path)
    assert ran == PATHS.get(core, {"neon", "plain"})
    report.append(
        f"{name}.c: {n} of {n} {what} images byte for byte as {ready.engine.name} {ready.engine.version} on x86-64: {core}, "
        f"{', '.join(sorted(ran))}, {tools.compiler}, QEMU user mode"
    )


def trained_as(path: Path) -> object:
    return artifact.read(str(path)).manifest()["provenance"]["network"]


@pytest.mark.parametrize("core", ["cortex-a53", "cortex-a76", "cortex-a7"])
def test_the_shipped_network_as_c_answers_as_on_x86_64(tools, request, tmp_path, core):
    agree(tools, SHIPPED, core, request.config.stash[REPORT], tmp_path, n=60)


@pytest.mark.long
@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("network", NETWORKS)
def test_four_networks_as_c_answer_as_on_x86_64(tools, request, tmp_path, network, core):
    """Their int8 .tflite files lie in EDGEPROOF_ARTIFACTS, else in artifacts/, where `make matrix` puts them."""
    folder = Path(os.environ.get("EDGEPROOF_ARTIFACTS") or ROOT / "artifacts")
    found = [path for path in sorted(folder.rglob(f"{network}-*-int8.tflite")) if trained_as(path) == network]
    if not found:
        pytest.skip(f"{folder}: no int8 .tflite of {network}")
    agree(tools, found[0], core, request.config.stash[REPORT], tmp_path, n=300)
