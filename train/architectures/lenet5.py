"""The LeNet-5 family."""

import keras
from keras import layers

from train.architectures.weights import weights


def build_relu(*, initialization: str = "documented", batch_size: int | None = None) -> keras.Model:
    """float32 [N, 28, 28, 1] pixels 0 to 255 → float32 [N, 10] logits."""
    w = weights(initialization, stddev=0.1, bias=0.1)
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), batch_size=batch_size, name="pixels"),
            layers.Rescaling(1 / 255, name="scale"),
            layers.Conv2D(6, 5, padding="same", activation="relu", name="conv1", **w),
            layers.MaxPooling2D(2, name="pool1"),
            layers.Conv2D(16, 5, padding="same", activation="relu", name="conv2", **w),
            layers.MaxPooling2D(2, name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(120, activation="relu", name="dense1", **w),
            layers.Dense(10, name="logits", **w),
        ],
        name="lenet5-relu",
    )
