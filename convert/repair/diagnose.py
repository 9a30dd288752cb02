"""Which layers quantization costs most, and why: measured on training images, on the converted files themselves.

A layer's share of the error is what goes when it is left in float. Its own output stays float only where the layer it feeds
is in float too, so that one is left in float before and after: the share counts the layer's weights and the tensor it makes.
"""

import dataclasses
import math
from collections.abc import Iterator

import keras
import numpy as np

from convert.calibration.ranges import Range
from convert.evaluation import logits_of
from convert.interfaces import Converter, quietly
from convert.layers import factors, homes
from convert.plan import QUANTIZED, Plan
from convert.repair.causes import Seen, cause
from convert.repair.fusion_groups import Stage, fed_by, stages, with_what_it_feeds
from convert.results import Finding, Trial
from edge.errors import Refused
from train import evaluate

N_IMAGES, N_CALIBRATION = 128, 512
_FLOAT = Plan("float32")
_PER_IMAGE = 499  # values of each image kept for percentiles; a prime, or a stride would meet the same channels only


def diagnose(trial: Trial, converter: Converter, plan: Plan) -> tuple[Finding, ...]:
    """What each layer costs under `plan`, worst first; () where nothing is quantized or too few images validate.

    A few seconds: two conversions a layer, N_IMAGES pictures each.
    """
    if not trial.can_explain or plan.precision not in QUANTIZED:
        return ()
    model = trial.network.build()
    every = stages(model, converter.layers)
    images = trial.validation.images[:N_IMAGES]
    shares = _shares(trial, converter, plan, every, images, evaluate.logits(model, images))
    with quietly():
        noise = _sqnr(converter, plan, images)
        seen = _looks(trial, converter, plan, every, images, model)
    found = [
        Finding(stage.layer, noise[_output(stage, noise)], shares[stage.layer], *cause(seen[stage.layer]))
        for stage in every
        if stage.layer in seen and _output(stage, noise)
    ]
    return tuple(sorted(found, key=lambda finding: (-finding.share, finding.sqnr_db)))


def _shares(
    trial: Trial, converter: Converter, plan: Plan, every: tuple[Stage, ...], images: np.ndarray, reference: np.ndarray
) -> dict[str, float]:
    def error(in_float: tuple[str, ...]) -> float:
        left = tuple(dict.fromkeys((*plan.in_float, *in_float)))
        try:
            logits = logits_of(trial, converter, dataclasses.replace(plan, in_float=left), images)
        except Refused:  # cannot be had so: nothing is known of that layer
            return math.nan
        return float(np.mean((logits - reference) ** 2))

    whole = error(())
    found = {}
    for stage in every:
        goes = error(fed_by(stage, every)) - error(with_what_it_feeds(stage, every))
        found[stage.layer] = max(0.0, goes / whole) if whole > 0 and math.isfinite(goes) else 0.0
    return found


def _sqnr(converter: Converter, plan: Plan, images: np.ndarray) -> dict[str, float]:
    """Of each layer that both the float and the quantized model show."""
    signal: dict[str, float] = {}
    noise: dict[str, float] = {}
    both = zip(converter.layer_outputs(_FLOAT, images), converter.layer_outputs(plan, images), strict=True)
    for floating, quantized in both:
        for layer, values in quantized.items():
            signal[layer] = signal.get(layer, 0.0) + float(np.sum(np.square(floating[layer], dtype=np.float64)))
            noise[layer] = noise.get(layer, 0.0) + float(np.sum(np.square(floating[layer] - values, dtype=np.float64)))
    tiny = np.finfo(np.float64).tiny
    return {layer: float(10 * np.log10((signal[layer] + tiny) / (noise[layer] + tiny))) for layer in signal}


def _output(stage: Stage, known: dict[str, float]) -> str:
    """The converter's layer that puts out what `stage` makes; "" where the quantized model shows none."""
    return next((name for name in reversed(stage.own) if name in known), "")


