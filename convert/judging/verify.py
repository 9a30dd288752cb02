"""Compare a candidate with the float model, image by image, through the predictor that the device uses."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np

from convert.judging.tango import tango_interval
from edge.predictor import Prediction, Predictor
from train.datasets import mapped

_LEAST_TIMED = 100


@dataclass(frozen=True)
class LostImage:
    """A test image that the float model classifies right and the candidate wrong."""

    index: int
    label: int
    answer: int


@dataclass(frozen=True)
class Verification:
    """How a candidate's answers to `n_images` images compare with the float model's.

    `lost`: the float model is right and the candidate wrong; `gained`: the reverse; `agreeing`: both give the same
    class, right or wrong. `class_changes`: gained minus lost, by true class.
    """

    n_images: int
    lost: int
    gained: int
    agreeing: int
    float_top1: float
    top1: float
    class_changes: tuple[int, ...] = ()
    largest_logit_difference: float = 0.0
    lost_pictures: tuple[LostImage, ...] = ()

    @property
    def drop_points(self) -> float:
        """Percentage points of top-1 lost: 100 (lost - gained) / n."""
        return 100 * (self.lost - self.gained) / self.n_images

    @cached_property
    def interval_points(self) -> tuple[float, float]:
        """The paired 95 % interval of the drop, in percentage points."""
        lower, upper = tango_interval(self.lost, self.gained, self.n_images)
        return 100 * lower, 100 * upper


@dataclass(frozen=True, eq=False)
class Answers:
    """`logits`, float32 [N, K], what stands beside them, `extra`, float32 [N, E], and the median time of a prediction, from
    pixels to raw output."""

    logits: np.ndarray
    extra: np.ndarray
    median_us: float


def predict_all(predictor: Predictor, images: np.ndarray, files: Sequence[str] = ()) -> Answers:
    """The answers to `images`, uint8 [N, H, W, C].

    The first images are read from their `files` as a device reads them; then at least 100 are timed from pixels.
    """
    contract, times_ns = predictor.contract, []
    outputs = np.empty((len(images), contract.n_outputs), np.float32)
    for at, path in enumerate(files):
        outputs[at] = _outputs(predictor.predict(path))
    timed = images[len(files) :]
    again = images[: max(0, _LEAST_TIMED - len(timed))] if files else images[:0]
    for at, image in enumerate(chain(mapped.each(timed), again), start=len(files)):
        pixels = image.tobytes()
        start = time.perf_counter_ns()
        prediction = predictor.answer(pixels)
        times_ns.append(time.perf_counter_ns() - start)
        if at < len(images):
            outputs[at] = _outputs(prediction)
    logits, extra = np.split(outputs, [contract.n_classes], axis=1)
    return Answers(logits, extra, statistics.median(times_ns) / 1000)


def _outputs(prediction: Prediction) -> list[float]:
    return prediction.logits + prediction.extra


def compare(logits: np.ndarray, labels: np.ndarray, reference: np.ndarray, *, owners: np.ndarray | None = None) -> Verification:
    """A candidate's `logits` against `reference`, the float model's: float32 [N, K] both; the labels, [N].

    Where the owner's own code answered, its answers `owners`, int [N], stand for the float model's.
    """
    answers, expected = logits.argmax(axis=1), reference.argmax(axis=1) if owners is None else owners
    right, was_right = answers == labels, expected == labels
    lost = np.flatnonzero(was_right & ~right)
    change = right.astype(int) - was_right
    return Verification(
        n_images=len(labels),
        lost=len(lost),
        gained=int(np.sum(right & ~was_right)),
        agreeing=int(np.sum(answers == expected)),
        float_top1=float(was_right.mean()),
        top1=float(right.mean()),
        class_changes=tuple(int(change[labels == k].sum()) for k in range(logits.shape[1])),
        largest_logit_difference=float(np.abs(logits - reference).max()),
        lost_pictures=tuple(LostImage(int(i), int(labels[i]), int(answers[i])) for i in lost),
    )
