"""The TensorFlow "deep MNIST" network: two convolutions, one wide dense layer."""

import keras
from keras import layers

from train.architectures.weights import weights


def build(*, initialization: str = "documented", batch_size: int | None = None) -> keras.Model:
    """float32 [N, 28, 28, 1] pixels 0 to 255 → float32 [N, 10] logits."""
    # The document draws every weight from a truncated normal of σ 0.1 and starts every bias at 0.1.
    w = weights(initialization, stddev=0.1, bias=0.1)
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), batch_size=batch_size, name="pixels"),
            layers.Rescaling(1 / 255, name="scale"),
            layers.Conv2D(32, 5, padding="same", activation="relu", name="conv1", **w),
            layers.MaxPooling2D(2, name="pool1"),
            layers.Conv2D(64, 5, padding="same", activation="relu", name="conv2", **w),
            layers.MaxPooling2D(2, name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(1024, activation="relu", name="dense1", **w),
            layers.Dropout(0.5, name="dropout"),
            layers.Dense(10, name="logits", **w),
        ],
        name="deep-mnist",
    )
