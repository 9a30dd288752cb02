"""Changes of weights that leave the float answers as they are, nearly or exactly, and the quantized ones better.

Both are from Nagel, van Baalen, Blankevoort, Welling 2019, arXiv 1906.04721.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

from convert.interfaces import Network
from convert.layers import factors, homes
from convert.repair.fusion_groups import PASSING, Stage, stages
from train.checkpoint import weights_of

_SWEEPS = 20
_BATCH = 16  # pictures at a time
_HOMOGENEOUS = (None, keras.activations.linear, keras.activations.relu)  # f(s·x) = s·f(x) for s > 0
_MIXING = (layers.Reshape, layers.Permute)  # channels may come out elsewhere


@dataclass(frozen=True, eq=False)
class Reweighted:
    """`network` with other weights, by path."""

    network: Network
    weights: dict[str, np.ndarray]

    def build(self, *, batch_size: int | None = None) -> keras.Model:
        """The network in float, with those weights."""
        model = self.network.build(batch_size=batch_size)
        for variable in model.weights:
            variable.assign(self.weights[variable.path])
        return model


def equalized(network: Network) -> Reweighted | None:
    """Cross-layer equalization (4.1): each channel between two layers is scaled so that its weights reach equally far in
    both; what the first divides by, the second multiplies by. None where no two layers follow each other so that they may.
    """
    model = network.build()
    pairs = list(_pairs(model))
    for _ in range(_SWEEPS if pairs else 0):
        for first, second in pairs:
            out, into = _reach_out(model, first), _reach_in(model, second, len(_reach_out(model, first)))
            alive = (out > 0) & (into > 0)
            scale = np.where(alive, np.sqrt(out / np.where(alive, into, 1)), 1.0).astype(np.float32)
            _divide_output(model, first, scale)
            _multiply_input(second, scale)
    return Reweighted(network, weights_of(model)) if pairs else None


def bias_corrected(network: Network, images: np.ndarray, *, bits: int, per_channel: bool) -> Reweighted:
    """Bias correction (4.2): what rounding the weights adds to a layer's mean output is taken off its bias again.

    The mean of each input is that of the float model over `images`, uint8 [n, H, W, C].
    """
    model = network.build()
    carrying = [(layer, carrier) for layer in model.layers if (carrier := _carrier(model, layer)) is not None]
    inputs = _input_means(model, [layer for layer, _ in carrying], images)
    for (layer, carrier), means in zip(carrying, inputs, strict=True):
        rounding = _rounding(_folded_kernel(model, layer), layer, bits=bits, per_channel=per_channel)
        shift = rounding.sum(axis=(0, 1)) if rounding.ndim == 4 else rounding  # [inputs, outputs], whatever the place
        added = (shift * means[:, None]).reshape(-1) if isinstance(layer, layers.DepthwiseConv2D) else means @ shift
        carrier.assign(np.asarray(carrier) - added)
    return Reweighted(network, weights_of(model))


def _input_means(model: keras.Model, takers: list[keras.Layer], images: np.ndarray) -> list[np.ndarray]:
    """The mean over `images` of each channel that each of `takers` gets: float64 [C]. The maps themselves are not kept."""
    # Named, because a name given by Keras may be that of one of the model's own layers.
    means = [_MeanOfChannels(name=f"mean-in.{taker.name}")(taker.input) for taker in takers]
    of_each = keras.Model(model.inputs, means)
    sums = [np.zeros(mean.shape[-1]) for mean in means]
    for start in range(0, len(images), _BATCH):
        found = of_each.predict_on_batch(images[start : start + _BATCH].astype(np.float32))
        for total, values in zip(sums, found if isinstance(found, list) else [found], strict=True):
            total += values.sum(axis=0, dtype=np.float64)
    return [total / len(images) for total in sums]


def _pairs(model: keras.Model) -> Iterator[tuple[keras.Layer, keras.Layer]]:
    """Layers of which the second alone takes what the first puts out, channel by channel, scaled as it comes."""
    every = stages(model, tuple(layer.name for layer in model.layers))
    for stage in every:
        if len(stage.feeds) == 1:
            first, second = model.get_layer(stage.layer), model.get_layer(stage.feeds[0])
            if _may_scale_output(model, stage) and isinstance(second, (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)):
                yield first, second


class _MeanOfChannels(layers.Layer):  # type: ignore[misc]  # Keras has no types
    """[N, ..., C] → [N, C]."""

    def call(self, x: Any) -> Any:
        return keras.ops.mean(x, axis=tuple(range(1, len(x.shape) - 1)))


def _may_scale_output(model: keras.Model, stage: Stage) -> bool:
    layer = model.get_layer(stage.layer)
    if isinstance(layer, layers.BatchNormalization):
        if layer.axis not in (-1, layer.input.ndim - 1):
            return False
    elif not isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)):
        return False
    if getattr(layer, "activation", None) not in _HOMOGENEOUS or getattr(layer, "groups", 1) != 1:
        return False
    if any(not (norm.scale and norm.center) for norm in _norms(model, layer)):
        return False
    behind = [model.get_layer(name) for name in (*stage.own[1:], *stage.passing)]
    return all(
        isinstance(each, layers.BatchNormalization)
        or (isinstance(each, PASSING) and not isinstance(each, _MIXING))
        or (isinstance(each, layers.ReLU) and each.max_value is None and not each.threshold)
        or (isinstance(each, layers.Activation) and each.activation in _HOMOGENEOUS)
        for each in behind
    )


def _norms(model: keras.Model, layer: keras.Layer) -> list[layers.BatchNormalization]:
    """The batch norms that fold into `layer`, in order, or `layer` if it is one that folds into nothing."""
    home = homes(model)
    return [each for each in model.layers if isinstance(each, layers.BatchNormalization) and home[each.name] == layer.name]


def _folded_kernel(model: keras.Model, layer: keras.Layer) -> np.ndarray:
    kernel = np.asarray(layer.kernel)
    for norm in _norms(model, layer):
        own = factors(norm)
        kernel = kernel * (own.reshape(kernel.shape[2:]) if isinstance(layer, layers.DepthwiseConv2D) else own)
    return kernel


def _reach_out(model: keras.Model, layer: keras.Layer) -> np.ndarray:
    """How far the weights of each output channel reach: float [C]."""
    if isinstance(layer, layers.BatchNormalization):
        own: np.ndarray = np.abs(factors(layer))
        return own
    kernel = np.abs(_folded_kernel(model, layer))
    if isinstance(layer, layers.DepthwiseConv2D):
        kernel = kernel.reshape(-1, kernel.shape[2] * kernel.shape[3])
    reach: np.ndarray = kernel.max(axis=tuple(range(kernel.ndim - 1)))
    return reach


def _reach_in(model: keras.Model, layer: keras.Layer, n_channels: int) -> np.ndarray:
    """How far the weights reach that each of `n_channels` input channels meets: float [C]."""
    kernel = np.abs(_folded_kernel(model, layer))
    if isinstance(layer, layers.Dense):
        kernel = kernel.reshape(1, -1, n_channels, kernel.shape[-1])  # flattened: the channel turns fastest
    reach: np.ndarray = kernel.max(axis=(0, 1, 3))
    return reach


def _divide_output(model: keras.Model, layer: keras.Layer, scale: np.ndarray) -> None:
    for norm in _norms(model, layer)[-1:]:
        norm.gamma.assign(np.asarray(norm.gamma) / scale)
        norm.beta.assign(np.asarray(norm.beta) / scale)
        return
    shape = (*layer.kernel.shape[2:],) if isinstance(layer, layers.DepthwiseConv2D) else (-1,)
    layer.kernel.assign(np.asarray(layer.kernel) / scale.reshape(shape))
    if layer.bias is not None:
        layer.bias.assign(np.asarray(layer.bias) / scale)


def _multiply_input(layer: keras.Layer, scale: np.ndarray) -> None:
    kernel = np.asarray(layer.kernel)
    if isinstance(layer, layers.Dense):
        scaled = kernel.reshape(-1, len(scale), kernel.shape[-1]) * scale[:, None]
    else:
        scaled = kernel * scale[:, None]
    layer.kernel.assign(scaled.reshape(kernel.shape))


def _carrier(model: keras.Model, layer: keras.Layer) -> keras.Variable | None:
    """What a constant may be added to for `layer`'s output to move by it; None where there is nothing."""
    if not isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)) or getattr(layer, "groups", 1) != 1:
        return None
    norms = _norms(model, layer)
    return norms[-1].beta if norms else layer.bias


def _rounding(kernel: np.ndarray, layer: keras.Layer, *, bits: int, per_channel: bool) -> np.ndarray:
    """What symmetric rounding to `bits` bits adds to each weight."""
    levels = 2 ** (bits - 1) - 1
    if not per_channel:
        reach = np.abs(kernel).max()
    elif isinstance(layer, layers.DepthwiseConv2D):
        reach = np.abs(kernel).max(axis=(0, 1), keepdims=True)
    else:
        reach = np.abs(kernel).max(axis=tuple(range(kernel.ndim - 1)), keepdims=True)
    step = np.maximum(reach, np.finfo(np.float32).tiny) / levels
    added: np.ndarray = np.round(kernel / step) * step - kernel
    return added
