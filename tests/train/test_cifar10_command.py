"""`python -m train.cifar10`, and what it trains, to an answer on the device."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import call, run
from train.datasets import cifar10


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder in CIFAR-10's layout: class k is a bright bar in the k-th tenth of a dim, noisy picture."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    (folder / "cifar-10-batches-bin").mkdir()
    for name in cifar10.BATCHES:
        n = 600 if name == "test_batch" else 200
        labels = np.arange(n) % 10
        images = rng.integers(0, 60, (n, 3, 32, 32), np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[:, :, 4 + label * 24 // 10 : 7 + label * 24 // 10] += 196
        rows = np.concatenate([labels[:, None].astype(np.uint8), images.reshape(n, -1)], axis=1)
        (folder / "cifar-10-batches-bin" / f"{name}.bin").write_bytes(rows.tobytes())
    return folder


def test_a_cifar_network_trains_converts_and_answers_about_a_picture_of_any_size(pictures, tmp_path):
    flags = ("--arch", "resnet8", "--epochs", "5", "--batch", "16", "--flip", "0", "--shift", "0", "--data-dir", str(pictures))
    done = call("train.cifar10", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.match(r"resnet8 on custom: top-1 (9\d|100)\.\d\d % \(n = 600\), 78,666 parameters", done.stdout)
    assert "not the published CIFAR-10" in done.stderr
    converted = call("convert", "--int8", "--data-dir", str(pictures), cwd=tmp_path)
    assert converted.returncode == 0, converted.stdout + converted.stderr
    image = np.full((48, 64, 3), 30, np.uint8)
    image[:, 2 * (4 + 7 * 24 // 10) : 2 * (7 + 7 * 24 // 10)] = 180
    Image.fromarray(image).save(tmp_path / "bar.png")
    for kind in ("tflite", "onnx"):
        model = f"artifacts/resnet8-custom-int8.{kind}"
        answer = run(Path(sys.executable).with_name("edge-predict"), "bar.png", "--model", model, "--json", cwd=tmp_path)
        assert answer.returncode == 0, answer.stderr
        assert json.loads(answer.stdout)["label"] == "horse"  # class 7


@pytest.mark.parametrize(
    ("flags", "code", "says"),
    [
        (("--data-dir", "."), 66, ".: no CIFAR-10 in it; name a folder"),
        (("--arch", "resnet8", "--recipe", "documented"), 2, "resnet8 has no documented recipe: no document gives one"),
        # Said before the data is looked for.
        (("--arch", "resnet8", "--dropout", "0.5", "--data-dir", "gone"), 2, "--dropout 0.5: resnet8 has a fixed dropout"),
    ],
)
def test_a_slip_is_one_line(flags, code, says, tmp_path):
    done = call("train.cifar10", *flags, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1)
    assert done.stderr.startswith(f"train.cifar10: {says}")


def test_the_list_names_every_network_with_its_parameters_and_figures(tmp_path):
    from train.architectures import ARCHITECTURES

    done = call("train", cwd=tmp_path)
    assert done.returncode == 0 and done.stderr == ""
    rows = done.stdout.splitlines()[1:-2]  # two lines say what the figures are
    assert [row.split()[0] for row in rows] == list(ARCHITECTURES)
    deep = next(row for row in rows if row.startswith("deep-mnist "))
    assert re.split(r"  +", deep)[1:5] == ["python -m train.mnist --arch deep-mnist", "3,274,634", "99.23", "99.24"]
