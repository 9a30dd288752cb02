"""A candidate that did not pass is repaired by the cheapest remedy that is enough, or the best attempt is described."""

import json
import tracemalloc

import keras
import numpy as np
import pytest

from convert.calibration.images import draw_calibration_set
from convert.effort import Trials
from convert.evaluation import logits_of, prepare
from convert.interfaces import make_converter
from convert.judging.gate import Gate, UnlabelledCounts, Verdict
from convert.judging.verify import Verification, compare
from convert.plan import Plan
from convert.repair import search
from convert.repair.remedies import Reweighted, correct_biases, equalize
from convert.repair.search import harm_left, repair, repairable
from convert.results import Attempt, ConversionResult, Evaluation, Finding, Repair
from edge import artifact
from tests.convert.command_line import convert
from tests.convert.repair.faults import outlier
from train import checkpoint, evaluate
from train.architectures import architecture

pytestmark = pytest.mark.slow
L = keras.layers


@pytest.fixture(scope="module")
def planted(trained, digits):
    """The network with a channel of conv2 that reaches 200 times too far: in float the same answers."""
    return outlier("conv2", "dense1")(trained, digits).trained


@pytest.fixture(scope="module")
def attempted(planted, digits):
    """Its trial, the converter, and what the gate saw of the int8 model."""
    trial = prepare(
        planted, digits, digits.train, calibration=draw_calibration_set(digits.train), gate=Gate(2.0), require_int8=False
    )
    converter = make_converter("tflite", planted, trial.calibration)
    logits = logits_of(trial, converter, Plan("int8"), digits.test.images)
    return trial, converter, compare(logits, digits.test.labels, trial.reference)


def test_equalization_takes_the_outlier_away_and_leaves_the_answers(planted, digits):
    before, after = planted.build(), equalize(planted).build()
    images = digits.test.images[:100]
    np.testing.assert_allclose(evaluate.logits(after, images), evaluate.logits(before, images), rtol=0, atol=2e-3)

    def over_median(model):
        peaks = np.abs(np.array(model.get_layer("conv2").kernel)).max(axis=(0, 1, 2))
        return peaks.max() / np.median(peaks)

    assert over_median(before) > 100 and over_median(after) < 10


class Drawn:
    """A documented network with weights of our drawing."""

    def __init__(self, network):
        self.network = network

    def build(self, *, batch_size=None):
        model = architecture(self.network).build(batch_size=batch_size)
        rng = np.random.default_rng(0)
        for variable in model.weights:
            variable.assign(np.array(variable) * rng.uniform(0.5, 2, variable.shape).astype("f4"))
        return model

    def images(self, n):
        return np.random.default_rng(0).integers(0, 256, (n, *self.build().input_shape[1:]), np.uint8)


@pytest.mark.parametrize("network", ["mnist-tiny", "keras-cnn", "deep-mnist-conv", "resnet8", "lenet5-1998"])
def test_equalization_keeps_what_any_network_answers(network):
    source = Drawn(network)
    images, changed = source.images(8), equalize(source)
    if network == "lenet5-1998":
        assert changed is None  # tanh: nothing may be scaled across it
        return
    before, after = (evaluate.logits(each.build(), images) for each in (source, changed))
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-4 * np.abs(before).max())


def test_bias_correction_takes_the_mean_of_rounding_off(trained, digits):
    """With weights rounded to 4 bits a tensor, the mean of the logits moves; corrected biases bring most of it back."""
    images = digits.train.images[:256]

    def rounded(network):
        weights = checkpoint.weights_of(network.build())
        for path, value in weights.items():
            if path.endswith("kernel"):
                step = np.abs(value).max() / 7
                weights[path] = np.round(value / step) * step
        return evaluate.logits(Reweighted(network, weights).build(), images).mean(axis=0)

    wanted = evaluate.logits(trained.build(), images).mean(axis=0)
    plain, corrected = rounded(trained), rounded(correct_biases(trained, images, bits=4, per_channel=False))
    assert np.abs(corrected - wanted).max() < 0.5 * np.abs(plain - wanted).max()


@pytest.mark.parametrize("network", ["mnist-tiny", "cifar-lrn", "resnet8"])  # mnist-tiny has a layer called `mean`
def test_biases_of_any_network_are_corrected(network):
    source = Drawn(network)
    before = checkpoint.weights_of(source.build())
    after = correct_biases(source, source.images(4), bits=4, per_channel=True).weights
    moved = {path.rpartition("/")[2] for path in before if not np.array_equal(before[path], after[path])}
    assert moved and moved <= {"bias", "beta"}


