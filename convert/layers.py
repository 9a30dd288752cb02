"""Keras layers behind the parts of a converted model: by the names converters give, and by what fuses into what."""

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
    """The first of `layers` named in `texts`, such as `lenet5_1/conv1_1/Relu:0`; "" if none is. TensorFlow adds the numbers."""
    parts = [part for text in texts for part in re.split("[/;:]", text)]
    named = (known for part in parts for known in (re.sub(r"_\d+$", "", part), part) if known in layers)
    return next(named, "")


def fused_into(model: keras.Model) -> dict[str, str]:
    """By each layer's name, the layer whose operator computes it: for a batch norm the layer whose weights absorb it, for a
    layer that does nothing outside training the one before it, else itself.
    """
    n_consumers = Counter(name for layer in model.layers for name in parents_of(layer))
    layers = {layer.name: layer for layer in model.layers}
    targets: dict[str, str] = {}
    for layer in model.layers:
        targets[layer.name] = layer.name
        parents = parents_of(layer)
        # What a second layer takes must be computed on its own.
        if len(parents) == 1 and parents[0] in targets and n_consumers[parents[0]] == 1:
            target = layers[targets[parents[0]]]
            if _does_nothing(layer) or _folds(layer, target):
                targets[layer.name] = target.name
    return targets


def folded_norms(model: keras.Model, layer: keras.Layer) -> list[keras.layers.BatchNormalization]:
    """The batch norms that fold into `layer`, in order; `layer` itself if it is one that folds into nothing."""
    targets = fused_into(model)
    norms = (each for each in model.layers if isinstance(each, keras.layers.BatchNormalization))
    return [norm for norm in norms if targets[norm.name] == layer.name]


def folded_kernel(model: keras.Model, layer: keras.Layer) -> np.ndarray:
    """The kernel of a convolution or dense layer with the batch norms behind it folded in, in the kernel's own shape."""
    kernel = np.asarray(layer.kernel)
    for norm in folded_norms(model, layer):
        factors = norm_factors(norm)
        kernel = kernel * (factors.reshape(kernel.shape[2:]) if isinstance(layer, keras.layers.DepthwiseConv2D) else factors)
    return kernel


def output_peaks(model: keras.Model, layer: keras.Layer) -> np.ndarray:
    """The greatest magnitude of each output channel's weights, batch norms folded in: float [C]; of a batch norm, of its
    factors."""
    if isinstance(layer, keras.layers.BatchNormalization):
        kernel = np.abs(norm_factors(layer))
    else:
        kernel = np.abs(folded_kernel(model, layer))
    if isinstance(layer, keras.layers.DepthwiseConv2D):  # [H, W, C, multiplier]
        kernel = kernel.reshape(-1, kernel.shape[2] * kernel.shape[3])
    peaks: np.ndarray = kernel.max(axis=tuple(range(kernel.ndim - 1)))
    return peaks


def input_peaks(model: keras.Model, layer: keras.Layer) -> np.ndarray:
    """As `output_peaks`, of each input channel of a convolution or input of a dense layer: float [C]."""
    kernel = np.abs(folded_kernel(model, layer))
    peaks: np.ndarray = kernel.max(axis=(*range(kernel.ndim - 2), kernel.ndim - 1))
    return peaks


def parents_of(layer: keras.Layer) -> list[str]:
    """The names of the layers whose outputs `layer` takes; none for an input."""
    if isinstance(layer, keras.layers.InputLayer):
        return []
    return [tensor._keras_history.operation.name for tensor in keras.tree.flatten(layer.input)]


def norm_factors(norm: keras.layers.BatchNormalization) -> np.ndarray:
    """What a batch norm multiplies each channel by: float [C]."""
    gamma = np.asarray(norm.gamma) if norm.scale else 1.0
    factors: np.ndarray = gamma / np.sqrt(np.asarray(norm.moving_variance) + norm.epsilon)
    return factors


def _does_nothing(layer: keras.Layer) -> bool:
    linear = isinstance(layer, keras.layers.Activation) and layer.activation is keras.activations.linear
    return linear or isinstance(layer, (keras.layers.Dropout, keras.layers.SpatialDropout2D))


def _folds(layer: keras.Layer, target: keras.Layer) -> bool:
    """Whether `layer` is a batch norm over the channels that `target`, a product without activation, puts out."""
    norm = isinstance(layer, keras.layers.BatchNormalization) and layer.axis in (-1, len(layer.input.shape) - 1)
    return norm and isinstance(target, _PRODUCTS) and target.activation is keras.activations.linear
