"""What the manifest of a published file says of how it came about."""

import dataclasses
import hashlib

import numpy as np
import pytest

from convert.calibration.images import draw_calibration_set, read_calibration_set
from convert.effort import Trials
from convert.evaluation import convert_and_judge, prepare
from convert.interfaces import make_converter
from convert.judging.gate import Gate
from convert.plan import Plan
from convert.publishing.goldens import golden_images
from convert.publishing.publish import check_folder, seal
from convert.repair import search
from convert.repair.search import repair
from convert.results import BIASES_CORRECTED, Outcome
from edge import artifact
from edge.errors import StorageError


def trial_of(trained, digits, calibration=None):
    chosen = calibration or draw_calibration_set(digits.train)
    return prepare(trained, digits, digits.train, calibration=chosen, gate=Gate(2.0), require_int8=True)


def sealed(result, trial, repair=None) -> artifact.Artifact:
    goldens = golden_images(trial.dataset, None)
    outcome = Outcome(result, result, (), repair)
    return artifact.parse(result.file_name, seal(outcome, trial, goldens=goldens, report="a test\n"))


def sha256(images: np.ndarray) -> str:
    return hashlib.sha256(images.tobytes()).hexdigest()


def test_the_users_own_calibration_pictures_are_sealed_by_what_they_show(trained, digits, tmp_path):
    np.save(tmp_path / "own.npy", digits.train.images[:150])
    np.save(tmp_path / "other.npy", digits.train.images[1:151])
    own, other = (
        read_calibration_set(tmp_path / name, digits.contract, training=digits.train, apart_from=[digits.test])
        for name in ("own.npy", "other.npy")
    )
    trial = trial_of(trained, digits, own)
    result = convert_and_judge(trial, make_converter("tflite", trained, own), Plan("int8"))
    trials = trial, dataclasses.replace(trial, calibration=other)
    accounts = [sealed(result, each).manifest()["quantization"]["calibration"] for each in trials]
    assert accounts[0] == {"source": "own.npy", "n_images": 150, "sha256": sha256(digits.train.images[:150])}
    assert accounts[0]["sha256"] != accounts[1]["sha256"] == sha256(digits.train.images[1:151])


@pytest.mark.parametrize("precision", [pytest.param("dynamic", marks=pytest.mark.long), "int4"])
def test_calibration_is_recorded_where_biases_were_corrected_by_it_and_only_there(trained, digits, precision, monkeypatch):
    monkeypatch.setattr(search, "equalize", lambda network: None)
    trial = trial_of(trained, digits)
    converter = make_converter("tflite", trained, trial.calibration)
    plain = convert_and_judge(trial, converter, Plan(precision))
    assert "calibration" not in sealed(plain, trial).manifest()["quantization"]
    # Whether it is kept depends on the network; that it is tried under this name does not.
    worse = dataclasses.replace(plain.evaluation.verification, lost=50)
    tried = repair(trial, converter, Plan(precision), verification=worse, trials=Trials(2))
    assert tried.steps[1].remedy == BIASES_CORRECTED
    for kept in (True, False):
        steps = (tried.steps[0], dataclasses.replace(tried.steps[1], kept=kept))
        manifest = sealed(plain, trial, dataclasses.replace(tried, steps=steps)).manifest()
        quantization = manifest["quantization"]
        assert quantization["remedies"] == ([BIASES_CORRECTED] if kept else [])
        assert ("calibration" in quantization) == kept
        if kept:
            assert quantization["calibration"]["sha256"] == sha256(trial.calibration.images)


def scaled(trained, factor: float):
    """`trained` with logits `factor` times as large: the same answers."""
    own = {name: value * np.float32(factor) for name, value in trained.weights.items() if "/logits/" in name}
    assert len(own) == 2
    return dataclasses.replace(trained, weights=trained.weights | own)


@pytest.mark.parametrize("factor", [*(pytest.param(each, marks=pytest.mark.long) for each in (1e-3, 1)), 1e3])
def test_float_answers_may_be_off_by_a_share_of_the_logits_however_large(trained, digits, factor):
    trial = trial_of(scaled(trained, factor), digits)
    tolerances, answers = [], []
    for kind in ("tflite", "onnx"):
        converter = make_converter(kind, trial.network, trial.calibration)
        published = sealed(convert_and_judge(trial, converter, Plan("float32")), trial)
        answers.append(np.array([np.frombuffer(output, "<f4") for _, output in published.goldens()]))
        tolerances.append(published.golden_tolerance())
        assert tolerances[-1] == pytest.approx(1e-4 * np.abs(answers[-1]).max(), rel=1e-6)
    # Two engines sum in another order, as two processors do.
    off = np.abs(answers[0] - answers[1]).max()
    assert 0 < off < min(tolerances) / 10
    if factor == 1e3:
        assert off > 1e-3  # what 0.001 at any scale would refuse


def test_a_folder_that_cannot_be_is_refused_before_the_work(tmp_path):
    check_folder(tmp_path / "not" / "there" / "yet")
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file: a file, where a folder is wanted; name another folder with --out"):
        check_folder(tmp_path / "file" / "artifacts")
    assert not (tmp_path / "not").exists()
