"""Units beside the logits: they tell what is outside, and change nothing else."""

import keras
import numpy as np
import pytest

from convert import unknown
from convert.calibration.images import draw_calibration_set
from convert.interfaces import as_predictor, convert, make_converter
from convert.plan import Plan
from convert.unknown import WithUnits, fit, n_units, with_units
from edge.confidence import KINDS
from train.architectures.widen import last_product, widened, with_background


def score(features: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return np.array([KINDS["units"]([0.0, 0.0], row) for row in (features @ kernel + bias).tolist()])


def test_units_tell_a_ring_from_what_lies_inside_it_which_no_straight_line_does():
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(2_000, 4))
    ring = (5 * directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype(np.float32)
    inside = rng.normal(size=(2_000, 4)).astype(np.float32)
    kernel, bias = fit(inside[:1_000], ring[:1_000], highest=8.0)
    threshold = np.quantile(score(inside[1_000:], kernel, bias), 0.99)
    assert np.mean(score(ring[1_000:], kernel, bias) > threshold) > 0.95
    positive = np.maximum(ring[:1_000] @ kernel + bias, 0)
    assert np.quantile(positive[positive > 0], 0.99) <= 1.05 * 8.0  # most stay in the logits' range


def test_equal_seeds_fit_equal_units():
    rng = np.random.default_rng(0)
    inside, outside = rng.normal(size=(2, 300, 6)).astype(np.float32)
    first, again, other = (fit(inside, outside, highest=1.0, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize(("n_features", "n"), [(40, 48), (341, 48), (342, 24), (1024, 12), (3168, 6)])
def test_there_are_as_many_units_as_16_kb_hold_but_at_least_six(n_features, n):
    assert n_units(n_features) == n


@pytest.mark.parametrize(
    "end",
    [
        [keras.layers.Flatten(), keras.layers.Dense(3)],
        [keras.layers.Flatten(), keras.layers.Dense(3, use_bias=False)],
        [keras.layers.Conv2D(3, 1), keras.layers.GlobalAveragePooling2D()],
    ],
)
def test_a_wider_network_gives_the_same_logits_and_its_units_beside_them(end):
    model = keras.Sequential([keras.Input((4, 4, 2)), keras.layers.Conv2D(5, 3, padding="same", activation="relu"), *end])
    n_features = last_product(model).kernel.shape[-2]
    wide = widened(model, np.ones((n_features, 2), np.float32), np.float32([0, 7]))
    images = np.random.default_rng(0).random((3, 4, 4, 2), np.float32)
    plain, both = (np.asarray(each(images)) for each in (model, wide))
    # As one product or another of them is computed: rounding alone.
    np.testing.assert_allclose(both[:, :3], plain, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(both[:, 4] - both[:, 3], 7, rtol=1e-4)


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
    assert with_units(trained, digits.train, wanted=False) is trained


@pytest.mark.parametrize(
    ("kind", "precision"),
    [("tflite", "int8"), ("tflite", "float16"), ("tflite", "dynamic"), ("tflite", "int16x8"), ("onnx", "int8")],
)
def test_units_change_no_bit_of_the_logits_at_any_precision(kind, precision, trained, digits):
    calibration = draw_calibration_set(digits.train)
    rng = np.random.default_rng(0)
    kernel = rng.normal(0, 0.3, (120, 8)).astype(np.float32)
    wide = WithUnits(trained, kernel, np.zeros(8, np.float32))
    plan = Plan(precision)
    plain, wider = (
        as_predictor(convert(make_converter(kind, network, calibration), plan, name="x"), network)
        for network in (trained, wide)
    )
    assert wider.contract.n_classes == 10 and wider.contract.confidence.extra == 8
    assert wider.contract.output_scale == plain.contract.output_scale
    # float arithmetic may sum a wider product in another order
    exact = 0 if precision == "int8" else 1e-4
    for image in digits.test.images[:20]:
        a, b = (predictor.answer(image.tobytes()) for predictor in (plain, wider))
        assert b.logits == pytest.approx(a.logits, rel=exact, abs=exact)
        assert len(b.extra) == 8


def test_units_are_fitted_on_the_training_images(trained, digits, monkeypatch):
    monkeypatch.setattr(unknown, "N_OUTLIERS", 600)
    wide = with_units(trained, digits.train)
    assert wide.n_extra == 48 and wide.name == trained.name and wide.build().output_shape == (None, 58)
    outputs = np.asarray(wide.build()(np.concatenate([digits.test.images[:100].astype(np.float32), noise()])))
    scores = [KINDS["units"](row[:10], row[10:]) for row in outputs.tolist()]
    assert np.mean(np.array(scores[100:]) > np.quantile(scores[:100], 0.95)) > 0.9


def noise() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (100, 28, 28, 1)).astype(np.float32)
