"""Units beside the logits: they tell what is outside, and change nothing else."""

import sys

import keras
import numpy as np
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter

from conftest import run
from convert import unknown
from convert.calibration.images import draw_calibration_set
from convert.interfaces import as_predictor, convert, make_converter
from convert.plan import Plan
from convert.repair.remedies import equalize
from convert.unknown import WithUnits, fit, n_units, with_units
from edge.confidence import KINDS
from train.architectures import widen
from train.architectures.widen import Units, features_of, with_background


def score(features: np.ndarray, units: Units) -> np.ndarray:
    values = np.maximum(features @ units.kernel + units.bias, 0)
    return np.array([KINDS["units"]([0.0, 0.0], row) for row in values.tolist()])


def test_units_tell_a_ring_from_what_lies_inside_it_which_no_straight_line_does():
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(2_000, 4))
    ring = (5 * directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype(np.float32)
    inside = rng.normal(size=(2_000, 4)).astype(np.float32)
    units = fit(inside[:1_000], ring[:1_000], 48)
    threshold = np.quantile(score(inside[1_000:], units), 0.99)
    assert np.mean(score(ring[1_000:], units) > threshold) > 0.95
    assert np.quantile(ring[1_000:] @ units.kernel + units.bias, 0.99) <= units.highest  # most are within the int8 range


def test_equal_seeds_fit_equal_units():
    rng = np.random.default_rng(0)
    inside, outside = rng.normal(size=(2, 300, 6)).astype(np.float32)
    first, again, other = (fit(inside, outside, 6, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.kernel, again.kernel) and np.array_equal(first.bias, again.bias)
    assert not np.array_equal(first.kernel, other.kernel)


@pytest.mark.parametrize(
    ("n_features", "n_classes", "n"),
    [(40, 10, 48), (341, 10, 48), (342, 10, 24), (1024, 10, 12), (3168, 10, 6), (40, 48, 46), (3168, 6, 4)],
)
def test_there_are_as_many_units_as_16_kb_hold_at_least_six_and_never_as_many_as_classes(n_features, n_classes, n):
    assert n_units(n_features, n_classes) == n


@pytest.mark.parametrize(
    "end",
    [
        [keras.layers.Flatten(), keras.layers.Dense(3)],
        [keras.layers.Flatten(), keras.layers.Dense(3, use_bias=False)],
        [keras.layers.Conv2D(3, 1), keras.layers.GlobalAveragePooling2D()],
    ],
)
def test_a_head_leaves_the_network_as_it_is_and_reads_what_its_last_product_takes(end):
    model = keras.Sequential([keras.Input((4, 4, 2)), keras.layers.Conv2D(5, 3, padding="same", activation="relu"), *end])
    n_features = features_of(model).output_shape[-1]
    images = np.random.default_rng(0).random((3, 4, 4, 2), np.float32)
    logits, units = widen.with_units(model, Units(np.ones((n_features, 2), np.float32), np.float32([-100, 7]), 1.0))(images)
    np.testing.assert_array_equal(np.asarray(logits), np.asarray(model(images)))
    sums = np.asarray(model.layers[0](images)).sum(axis=3)
    expected = sums.sum(axis=(1, 2)) if n_features == 80 else sums.mean(axis=(1, 2))
    np.testing.assert_allclose(np.asarray(units), np.stack([0 * expected, expected + 7], axis=1), rtol=1e-5)


def test_a_head_finds_a_name_that_no_layer_has():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5, name="units"), keras.layers.Dense(3)])
    head = Units(np.ones((5, 2), np.float32), np.zeros(2, np.float32), 1.0)
    assert widen.with_units(model, head).layers[-1].name == "units_"


@pytest.mark.parametrize("end", [keras.layers.Dense(3, activation="relu"), keras.layers.Flatten()])
def test_a_network_that_ends_otherwise_keeps_its_outputs(end, trained, digits):
    class Made:
        class_names = ("a", "b", "c")

        def build(self, *, batch_size=None):
            return keras.Sequential([keras.Input((4,)), end])

    made = Made()
    assert with_units(made, digits.train) is made


def test_the_background_class_is_left_out_where_no_picture_is_rejected(trained, digits):
    class Background(type(trained)):
        def build(self, *, batch_size=None):
            return with_background(super().build(batch_size=batch_size))

    network = Background(**{name: getattr(trained, name) for name in trained.__dataclass_fields__})
    assert network.build().output_shape == (None, 11)
    bare = with_units(network, digits.train, wanted=False)
    images = digits.test.images[:4].astype(np.float32)
    np.testing.assert_array_equal(np.asarray(bare.build()(images)), np.asarray(trained.build()(images)))
    assert bare.units is None and with_units(trained, digits.train, wanted=False) is trained