class Wide:
    """Two layers of 64 maps of 32x32, and norms that fold into nothing: behind pooling, and behind the input."""

    def build(self, *, batch_size=None):
        keras.utils.set_random_seed(0)
        return keras.Sequential(
            [
                keras.Input((32, 32, 3), batch_size=batch_size, name="pixels"),
                L.BatchNormalization(name="norm0"),
                L.Conv2D(64, 3, padding="same", activation="relu", name="conv1"),
                L.Conv2D(64, 3, padding="same", activation="relu", name="conv2"),
                L.MaxPooling2D(name="pool"),
                L.BatchNormalization(beta_initializer="random_normal", name="norm"),
                L.Conv2D(8, 3, name="conv3"),
                L.BatchNormalization(moving_mean_initializer="random_normal", name="norm3"),
                L.BatchNormalization(beta_initializer="random_normal", name="norm4"),
                L.GlobalAveragePooling2D(name="mean"),
                L.Dense(3, name="logits"),
            ],
            name="wide",
        )


WIDE_PICTURES = np.random.default_rng(0).integers(0, 256, (128, 32, 32, 3), np.uint8)


def test_a_norm_that_folds_into_nothing_is_equalized_like_a_layer():
    before, after = Wide().build(), equalize(Wide()).build()
    few = WIDE_PICTURES[:8]
    given = evaluate.logits(before, few)
    np.testing.assert_allclose(evaluate.logits(after, few), given, rtol=0, atol=1e-4 * np.abs(given).max())
    assert np.asarray(after.get_layer("norm").gamma).max() < 0.9  # they were all one


def test_bias_correction_holds_the_maps_of_a_few_pictures_only():
    tracemalloc.start()
    try:
        correct_biases(Wide(), WIDE_PICTURES, bits=8, per_channel=True)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    one_layer = len(WIDE_PICTURES) * 32 * 32 * 64 * 4  # 34 MB for all pictures
    assert peak < one_layer / 2


def test_where_weights_cannot_be_changed_the_two_layers_that_share_the_tensor_stay_in_float(attempted, monkeypatch):
    trial, converter, verification = attempted
    monkeypatch.setattr(search, "equalize", lambda network: None)
    result = repair(trial, converter, Plan("int8"), verification=verification)
    assert result.passed and result.layers == ("conv2", "dense1")
    assert result.plan.in_words.endswith("in float32: conv2, pool2, flatten, dense1")


def test_a_repair_ends_where_its_trials_do_with_the_best_it_found(attempted, monkeypatch, capsys):
    trial, converter, verification = attempted
    monkeypatch.setattr(search, "equalize", lambda network: None)
    tried = repair(trial, converter, Plan("int8"), verification=verification, trials=Trials(2))
    assert [step.remedy for step in tried.steps] == ["as it was", "min-max ranges", "percentile ranges"] and not tried.passed
    assert "every trial of the repair is made (--trials or --budget allow more)" in capsys.readouterr().err


def test_with_few_trials_the_layers_found_worst_are_left_in_float_first(attempted, monkeypatch):
    trial, converter, verification = attempted
    monkeypatch.setattr(search, "equalize", lambda network: None)
    monkeypatch.setattr(search, "correct_biases", lambda network, images, **how: network)
    asked = []
    monkeypatch.setattr(search, "logit_error", lambda trial, converter, plan, *data: asked.append(plan.in_float[0]) or 1.0)
    worst = tuple(Finding(layer, 0.0, 1.0, "", "") for layer in ("conv2", "dense1"))
    repair(trial, converter, Plan("int8"), verification=verification, trials=Trials(8), findings=worst)
    assert asked[:3] == ["conv2", "conv2", "dense1"] and len(asked) <= 4


def test_no_layer_is_left_in_float_where_all_must_be_int8_and_the_best_attempt_is_described(attempted, monkeypatch):
    trial, converter, verification = attempted
    monkeypatch.setattr(search, "equalize", lambda network: None)
    monkeypatch.setattr(search, "correct_biases", lambda network, images, **how: network)
    strict = prepare(
        trial.network, trial.dataset, trial.dataset.train,
        calibration=trial.calibration, gate=trial.gate, require_int8=True,
    )  # fmt: skip
    result = repair(strict, converter, Plan("int8"), verification=verification)
    assert not result.passed and result.layers == ()
    assert result.in_words(Verdict("failed", ())).startswith("not repaired; the best attempt: ")


