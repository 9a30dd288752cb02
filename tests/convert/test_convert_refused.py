"""What is not published: no file is left, the reason is one line, and the other networks get theirs."""

import dataclasses
import json

import numpy as np
import pytest

from conftest import call
from convert import __main__ as command
from convert import evaluation, inputs
from convert.calibration.images import CalibrationSet
from convert.interfaces import make_converter
from convert.judging import verify
from convert.plan import PRECISIONS
from tests.convert.command_line import convert
from train import checkpoint

PLAIN = ("--formats", "tflite", "--no-reject")  # the gate is one and the same


@pytest.fixture
def unexplained(monkeypatch):
    """Of a failure no layer is told: that takes a conversion each."""
    monkeypatch.setattr("convert.repair.diagnose.diagnose", lambda *_, **how: ())


def test_a_candidate_with_shuffled_weights_leaves_no_file(unexplained, monkeypatch, workshop, tmp_path):
    def from_shuffled_weights(kind, network, calibration):
        rng = np.random.default_rng(0)
        weights = dict(network.weights)
        (dense,) = (name for name in weights if name.endswith("dense1/kernel"))
        weights[dense] = rng.permutation(weights[dense])
        return make_converter(kind, dataclasses.replace(network, weights=weights), calibration)

    monkeypatch.setattr(command, "make_converter", from_shuffled_weights)
    done = convert(workshop, tmp_path, "--no-repair", *PLAIN)
    assert done.returncode == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lost", "report.json", "report.md"]
    assert done.stderr.count("failed, not published: top-1 fell ") == done.stdout.count("failed") == 1


def test_a_candidate_calibrated_on_noise_leaves_no_file(unexplained, monkeypatch, workshop, tmp_path):
    def noise(split, *, n, seed, apart_from, least) -> CalibrationSet:
        # Almost black, one white pixel: the input's range is right, every range behind it far too small.
        images = np.zeros((200, 28, 28, 1), np.uint8)
        images[np.arange(200), np.random.default_rng(seed).integers(0, 28, 200), 0] = 255
        return CalibrationSet(images, (), seed)

    monkeypatch.setattr(inputs, "draw_calibration_set", noise)
    done = convert(workshop, tmp_path, "--no-repair", *PLAIN)
    assert done.returncode == 1 and "not published: top-1 fell " in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lost", "report.json", "report.md"]


def test_an_undecided_candidate_leaves_no_file_and_says_how_many_images_are_enough(workshop, tmp_path):
    done = convert(workshop, tmp_path, "--max-drop-points", "0.5", *PLAIN)
    assert done.returncode == 1 and not list(tmp_path.glob("*.tflite"))
    assert "undecided, not published: " in done.stderr and "600 test images are too few to tell; about " in done.stderr


