"""A network's last product, and what may take its place or stand beside it: other outputs, or a second head."""

from dataclasses import dataclass, replace

import keras
import numpy as np
from keras import layers

_FOLLOWING = (layers.Flatten, layers.Dropout, layers.GlobalAveragePooling2D)  # linear, each output by itself


@dataclass(frozen=True, eq=False)
class Units:
    """The positive part of features times `kernel`, float32 [D, E], plus `bias`, float32 [E]. `highest` is the greatest value
    that int8 has to hold."""

    kernel: np.ndarray
    bias: np.ndarray
    highest: float

    def for_features(self, scale: np.ndarray) -> "Units":
        """The same units for features whose channels are divided by `scale`, float32 [C], the channel turning fastest."""
        kernel = self.kernel.reshape(-1, len(scale), len(self.bias)) * scale[:, None]
        return replace(self, kernel=kernel.reshape(self.kernel.shape))


def last_product(model: keras.Model) -> keras.layers.Layer | None:
    """The dense layer or 1x1 convolution whose outputs are the logits; None where the network ends otherwise."""
    for layer in reversed(model.layers):
        if isinstance(layer, layers.Dense) or (isinstance(layer, layers.Conv2D) and layer.kernel_size == (1, 1)):
            linear = layer.activation is keras.activations.linear
            return layer if linear and layer.output.shape[-1] == model.output_shape[-1] else None
        if not isinstance(layer, _FOLLOWING):
            return None
    return None


def features_of(model: keras.Model, *, name: str | None = None) -> keras.Model | None:
    """What the last product takes, a map's mean over all places, as a model: pixels → float32 [N, D]; None where there is no
    last product. `name`: of the layer that is added for a map.
    """
    last = last_product(model)
    if last is None:
        return None
    features = last.input
    if len(features.shape) == 4:
        pool = layers.Flatten if tuple(features.shape[1:3]) == (1, 1) else layers.GlobalAveragePooling2D
        features = pool(name=name)(features)
    return keras.Model(model.inputs[0], features)


def with_units(model: keras.Model, units: Units) -> keras.Model:
    """`model` with `units` of its features for a second output, float32 [N, E]. Raises ValueError without a last product."""
    taken = {layer.name for layer in model.layers}
    name = "units"
    while {name, f"{name}_features"} & taken:
        name += "_"
    features = features_of(model, name=f"{name}_features")
    if features is None:
        raise ValueError(f"{model.name} does not end in a dense layer or a 1x1 convolution")
    head = layers.Dense(len(units.bias), activation="relu", name=name)
    outputs = [model.outputs[0], head(features.outputs[0])]
    head.set_weights([units.kernel, units.bias])
    return keras.Model(model.inputs[0], outputs, name=model.name)


def first_outputs(model: keras.Model, n: int) -> keras.Model:
    """The first `n` outputs of `model`, whose last product gives more."""
    weights, biases = _weights(model)
    return _replaced(model, weights[..., :n], biases[:n])


def with_background(model: keras.Model) -> keras.Model:
    """`model` with one output more, all of whose weights are zero: for a class of pictures that belong to no other."""
    weights, biases = _weights(model)
    more = np.zeros((*weights.shape[:-1], 1), np.float32)
    return _replaced(model, np.concatenate([weights, more], axis=-1), np.append(biases, np.float32(0)))


def _weights(model: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias of the last product. Raises ValueError where there is none."""
    last = last_product(model)
    if last is None:
        raise ValueError(f"{model.name} does not end in a dense layer or a 1x1 convolution")
    weights, *biases = last.get_weights()
    return weights, biases[0] if biases else np.zeros(weights.shape[-1], np.float32)


def _replaced(model: keras.Model, weights: np.ndarray, biases: np.ndarray) -> keras.Model:
    """`model` with these weights of its last product; the layers before it are the very same."""
    last = last_product(model)
    assert last is not None
    size = "units" if isinstance(last, layers.Dense) else "filters"
    new = type(last).from_config(last.get_config() | {size: weights.shape[-1], "use_bias": True})
    outputs = new(last.input)
    new.set_weights([weights, biases])
    for layer in model.layers[model.layers.index(last) + 1 :]:
        outputs = type(layer).from_config(layer.get_config())(outputs)
    return keras.Model(model.inputs[0], outputs, name=model.name)
