"""A fault planted in a trained network is found where it is, for what it is; a sound network is left in peace."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from convert import __main__ as command
from convert import causes
from convert.calibration import draw_calibration_set
from convert.candidate import converter
from convert.causes import Seen, cause
from convert.diagnose import diagnose
from convert.gate import Gate
from convert.plan import Plan
from convert.stages import stages
from convert.trial import prepare
from tests.convert.faults import dark, outlier
from train import checkpoint, datasets
from train.architectures import architecture

SOUND = Seen(
    given=(0.0, 4.0),
    used=(0.0, 3.0),
    largest=(0.0, 4.2),
    clipped=0.0001,
    clipped_energy=0.0001,
    image_spreads=np.linspace(2, 4, 400),
    image_indices=(),
    p999=3.0,
    channel_peaks=np.linspace(2, 4, 16),
    weight_peaks=np.linspace(0.2, 0.5, 16),
    input_peaks=np.linspace(0.2, 0.5, 8),
    norm=False,
    per_channel=True,
    calibrated=True,
)


@pytest.fixture(scope="module")
def trained(workshop):
    return checkpoint.load(workshop / "runs" / "lenet5-relu-digits-modern")


@pytest.fixture(scope="module")
def digits():
    return datasets.digits.load()


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_of_a_sound_network_every_layer_is_told_and_none_is_blamed(kind, trained, digits):
    trial = prepare(
        trained, digits, digits.train, calibration=draw_calibration_set(digits.train), gate=Gate(2.0), require_int8=False
    )
    found = diagnose(trial, converter(kind, trained, trial.calibration), Plan("int8"))
    assert {finding.layer for finding in found} >= {"conv1", "conv2", "dense1", "logits"}
    assert [finding.share for finding in found] == sorted((finding.share for finding in found), reverse=True)
    # Each tensor and all weights are counted once, so that independent errors add up.
    assert sum(finding.share for finding in found) == pytest.approx(1, abs=0.35)
    assert {finding.cause for finding in found} == {causes.NONE}
    assert all(20 < finding.sqnr_db < 60 for finding in found)


@pytest.mark.parametrize(
    ("plant", "layer", "expected"),
    [(outlier("conv2", "dense1"), "conv2", causes.OUTLIER_WEIGHTS), (dark, "conv1", causes.SATURATION)],
)
def test_a_planted_fault_is_found_first(plant, layer, expected, trained, digits):
    planted = plant(trained, digits)
    trial = prepare(planted.trained, digits, digits.train, calibration=planted.calibration, gate=Gate(2.0), require_int8=False)
    first = diagnose(trial, converter("tflite", planted.trained, planted.calibration), planted.plan)[0]
    assert (first.layer, first.cause) == (layer, expected)
    assert first.share > 0


def test_a_sound_layer_has_no_cause():
    assert cause(SOUND)[0] == causes.NONE


@pytest.mark.parametrize(
    ("changes", "expected", "evidence"),
    [
        (
            {"clipped": 0.3, "clipped_energy": 0.2, "largest": (0.0, 40.0)},
            causes.SATURATION,
            "30 % of the values on validation",
        ),
        (
            {"given": (0.0, 400.0), "image_spreads": np.append(np.linspace(2, 4, 398), [400.0, 300.0])},
            causes.FEW_PICTURES,
            "2 of 400 calibration images (398, 399 of the set) widen the range 10",
        ),
        ({"given": (0.0, 400.0), "image_spreads": np.full(400, 400.0)}, causes.DEAD_RANGE, "use 0.75 % of the steps: 2 of 255"),
        (
            {"weight_peaks": np.array([1.0] * 15 + [50.0]), "channel_peaks": np.array([1.0] * 15 + [40.0])},
            causes.OUTLIER_WEIGHTS,
            "channel 15's weights are 50 times the median channel's, and its values 40 times",
        ),
        (
            {"weight_peaks": np.geomspace(1, 300, 16), "per_channel": False},
            causes.PER_TENSOR,
            "one scale for the whole tensor, and those of its output channels differ 1",
        ),
        ({"weight_peaks": np.array([1.0] * 15 + [90.0]), "norm": True}, causes.UNFOLDED_NORM, "the largest is 90 times"),
    ],
)
def test_each_cause_is_told_by_its_own_figures(changes, expected, evidence):
    found, says = cause(replace(SOUND, **changes))
    assert found == expected
    assert evidence in says


def test_outlier_weights_are_no_cause_where_every_channel_has_its_scale_and_values_are_alike():
    assert cause(replace(SOUND, weight_peaks=np.array([1.0] * 15 + [50.0])))[0] == causes.NONE


def test_a_residual_connection_is_fed_from_both_sides():
    model = architecture("resnet8").build(batch_size=1)
    every = {stage.layer: stage for stage in stages(model, tuple(layer.name for layer in model.layers))}
    assert set(every["conv1"].feeds) == {"conv2a", "add2"}
    assert every["conv2a"].own == ("conv2a", "conv2a-norm", "relu2a")
    assert set(every["add2"].feeds) == {"conv3a", "shortcut3"}
    assert every["add4"].passing == ("mean", "flatten") and every["add4"].feeds == ("logits",)


def test_the_command_says_why_when_it_is_asked(monkeypatch, workshop, tmp_path):
    run = str(workshop / "runs" / "lenet5-relu-digits-modern")
    flags = ("--int8", "--formats", "tflite", "--checkpoint", run, "--out", str(tmp_path), "--diagnose")
    monkeypatch.setattr(sys, "argv", ["convert", *flags])
    assert command.main() == 0
    (row,) = json.loads((tmp_path / "report.json").read_text())["rows"]
    assert {"conv1", "logits"} <= {finding["layer"] for finding in row["findings"]}
    assert row["repair"] is None
    report = (tmp_path / "report.md").read_text()
    assert "## Why" in report and "| layer | share of the error | SQNR, dB | cause | evidence |" in report
