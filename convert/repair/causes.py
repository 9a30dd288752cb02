"""The cause of a layer's quantization error, with figures that a person can check as evidence."""

from dataclasses import dataclass

import numpy as np

from convert.calibration.ranges import Range

OUTLIER_WEIGHTS = "outlier weights in one channel"
FEW_IMAGES = "activation range set by a few images"
SATURATION = "saturation"
DEAD_RANGE = "dead range"
PER_TENSOR = "one scale for channels of very different size"
UNFOLDED_NORM = "batch norm that could not be folded"
NONE = "no single cause found"

RATIO_LIMIT = 8.0  # a step eight times too wide costs three bits of eight
FEW_WIDEN = 3.0  # a few images often widen a range by half; this much is a fault
FEW = 0.01  # of the calibration images
CLIPPED_ENERGY = 0.01  # 20 dB
STEPS_USED = 0.12
_TINY = 1e-30


@dataclass(frozen=True, eq=False)
class LayerStats:
    """A layer's values in the float model and the range they were quantized over; spreads and ranges include zero."""

    quantized_range: Range
    used_range: Range  # of the central 99.8 % of the values on validation images
    value_range: Range  # of all of them
    clipped: float  # share of the validation values beyond `quantized_range`
    clipped_energy: float  # share of the sum of their squares that clipping removes
    image_spreads: np.ndarray  # greatest minus least value of each calibration image: float [n]
    image_indices: tuple[int, ...]  # in the training split; () where the images are the user's own
    p999: float  # percentile 99.9 of the calibration values' magnitudes
    channel_peaks: np.ndarray  # of each channel's values on validation images: float [C]
    weight_peaks: np.ndarray | None  # of each output channel's weights, batch norms folded in: float [C]
    input_peaks: np.ndarray | None  # of each input channel's weights: float [C]
    unfolded_norm: bool  # a batch norm computed on its own
    per_channel: bool  # weights have a scale for each output channel
    calibrated: bool  # False: activations are quantized on the fly, or not at all


def cause(stats: LayerStats) -> tuple[str, str]:
    """The gravest cause, and the evidence for it."""
    in_weights, in_range = (_outlier_weights, _per_tensor), (_saturation, _few_images)
    tests = (_unfolded_norm, *in_range, *in_weights, _dead_range, _unlike_channels) if stats.calibrated else in_weights
    for test in tests:
        if cause_and_evidence := test(stats):
            return cause_and_evidence
    if not stats.calibrated:
        return NONE, "no channel's weights stand out"
    return NONE, f"{_used(stats)}; {100 * stats.clipped:.2g} % of the values clipped"


def _unfolded_norm(stats: LayerStats) -> tuple[str, str] | None:
    if not stats.unfolded_norm or stats.weight_peaks is None:
        return None
    spread = _over(0.5, stats.weight_peaks)
    if spread < RATIO_LIMIT:
        return None
    evidence = f"computed on its own, with one scale for all of its {len(stats.weight_peaks)} factors: the largest is "
    return UNFOLDED_NORM, f"{evidence}{spread:.0f} times the median"


def _saturation(stats: LayerStats) -> tuple[str, str] | None:
    if stats.clipped_energy < CLIPPED_ENERGY:
        return None
    (low, high), (least, most) = stats.quantized_range, stats.value_range
    return SATURATION, (
        f"{100 * stats.clipped:.2g} % of the values on validation images lie beyond the range {low:.3g} to {high:.3g}; they go "
        f"from {least:.3g} to {most:.3g}"
    )


def _few_images(stats: LayerStats) -> tuple[str, str] | None:
    order = np.argsort(stats.image_spreads)[::-1]
    n_few = max(1, int(FEW * len(order)))
    others = float(stats.image_spreads[order[n_few]])
    given = _spread(stats.quantized_range)
    if others <= 0 or given < FEW_WIDEN * others:
        return None
    if stats.image_spreads[order[0]] < given / 2:
        return None  # no image comes near the range, so none of them set it
    few = [int(i) for i in order[:n_few] if stats.image_spreads[i] > FEW_WIDEN * others]
    named = [stats.image_indices[i] for i in few] if stats.image_indices else few
    where = "training split" if stats.image_indices else "set"
    shown = ", ".join(map(str, named[:5])) + (", …" if len(few) > 5 else "") + f" of the {where}"
    times_p999 = float(stats.image_spreads[order[0]]) / max(stats.p999, _TINY)
    return FEW_IMAGES, (
        f"{len(few)} of {len(order)} calibration images ({shown}) widen the range {given / others:.0f} times; "
        f"they reach {times_p999:.0f} times the 99.9 percentile"
    )


def _outlier_weights(stats: LayerStats) -> tuple[str, str] | None:
    if stats.weight_peaks is None or len(stats.weight_peaks) < 3:
        return None
    worst = int(stats.weight_peaks.argmax())
    times = _over(0.5, stats.weight_peaks)
    second = float(np.sort(stats.weight_peaks)[-2])
    if times < RATIO_LIMIT or stats.weight_peaks[worst] < RATIO_LIMIT / 2 * second:
        return None
    evidence = f"channel {worst}'s weights are {times:.0f} times the median channel's"
    if not stats.per_channel:
        return OUTLIER_WEIGHTS, f"{evidence}, and all share one scale"
    ratio = float(stats.channel_peaks[worst]) / max(float(np.median(stats.channel_peaks)), _TINY)
    if not stats.calibrated or ratio < RATIO_LIMIT:
        return None
    return OUTLIER_WEIGHTS, f"{evidence}, and its values {ratio:.0f} times the others', which share one scale with them"


def _per_tensor(stats: LayerStats) -> tuple[str, str] | None:
    if stats.per_channel or stats.weight_peaks is None:
        return None
    times, inputs = _over(0.1, stats.weight_peaks), 0.0 if stats.input_peaks is None else _over(0.1, stats.input_peaks)
    if max(times, inputs) < RATIO_LIMIT:
        return None
    which = "output" if times > inputs else "input"
    differ = f"those of its {which} channels differ {max(times, inputs):.0f} times"
    return PER_TENSOR, f"weights have one scale for the whole tensor, and {differ}"


def _dead_range(stats: LayerStats) -> tuple[str, str] | None:
    given, used = _spread(stats.quantized_range), _spread(stats.used_range)
    # Steps that the largest values need are not dead, however few those values are.
    if given <= 0 or used > STEPS_USED * given or _spread(stats.value_range) > given / 2:
        return None
    return DEAD_RANGE, f"{_used(stats)}: {255 * used / given:.0f} of 255"


def _unlike_channels(stats: LayerStats) -> tuple[str, str] | None:
    times = _over(0.1, stats.channel_peaks)
    if times < RATIO_LIMIT or _over(0.5, stats.channel_peaks) < RATIO_LIMIT / 2:
        return None
    return PER_TENSOR, f"all channels' values share one scale, and the channels reach {times:.0f} times as far as one another"


def _used(stats: LayerStats) -> str:
    given = _spread(stats.quantized_range)
    share = 100 * _spread(stats.used_range) / given if given > 0 else 0.0
    return f"99.8 % of the values on validation images use {share:.{2 if share < 99.5 else 3}g} % of the steps"


def _spread(bounds: Range) -> float:
    return max(bounds[1], 0.0) - min(bounds[0], 0.0)


def _over(quantile: float, peaks: np.ndarray) -> float:
    """The greatest over the `quantile`, of the peaks that are not 0."""
    alive = peaks[peaks > 0]
    return float(alive.max() / np.quantile(alive, quantile)) if len(alive) else 0.0
