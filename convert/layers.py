"""Which Keras layer a part of a converted model comes from, by the names converters give: `lenet5_1/conv1_1/Relu:0`."""

import re
from collections import Counter
from collections.abc import Collection, Iterable

import keras
import numpy as np

_PRODUCTS = (
    keras.layers.Conv2D, keras.layers.Conv2DTranspose, keras.layers.Dense, keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)  # fmt: skip


def layer_in(texts: Iterable[str], layers: Collection[str]) -> str:
    """The first of `layers` named in `texts`, "" if none is. The numbers behind names are TensorFlow's."""
    parts = [part for text in texts for part in re.split("[/;:]", text)]
    named = (known for part in parts for known in (re.sub(r"_\d+$", "", part), part) if known in layers)
    return next(named, "")


def homes(model: keras.Model) -> dict[str, str]:
    """Each layer's name → the layer it is computed in: its own, but a batch norm's is the one whose weights it folds into,
    and that of a layer which does nothing outside training is the one before it.
    """
    takers = Counter(name for layer in model.layers for name in parents_of(layer))
    layers = {layer.name: layer for layer in model.layers}
    found: dict[str, str] = {}
    for layer in model.layers:
        found[layer.name] = layer.name
        parents = parents_of(layer)
        # Where another takes the same values, they are computed on their own.
        if len(parents) == 1 and parents[0] in found and takers[parents[0]] == 1:
            home = layers[found[parents[0]]]
            if _does_nothing(layer) or _folds(layer, home):
                found[layer.name] = home.name
    return found


def parents_of(layer: keras.Layer) -> list[str]:
    """The names of the layers whose output `layer` takes; none for an input."""
    if isinstance(layer, keras.layers.InputLayer):
        return []
    return [tensor._keras_history.operation.name for tensor in keras.tree.flatten(layer.input)]


def factors(norm: keras.layers.BatchNormalization) -> np.ndarray:
    """What a batch norm multiplies each channel by: float [C]."""
    gamma = np.asarray(norm.gamma) if norm.scale else 1.0
    found: np.ndarray = gamma / np.sqrt(np.asarray(norm.moving_variance) + norm.epsilon)
    return found


def _does_nothing(layer: keras.Layer) -> bool:
    linear = isinstance(layer, keras.layers.Activation) and layer.activation is keras.activations.linear
    return linear or isinstance(layer, (keras.layers.Dropout, keras.layers.SpatialDropout2D))


def _folds(layer: keras.Layer, home: keras.Layer) -> bool:
    """Whether `layer` is a batch norm over the channels that a product without activation, `home`, puts out."""
    norm = isinstance(layer, keras.layers.BatchNormalization) and layer.axis in (-1, len(layer.input.shape) - 1)
    return norm and isinstance(home, _PRODUCTS) and home.activation is keras.activations.linear