def _looks(
    trial: Trial, converter: Converter, plan: Plan, every: tuple[Stage, ...], images: np.ndarray, model: keras.Model
) -> dict[str, Seen]:
    given = converter.ranges(plan)
    outputs = {stage.layer: stage.own[-1] for stage in every if stage.own[-1] in given}
    calibration = trial.calibration.images[:N_CALIBRATION]
    spreads: dict[str, list[float]] = {layer: [] for layer in outputs}
    kept: dict[str, list[np.ndarray]] = {layer: [] for layer in outputs}
    for values in converter.layer_outputs(_FLOAT, calibration):
        for layer, output in outputs.items():
            array = values[output]
            spreads[layer].append(float(max(array.max(), 0) - min(array.min(), 0)))
            kept[layer].append(np.abs(_sampled(array)))
    tallies = {layer: _Tally(given[output]) for layer, output in outputs.items()}
    n_channels = {layer: model.get_layer(layer).output.shape[-1] for layer in outputs}
    for values in converter.layer_outputs(_FLOAT, images):
        for layer, output in outputs.items():
            array = values[output]
            first = converter.kind == "onnx" and array.ndim == 4 and array.shape[1] == n_channels[layer]
            tallies[layer].add(array, axis=1 if first else array.ndim - 1)
    found = {}
    for layer, tally in tallies.items():
        least, most = np.quantile(np.concatenate(tally.sample), (0.001, 0.999))
        found[layer] = Seen(
            given=tally.given,
            used=(float(least), float(most)),
            largest=(tally.least, tally.most),
            clipped=tally.n_clipped / tally.n,
            clipped_energy=tally.clipped_energy / tally.energy if tally.energy else 0.0,
            image_spreads=np.array(spreads[layer]),
            image_indices=trial.calibration.indices,
            p999=float(np.quantile(np.concatenate(kept[layer]), 0.999)),
            channel_peaks=tally.channel_peaks,
            weight_peaks=weight_peaks(model, layer),
            input_peaks=input_peaks(model, layer),
            norm=isinstance(model.get_layer(layer), keras.layers.BatchNormalization),
            per_channel=plan.per_channel,
            calibrated=plan.calibrated,
        )
    return found


class _Tally:
    """What a layer's values come to over the pictures, added one by one: sums and a sample, for the values of all layers
    for all pictures are gigabytes."""

    def __init__(self, given: Range) -> None:
        self.given = given
        self.least, self.most = math.inf, -math.inf
        self.n = self.n_clipped = 0
        self.energy = self.clipped_energy = 0.0
        self.channel_peaks: np.ndarray = np.zeros(1)
        self.sample: list[np.ndarray] = []

    def add(self, array: np.ndarray, *, axis: int) -> None:
        """The values for one more picture; channels lie along `axis`."""
        low, high = self.given
        beyond = np.abs(array - np.clip(array, low, high))
        self.least, self.most = min(self.least, float(array.min())), max(self.most, float(array.max()))
        self.n += array.size
        self.n_clipped += int(np.sum(beyond > (high - low) / 255))  # one step beyond is rounding
        self.energy += float(np.sum(np.square(array, dtype=np.float64)))
        self.clipped_energy += float(np.sum(np.square(beyond, dtype=np.float64)))
        across = tuple(a for a in range(array.ndim) if a != axis)
        self.channel_peaks = np.maximum(self.channel_peaks, np.abs(array).max(axis=across))
        self.sample.append(_sampled(array))


def _sampled(array: np.ndarray) -> np.ndarray:
    """Values of one picture's `array`, evenly spread over it, _PER_IMAGE at most."""
    n = min(_PER_IMAGE, array.size)
    return array.ravel()[np.arange(n) * array.size // n]


def weight_peaks(model: keras.Model, name: str) -> np.ndarray | None:
    """The greatest magnitude of each output channel's weights as they are converted, the batch norm behind them folded in:
    float [C]; of a batch norm, its factors. None where layer `name` has neither."""
    layer = model.get_layer(name)
    if isinstance(layer, keras.layers.BatchNormalization):
        own: np.ndarray = np.abs(factors(layer))
        return own
    if not isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)):
        return None
    weights = np.abs(np.asarray(layer.kernel))
    if isinstance(layer, keras.layers.DepthwiseConv2D):  # [H, W, C, multiplier]
        weights = weights.reshape(*weights.shape[:2], -1)
    peaks: np.ndarray = weights.max(axis=tuple(range(weights.ndim - 1)))
    for norm in _folded(model, name):
        peaks = peaks * np.abs(factors(norm))
    return peaks


def input_peaks(model: keras.Model, name: str) -> np.ndarray | None:
    """As `weight_peaks`, of each input channel of a convolution or input of a dense layer."""
    layer = model.get_layer(name)
    if not isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
        return None
    weights = np.abs(np.asarray(layer.kernel))
    for norm in _folded(model, name):
        weights = weights * np.abs(factors(norm))
    peaks: np.ndarray = weights.max(axis=(*range(weights.ndim - 2), weights.ndim - 1))
    return peaks


def _folded(model: keras.Model, name: str) -> Iterator[keras.layers.BatchNormalization]:
    home = homes(model)
    norms = (layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization))
    return (norm for norm in norms if norm.name != name and home[norm.name] == name)
