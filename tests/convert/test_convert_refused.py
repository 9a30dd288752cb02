"""What is not published: no file is left, the reason is one line, and the other networks get theirs."""

import dataclasses
import json
import sys

import numpy as np
import pytest

from conftest import call
from convert import __main__ as command
from convert import evaluation, verify
from convert.calibration.images import CalibrationSet
from convert.interfaces import make_converter
from convert.plan import PRECISIONS
from tests.convert.command_line import convert_main
from train import checkpoint


def test_a_candidate_with_shuffled_weights_leaves_no_file(monkeypatch, workshop, tmp_path, capsys):
    def from_shuffled_weights(kind, saved, calibration):
        rng = np.random.default_rng(0)
        weights = dict(saved.weights)
        (dense,) = (name for name in weights if name.endswith("dense1/kernel"))
        weights[dense] = rng.permutation(weights[dense])
        return make_converter(kind, dataclasses.replace(saved, weights=weights), calibration)

    monkeypatch.setattr(command, "make_converter", from_shuffled_weights)
    assert convert_main(monkeypatch, workshop, tmp_path, "--no-repair") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lost", "report.json", "report.md"]
    said = capsys.readouterr()
    assert said.err.count("failed, not published: top-1 fell ") == 2
    assert said.out.count("failed") == 2


def test_a_candidate_calibrated_on_noise_leaves_no_file(monkeypatch, workshop, tmp_path, capsys):
    def noise(split, *, n, seed, apart_from) -> CalibrationSet:
        # Almost black, one white pixel: the input's range is right, every range behind it far too small.
        images = np.zeros((200, 28, 28, 1), np.uint8)
        images[np.arange(200), np.random.default_rng(seed).integers(0, 28, 200), 0] = 255
        return CalibrationSet(images, (), seed)

    monkeypatch.setattr(command, "draw_calibration_set", noise)
    assert convert_main(monkeypatch, workshop, tmp_path, "--formats", "tflite", "--no-repair") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lost", "report.json", "report.md"]
    assert "not published: top-1 fell " in capsys.readouterr().err


def test_an_undecided_candidate_leaves_no_file_and_says_how_many_images_are_enough(monkeypatch, workshop, tmp_path, capsys):
    assert convert_main(monkeypatch, workshop, tmp_path, "--formats", "tflite", "--max-drop-points", "0.5") == 1
    assert not list(tmp_path.glob("*.tflite"))
    said = capsys.readouterr().err
    assert "undecided, not published: " in said and "600 images are too few to tell; about " in said


def test_a_network_that_diverged_is_refused_before_anything_is_written(monkeypatch, workshop, tmp_path, capsys):
    load = checkpoint.load

    def diverged(folder):
        saved = load(folder)
        return dataclasses.replace(saved, weights={name: value * np.float32(np.nan) for name, value in saved.weights.items()})

    monkeypatch.setattr(command.checkpoint, "load", diverged)
    monkeypatch.setattr(sys, "argv", ["convert", "--int8", "--checkpoint", str(workshop / "runs/lenet5-relu-digits-modern")])
    monkeypatch.chdir(tmp_path)
    assert command.main() == 1
    assert capsys.readouterr().err.endswith("the float model's own answers are not numbers; train it again\n")
    assert not list(tmp_path.iterdir())


def test_one_networks_trouble_leaves_the_others_their_report(monkeypatch, workshop, trained, tmp_path, capsys):
    def other(saved) -> checkpoint.Checkpoint:
        return dataclasses.replace(saved, data="custom", data_digest="0" * 64)

    good = workshop / "runs" / "lenet5-relu-digits-modern"
    other(trained).save(tmp_path / "other")
    monkeypatch.setattr(sys, "argv", ["convert", "--int8", "--formats", "tflite", "--out", str(tmp_path / "out"),
                                      "--checkpoint", str(tmp_path / "other"), str(good)])  # fmt: skip
    assert command.main() not in (0, 1)
    said = capsys.readouterr()
    assert "lenet5-relu-digits  tflite  int8" in said.out and said.err.rstrip().splitlines()[-1].startswith("convert: ")
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"lenet5-relu-digits-int8.tflite", "report.json"}


def damaged_run(folder) -> str:
    folder.mkdir(parents=True)
    (folder / "checkpoint.npz").write_bytes(b"PK")
    return str(folder)