def test_a_network_that_diverged_is_refused_before_anything_is_written(monkeypatch, workshop, tmp_path):
    load = checkpoint.load

    def diverged(folder):
        saved = load(folder)
        return dataclasses.replace(saved, weights={name: value * np.float32(np.nan) for name, value in saved.weights.items()})

    monkeypatch.setattr(inputs.checkpoint, "load", diverged)
    done = convert(workshop, tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr.endswith("the float model's own answers are not numbers; train it again\n")
    assert not list(tmp_path.iterdir())


def damaged_run(folder) -> str:
    folder.mkdir(parents=True)
    (folder / "checkpoint.npz").write_bytes(b"PK")
    return str(folder)


def test_a_runs_trouble_leaves_the_others_theirs_and_stands_in_the_report(workshop, trained, tmp_path):
    good, out = str(workshop / "runs" / "lenet5-relu-digits-modern"), tmp_path / "out"
    dataclasses.replace(trained, data="custom", data_digest="0" * 64).save(tmp_path / "other")
    runs = (damaged_run(tmp_path / "bad"), tmp_path / "other", good)
    done = convert(workshop, out, *PLAIN, "--checkpoint", *runs)
    assert done.returncode == 65 and done.stderr.splitlines()[-1].startswith("convert: ")
    assert "lenet5-relu-digits  tflite  int8" in done.stdout and (out / "lenet5-relu-digits-int8.tflite").exists()
    lines = json.loads((out / "report.json").read_text())["not_converted"]
    assert "bad/checkpoint.npz: not a checkpoint" in lines[0] and len(lines) == 2
    for line in lines:
        assert line in done.stderr and f"\n- {line}\n" in (out / "report.md").read_text().partition("## Not converted")[2]


def test_where_no_network_is_converted_every_trouble_is_said_and_an_older_report_is_called_so(tmp_path):
    old = tmp_path / "out" / "report.md"
    old.parent.mkdir()
    old.write_text("# Of yesterday\n")
    runs = [damaged_run(tmp_path / "one"), str(tmp_path / "gone"), damaged_run(tmp_path / "two")]
    done = convert(tmp_path, tmp_path / "out", "--checkpoint", *runs)
    assert (done.returncode, done.stdout, old.read_text()) == (65, "", "# Of yesterday\n")
    assert [line.split(": ")[1:3] for line in done.stderr.splitlines()] == [
        [f"{tmp_path}/one/checkpoint.npz", "not a checkpoint (it does not begin like one)"],
        [f"{tmp_path}/gone/checkpoint.npz", "no such file; train first"],
        [f"{tmp_path}/two/checkpoint.npz", "not a checkpoint (it does not begin like one)"],
        [str(old), "of an earlier conversion"],
    ]


def test_a_model_that_answers_no_numbers_is_a_failure_even_with_all(monkeypatch, workshop, tmp_path):
    def predict_all(predictor, images, files=()):
        answers = verify.predict_all(predictor, images, files)
        spoilt = len(images) == 600 and precisions.pop(0) == "float16"  # the test split
        return dataclasses.replace(answers, logits=answers.logits * np.nan) if spoilt else answers

    precisions = ["float32", "float16"]
    monkeypatch.setattr(evaluation, "predict_all", predict_all)
    monkeypatch.setattr(command.flags, "PRECISIONS", {precision: PRECISIONS[precision] for precision in precisions})
    done = convert(workshop, tmp_path, *PLAIN, precision="--all")
    assert done.returncode == 1
    assert precisions == [] and (tmp_path / "lenet5-relu-digits-float32.tflite").exists()
    assert "lenet5-relu-digits-float16.tflite: failed, not published: its answers are not numbers\n" in done.stderr


def test_a_precision_that_is_named_alone_and_not_available_is_exit_1(workshop, tmp_path):
    assert convert(workshop, tmp_path, "--formats", "onnx", "--no-reject", precision="--int16x8").returncode == 1


def test_two_runs_of_one_name_are_not_published_over_each_other(workshop, tmp_path):
    folder = workshop / "runs" / "lenet5-relu-digits-modern"
    done = convert(workshop, tmp_path, "--checkpoint", folder, folder)
    assert done.returncode == 2
    assert "2 runs would be published as lenet5-relu-digits; name one with --checkpoint RUN" in done.stderr


@pytest.mark.parametrize(
    ("flags", "code", "says"),
    [
        ((), 2, "convert: name a precision: --int8, another of float32, float16, dynamic, int8, int16x8, int4, or --all"),
        (("--int8",), 66, "convert: runs: holds no trained network; train one first: python -m train.mnist\n"),
        (("--int8", "--reference", "a.csv"), 2, "convert: --reference is for a network of your own: name it with --model\n"),
        (("--int8", "--checkpoint", "gone"), 66, "convert: gone/checkpoint.npz: no such file; train first: "),
    ],
)
def test_a_slip_is_one_line(flags, code, says, tmp_path):
    done = call("convert", *flags, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1) and done.stderr.startswith(says)