@pytest.mark.parametrize(
    ("kind", "precision"),
    [("tflite", "int8"), ("tflite", "float16"), ("tflite", "dynamic"), ("tflite", "int16x8"), ("tflite", "float32"),
     ("onnx", "int8"), ("onnx", "float32")],
)  # fmt: skip
def test_units_are_a_second_output_and_change_no_bit_of_the_first(kind, precision, trained, digits):
    calibration = draw_calibration_set(digits.train)
    kernel = np.random.default_rng(0).normal(0, 0.3, (120, 8)).astype(np.float32)
    units = Units(kernel, np.zeros(8, np.float32), 9.0)
    wide = WithUnits(trained, units)
    plain, wider = (
        as_predictor(convert(make_converter(kind, network, calibration), Plan(precision), name="x"), network)
        for network in (trained, wide)
    )
    assert (wider.contract.n_classes, wider.contract.confidence.extra) == (10, 8)
    assert wider.contract.output_scale == plain.contract.output_scale
    values = second(trained, units)(digits.test.images[:20].astype(np.float32))
    limit = 9 if precision in ("int8", "int16x8") else np.inf
    for image, expected in zip(digits.test.images[:20], np.asarray(values), strict=True):
        a, b = (predictor.answer(image.tobytes()) for predictor in (plain, wider))
        assert b.logits == a.logits
        # clipped at 9 where int8; the rest is the noise of 8 bits in features and weights
        assert b.extra == pytest.approx(np.minimum(expected, limit), abs=0.5)  # the noise of 8 bits
    assert first_output(kind, wider.artifact.data) == [1, 10]  # what any other tool takes


def second(network, units: Units) -> keras.Model:
    whole = widen.with_units(network.build(), units)
    return keras.Model(whole.inputs[0], whole.outputs[1])


def first_output(kind: str, model: bytes) -> list[int]:
    if kind == "onnx":
        return onnxruntime.InferenceSession(model).get_outputs()[0].shape
    return Interpreter(model_content=model).get_output_details()[0]["shape"].tolist()


def test_both_outputs_have_one_type_where_one_of_them_stays_in_float(trained, digits):
    units = Units(np.ones((120, 8), np.float32), np.zeros(8, np.float32), 9.0)
    wide = WithUnits(trained, units)
    converter = make_converter("tflite", wide, draw_calibration_set(digits.train))
    assert "units" not in converter.layers
    candidate = convert(converter, Plan("int8", in_float=converter.layers[-1:]), name="x")
    assert as_predictor(candidate, wide).contract.output_dtype == "float32"


def test_units_follow_the_features_when_weights_are_equalized(trained, digits):
    kernel = np.random.default_rng(0).normal(0, 0.3, (120, 8)).astype(np.float32)
    units = Units(kernel, np.zeros(8, np.float32), 9.0)
    changed = equalize(WithUnits(trained, units))
    assert not np.array_equal(changed.units.kernel, kernel)
    images = digits.test.images[:20].astype(np.float32)
    before, after = (second(*each)(images) for each in ((trained, units), (changed, changed.units)))
    np.testing.assert_allclose(np.asarray(after), np.asarray(before), rtol=1e-3, atol=1e-3)


def test_units_are_fitted_on_the_training_images(trained, digits, monkeypatch):
    monkeypatch.setattr(unknown, "N_OUTLIERS", 600)
    wide = with_units(trained, digits.train)
    assert len(wide.units.bias) == 48 and wide.name == trained.name and wide.build().output_shape == (None, 10)
    features = features_of(wide.build())(np.concatenate([digits.test.images[:100].astype(np.float32), noise()]))
    scores = score(np.asarray(features), wide.units)
    assert np.mean(scores[100:] > np.quantile(scores[:100], 0.95)) > 0.9


def noise() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (100, 28, 28, 1)).astype(np.float32)


def test_units_are_fitted_on_one_thread_so_that_no_number_of_cores_changes_them():
    told = "import convert, numpy, threadpoolctl; print({each['num_threads'] for each in threadpoolctl.threadpool_info()})"
    assert run("env", "-u", "OPENBLAS_NUM_THREADS", sys.executable, "-c", told).stdout == "{1}\n"