def test_a_damaged_run_leaves_the_others_theirs_and_stands_in_the_report(monkeypatch, workshop, tmp_path, capsys):
    good, out = str(workshop / "runs" / "lenet5-relu-digits-modern"), tmp_path / "out"
    flags = ["--int8", "--formats", "tflite", "--checkpoint", damaged_run(tmp_path / "bad"), good, "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["convert", *flags])
    assert command.main() == 65
    said = capsys.readouterr()
    assert "lenet5-relu-digits  tflite  int8" in said.out and "bad/checkpoint.npz: not a checkpoint" in said.err
    assert (out / "lenet5-relu-digits-int8.tflite").exists()
    (line,) = json.loads((out / "report.json").read_text())["not_converted"]
    assert "bad/checkpoint.npz: not a checkpoint" in line
    assert f"## Not converted\n\n- {line}\n" in (out / "report.md").read_text()


def test_where_no_network_is_converted_every_trouble_is_said_and_an_older_report_is_called_so(monkeypatch, tmp_path, capsys):
    old = tmp_path / "out" / "report.md"
    old.parent.mkdir()
    old.write_text("# Of yesterday\n")
    runs = [damaged_run(tmp_path / "one"), str(tmp_path / "gone"), damaged_run(tmp_path / "two")]
    monkeypatch.setattr(sys, "argv", ["convert", "--int8", "--checkpoint", *runs, "--out", str(tmp_path / "out")])
    assert command.main() == 65
    said = capsys.readouterr()
    assert said.out == "" and old.read_text() == "# Of yesterday\n"
    assert [line.split(": ")[1:3] for line in said.err.splitlines()] == [
        [f"{tmp_path}/one/checkpoint.npz", "not a checkpoint (it does not begin like one)"],
        [f"{tmp_path}/gone/checkpoint.npz", "no such file; train first"],
        [f"{tmp_path}/two/checkpoint.npz", "not a checkpoint (it does not begin like one)"],
        [str(old), "of an earlier conversion"],
    ]


def test_a_model_that_answers_no_numbers_is_a_failure_even_with_all(monkeypatch, workshop, tmp_path, capsys):
    def predict_all(predictor, images):
        logits, median_us = verify.predict_all(predictor, images)
        return (logits * np.nan if precisions.pop(0) == "float16" else logits), median_us

    precisions = ["float32", "float16"]
    monkeypatch.setattr(evaluation, "predict_all", predict_all)
    monkeypatch.setattr(command.flags, "PRECISIONS", {precision: PRECISIONS[precision] for precision in precisions})
    run_folder = str(workshop / "runs" / "lenet5-relu-digits-modern")
    flags = ["--all", "--formats", "tflite", "--checkpoint", run_folder, "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["convert", *flags])
    assert command.main() == 1
    assert precisions == [] and (tmp_path / "lenet5-relu-digits-float32.tflite").exists()
    said = capsys.readouterr().err
    assert "lenet5-relu-digits-float16.tflite: failed, not published: its answers are not numbers\n" in said


def test_what_a_precision_is_named_alone_and_cannot_be_had_is_exit_1(monkeypatch, workshop, tmp_path):
    folder = str(workshop / "runs" / "lenet5-relu-digits-modern")
    flags = ["--int16x8", "--formats", "onnx", "--checkpoint", folder, "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["convert", *flags])
    assert command.main() == 1


def test_two_runs_of_one_name_are_not_published_over_each_other(workshop):
    folder = str(workshop / "runs" / "lenet5-relu-digits-modern")
    done = call("convert", "--int8", "--checkpoint", folder, folder, cwd=workshop)
    assert done.returncode == 2
    assert "2 runs would be published as lenet5-relu-digits; name one with --checkpoint RUN" in done.stderr


@pytest.mark.parametrize(
    ("flags", "code", "says"),
    [
        ((), 2, "convert: name a precision: --int8, another of float32, float16, dynamic, int8, int16x8, int4, or --all\n"),
        (("--int8",), 66, "convert: runs: holds no trained network; train one first: python -m train.mnist\n"),
        (
            ("--int8", "--checkpoint", "gone"),
            66,
            "convert: gone/checkpoint.npz: no such file; train first: python -m train.mnist\n",
        ),
    ],
)
def test_a_slip_is_one_line(flags, code, says, tmp_path):
    done = call("convert", *flags, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", says)
