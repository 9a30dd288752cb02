"""The Keras network: three convolutions, batch norm over the rows of the map, one wide dense layer."""

import keras
from keras import layers

from train.architectures.weights import weights


def build(*, initialization: str, batch_size: int | None, activation: str) -> keras.Model:
    """float32 [N, 28, 28, 1] pixels 0 to 255 → float32 [N, 10] logits. `activation` is ReLU by default."""
    # The document uses Keras's default initialization.
    w = weights("he") if initialization == "he" else {}
    a = {"activation": activation or "relu"}
    # The document's axis: 1 of a channels-last map is its rows, though the channels were perhaps meant.
    rows = {"axis": 1, "epsilon": 1e-6}
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), batch_size=batch_size, name="pixels"),
            layers.Rescaling(1 / 255, name="scale"),
            layers.Conv2D(32, 3, name="conv1", **a, **w),
            layers.MaxPooling2D(2, name="pool1"),
            layers.ZeroPadding2D(1, name="pad2"),
            layers.Conv2D(48, 3, name="conv2", **a, **w),
            layers.BatchNormalization(name="norm2", **rows),
            layers.MaxPooling2D(2, name="pool2"),
            layers.ZeroPadding2D(1, name="pad3"),
            layers.Conv2D(64, 2, name="conv3", **a, **w),
            layers.BatchNormalization(name="norm3", **rows),
            layers.MaxPooling2D(2, name="pool3"),
            layers.Dropout(0.25, name="dropout"),
            layers.Flatten(name="flatten"),
            layers.Dense(3168, name="dense1", **a, **w),
            layers.Dense(10, name="logits", **w),
        ],
        name="keras-cnn",
    )
