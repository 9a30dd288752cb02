"""From checkpoint to published file: what passes is whole and proven."""

import argparse
import dataclasses
import hashlib
import importlib
import json
import os

import keras
import numpy as np
import pytest
from PIL import Image

import convert as package
from conftest import ROOT
from convert import __main__ as command
from convert import inputs
from convert.calibration.images import draw_calibration_set
from convert.evaluation import convert_and_judge, prepare
from convert.interfaces import make_converter
from convert.judging.gate import Gate
from convert.plan import Plan
from edge import artifact, predictor
from edge.device import selftest
from tests.convert.command_line import convert
from tests.promises import asking

pytestmark = pytest.mark.slow


def test_importing_convert_leaves_the_backend_that_the_user_set(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    importlib.reload(package)
    assert os.environ["KERAS_BACKEND"] == "jax"


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


def test_the_int8_tflite_takes_the_picture_minus_128_and_runs_in_integers(tflite):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(tflite))
    (details,) = interpreter.get_input_details()
    assert (details["dtype"], details["quantization"]) == (np.int8, (1.0, -128))
    assert {t["dtype"] for t in interpreter.get_tensor_details()} == {np.int8, np.int32}  # int32: biases and shapes


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
    assert recorded["sha256"] == hashlib.sha256(drawn.images.tobytes()).hexdigest()
    assert not {image.tobytes() for image in digits.test.images} & {image.tobytes() for image in drawn.images}


def test_a_layer_kept_in_float_is_an_island_and_require_int8_refuses_it_and_the_goldens_may_be_ones_own(
    monkeypatch, workshop, tmp_path
):
    monkeypatch.setattr(command, "Plan", lambda precision, *method: Plan(precision, *method, in_float=("conv2",)))
    done = convert(workshop, tmp_path, "--formats", "tflite", "--require-int8", "--no-repair")
    assert done.returncode == 1 and not list(tmp_path.glob("*.tflite"))
    assert "digits-int8.tflite: refused, not published: not all int8: 8 int8, 2 float32; float islands" in done.stderr
    done = convert(workshop, tmp_path, "--formats", "tflite", "--no-repair", "--goldens", ROOT / "examples")
    assert done.returncode == 0 and "int8, partly float" in done.stdout
    (path,) = tmp_path.glob("*.tflite")
    published = artifact.read(str(path))
    assert published.manifest()["quantization"]["in_float"] == ["conv2"]
    assert len(published.goldens()) == len(list(asking.examples()))


@pytest.fixture(scope="module")
def everything(workshop, tmp_path_factory):
    """What `--all` publishes, and how it ended."""
    folder = tmp_path_factory.mktemp("everything")
    return folder, convert(workshop, folder, precision="--all")


def test_every_precision_of_both_formats_is_published_or_refused_with_its_reason(everything):
    folder, done = everything
    assert done.returncode == 0
    rows = json.loads((folder / "report.json").read_text())["rows"]
    verdicts = {(row["format"], row["precision"]): row["verdict"] for row in rows}
    assert len(verdicts) == 12
    assert [cell for cell, verdict in verdicts.items() if verdict == "refused"] == [("onnx", "int16x8")]
    assert "onnx: refused, not published: ONNX Runtime has no CPU kernels for 16-bit activations" in done.stderr
    sizes = {row["precision"]: row["bytes"] for row in rows if row["format"] == "tflite" and row["verdict"] == "passed"}
    assert sizes["float32"] > 1.9 * sizes["float16"] > 3.5 * sizes["int8"] / 2 > 1.5 * sizes["int4"] / 2
    for path in [*folder.glob("*.tflite"), *folder.glob("*.onnx")]:
        ready = predictor.load(str(path))
        assert selftest.replay(ready).passed


