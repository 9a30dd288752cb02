"""The ONNX graph: pixels stay bytes up to the first weights, which do the scaling, and everything else is int8 that can be."""

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from keras import layers

from convert.calibration import CalibrationSet
from convert.operators import inventory
from convert.plan import Plan
from convert.to_onnx import Converter
from train.architectures import architecture


def pictures(model: keras.Model) -> np.ndarray:
    """A hundred of every brightness, the first ones too: uint8 [100, H, W, C]."""
    rng = np.random.default_rng(0)
    noise = rng.uniform(0, 256, (100, *model.input_shape[1:]))
    return (noise * rng.uniform(0, 1, (100, 1, 1, 1))).astype(np.uint8)


def converter(model: keras.Model) -> Converter:
    return Converter(model, CalibrationSet(pictures(model), (), 0))


def network(*between: layers.Layer, channels: int = 3, padding: str = "same") -> keras.Model:
    """A convolution and a dense layer behind `between`, with weights and biases far from zero."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, channels), batch_size=1, name="pixels"),
            *between,
            layers.Conv2D(8, 3, padding=padding, activation="relu", bias_initializer="random_normal", name="conv"),
            layers.Flatten(name="flatten"),
            layers.Dense(4, bias_initializer="random_normal", name="logits"),
        ],
        name="small",
    )
    return model


def kinds(model: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(model).graph.node]


def largest_difference(model: keras.Model, converted: bytes) -> float:
    """From the Keras model's logits, as a share of their span."""
    session = onnxruntime.InferenceSession(converted, providers=["CPUExecutionProvider"])
    seen = pictures(model)[:20]
    found = np.concatenate([session.run(None, {"pixels": image[None]})[0] for image in seen])
    expected = np.concatenate([np.asarray(model(image[None].astype(np.float32))) for image in seen])
    return float(np.abs(found - expected).max() / np.ptp(expected))


SCALINGS = {
    "factor": [layers.Rescaling(1 / 255, name="scale")],
    "factor and offset": [layers.Rescaling(1 / 127.5, offset=-1, name="scale")],
    "offset that pads with a pixel between two": [layers.Rescaling(1 / 100, offset=-0.507, name="scale")],
    "padding before": [layers.ZeroPadding2D(1, name="pad"), layers.Rescaling(1 / 127.5, offset=-1, name="scale")],
    "padding after": [layers.Rescaling(1 / 255, name="scale"), layers.ZeroPadding2D(1, name="pad")],
    "crop before": [layers.Cropping2D(1, name="crop"), layers.Rescaling(1 / 127.5, offset=-1, name="scale")],
    "two": [layers.Rescaling(1 / 255, name="a"), layers.Rescaling(2.0, offset=-1, name="b")],
}


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("between", SCALINGS.values(), ids=SCALINGS)
def test_scaling_goes_into_the_first_weights_and_changes_no_logit(between, channels, padding):
    model = network(*between, channels=channels, padding=padding)
    source = converter(model)
    floating, quantized = source.convert(Plan("float32")), source.convert(Plan("int8"))
    assert not {"Mul", "Add", "Sub", "Div"} & set(kinds(floating))
    assert largest_difference(model, floating) < 1e-5
    # Nothing codes the pixels, which are codes already.
    assert not {"Cast", "Mul", "Add"} & set(kinds(quantized))
    assert largest_difference(model, quantized) < 0.03  # a step of the logits is 0.004 of their span


UNTOUCHED = {
    "zero is no pixel": [layers.Rescaling(1 / 255, offset=1, name="scale")],
    "zeros around scaled pixels": [layers.Rescaling(1 / 127.5, offset=-1, name="scale"), layers.ZeroPadding2D(1, name="pad")],
    "a number for each channel": [layers.Rescaling([0.01, 0.02, 0.03], offset=[0.0, 0.1, 0.2], name="scale")],
    "something else between": [layers.Rescaling(1 / 255, name="scale"), layers.ReLU(name="relu")],
}


@pytest.mark.parametrize("between", UNTOUCHED.values(), ids=UNTOUCHED)
def test_a_scaling_that_would_change_what_is_padded_stays_where_it_is(between):
    model = network(*between)
    floating = converter(model).convert(Plan("float32"))
    assert "Mul" in kinds(floating)
    assert largest_difference(model, floating) < 1e-5


def test_a_scaling_that_two_layers_take_stays_where_it_is():
    pixels = keras.Input((8, 8, 3), batch_size=1, name="pixels")
    scaled = layers.Rescaling(1 / 255, name="scale")(pixels)
    sides = [layers.Conv2D(4, 3, name=name)(scaled) for name in ("left", "right")]
    logits = layers.Dense(4, name="logits")(layers.Flatten(name="flatten")(layers.Add(name="add")(sides)))
    model = keras.Model(pixels, logits, name="two-sided")
    source = converter(model)
    assert largest_difference(model, source.convert(Plan("float32"))) < 1e-5
    assert largest_difference(model, source.convert(Plan("int8"))) < 0.05


def test_a_dense_first_layer_takes_the_scaling_too():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), batch_size=1, name="pixels"),
            layers.Rescaling(1 / 255, name="scale"),
            layers.Flatten(name="flatten"),
            layers.Dense(4, bias_initializer="random_normal", name="logits"),
        ],
        name="dense",
    )
    floating = converter(model).convert(Plan("float32"))
    assert "Mul" not in kinds(floating)
    assert largest_difference(model, floating) < 1e-5


@pytest.mark.parametrize("name", ["lenet5-relu", "resnet8"])
def test_no_float_runs_inside_an_int8_network_without_roots(name):
    model = architecture(name).build(batch_size=1)
    found = inventory(converter(model).convert(Plan("int8")), kind="onnx", precision="int8", picture=pictures(model)[0])
    assert found.islands == ()
    # The logits alone are decoded, from uint8.
    assert not any(label.startswith("float32") for label in found.by_type if label != "float32, uint8 weights")


def test_pixels_keep_their_codes_whatever_the_calibration_images_hold():
    model = network(layers.Rescaling(1 / 255, name="scale"))
    dark = Converter(model, CalibrationSet(pictures(model) // 4, (), 0)).convert(Plan("int8"))
    assert "Cast" not in kinds(dark)
    brightest = np.full((1, 8, 8, 3), 255, np.uint8)
    session = onnxruntime.InferenceSession(dark, providers=["CPUExecutionProvider"])
    # Clipped pixels would give what a quarter as bright ones give.
    assert np.abs(session.run(None, {"pixels": brightest})[0] - session.run(None, {"pixels": brightest // 4})[0]).max() > 0
