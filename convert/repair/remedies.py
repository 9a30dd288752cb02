"""Weight changes that keep the float logits and lower the quantization error (Nagel et al. 2019, arXiv 1906.04721)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

from convert.interfaces import Network
from convert.layers import folded_kernel, folded_norms, input_peaks, output_peaks
from convert.repair.fusion_groups import PASSTHROUGH, FusionGroup, fusion_groups
from train.architectures.widen import Units, last_product
from train.checkpoint import weights_of

_SWEEPS = 20
_BATCH = 16  # images at a time
_HOMOGENEOUS = (None, keras.activations.linear, keras.activations.relu)  # f(s·x) = s·f(x) for s > 0
_MIXING = (layers.Reshape, layers.Permute)  # channels may change places


@dataclass(frozen=True, eq=False)
class Reweighted:
    """`network` with other `weights`, by their variables' paths, and the `units` that fit its features."""

    network: Network
    weights: dict[str, np.ndarray]
    units: Units | None = None

    def build(self, *, batch_size: int | None = None) -> keras.Model:
        """The float network with these weights."""
        model = self.network.build(batch_size=batch_size)
        for variable in model.weights:
            variable.assign(self.weights[variable.path])
        return model


def equalize(network: Network) -> Reweighted | None:
    """Cross-layer equalization (4.1): each channel between two layers gets equal peaks in both; None without such layers."""
    model = network.build()
    pairs, units = list(_pairs(model)), getattr(network, "units", None)
    for _ in range(_SWEEPS if pairs else 0):
        for first, second in pairs:
            out = output_peaks(model, first)
            # Behind a Flatten a dense layer has an input for each pixel; the channel turns fastest.
            into = input_peaks(model, second).reshape(-1, len(out)).max(axis=0)
            alive = (out > 0) & (into > 0)
            scale = np.where(alive, np.sqrt(out / np.where(alive, into, 1)), 1.0).astype(np.float32)
            _divide_output(model, first, scale)
            _multiply_input(second, scale)
            if units and second is last_product(model):
                units = units.for_features(scale)
    return Reweighted(network, weights_of(model), units) if pairs else None


def correct_biases(network: Network, images: np.ndarray, *, bits: int, per_channel: bool) -> Reweighted:
    """Bias correction (4.2): subtract what rounding the weights adds to the mean outputs for `images`, uint8 [n, H, W, C]."""
    model = network.build()
    biases = [(layer, bias) for layer in model.layers if (bias := _bias(model, layer)) is not None]
    inputs = _input_means(model, [layer for layer, _ in biases], images)
    for (layer, bias), means in zip(biases, inputs, strict=True):
        rounding = _rounding(folded_kernel(model, layer), layer, bits=bits, per_channel=per_channel)
        shift = rounding.sum(axis=(0, 1)) if rounding.ndim == 4 else rounding  # [inputs, outputs]
        added = (shift * means[:, None]).reshape(-1) if isinstance(layer, layers.DepthwiseConv2D) else means @ shift
        bias.assign(np.asarray(bias) - added)
    return Reweighted(network, weights_of(model), getattr(network, "units", None))


def _input_means(model: keras.Model, consumers: list[keras.Layer], images: np.ndarray) -> list[np.ndarray]:
    """The mean over `images` of each input channel of each of `consumers`: float64 [C]. The maps themselves are not kept."""
    # Named here, because a name that Keras chooses may be taken by a layer of the model.
    means = [_ChannelMeans(name=f"mean-in.{layer.name}")(layer.input) for layer in consumers]
    watched = keras.Model(model.inputs, means)
    sums = [np.zeros(mean.shape[-1]) for mean in means]
    for start in range(0, len(images), _BATCH):
        batch = watched.predict_on_batch(images[start : start + _BATCH].astype(np.float32))
        for total, values in zip(sums, batch if isinstance(batch, list) else [batch], strict=True):
            total += values.sum(axis=0, dtype=np.float64)
    return [total / len(images) for total in sums]


def _pairs(model: keras.Model) -> Iterator[tuple[keras.Layer, keras.Layer]]:
    """Layers of which the second is the only consumer of the first, with channels in the same order and scale between them."""
    for group in fusion_groups(model, tuple(layer.name for layer in model.layers)):
        if len(group.consumers) == 1:
            first, second = model.get_layer(group.layer), model.get_layer(group.consumers[0])
            if _may_scale_output(model, group) and isinstance(second, (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)):
                yield first, second


class _ChannelMeans(layers.Layer):  # type: ignore[misc]  # Keras has no types
    """[N, ..., C] → [N, C]."""

    def call(self, x: Any) -> Any:
        return keras.ops.mean(x, axis=tuple(range(1, len(x.shape) - 1)))


def _may_scale_output(model: keras.Model, group: FusionGroup) -> bool:
    layer = model.get_layer(group.layer)
    if isinstance(layer, layers.BatchNormalization):
        if layer.axis not in (-1, layer.input.ndim - 1):
            return False
    elif not isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)):
        return False
    if getattr(layer, "activation", None) not in _HOMOGENEOUS or getattr(layer, "groups", 1) != 1:
        return False
    if any(not (norm.scale and norm.center) for norm in folded_norms(model, layer)):
        return False
    behind = [model.get_layer(name) for name in (*group.fused[1:], *group.passthrough)]
    return all(
        isinstance(each, layers.BatchNormalization)
        or (isinstance(each, PASSTHROUGH) and not isinstance(each, _MIXING))
        or (isinstance(each, layers.ReLU) and each.max_value is None and not each.threshold)
        or (isinstance(each, layers.Activation) and each.activation in _HOMOGENEOUS)
        for each in behind
    )


def _divide_output(model: keras.Model, layer: keras.Layer, scale: np.ndarray) -> None:
    for norm in folded_norms(model, layer)[-1:]:
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


def _bias(model: keras.Model, layer: keras.Layer) -> keras.Variable | None:
    """The variable that is added to each output channel of `layer`; None where there is none."""
    if not isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)) or getattr(layer, "groups", 1) != 1:
        return None
    norms = folded_norms(model, layer)
    return norms[-1].beta if norms else layer.bias


def _rounding(kernel: np.ndarray, layer: keras.Layer, *, bits: int, per_channel: bool) -> np.ndarray:
    """The error that symmetric rounding to `bits` bits makes in each weight, in the kernel's shape."""
    levels = 2 ** (bits - 1) - 1
    across = (0, 1) if isinstance(layer, layers.DepthwiseConv2D) else tuple(range(kernel.ndim - 1))
    peaks = np.abs(kernel).max(axis=across if per_channel else None, keepdims=True)
    step = np.maximum(peaks, np.finfo(np.float32).tiny) / levels
    error: np.ndarray = np.round(kernel / step) * step - kernel
    return error
