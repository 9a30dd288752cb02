"""Which Keras layer a part of a converted model comes from, by the names converters give: `lenet5_1/conv1_1/Relu:0`."""

import re
from collections.abc import Collection, Iterable

import keras


def layer_in(texts: Iterable[str], layers: Collection[str]) -> str:
    """The first of `layers` named in `texts`, "" if none is. The numbers behind names are TensorFlow's."""
    parts = [part for text in texts for part in re.split("[/;:]", text)]
    named = (known for part in parts for known in (re.sub(r"_\d+$", "", part), part) if known in layers)
    return next(named, "")


def homes(model: keras.Model) -> dict[str, str]:
    """Each layer's name → the layer it is computed in: its own, but a batch norm's is the convolution it folds into."""
    found = {}
    for layer in model.layers:
        found[layer.name] = layer.name
        if isinstance(layer, keras.layers.BatchNormalization) and layer.axis in (-1, len(layer.input.shape) - 1):
            before = layer.input._keras_history.operation
            if before.name in found and getattr(before, "activation", None) in (None, keras.activations.linear):
                found[layer.name] = found[before.name]
    return found
