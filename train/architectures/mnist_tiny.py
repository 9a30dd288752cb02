"""Our network for MNIST of under 8,000 parameters: depthwise-separable convolutions (arXiv 1704.04861)."""

import keras
from keras import layers

from train.architectures.weights import weights


def build(*, batch_size: int | None) -> keras.Model:
    """float32 [N, 28, 28, 1] pixels 0 to 255 → float32 [N, 10] logits."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), batch_size=batch_size, name="pixels"),
            layers.Rescaling(1 / 255, name="scale"),
            *_convolution(16, 5, name="conv1"),
            layers.MaxPooling2D(2, name="pool1"),
            *_separable(32, name="conv2"),
            *_separable(32, name="conv3"),
            layers.MaxPooling2D(2, name="pool3"),
            *_separable(40, name="conv4"),
            *_separable(40, name="conv5"),
            layers.GlobalAveragePooling2D(name="mean"),
            layers.Dense(10, name="logits", **weights("he")),
        ],
        name="mnist-tiny",
    )


def _separable(maps, *, name):
    return (
        layers.DepthwiseConv2D(3, padding="same", use_bias=False, depthwise_initializer="he_normal", name=f"{name}-depth"),
        *_normalized(f"{name}-depth"),
        *_convolution(maps, 1, name=f"{name}-point"),
    )


def _convolution(maps, size, *, name):
    plain = layers.Conv2D(maps, size, padding="same", use_bias=False, kernel_initializer="he_normal", name=name)
    return (plain, *_normalized(name))


def _normalized(name):
    return (layers.BatchNormalization(name=f"{name}-norm"), layers.ReLU(name=f"{name}-relu"))
