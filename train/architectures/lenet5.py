"""The LeNet-5 family on 28x28 images: with sigmoids, with ReLUs, and wide."""

import keras
from keras import initializers, layers

from train.architectures.weights import weights


def build_sigmoid(*, initialization: str, batch_size: int | None, activation: str) -> keras.Model:
    """float32 [N, 28, 28, 1] pixels 0 to 255 → float32 [N, 10] logits. `activation` is the sigmoid by default."""
    w = weights(initialization, stddev=1.0, bias=initializers.TruncatedNormal(stddev=1.0))
    a = {"activation": activation or "sigmoid"}
    return keras.Sequential(
        [
            *_input(batch_size),
            layers.Conv2D(6, 5, padding="same", name="conv1", **a, **w),
            layers.MaxPooling2D(2, name="pool1"),
            layers.Conv2D(16, 5, padding="same", name="conv2", **a, **w),
            layers.MaxPooling2D(2, name="pool2"),
            layers.Conv2D(120, 5, padding="same", name="conv3", **a, **w),
            layers.Flatten(name="flatten"),
            layers.Dense(80, name="dense1", **a, **w),
            layers.Dense(10, name="logits", **w),
        ],
        name="lenet5-sigmoid",
    )


def build_relu(*, initialization: str, batch_size: int | None) -> keras.Model:
    """float32 [N, 28, 28, 1] pixels 0 to 255 → float32 [N, 10] logits."""
    return _relu(6, 16, 120, initialization=initialization, batch_size=batch_size, name="lenet5-relu")


def build_wide(*, initialization: str, batch_size: int | None) -> keras.Model:
    """float32 [N, 28, 28, 1] pixels 0 to 255 → float32 [N, 10] logits."""
    return _relu(32, 64, 1024, initialization=initialization, batch_size=batch_size, name="lenet5-wide")


def _relu(maps1, maps2, units, *, initialization, batch_size, name):
    w = weights(initialization, stddev=0.1, bias=0.1)
    return keras.Sequential(
        [
            *_input(batch_size),
            layers.Conv2D(maps1, 5, padding="same", activation="relu", name="conv1", **w),
            layers.MaxPooling2D(2, name="pool1"),
            layers.Conv2D(maps2, 5, padding="same", activation="relu", name="conv2", **w),
            layers.MaxPooling2D(2, name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(units, activation="relu", name="dense1", **w),
            layers.Dense(10, name="logits", **w),
        ],
        name=name,
    )


def _input(batch_size):
    return [keras.Input((28, 28, 1), batch_size=batch_size, name="pixels"), layers.Rescaling(1 / 255, name="scale")]
