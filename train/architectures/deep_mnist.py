"""The TensorFlow "deep MNIST" network: two convolutions and one wide layer, dense or convolutional."""

import keras
from keras import layers

from train.architectures.weights import weights


def build(*, initialization: str, batch_size: int | None) -> keras.Model:
    """float32 [N, 28, 28, 1] pixels 0 to 255 → float32 [N, 10] logits."""
    w = _weights(initialization)
    head = [
        layers.Flatten(name="flatten"),
        layers.Dense(1024, activation="relu", name="dense1", **w),
        layers.Dropout(0.5, name="dropout"),
        layers.Dense(10, name="logits", **w),
    ]
    return keras.Sequential([*_convolutions(w, batch_size), *head], name="deep-mnist")


def build_conv(*, initialization: str, batch_size: int | None) -> keras.Model:
    """`deep-mnist` with its dense layers as convolutions; reshaped weights give the same logits."""
    w = _weights(initialization)
    head = [
        layers.Conv2D(1024, 7, padding="valid", activation="relu", name="dense1", **w),
        layers.Dropout(0.5, name="dropout"),
        layers.Conv2D(10, 1, name="logits", **w),
        layers.Flatten(name="flatten"),
    ]
    return keras.Sequential([*_convolutions(w, batch_size), *head], name="deep-mnist-conv")


def _convolutions(w, batch_size):
    return [
        keras.Input((28, 28, 1), batch_size=batch_size, name="pixels"),
        layers.Rescaling(1 / 255, name="scale"),
        layers.Conv2D(32, 5, padding="same", activation="relu", name="conv1", **w),
        layers.MaxPooling2D(2, name="pool1"),
        layers.Conv2D(64, 5, padding="same", activation="relu", name="conv2", **w),
        layers.MaxPooling2D(2, name="pool2"),
    ]


def _weights(initialization):
    # The document's initialization: truncated normal weights of σ 0.1, biases 0.1.
    return weights(initialization, stddev=0.1, bias=0.1)
