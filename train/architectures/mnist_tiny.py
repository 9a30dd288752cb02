"""Ours: MNIST in fewer than 8,000 parameters, batch norms and their statistics counted."""

import keras
from keras import layers

from train.architectures.weights import weights


def build(*, initialization: str, batch_size: int | None) -> keras.Model:
    """float32 [N, 28, 28, 1] pixels 0 to 255 → float32 [N, 10] logits."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), batch_size=batch_size, name="pixels"),
            layers.Rescaling(1 / 255, name="scale"),
            *_convolution(8, name="conv1"),
            *_convolution(12, name="conv2"),
            layers.MaxPooling2D(2, name="pool2"),
            *_convolution(16, name="conv3"),
            *_convolution(16, name="conv4"),
            layers.MaxPooling2D(2, name="pool4"),
            *_convolution(16, name="conv5"),
            layers.GlobalAveragePooling2D(name="mean"),
            layers.Dense(10, name="logits", **weights("he")),
        ],
        name="mnist-tiny",
    )


def _convolution(maps, *, name):
    return (
        layers.Conv2D(maps, 3, padding="same", use_bias=False, kernel_initializer="he_normal", name=name),
        layers.BatchNormalization(name=f"{name}-norm"),
        layers.ReLU(name=f"{name}-relu"),
    )
