"""ResNet-8, the CIFAR-10 network of MLPerf Tiny (Banbury et al. 2021, arXiv 2106.07597; after He et al. 2016).

Three residual stacks of 16, 32 and 64 maps; where the size changes, the shortcut is a 1x1 convolution without batch norm.
"""

import keras
from keras import layers

from train.architectures.weights import weights


def build(*, batch_size: int | None) -> keras.Model:
    """float32 [N, 32, 32, 3] pixels 0 to 255 → float32 [N, 10] logits."""
    pixels = keras.Input((32, 32, 3), batch_size=batch_size, name="pixels")
    x = layers.Rescaling(1 / 127.5, offset=-1, name="scale")(pixels)
    x = layers.ReLU(name="relu1")(_convolution(x, 16, name="conv1"))
    for stack, (maps, stride) in enumerate(((16, 1), (32, 2), (64, 2)), start=2):
        y = layers.ReLU(name=f"relu{stack}a")(_convolution(x, maps, stride=stride, name=f"conv{stack}a"))
        y = _convolution(y, maps, name=f"conv{stack}b")
        if stride > 1:
            x = layers.Conv2D(maps, 1, strides=stride, name=f"shortcut{stack}", **weights("he"))(x)
        x = layers.ReLU(name=f"relu{stack}b")(layers.Add(name=f"add{stack}")([x, y]))
    x = layers.AveragePooling2D(8, name="mean")(x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(pixels, layers.Dense(10, name="logits", **weights("he"))(x), name="resnet8")


def _convolution(x, maps, *, name, stride=1):
    x = layers.Conv2D(maps, 3, strides=stride, padding="same", name=name, **weights("he"))(x)
    return layers.BatchNormalization(name=f"{name}-norm")(x)
