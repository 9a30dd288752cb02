"""Where a batch norm is computed: in the weights before it, or on its own, as the converted model shows."""

import keras
import numpy as np
import pytest

from convert.calibration.images import CalibrationSet
from convert.layers import fused_into
from convert.to_tflite import Converter

L = keras.layers


def small(*between: L.Layer, taken_twice: bool = False) -> keras.Model:
    """A dense layer behind `between`, and beside their last what comes before it where it is taken twice."""
    pixels = keras.Input((8, 8, 3), batch_size=1, name="pixels")
    x, before = pixels, None
    for layer in between:
        x, before = layer(x), x
    x = L.Concatenate(name="both")([before, x]) if taken_twice else x
    x = L.Flatten(name="flatten")(x) if len(x.shape) > 2 else x
    model = keras.Model(pixels, L.Dense(3, name="logits")(x), name="small")
    for variable in model.weights:
        if "norm" in variable.path:
            variable.assign(np.linspace(0.5, 1.5, variable.shape[0]))
    return model


def conv(**settings) -> L.Layer:
    return L.Conv2D(4, 3, name="conv", **settings)


def norm(name="norm", **settings) -> L.Layer:
    return L.BatchNormalization(name=name, **settings)


# What stands before the norm → where the norm is computed.
PLACES = {
    "a convolution": (lambda: [conv(), norm()], "conv"),
    "a depthwise one": (lambda: [L.DepthwiseConv2D(3, name="depth"), norm()], "depth"),
    "a transposed one": (lambda: [L.Conv2DTranspose(4, 3, name="up"), norm()], "up"),
    "a separable one": (lambda: [L.SeparableConv2D(4, 3, name="both"), norm()], "both"),
    "a dense layer": (lambda: [L.Flatten(name="flat"), L.Dense(5, name="dense"), norm()], "dense"),
    "another norm": (lambda: [conv(), norm("first"), norm()], "conv"),
    "dropout": (lambda: [conv(), L.Dropout(0.1, name="drop"), norm()], "conv"),
    "no activation": (lambda: [conv(), L.Activation("linear", name="none"), norm()], "conv"),
    "the input": (lambda: [norm(), conv()], "norm"),
    "a rescaling": (lambda: [L.Rescaling(1 / 255, name="scale"), norm(), conv()], "norm"),
    "max pooling": (lambda: [conv(), L.MaxPooling2D(name="pool"), norm()], "norm"),
    "average pooling": (lambda: [conv(), L.AveragePooling2D(2, name="pool"), norm()], "norm"),
    "global pooling": (lambda: [conv(), L.GlobalAveragePooling2D(name="pool"), norm()], "norm"),
    "pooling and a norm": (lambda: [conv(), L.MaxPooling2D(name="pool"), norm("first"), norm()], "norm"),
    "an activation": (lambda: [conv(activation="relu"), norm()], "norm"),
    "an activation layer": (lambda: [conv(), L.ReLU(name="relu"), norm()], "norm"),
    "zeros around": (lambda: [conv(), L.ZeroPadding2D(1, name="pad"), norm()], "norm"),
    "flattening": (lambda: [conv(), L.Flatten(name="flat"), norm()], "norm"),
    "a convolution, over rows": (lambda: [conv(), norm(axis=1)], "norm"),
}


@pytest.mark.parametrize(("between", "target"), PLACES.values(), ids=PLACES)
def test_a_norm_is_fused_where_the_converted_model_computes_it(between, target):
    model = small(*between())
    assert fused_into(model)["norm"] == target
    source = Converter(model, CalibrationSet(np.zeros((100, 8, 8, 3), np.uint8), (), 0))
    # On its own it is a product and a sum.
    products = [operator.layer for operator in source._operators if operator.kind == "MUL"]
    assert ("norm" in products) == (target == "norm")
    assert target in source.layers


def test_a_norm_does_not_fold_into_a_convolution_that_another_takes_too():
    model = small(conv(), norm(), taken_twice=True)
    assert fused_into(model)["norm"] == "norm"
    assert fused_into(small(conv(), L.Dropout(0.1, name="drop"), norm(), taken_twice=True))["norm"] == "norm"
