"""The TensorFlow CIFAR-10 tutorial's network: two convolutions with local response normalization, three dense layers."""

import keras
import numpy as np
from keras import layers, ops, regularizers

from train.architectures.weights import weights

# Of CIFAR-10's training images, by channel.
_MEAN, _DEVIATION = (125.3, 123.0, 113.9), (63.0, 62.1, 66.7)


def build(*, initialization: str, batch_size: int | None, standardization: str, dropout: float, l2: float) -> keras.Model:
    """float32 [N, 32, 32, 3] pixels 0 to 255 → float32 [N, 10] logits, from the central 24x24 pixels.

    The document's random 24x24 crop is a shift by at most 4 pixels before the central crop. `standardization` is by image
    by default; `dropout` (a fraction) and the penalty `l2` apply to the two wide dense layers.
    """

    def start(*, stddev, bias):
        return weights(initialization, stddev=stddev, bias=bias)

    def wide_dense(units, *, name):
        drop = [layers.Dropout(dropout, name=f"{name}-dropout")] if dropout else []
        return [*drop, layers.Dense(units, name=name, **wide)]

    wide = start(stddev=0.04, bias=0.1) | {"activation": "relu"}
    if l2:
        wide["kernel_regularizer"] = regularizers.L2(l2 / 2)
    return keras.Sequential(
        [
            keras.Input((32, 32, 3), batch_size=batch_size, name="pixels"),
            layers.Cropping2D(4, name="crop"),
            _standardized(standardization or "image"),
            layers.Conv2D(64, 5, padding="same", activation="relu", name="conv1", **start(stddev=0.05, bias=0.0)),
            layers.MaxPooling2D(3, strides=2, padding="same", name="pool1"),
            LocalResponseNormalization(name="lrn1"),
            layers.Conv2D(64, 5, padding="same", activation="relu", name="conv2", **start(stddev=0.05, bias=0.1)),
            LocalResponseNormalization(name="lrn2"),
            layers.MaxPooling2D(3, strides=2, padding="same", name="pool2"),
            layers.Flatten(name="flatten"),
            *wide_dense(384, name="dense1"),
            *wide_dense(192, name="dense2"),
            layers.Dense(10, name="logits", **start(stddev=1 / 192, bias=0.0)),
        ],
        name="cifar-lrn",
    )


def _standardized(by):
    if by == "image":
        return ImageStandardization(name="standardize")
    deviation = np.array(_DEVIATION)
    return layers.Rescaling((1 / deviation).tolist(), offset=(-np.array(_MEAN) / deviation).tolist(), name="standardize")


class ImageStandardization(layers.Layer):
    """[N, H, W, C] → the same, each image of zero mean and unit variance as by TensorFlow's `per_image_standardization`."""

    def call(self, x):
        axes = (1, 2, 3)
        centred = x - ops.mean(x, axis=axes, keepdims=True)
        variance = ops.mean(ops.square(centred), axis=axes, keepdims=True)
        n_values = x.shape[1] * x.shape[2] * x.shape[3]
        return centred * ops.rsqrt(ops.maximum(variance, 1 / n_values))


class LocalResponseNormalization(layers.Layer):
    """x / (1 + α·s)^0.75, s the sum of squares over the map and 4 neighbours on each side: [N, H, W, C] → the same shape.

    Krizhevsky, Sutskever, Hinton 2012, 3.3, with the tutorial's constants: α = 0.001/9, β = 0.75, radius 4. The sum is a 1x1
    convolution with a banded matrix, which all backends and both model formats have; the native operator is slower.
    """

    alpha, radius = 0.001 / 9, 4

    def build(self, input_shape):
        maps = np.arange(input_shape[-1])
        near = np.abs(maps[:, None] - maps) <= self.radius
        self.band = (self.alpha * near).astype(np.float32)[None, None]

    def call(self, x):
        root = ops.rsqrt(1 + ops.conv(ops.square(x), self.band, padding="valid"))
        return x * root * ops.sqrt(root)  # s^-0.75 = s^-0.5 · s^-0.25
