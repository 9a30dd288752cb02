"""Why a layer loses what it loses: its weights, its range and its values, each held against what would be sound.

Every cause is told by figures that a person can check. Where none stands out, that is said.
"""

from dataclasses import dataclass

import numpy as np

from convert.calibration.ranges import Range

OUTLIER_WEIGHTS = "outlier weights in one channel"
FEW_PICTURES = "activation range set by a few pictures"
SATURATION = "saturation"
DEAD_RANGE = "dead range"
PER_TENSOR = "one scale for channels of very different size"
UNFOLDED_NORM = "batch norm that could not be folded"
NONE = "no single cause found"

# Below these no cause is named: three bits of eight are gone where a step is eight times too wide.
TOO_WIDE = 8.0
FEW_WIDEN = 3.0  # a few pictures often widen a range by half
FEW = 0.01  # of the calibration images
CLIPPED_ENERGY = 0.01  # 20 dB
STEPS_USED = 0.12
_TINY = 1e-30


@dataclass(frozen=True, eq=False)
class Seen:
    """What a stage looks like in the float model, beside the range it was given.

    `image_spreads` float [n]: how far each calibration image's values spread; `channel_peaks` float [C]: the greatest of
    each channel's values on validation images; `weight_peaks` float [C]: of its weights, the batch norm folded in, None
    where it has none; `norm`: it is a batch norm computed on its own.
    """

    given: Range
    used: Range  # by 99.8 % of the values on validation images
    largest: Range  # of them all
    clipped: float  # share of validation values beyond `given`
    clipped_energy: float  # share of the validation values' squares that clipping takes
    image_spreads: np.ndarray
    image_indices: tuple[int, ...]  # in the training split; () where the images are the user's own
    p999: float  # of the calibration values' magnitudes
    channel_peaks: np.ndarray
    weight_peaks: np.ndarray | None
    input_peaks: np.ndarray | None  # the same for each input channel
    norm: bool
    per_channel: bool
    calibrated: bool  # or activations are quantized on the fly, or not at all


def cause(seen: Seen) -> tuple[str, str]:
    """What is wrong, the worst first, and the evidence."""
    in_weights, in_range = (_outlier_weights, _per_tensor), (_saturation, _few_pictures)
    order = (_unfolded_norm, *in_range, *in_weights, _dead_range, _unlike_channels) if seen.calibrated else in_weights
    for look in order:
        if found := look(seen):
            return found
    if not seen.calibrated:
        return NONE, "no channel's weights stand out"
    return NONE, f"{_used(seen)}; {100 * seen.clipped:.2g} % of the values clipped"


def _unfolded_norm(seen: Seen) -> tuple[str, str] | None:
    if not seen.norm or seen.weight_peaks is None:
        return None
    spread = _over_median(seen.weight_peaks)
    if spread < TOO_WIDE:
        return None
    says = f"computed on its own, with one scale for all of its {len(seen.weight_peaks)} factors: the largest is "
    return UNFOLDED_NORM, f"{says}{spread:.0f} times the median"


def _saturation(seen: Seen) -> tuple[str, str] | None:
    if seen.clipped_energy < CLIPPED_ENERGY:
        return None
    (low, high), (least, most) = seen.given, seen.largest
    return SATURATION, (
        f"{100 * seen.clipped:.2g} % of the values on validation images lie beyond the range {low:.3g} to {high:.3g}; they go "
        f"from {least:.3g} to {most:.3g}"
    )


def _few_pictures(seen: Seen) -> tuple[str, str] | None:
    order = np.argsort(seen.image_spreads)[::-1]
    n_few = max(1, int(FEW * len(order)))
    others = float(seen.image_spreads[order[n_few]])
    given = _spread(seen.given)
    if others <= 0 or given < FEW_WIDEN * others:
        return None
    if seen.image_spreads[order[0]] < given / 2:
        return None  # no picture comes near: it is not they who set the range
    few = [int(i) for i in order[:n_few] if seen.image_spreads[i] > FEW_WIDEN * others]
    named = [seen.image_indices[i] for i in few] if seen.image_indices else few
    where = "training split" if seen.image_indices else "set"
    shown = ", ".join(map(str, named[:5])) + (", …" if len(few) > 5 else "") + f" of the {where}"
    times_p999 = float(seen.image_spreads[order[0]]) / max(seen.p999, _TINY)
    return FEW_PICTURES, (
        f"{len(few)} of {len(order)} calibration images ({shown}) widen the range {given / others:.0f} times; "
        f"they reach {times_p999:.0f} times the 99.9 percentile"
    )


def _outlier_weights(seen: Seen) -> tuple[str, str] | None:
    if seen.weight_peaks is None or len(seen.weight_peaks) < 3:
        return None
    worst = int(seen.weight_peaks.argmax())
    times = _over_median(seen.weight_peaks)
    second = float(np.sort(seen.weight_peaks)[-2])
    if times < TOO_WIDE or seen.weight_peaks[worst] < TOO_WIDE / 2 * second:
        return None
    says = f"channel {worst}'s weights are {times:.0f} times the median channel's"
    if not seen.per_channel:
        return OUTLIER_WEIGHTS, f"{says}, and all share one scale"
    reach = float(seen.channel_peaks[worst]) / max(float(np.median(seen.channel_peaks)), _TINY)
    if not seen.calibrated or reach < TOO_WIDE:
        return None
    return OUTLIER_WEIGHTS, f"{says}, and its values {reach:.0f} times the others', which share one scale with them"


def _per_tensor(seen: Seen) -> tuple[str, str] | None:
    if seen.per_channel or seen.weight_peaks is None:
        return None
    times, inputs = _over_low(seen.weight_peaks), 0.0 if seen.input_peaks is None else _over_low(seen.input_peaks)
    if max(times, inputs) < TOO_WIDE:
        return None
    which = "output" if times > inputs else "input"
    differ = f"those of its {which} channels differ {max(times, inputs):.0f} times"
    return PER_TENSOR, f"weights have one scale for the whole tensor, and {differ}"


def _dead_range(seen: Seen) -> tuple[str, str] | None:
    given, used = _spread(seen.given), _spread(seen.used)
    # What the largest values need is not dead, however few they are.
    if given <= 0 or used > STEPS_USED * given or _spread(seen.largest) > given / 2:
        return None
    return DEAD_RANGE, f"{_used(seen)}: {255 * used / given:.0f} of 255"


def _unlike_channels(seen: Seen) -> tuple[str, str] | None:
    times = _over_low(seen.channel_peaks)
    if times < TOO_WIDE or _over_median(seen.channel_peaks) < TOO_WIDE / 2:
        return None
    return PER_TENSOR, f"all channels' values share one scale, and the channels reach {times:.0f} times as far as one another"


def _used(seen: Seen) -> str:
    given = _spread(seen.given)
    share = 100 * _spread(seen.used) / given if given > 0 else 0.0
    return f"99.8 % of the values on validation images use {share:.2g} % of the steps"


def _spread(bounds: Range) -> float:
    return max(bounds[1], 0.0) - min(bounds[0], 0.0)


def _over_median(peaks: np.ndarray) -> float:
    """The greatest over the median of those that are not 0."""
    alive = peaks[peaks > 0]
    return float(alive.max() / np.median(alive)) if len(alive) else 0.0


def _over_low(peaks: np.ndarray) -> float:
    """The greatest over the lowest tenth of those that are not 0."""
    alive = peaks[peaks > 0]
    return float(alive.max() / np.quantile(alive, 0.1)) if len(alive) else 0.0
