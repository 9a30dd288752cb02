"""LeNet-5 as published: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition", 1998, II-B.

The output layer is ours: a dense layer replaces the paper's distances to fixed bitmaps, to return logits.
"""

import keras
import numpy as np
from keras import initializers, layers, ops

# Table I of the paper: the S2 maps that each C3 map takes: three neighbours (6 maps), four (6), two pairs (3), all (1).
CONNECTIONS = (
    *(tuple((first + k) % 6 for k in range(3)) for first in range(6)),
    *(tuple((first + k) % 6 for k in range(4)) for first in range(6)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    tuple(range(6)),
)  # fmt: skip


def build(*, initialization: str, batch_size: int | None) -> keras.Model:
    """float32 [N, 28, 28, 1] pixels 0 to 255 → float32 [N, 10] logits. 60,000 parameters up to F6."""
    w = _uniform if initialization == "documented" else _he
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), batch_size=batch_size, name="pixels"),
            layers.ZeroPadding2D(2, name="pad"),
            layers.Rescaling(1.275 / 255, offset=-0.1, name="scale"),  # the paper's: ground -0.1, ink 1.175
            layers.Conv2D(6, 5, activation=scaled_tanh, name="C1", **w(25)),
            Subsampling(name="S2"),
            # 60 kernels of 25 weights feed 16 maps.
            PartialConv2D(CONNECTIONS, 5, activation=scaled_tanh, name="C3", **w(60 * 25 / 16)),
            Subsampling(name="S4"),
            layers.Conv2D(120, 5, activation=scaled_tanh, name="C5", **w(400)),
            layers.Flatten(name="flatten"),
            layers.Dense(84, activation=scaled_tanh, name="F6", **w(120)),
            layers.Dense(10, name="logits", **w(84)),
        ],
        name="lenet5-1998",
    )


def scaled_tanh(x):
    """The paper's squashing function, 1.7159 tanh(2x/3): 1 at 1 and -1 at -1."""
    return 1.7159 * ops.tanh(x * (2 / 3))


class Subsampling(layers.Layer):
    """The sigmoid of a coefficient per map times the sum of each 2x2 square, plus a bias: [N, H, W, C] → [N, H/2, W/2, C]."""

    def build(self, input_shape):
        shape = (input_shape[-1],)
        self.coefficient = self.add_weight(shape=shape, initializer="ones", name="coefficient")
        self.bias = self.add_weight(shape=shape, initializer="zeros", name="bias")

    def call(self, x):
        return ops.sigmoid(4 * ops.average_pool(x, 2, strides=2) * self.coefficient + self.bias)


class PartialConv2D(layers.Layer):
    """A convolution whose output map i takes only the input maps `connections[i]`; each pair has one kernel."""

    def __init__(self, connections, size, *, activation, kernel_initializer, bias_initializer, **more):
        super().__init__(**more)
        self.connections, self.size, self.activation = connections, size, activation
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    def build(self, input_shape):
        pairs = [(s2, c3) for c3, s2_maps in enumerate(self.connections) for s2 in s2_maps]
        n_in, n_out = input_shape[-1], len(self.connections)
        # Row p places pair p's kernel in the full kernel; unconnected pairs stay zero.
        self.place = np.zeros((len(pairs), n_in * n_out), np.float32)
        for p, (s2, c3) in enumerate(pairs):
            self.place[p, s2 * n_out + c3] = 1
        self.full_shape = (self.size, self.size, n_in, n_out)
        self.kernel = self.add_weight(
            shape=(self.size, self.size, len(pairs)), initializer=self.kernel_initializer, name="kernel"
        )
        self.bias = self.add_weight(shape=(n_out,), initializer=self.bias_initializer, name="bias")

    def call(self, x):
        kernel = ops.reshape(ops.matmul(self.kernel, self.place), self.full_shape)
        return self.activation(ops.conv(x, kernel, padding="valid") + self.bias)


def _he(fan_in):
    """He et al. (2015) for `fan_in` inputs: Keras cannot derive C3's from the shape of its kernel."""
    stddev = (2 / fan_in) ** 0.5
    return {"kernel_initializer": initializers.RandomNormal(stddev=stddev), "bias_initializer": "zeros"}


def _uniform(fan_in):
    """The paper's initialization: uniform between ±2.4 / `fan_in`."""
    return {
        "kernel_initializer": initializers.RandomUniform(-2.4 / fan_in, 2.4 / fan_in),
        "bias_initializer": initializers.RandomUniform(-2.4 / fan_in, 2.4 / fan_in),
    }
