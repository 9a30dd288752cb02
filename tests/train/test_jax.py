"""The same commands on JAX: as good a network, one that converts, and one that a kill does not lose."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from conftest import ROOT, run
from tests.convert.command_line import convert
from tests.train import test_interruptions as interruptions
from tests.train.distributed import two_hosts
from train.architectures import ARCHITECTURES, architecture

pytestmark = pytest.mark.slow
RUN = interruptions.RUN


@pytest.fixture(scope="module", autouse=True)
def jax(tmp_path_factory):
    """What the helpers of the interruption tests start runs on JAX."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in two_hosts.environment(tmp_path_factory.mktemp("jax")).items():
            patch.setenv(name, value)
        yield


HERE = """
import sys
from pathlib import Path
import pytest
from tests.train import test_interruptions, test_jax

folder = Path(sys.argv[1])
done = test_interruptions.train_here(folder)
assert done.returncode == 0, done.stderr
test_jax.write_logits(folder / "jax.npz", test_jax.SAMPLE)
sys.exit(pytest.main(["-q", "-n0", "-p", "no:cacheprovider", *sys.argv[2:]]))
"""
# Every kind of layer is in one of them.
SAMPLE = ("keras-cnn", "lenet5-1998", "mnist-tiny", "cifar-lrn", "resnet8")
# On JAX a prediction gives away the memory of the weights it is fed, which must not be the average's.
ON_JAX_TOO = f"{ROOT}/tests/train/test_fit.py::test_validation_judges_the_average_the_model_ends_with"


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A folder in which one process on JAX has trained and written the logits of some networks, and what it said of a test."""
    folder = tmp_path_factory.mktemp("on-jax")
    done = run(sys.executable, "-c", HERE, folder, ON_JAX_TOO)
    assert (folder / "jax.npz").exists(), done.stdout + done.stderr
    return folder, done


@pytest.fixture(scope="module")
def on_jax(here):
    """The run folder of the same training, not interrupted, on JAX."""
    return here[0] / RUN


def figures(folder) -> dict:
    return json.loads((folder / "result.json").read_text())


def test_the_result_says_jax(on_jax):
    assert figures(on_jax)["versions"].keys() == {"python", "jax", "keras", "numpy"}


def test_jax_reaches_the_accuracy_of_tensorflow(on_jax, undisturbed):
    ours, theirs = figures(on_jax), figures(undisturbed)
    assert "tensorflow" in theirs["versions"]
    # Near 98 % the binomial error of one accuracy is 0.57 points on n = 600 pictures, of a difference 0.81; three of those.
    assert abs(ours["top1"] - theirs["top1"]) < 0.025
    assert min(ours["top1"], theirs["top1"]) > 0.95


def test_a_network_trained_on_jax_converts_and_passes_the_gate(on_jax, tmp_path):
    done = convert(tmp_path, tmp_path / "out", "--formats", "tflite", "--no-reject", "--checkpoint", on_jax)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "lenet5-relu-digits-int8.tflite").exists()


def write_logits(file: Path, networks: Iterable[str]) -> None:
    """Write the logits of each network for the same weights and images, by the backend of this process."""
    answers = {}
    for network in map(architecture, networks):
        model, rng, c = network.build(), np.random.default_rng(0), network.contract
        model.set_weights([np.abs(rng.normal(scale=0.05, size=w.shape)).astype(np.float32) for w in model.get_weights()])
        answers[network.name] = model.predict_on_batch(rng.integers(0, 256, (4, c.height, c.width, c.channels)).astype("f4"))
    np.savez(file, **answers)


def test_every_kind_of_layer_gives_the_same_logits_on_both_backends(here, tmp_path):
    write_logits(tmp_path / "tensorflow.npz", SAMPLE)
    same_logits(here[0] / "jax.npz", tmp_path / "tensorflow.npz", n=len(SAMPLE))


@pytest.mark.long
def test_every_network_gives_the_same_logits_on_both_backends(tmp_path):
    on_jax = "import sys; from tests.train import test_jax; test_jax.write_logits(sys.argv[1], test_jax.ARCHITECTURES)"
    assert run(sys.executable, "-c", on_jax, tmp_path / "jax.npz").returncode == 0
    write_logits(tmp_path / "tensorflow.npz", ARCHITECTURES)
    same_logits(tmp_path / "jax.npz", tmp_path / "tensorflow.npz", n=len(ARCHITECTURES))


def same_logits(one: Path, other: Path, *, n: int) -> None:
    """The logits of `n` networks in both files are equal."""
    with np.load(one) as on_jax, np.load(other) as on_tensorflow:
        assert len(on_jax.files) == n == len(on_tensorflow.files)
        for name, logits in on_tensorflow.items():
            # float32 sums of thousands of products in another order.
            np.testing.assert_allclose(on_jax[name], logits, rtol=1e-4, err_msg=name)
            assert np.ptp(logits) > 0, name


def test_validation_judges_the_average_and_training_goes_on_from_the_last_weights(here):
    _, done = here
    assert done.returncode == 0 and "1 passed" in done.stdout.splitlines()[-1], done.stdout + done.stderr
