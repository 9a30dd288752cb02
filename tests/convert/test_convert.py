"""From checkpoint to published file: what passes is whole and proven, what does not leaves nothing."""

import argparse
import dataclasses
import json
import sys

import keras
import numpy as np
import pytest
from PIL import Image

from conftest import ROOT, run
from convert import __main__ as command
from convert import trial as trial_module
from convert import verify
from convert.calibration import CalibrationSet, draw_calibration_set
from convert.candidate import converter
from convert.gate import Gate
from convert.plan import PRECISIONS, Plan
from convert.trial import attempt, prepare
from edge import artifact, predictor, selftest
from train import checkpoint, datasets


@pytest.fixture(scope="module")
def trained(workshop):
    return checkpoint.load(workshop / "runs" / "lenet5-relu-digits-modern")


@pytest.fixture(scope="module")
def digits():
    return datasets.digits.load()


def convert_main(monkeypatch, workshop, out, *flags: str) -> int:
    run_folder = str(workshop / "runs" / "lenet5-relu-digits-modern")
    monkeypatch.setattr(sys, "argv", ["convert", "--int8", "--checkpoint", run_folder, "--out", str(out), *flags])
    return command.main()


def test_both_formats_are_published_with_their_proof(workshop, digits, trained):
    report = json.loads((workshop / "artifacts" / "report.json").read_text())
    assert [(row["format"], row["verdict"], row["n_images"]) for row in report["rows"]] == [
        ("tflite", "passed", 600),
        ("onnx", "passed", 600),
    ]
    for row in report["rows"]:
        published = artifact.read(str(workshop / "artifacts" / f"{row['name']}.{row['format']}"))
        manifest = published.manifest()
        assert manifest["verification"]["lost"] == row["lost"] and manifest["verification"]["limit_points"] == 2.0
        assert manifest["provenance"]["data_sha256"] == digits.digest
        assert manifest["provenance"]["recipe"] == dataclasses.asdict(trained.recipe)
        assert published.contract.name == "lenet5-relu-digits-int8"
        assert published.contract.model_bytes == row["bytes"]
    assert "| lenet5-relu-digits | tflite | int8 |" in (workshop / "artifacts" / "report.md").read_text()


def test_the_published_file_scores_what_its_manifest_says(tflite, digits):
    ready = predictor.load(str(tflite))
    right = [
        ready.answer(image.tobytes()).index == label
        for image, label in zip(digits.test.images, digits.test.labels, strict=True)
    ]
    assert np.mean(right) == ready.artifact.manifest()["verification"]["top1"]


def test_the_int8_input_is_the_picture_minus_128(tflite):
    from ai_edge_litert.interpreter import Interpreter

    details = Interpreter(model_path=str(tflite)).get_input_details()[0]
    assert details["quantization"] == (1.0, -128)
    assert details["dtype"] is np.int8


def test_every_tflite_operator_runs_in_integers(tflite):
    from ai_edge_litert.interpreter import Interpreter

    types = {t["dtype"] for t in Interpreter(model_path=str(tflite)).get_tensor_details()}
    assert types == {np.int8, np.int32}  # int32: biases and shapes


def test_the_onnx_input_is_the_picture_itself(onnx):
    import onnx as onnx_library

    (entry,) = onnx_library.load(str(onnx)).graph.input
    assert entry.type.tensor_type.elem_type == onnx_library.TensorProto.UINT8
    assert [d.dim_value for d in entry.type.tensor_type.shape.dim] == [1, 28, 28, 1]


def test_calibration_images_are_training_images_at_the_recorded_places(tflite, digits):
    recorded = predictor.load(str(tflite)).artifact.manifest()["quantization"]["calibration"]
    drawn = draw_calibration_set(digits.train, seed=recorded["seed"])
    assert (recorded["split"], recorded["indices"]) == ("train", list(drawn.indices))
    np.testing.assert_array_equal(drawn.images, digits.train.images[recorded["indices"]])
    test_images = {image.tobytes() for image in digits.test.images}
    assert not any(image.tobytes() in test_images for image in drawn.images)


def test_a_candidate_with_shuffled_weights_leaves_no_file(monkeypatch, workshop, tmp_path, capsys):
    def from_shuffled_weights(kind, saved, calibration):
        rng = np.random.default_rng(0)
        weights = dict(saved.weights)
        (dense,) = (name for name in weights if name.endswith("dense1/kernel"))
        weights[dense] = rng.permutation(weights[dense])
        return converter(kind, dataclasses.replace(saved, weights=weights), calibration)

    monkeypatch.setattr(command, "converter", from_shuffled_weights)
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


