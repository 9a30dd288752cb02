"""Which layers quantization costs most, and why: measured on training images, on the converted files themselves.

A layer's share of the error is what goes when it is left in float. Its own output stays float only where the layer it feeds
is in float too, so that one is left in float before and after: the share counts the layer's weights and the tensor it makes.
"""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

import keras
import numpy as np

from convert.candidate import Converter, quietly
from convert.causes import Seen, cause
from convert.layers import homes
from convert.plan import QUANTIZED, Plan
from convert.stages import Stage, fed_by, stages, with_what_it_feeds
from convert.trial import Row, Trial, answers
from edge.errors import Refused
from train import evaluate

N_IMAGES, N_CALIBRATION = 128, 512
_FLOAT = Plan("float32")
_PER_IMAGE = 2_000  # values of each calibration image kept for percentiles


@dataclass(frozen=True)
class Finding:
    """What quantization does to one layer.

    `sqnr_db`: its output's signal-to-quantization-noise ratio in the quantized model; `share`: of the final error, the mean
    square logit difference on validation images, from 0 up; `cause` and `evidence` in words.
    """

    layer: str
    sqnr_db: float
    share: float
    cause: str
    evidence: str

    @property
    def in_words(self) -> str:
        return f"{self.layer} ({100 * self.share:.0f} % of the error, {self.sqnr_db:.1f} dB): {self.cause}: {self.evidence}"


def diagnosed(trial: Trial, source: Converter, row: Row) -> Row:
    """`row` with its findings; as it is where nothing is quantized."""
    if row.judged is None or not trial.can_explain or row.plan.precision not in QUANTIZED:
        return row
    return dataclasses.replace(row, findings=diagnose(trial, source, row.plan))


def diagnose(trial: Trial, source: Converter, plan: Plan) -> tuple[Finding, ...]:
    """What each layer costs under `plan`, worst first. A few seconds: two conversions a layer, N_IMAGES pictures each."""
    model = trial.trained.build()
    every = stages(model, source.layers)
    images = trial.validation.images[:N_IMAGES]
    shares = _shares(trial, source, plan, every, images, evaluate.logits(model, images))
    with quietly():
        noise = _sqnr(source, plan, images)
        seen = _looks(trial, source, plan, every, images, model)
    found = [
        Finding(stage.layer, noise[_output(stage, noise)], shares[stage.layer], *cause(seen[stage.layer]))
        for stage in every
        if stage.layer in seen and _output(stage, noise)
    ]
    return tuple(sorted(found, key=lambda finding: (-finding.share, finding.sqnr_db)))


def _shares(
    trial: Trial, source: Converter, plan: Plan, every: tuple[Stage, ...], images: np.ndarray, reference: np.ndarray
) -> dict[str, float]:
    def error(in_float: tuple[str, ...]) -> float:
        left = tuple(dict.fromkeys((*plan.in_float, *in_float)))
        try:
            logits = answers(trial, source, dataclasses.replace(plan, in_float=left), images)
        except Refused:  # cannot be had so: nothing is known of that layer
            return math.nan
        return float(np.mean((logits - reference) ** 2))

    whole = error(())
    found = {}
    for stage in every:
        goes = error(fed_by(stage, every)) - error(with_what_it_feeds(stage, every))
        found[stage.layer] = max(0.0, goes / whole) if whole > 0 and math.isfinite(goes) else 0.0
    return found