def test_the_share_of_harm_is_of_lost_pictures_or_of_the_error_where_those_cannot_be_counted():
    def step(lost, logit_error):
        return Attempt("", 1000, lost, 0, logit_error, kept=False, passed=False)

    assert harm_left(step(99, 1.0), step(9, 1.0)) == pytest.approx(9.5 / 99.5)
    assert harm_left(step(2, 4.0), step(0, 1.0)) == 0.5
    assert harm_left(step(2, 4.0), step(0, None)) == 1.0


def test_nothing_is_tried_where_not_even_a_perfect_candidate_could_pass(attempted):
    trial, _, verification = attempted

    def result(decision, precision="int8", verification=verification, more=None):
        grounds = Gate(2.0).grounds(verification, more)
        evaluation = Evaluation(None, None, verification, None, None, 0.0, None, grounds, np.empty(0))
        return ConversionResult("n", "tflite", Plan(precision), Verdict(decision, ()), evaluation)

    assert repairable(trial, result("failed"))
    assert not repairable(trial, result("passed")) and not repairable(trial, result("refused"))
    assert not repairable(trial, result("failed", "float16"))
    few = Verification(n_images=100, lost=9, gained=0, agreeing=91, float_top1=1.0, top1=0.91)
    assert not repairable(trial, result("failed", verification=few))
    # Labels may show that nothing is lost.
    assert not repairable(trial, result("undecided", more=UnlabelledCounts(90, 30, unknown=30)))
    assert repairable(trial, result("undecided", more=UnlabelledCounts(90, 30, labelled=True, lost=30)))


def convert_planted(planted, tmp_path, *flags: str):
    planted.save(tmp_path / "run")
    return convert(tmp_path, tmp_path / "out", "--formats", "tflite", "--checkpoint", tmp_path / "run", *flags)


def test_the_command_repairs_an_outlier_without_a_layer_in_float_and_says_what_that_cost(planted, tmp_path):
    done = convert_planted(planted, tmp_path)
    assert done.returncode == 0
    published = artifact.read(str(tmp_path / "out" / "lenet5-relu-digits-int8.tflite"))
    assert published.manifest()["verification"]["drop_points"] < 2
    assert "passed, repaired" in done.stdout
    assert "lenet5-relu-digits-int8.tflite: conv2 (" in done.stderr and "outlier weights in one channel: channel" in done.stderr
    assert "lenet5-relu-digits-int8.tflite: repaired by: " in done.stderr
    (row,) = json.loads((tmp_path / "out" / "report.json").read_text())["rows"]
    told = row["repair"]
    assert told["passed"] and told["before"]["verdict"] == "failed" and told["before"]["drop_points"] > 5
    assert told["layers_in_float"] == [] and [step["remedy"] for step in told["steps"][:2]] == ["as it was", "min-max ranges"]
    assert "weights equalized across layers" in [step["remedy"] for step in told["steps"] if step["kept"]]
    report = (tmp_path / "out" / "report.md").read_text()
    assert "It costs " in report and " µs a prediction; what runs: " in report


def test_what_is_enough_on_validation_images_and_not_on_the_test_split_is_not_called_repaired(monkeypatch, planted, tmp_path):
    as_it_was = Attempt("as it was", 685, 90, 0, 4.0, kept=True, passed=False)
    enough = Attempt("percentile ranges", 685, 0, 0, 0.1, kept=True, passed=True)

    def promising(trial, converter, plan, **how):
        return Repair(converter, plan, trial.calibration, (), (as_it_was, enough), True)

    monkeypatch.setattr(search, "repair", promising)
    monkeypatch.setattr("convert.repair.diagnose.diagnose", lambda *_, **how: ())
    done = convert_planted(planted, tmp_path, "--no-reject")
    assert done.returncode == 1
    assert done.stdout.rstrip().endswith("  failed, after a repair") and "repaired" not in done.stdout
    words = (
        "not repaired by: percentile ranges (0 lost, 0 gained of 685 validation images, logit error 0.1): "
        "enough on validation images, not on the test split"
    )
    assert f"lenet5-relu-digits-int8.tflite: {words}\n" in done.stderr
    assert f"`lenet5-relu-digits-int8.tflite` {words}." in (tmp_path / "out" / "report.md").read_text()


@pytest.mark.long
def test_without_repair_nothing_is_published_and_the_cause_is_said(planted, tmp_path):
    done = convert_planted(planted, tmp_path, "--no-repair")
    assert done.returncode == 1 and not list((tmp_path / "out").glob("*.tflite"))
    assert "outlier weights in one channel" in done.stderr and "failed, not published: top-1 fell " in done.stderr
    assert "repaired" not in done.stderr