def test_an_undecided_candidate_leaves_no_file_and_says_how_many_pictures_would_do(monkeypatch, workshop, tmp_path, capsys):
    assert convert_main(monkeypatch, workshop, tmp_path, "--formats", "tflite", "--max-drop-points", "0.5") == 1
    assert not list(tmp_path.glob("*.tflite"))
    said = capsys.readouterr().err
    assert "undecided, not published: " in said and "600 pictures are too few to tell; about " in said


def test_the_goldens_may_be_the_users_own_pictures(monkeypatch, workshop, tmp_path):
    assert convert_main(monkeypatch, workshop, tmp_path, "--formats", "tflite", "--goldens", str(ROOT / "examples")) == 0
    (path,) = tmp_path.glob("*.tflite")
    n_examples = sum(path.suffix in (".png", ".jpg", ".bmp") for path in (ROOT / "examples").iterdir())
    assert len(artifact.read(str(path)).goldens()) == n_examples


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


def test_a_layer_kept_in_float_is_an_island_and_require_int8_refuses_it(monkeypatch, workshop, tmp_path, capsys):
    monkeypatch.setattr(command, "Plan", lambda precision, method: Plan(precision, method, in_float=("conv2",)))
    assert convert_main(monkeypatch, workshop, tmp_path, "--formats", "tflite", "--require-int8", "--no-repair") == 1
    said = capsys.readouterr()
    assert not list(tmp_path.glob("*.tflite"))
    assert "lenet5-relu-digits-int8.tflite: refused, not published: not all int8: 7 int8, 2 float32; float islands" in said.err
    assert convert_main(monkeypatch, workshop, tmp_path, "--formats", "tflite", "--no-repair") == 0
    assert "int8, partly float" in capsys.readouterr().out
    (path,) = tmp_path.glob("*.tflite")
    assert artifact.read(str(path)).manifest()["quantization"]["in_float"] == ["conv2"]


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
    def asked(predictor, images):
        answers = verify.ask(predictor, images)
        return dataclasses.replace(answers, logits=answers.logits * np.nan) if precisions.pop(0) == "float16" else answers

    precisions = ["float32", "float16"]
    monkeypatch.setattr(trial_module, "ask", asked)
    monkeypatch.setattr(command.flags, "PRECISIONS", {precision: PRECISIONS[precision] for precision in precisions})
    run_folder = str(workshop / "runs" / "lenet5-relu-digits-modern")
    flags = ["--all", "--formats", "tflite", "--checkpoint", run_folder, "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["convert", *flags])
    assert command.main() == 1
    assert precisions == [] and (tmp_path / "lenet5-relu-digits-float32.tflite").exists()
    said = capsys.readouterr().err
    assert "lenet5-relu-digits-float16.tflite: failed, not published: its answers are not numbers\n" in said


def test_every_precision_of_both_formats_is_published_or_refused_with_its_reason(monkeypatch, workshop, tmp_path, capsys):
    assert convert_main(monkeypatch, workshop, tmp_path, "--all") == 0
    rows = json.loads((tmp_path / "report.json").read_text())["rows"]
    verdicts = {(row["format"], row["precision"]): row["verdict"] for row in rows}
    assert len(verdicts) == 12
    assert [cell for cell, verdict in verdicts.items() if verdict == "refused"] == [("onnx", "int16x8")]
    assert "onnx: refused, not published: ONNX Runtime has no CPU kernels for 16-bit activations" in capsys.readouterr().err
    sizes = {row["precision"]: row["bytes"] for row in rows if row["format"] == "tflite" and row["verdict"] == "passed"}
    assert sizes["float32"] > 1.9 * sizes["float16"] > 3.5 * sizes["int8"] / 2 > 1.5 * sizes["int4"] / 2
    for path in [*tmp_path.glob("*.tflite"), *tmp_path.glob("*.onnx")]:
        ready = predictor.load(str(path))
        assert selftest.replay(ready).passed


def test_of_few_training_pictures_half_calibrate_and_too_few_others_explain_nothing(trained, digits):
    for n, n_calibrating, explains in ((1197, 512, True), (300, 150, True), (110, 100, False)):
        few = dataclasses.replace(digits, train=digits.train[:n])
        settings = argparse.Namespace(calibration=None, seed=0)
        chosen = command._calibration(trained, few, few.train, settings)
        trial = prepare(trained, few, few.train, calibration=chosen, gate=Gate(2.0), require_int8=False)
        assert (len(chosen.images), trial.can_explain) == (n_calibrating, explains)
        row = attempt(trial, converter("tflite", trained, chosen), Plan("int8"))
        assert (trial.second is not None) == (n == 1197)
        tried = "342 other calibration images change " if trial.second else "Other calibration images were not tried: too few"
        assert row.judged.sensitivity.startswith(tried)


def test_held_out_pictures_validate_and_may_not_calibrate(monkeypatch, trained, digits, tmp_path, capsys):
    trained = dataclasses.replace(trained, recipe=dataclasses.replace(trained.recipe, held_out=0.25))
    (tmp_path / "run").mkdir()
    trained.save(tmp_path / "run")
    n_training = trained.recipe.n_training(len(digits.train))
    training, held_out = digits.train[:n_training], digits.train[n_training:]
    chosen = command._calibration(trained, digits, training, argparse.Namespace(calibration=None, seed=0))
    trial = prepare(trained, digits, training, calibration=chosen, gate=Gate(2.0), require_int8=False)
    np.testing.assert_array_equal(trial.validation.images[: len(held_out)], held_out.images)
    np.testing.assert_array_equal(trial.validation.labels[: len(held_out)], held_out.labels)
    shown = [{image.tobytes() for image in each.images} for each in (trial.validation, chosen, trial.second, digits.test)]
    assert not shown[0] & (shown[1] | shown[2] | shown[3]) and not shown[2] & (shown[1] | shown[3])
    for name, last in (("held-out", held_out.images[7]), ("test", digits.test.images[3])):
        np.save(tmp_path / f"{name}.npy", np.concatenate([training.images[:150], last[None]]))
        own = ["--calibration", str(tmp_path / f"{name}.npy"), "--checkpoint", str(tmp_path / "run")]
        monkeypatch.setattr(sys, "argv", ["convert", "--int8", *own, "--out", str(tmp_path / "out")])
        assert command.main() == 65
        assert "1 of 151 images (the first: index 150) are also validation or test pictures" in capsys.readouterr().err


def test_a_folders_own_validation_pictures_validate_and_do_not_calibrate(tmp_path):
    rng = np.random.default_rng(0)
    for part, n in (("train", 60), ("val", 40), ("test", 20)):
        for name, low in (("dark", 0), ("light", 140)):
            folder = tmp_path / "tones" / part / name
            folder.mkdir(parents=True)
            for index in range(n):
                Image.fromarray(rng.integers(low, low + 116, (16, 16), np.uint8)).save(folder / f"{index:02}.png")
    model = keras.Sequential(
        [keras.Input((16, 16, 1)), keras.layers.Flatten(), keras.layers.Dense(2, kernel_initializer="zeros")]
    )
    model.save(tmp_path / "tones.keras")
    settings = argparse.Namespace(
        model=tmp_path / "tones.keras", data=tmp_path / "tones", contract=None, calibration=None, seed=0
    )
    ((own, data, training),) = (load() for load in command.networks(settings, []))
    assert (len(training), len(data.train), len(data.test)) == (120, 200, 40)
    chosen = command._calibration(own, data, training, settings)
    trial = prepare(own, data, training, calibration=chosen, gate=Gate(2.0), require_int8=False)
    assert len(chosen.images) == 100 and len(trial.validation) == 80 + 20 and trial.can_explain
    np.testing.assert_array_equal(trial.validation.images[:80], data.train.images[120:])


def test_what_a_precision_is_named_alone_and_cannot_be_had_is_exit_1(monkeypatch, workshop, tmp_path):
    folder = str(workshop / "runs" / "lenet5-relu-digits-modern")
    flags = ["--int16x8", "--formats", "onnx", "--checkpoint", folder, "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["convert", *flags])
    assert command.main() == 1


def test_formats_are_compared_and_the_lost_pictures_drawn(monkeypatch, workshop, tmp_path):
    assert convert_main(monkeypatch, workshop, tmp_path, "--int4", "--max-drop-points", "5") == 0
    report = json.loads((tmp_path / "report.json").read_text())
    assert [line.split(":")[0] for line in report["agreements"]] == ["lenet5-relu-digits-int8", "lenet5-relu-digits-int4"]
    written = (tmp_path / "report.md").read_text()
    for row in report["rows"]:
        sheet = tmp_path / "lost" / f"{row['name']}.{row['format']}.png"
        assert sheet.exists() == bool(row["lost"])
        assert (f"](lost/{sheet.name})" in written) == bool(row["lost"])


def test_a_documented_recipe_is_part_of_the_name(trained):
    documented = dataclasses.replace(trained, recipe=dataclasses.replace(trained.recipe, name="documented"))
    assert documented.name == "lenet5-relu-documented-digits"


def convert_command(*flags, cwd):
    return run(sys.executable, "-m", "convert", *flags, cwd=cwd, PYTHONPATH=str(ROOT))


def test_two_runs_of_one_name_are_not_published_over_each_other(workshop):
    folder = str(workshop / "runs" / "lenet5-relu-digits-modern")
    done = convert_command("--int8", "--checkpoint", folder, folder, cwd=workshop)
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
    done = convert_command(*flags, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", says)
