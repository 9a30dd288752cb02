"""Biases far larger than what they are added to, such as the 1 in 1 + α·Σx² of a normalization."""

import keras
import numpy as np
import pytest
from keras import layers

from convert import to_onnx, to_tflite
from convert.calibration.images import CalibrationSet
from convert.plan import Plan

PICTURES = np.random.default_rng(0).integers(0, 256, (100, 12, 12, 1), np.uint8)
BIASES = np.array([1.0, 0.25, -0.5, 0.0], np.float32)


@pytest.fixture(scope="module")
def network():
    """A convolution that adds next to nothing to its biases: in its steps they are 15 to 7,600 times what int32 holds."""
    keras.utils.set_random_seed(0)
    conv = layers.Conv2D(4, 1, name="conv")
    network = keras.Sequential(
        [keras.Input((12, 12, 1), batch_size=1), conv, layers.Flatten(name="flatten"), layers.Dense(3, name="logits")]
    )
    conv.set_weights([np.full((1, 1, 1, 4), 1e-9, np.float32), BIASES])
    return network


@pytest.mark.parametrize(
    ("converter", "precision"),
    [(to_tflite.Converter, "int8"), (to_tflite.Converter, "int16x8"), (to_onnx.Converter, "int8")],
)
def test_a_bias_too_large_for_its_integers_keeps_its_value_and_its_sign(network, converter, precision):
    source = converter(network, CalibrationSet(PICTURES, (), 0))
    for values in source.layer_outputs(Plan(precision), PICTURES[:3]):
        np.testing.assert_allclose(values["conv"].reshape(-1, 4), np.broadcast_to(BIASES, (144, 4)), atol=0.01)