def test_of_few_training_pictures_half_calibrate_and_too_few_others_explain_nothing(trained, digits):
    for n, n_calibrating, explains in ((1197, 512, True), (300, 150, True), (110, 100, False)):
        few = dataclasses.replace(digits, train=digits.train[:n])
        settings = argparse.Namespace(calibration=None, precisions=("int8",), seed=0)
        chosen = inputs.calibrate(trained, few, few.train, settings)
        how = {"calibration": chosen, "gate": Gate(2.0), "require_int8": False, "reject_rate": None}
        trial = prepare(trained, few, few.train, **how)
        assert (len(chosen.images), trial.can_explain) == (n_calibrating, explains)
        if n == 300:  # as of 110, nothing is left to calibrate otherwise
            continue
        result = convert_and_judge(trial, make_converter("tflite", trained, chosen), Plan("int8"))
        assert (trial.second is not None) == (n == 1197)
        tried = "342 other calibration images change " if trial.second else "Other calibration images were not tried: too few"
        assert result.evaluation.sensitivity.startswith(tried)


def test_held_out_pictures_validate_and_may_not_calibrate(trained, digits, tmp_path):
    trained = dataclasses.replace(trained, recipe=dataclasses.replace(trained.recipe, held_out=0.25))
    (tmp_path / "run").mkdir()
    trained.save(tmp_path / "run")
    n_training = trained.recipe.n_training(len(digits.train))
    training, held_out = digits.train[:n_training], digits.train[n_training:]
    chosen = inputs.calibrate(trained, digits, training, argparse.Namespace(calibration=None, precisions=("int8",), seed=0))
    trial = prepare(trained, digits, training, calibration=chosen, gate=Gate(2.0), require_int8=False)
    np.testing.assert_array_equal(trial.validation.images[: len(held_out)], held_out.images)
    np.testing.assert_array_equal(trial.validation.labels[: len(held_out)], held_out.labels)
    shown = [{image.tobytes() for image in each.images} for each in (trial.validation, chosen, trial.second, digits.test)]
    assert not shown[0] & (shown[1] | shown[2] | shown[3]) and not shown[2] & (shown[1] | shown[3])
    for name, last in (("held-out", held_out.images[7]), ("test", digits.test.images[3])):
        np.save(tmp_path / f"{name}.npy", np.concatenate([training.images[:150], last[None]]))
        own = ("--calibration", tmp_path / f"{name}.npy", "--checkpoint", tmp_path / "run")
        done = convert(tmp_path, tmp_path / "out", *own)
        assert done.returncode == 65
        assert "1 of 151 images (the first: index 150) are also validation or test images" in done.stderr


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
        model=tmp_path / "tones.keras", data=tmp_path / "tones", contract=None, pixels="", calibration=None, seed=0,
        skip_bad=False, out=tmp_path, precisions=("int8",),
    )  # fmt: skip
    (own,), _ = inputs.load_networks(settings)
    data, training = inputs.load_data(own, settings)
    assert (len(training), len(data.train), len(data.test)) == (120, 200, 40)
    chosen = inputs.calibrate(own, data, training, settings)
    trial = prepare(own, data, training, calibration=chosen, gate=Gate(2.0), require_int8=False)
    assert len(chosen.images) == 100 and len(trial.validation) == 80 + 20 and trial.can_explain
    np.testing.assert_array_equal(trial.validation.images[:80], data.train.images[120:])


def test_formats_are_compared_and_the_lost_pictures_drawn(everything):
    folder, _ = everything
    report = json.loads((folder / "report.json").read_text())
    compared = [line.split(":")[0].removeprefix("lenet5-relu-digits-") for line in report["agreements"]]
    assert compared == ["float32", "float16", "dynamic", "int8", "int4"]
    written = (folder / "report.md").read_text()
    judged = [row for row in report["rows"] if row["verdict"] != "refused"]
    for row in judged:
        sheet = folder / "lost" / f"{row['name']}.{row['format']}.png"
        assert sheet.exists() == bool(row["lost"])
        assert (f"](lost/{sheet.name})" in written) == bool(row["lost"])
    assert any(row["lost"] for row in judged)


def test_a_documented_recipe_is_part_of_the_name(trained):
    documented = dataclasses.replace(trained, recipe=dataclasses.replace(trained.recipe, name="documented"))
    assert documented.name == "lenet5-relu-documented-digits"