def _sqnr(source: Converter, plan: Plan, images: np.ndarray) -> dict[str, float]:
    """Of each layer that both the float and the quantized model show."""
    signal: dict[str, float] = {}
    noise: dict[str, float] = {}
    both = zip(source.layer_outputs(_FLOAT, images), source.layer_outputs(plan, images), strict=True)
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
    trial: Trial, source: Converter, plan: Plan, every: tuple[Stage, ...], images: np.ndarray, model: keras.Model
) -> dict[str, Seen]:
    given = source.ranges(plan)
    outputs = {stage.layer: stage.own[-1] for stage in every if stage.own[-1] in given}
    calibration = trial.calibration.images[:N_CALIBRATION]
    spreads: dict[str, list[float]] = {layer: [] for layer in outputs}
    kept: dict[str, list[np.ndarray]] = {layer: [] for layer in outputs}
    for values in source.layer_outputs(_FLOAT, calibration):
        for layer, output in outputs.items():
            array = values[output]
            spreads[layer].append(float(max(array.max(), 0) - min(array.min(), 0)))
            kept[layer].append(np.abs(array.ravel()[:: max(1, array.size // _PER_IMAGE)]))
    on_validation = list(source.layer_outputs(_FLOAT, images))
    found = {}
    for layer, output in outputs.items():
        arrays = np.stack([values[output] for values in on_validation])
        low, high = given[output]
        clipped = np.clip(arrays, low, high)
        energy = float(np.sum(np.square(arrays, dtype=np.float64)))
        n_channels = model.get_layer(layer).output.shape[-1]
        axis = 2 if source.kind == "onnx" and arrays.ndim == 5 and arrays.shape[2] == n_channels else arrays.ndim - 1
        across = tuple(a for a in range(arrays.ndim) if a != axis)
        least, most = np.quantile(arrays, (0.001, 0.999))
        found[layer] = Seen(
            given=(low, high),
            used=(float(least), float(most)),
            largest=(float(arrays.min()), float(arrays.max())),
            # One step beyond is rounding.
            clipped=float(np.mean(np.abs(arrays - clipped) > (high - low) / 255)),
            clipped_energy=float(np.sum(np.square(arrays - clipped, dtype=np.float64))) / energy if energy else 0.0,
            image_spreads=np.array(spreads[layer]),
            image_indices=trial.calibration.indices,
            p999=float(np.quantile(np.concatenate(kept[layer]), 0.999)),
            channel_peaks=np.abs(arrays).max(axis=across),
            weight_peaks=weight_peaks(model, layer),
            input_peaks=input_peaks(model, layer),
            norm=isinstance(model.get_layer(layer), keras.layers.BatchNormalization),
            per_channel=plan.per_channel,
            calibrated=plan.calibrated,
        )
    return found


def weight_peaks(model: keras.Model, name: str) -> np.ndarray | None:
    """The greatest magnitude of each output channel's weights as they are converted, the batch norm behind them folded in:
    float [C]; of a batch norm, its factors. None where layer `name` has neither."""
    layer = model.get_layer(name)
    if isinstance(layer, keras.layers.BatchNormalization):
        factors: np.ndarray = np.abs(_factors(layer))
        return factors
    if not isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)):
        return None
    weights = np.abs(np.asarray(layer.kernel))
    if isinstance(layer, keras.layers.DepthwiseConv2D):  # [H, W, C, multiplier]
        weights = weights.reshape(*weights.shape[:2], -1)
    peaks: np.ndarray = weights.max(axis=tuple(range(weights.ndim - 1)))
    for norm in _folded(model, name):
        peaks = peaks * np.abs(_factors(norm))
    return peaks


def input_peaks(model: keras.Model, name: str) -> np.ndarray | None:
    """As `weight_peaks`, of each input channel of a convolution or input of a dense layer."""
    layer = model.get_layer(name)
    if not isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
        return None
    weights = np.abs(np.asarray(layer.kernel))
    for norm in _folded(model, name):
        weights = weights * np.abs(_factors(norm))
    peaks: np.ndarray = weights.max(axis=(*range(weights.ndim - 2), weights.ndim - 1))
    return peaks


def _folded(model: keras.Model, name: str) -> Iterator[keras.layers.BatchNormalization]:
    home = homes(model)
    return (layer for layer in model.layers if layer.name != name and home[layer.name] == name)


def _factors(norm: keras.layers.BatchNormalization) -> np.ndarray:
    gamma = np.asarray(norm.gamma) if norm.scale else 1.0
    factors: np.ndarray = gamma / np.sqrt(np.asarray(norm.moving_variance) + norm.epsilon)
    return factors
