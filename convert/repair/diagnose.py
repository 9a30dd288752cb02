"""Which layers quantization costs most, and why, measured on the converted files themselves.

A layer's share of the error is the error that goes when the layer is left in float. Its output stays float only if the layers
that take it are in float too, so they are in float both before and after: the share counts the layer's own weights and output.
"""

import dataclasses
import math

import keras
import numpy as np

from convert import effort, layers
from convert.calibration.ranges import Range
from convert.effort import MORE, Trials
from convert.evaluation import logit_error
from convert.interfaces import Converter, quietly
from convert.plan import QUANTIZED, Plan
from convert.repair.causes import LayerStats, cause
from convert.repair.fusion_groups import FusionGroup, consumers, fusion_groups, with_consumers
from convert.results import Finding, Trial
from edge.errors import note
from train import evaluate

N_IMAGES, N_CALIBRATION = 128, 512
LEAST_IMAGES = 32  # where they are large
_FLOAT = Plan("float32")
_PER_IMAGE = 499  # values sampled of each image for percentiles; a prime, so that the stride meets every channel


def diagnose(
    trial: Trial, converter: Converter, plan: Plan, *, trials: Trials | None = None, leave: int = 0
) -> tuple[Finding, ...]:
    """What each layer costs under `plan`, worst first; () where nothing is quantized or too few images validate.

    Takes two of `trials` a layer, and leaves `leave`. Where they do not last, the layers that add most noise are told.
    """
    if not trial.can_explain or plan.precision not in QUANTIZED:
        return ()
    model = trial.network.build()
    groups = fusion_groups(model, converter.layers)
    images = trial.validation.images[: effort.n_images(N_IMAGES, trial.dataset.contract, least=LEAST_IMAGES)]
    reference = evaluate.logits(model, images)
    trials = trials or Trials()
    with quietly():
        sqnr_db = _sqnr_db(converter, plan, images)
    ranked = groups if trials.left is None else _noisiest(groups, sqnr_db)
    shares = _shares(trial, converter, plan, groups, images, reference, ranked=ranked, trials=trials, leave=leave)
    if len(shares) < len(groups):
        note(f"{trial.network.name}-{plan.precision}.{converter.kind}: {len(shares)} of {len(groups)} layers measured ({MORE})")
    with quietly():
        stats = _layer_stats(trial, converter, plan, tuple(g for g in groups if g.layer in shares), images, model)
    findings = [
        Finding(group.layer, sqnr_db[output], shares[group.layer], *cause(stats[group.layer]))
        for group in groups
        if group.layer in stats and (output := _output(group, sqnr_db))
    ]
    return tuple(sorted(findings, key=lambda finding: (-finding.share, finding.sqnr_db)))


def _output(group: FusionGroup, sqnr_db: dict[str, float]) -> str:
    """The last layer of `group` whose noise is known; "" if none is."""
    return next((name for name in reversed(group.fused) if name in sqnr_db), "")


def _noisiest(groups: tuple[FusionGroup, ...], sqnr_db: dict[str, float]) -> tuple[FusionGroup, ...]:
    """`groups`, those first whose output has most noise beyond that of the group before."""
    noise = [10 ** (-sqnr_db[output] / 10) if (output := _output(group, sqnr_db)) else 0.0 for group in groups]
    added = np.diff(noise, prepend=0.0)
    return tuple(groups[index] for index in np.argsort(-added, kind="stable"))


def _shares(
    trial: Trial, converter: Converter, plan: Plan, groups: tuple[FusionGroup, ...], images: np.ndarray, reference: np.ndarray,
    *, ranked: tuple[FusionGroup, ...], trials: Trials, leave: int,
) -> dict[str, float]:  # fmt: skip
    """Each group's share of the mean square logit error, by its layer, 0.0 where it cannot be measured: of `ranked` as many as
    the `trials` last for."""

    def error(in_float: tuple[str, ...]) -> float:
        names = tuple(dict.fromkeys((*plan.in_float, *in_float)))
        return logit_error(trial, converter, dataclasses.replace(plan, in_float=names), images, reference)

    total = error(()) if trials.take(leave=leave) else 0.0
    shares = {}
    for group in ranked:
        if not trials.take(2, leave=leave):
            break
        part = error(consumers(group, groups)) - error(with_consumers(group, groups))
        shares[group.layer] = max(0.0, part / total) if total > 0 and math.isfinite(part) else 0.0
    return shares


