"""A network with more outputs behind its logits: its last product gets further columns, everything else stays as it is.

A wider last layer is the one addition that every format, precision, engine and the C program run as they are.
"""

import keras
import numpy as np
from keras import layers

_FOLLOWING = (layers.Flatten, layers.Dropout, layers.GlobalAveragePooling2D)  # linear, each output by itself


def last_product(model: keras.Model) -> keras.layers.Layer | None:
    """The dense layer or 1x1 convolution whose outputs are the logits; None where the network ends otherwise."""
    for layer in reversed(model.layers):
        if isinstance(layer, layers.Dense) or (isinstance(layer, layers.Conv2D) and layer.kernel_size == (1, 1)):
            linear = layer.activation is keras.activations.linear
            return layer if linear and layer.output.shape[-1] == model.output_shape[-1] else None
        if not isinstance(layer, _FOLLOWING):
            return None
    return None


def features_of(model: keras.Model) -> keras.Model | None:
    """What the last product takes, as a model: pixels → float32 [N, …, D]; None where there is no last product."""
    last = last_product(model)
    return None if last is None else keras.Model(model.inputs[0], last.input)


def widened(model: keras.Model, kernel: np.ndarray, bias: np.ndarray, *, n_kept: int | None = None) -> keras.Model:
    """The first `n_kept` outputs of `model`, None: all, then E more: its features times `kernel` (float32 [D, E]) plus `bias`
    (float32 [E]).

    The weights are copies, the layers before the last product are the very same. Raises ValueError where there is no product.
    """
    last = last_product(model)
    if last is None:
        raise ValueError(f"{model.name} does not end in a dense layer or a 1x1 convolution")
    old = last.get_weights()
    weights, biases = old if last.use_bias else (old[0], np.zeros(old[0].shape[-1], np.float32))
    more = kernel.reshape(*weights.shape[:-1], kernel.shape[-1])
    wider = np.concatenate([weights[..., :n_kept], more], axis=-1)
    size = "units" if isinstance(last, layers.Dense) else "filters"
    new = type(last).from_config(last.get_config() | {size: wider.shape[-1], "use_bias": True})
    outputs = new(last.input)
    new.set_weights([wider, np.concatenate([biases[:n_kept], bias])])
    for layer in model.layers[model.layers.index(last) + 1 :]:
        outputs = type(layer).from_config(layer.get_config())(outputs)
    return keras.Model(model.inputs[0], outputs, name=model.name)


def with_background(model: keras.Model) -> keras.Model:
    """`model` with one output more, all of whose weights are zero: for a class of pictures that belong to no other."""
    last = last_product(model)
    if last is None:
        raise ValueError(f"{model.name} does not end in a dense layer or a 1x1 convolution")
    return widened(model, np.zeros((last.kernel.shape[-2], 1), np.float32), np.zeros(1, np.float32))