def _sqnr_db(converter: Converter, plan: Plan, images: np.ndarray) -> dict[str, float]:
    """The signal-to-quantization-noise ratio of each layer that both the float and the quantized model show."""
    signal: dict[str, float] = {}
    noise: dict[str, float] = {}
    both = zip(converter.layer_outputs(_FLOAT, images), converter.layer_outputs(plan, images), strict=True)
    for floating, quantized in both:
        for layer, values in quantized.items():
            signal[layer] = signal.get(layer, 0.0) + float(np.sum(np.square(floating[layer], dtype=np.float64)))
            noise[layer] = noise.get(layer, 0.0) + float(np.sum(np.square(floating[layer] - values, dtype=np.float64)))
    tiny = np.finfo(np.float64).tiny
    return {layer: float(10 * np.log10((signal[layer] + tiny) / (noise[layer] + tiny))) for layer in signal}


def _layer_stats(
    trial: Trial, converter: Converter, plan: Plan, groups: tuple[FusionGroup, ...], images: np.ndarray, model: keras.Model
) -> dict[str, LayerStats]:
    ranges = converter.ranges(plan)
    outputs = {group.layer: group.fused[-1] for group in groups if group.fused[-1] in ranges}
    spreads: dict[str, list[float]] = {layer: [] for layer in outputs}
    magnitudes: dict[str, list[np.ndarray]] = {layer: [] for layer in outputs}
    for values in converter.layer_outputs(_FLOAT, trial.calibration.images[:N_CALIBRATION]):
        for layer, output in outputs.items():
            array = values[output]
            spreads[layer].append(float(max(array.max(), 0) - min(array.min(), 0)))
            magnitudes[layer].append(np.abs(_sampled(array)))
    running = {layer: RunningStats(ranges[output]) for layer, output in outputs.items()}
    n_channels = {layer: model.get_layer(layer).output.shape[-1] for layer in outputs}
    for values in converter.layer_outputs(_FLOAT, images):
        for layer, output in outputs.items():
            array = values[output]
            channels_first = converter.kind == "onnx" and array.ndim == 4 and array.shape[1] == n_channels[layer]
            running[layer].add(array, axis=1 if channels_first else array.ndim - 1)
    stats = {}
    for layer, sums in running.items():
        least, most = np.quantile(np.concatenate(sums.sample), (0.001, 0.999))
        weight_peaks, input_peaks = peaks(model, layer)
        stats[layer] = LayerStats(
            quantized_range=sums.quantized_range,
            used_range=(float(least), float(most)),
            value_range=(sums.least, sums.most),
            clipped=sums.n_clipped / sums.n,
            clipped_energy=sums.clipped_energy / sums.energy if sums.energy else 0.0,
            image_spreads=np.array(spreads[layer]),
            image_indices=trial.calibration.indices,
            p999=float(np.quantile(np.concatenate(magnitudes[layer]), 0.999)),
            channel_peaks=sums.channel_peaks,
            weight_peaks=weight_peaks,
            input_peaks=input_peaks,
            unfolded_norm=isinstance(model.get_layer(layer), keras.layers.BatchNormalization),
            per_channel=plan.per_channel,
            calibrated=plan.calibrated,
        )
    return stats


class RunningStats:
    """Sums and a sample of one layer's values, added image by image: the values of all layers for all images are gigabytes."""

    def __init__(self, quantized_range: Range) -> None:
        self.quantized_range = quantized_range
        self.least, self.most = math.inf, -math.inf
        self.n = self.n_clipped = 0
        self.energy = self.clipped_energy = 0.0
        self.channel_peaks: np.ndarray = np.zeros(1)
        self.sample: list[np.ndarray] = []

    def add(self, array: np.ndarray, *, axis: int) -> None:
        """The values for one more image; channels lie along `axis`."""
        low, high = self.quantized_range
        excess = np.abs(array - np.clip(array, low, high))
        self.least, self.most = min(self.least, float(array.min())), max(self.most, float(array.max()))
        self.n += array.size
        self.n_clipped += int(np.sum(excess > (high - low) / 255))  # an excess of one step is rounding
        self.energy += float(np.sum(np.square(array, dtype=np.float64)))
        self.clipped_energy += float(np.sum(np.square(excess, dtype=np.float64)))
        others = tuple(a for a in range(array.ndim) if a != axis)
        self.channel_peaks = np.maximum(self.channel_peaks, np.abs(array).max(axis=others))
        self.sample.append(_sampled(array))


def _sampled(array: np.ndarray) -> np.ndarray:
    """At most _PER_IMAGE of the values of one image's `array`, evenly spread over it: [n]."""
    n = min(_PER_IMAGE, array.size)
    return array.ravel()[np.arange(n) * array.size // n]


def peaks(model: keras.Model, name: str) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The greatest weight magnitude of each output channel and of each input channel of layer `name`, float [C] each; None
    where the layer has no such channels."""
    layer = model.get_layer(name)
    product = isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense))
    has_outputs = product or isinstance(layer, (keras.layers.BatchNormalization, keras.layers.DepthwiseConv2D))
    return (layers.output_peaks(model, layer) if has_outputs else None), (layers.input_peaks(model, layer) if product else None)
