"""Compare a candidate with the float model, picture by picture, through the predictor the device uses."""

import statistics
import time
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from convert.tango import tango_interval
from edge.predictor import Predictor


@dataclass(frozen=True)
class LostPicture:
    """A test picture the float model answers right and the candidate wrong."""

    index: int
    label: int
    answer: int


@dataclass(frozen=True)
class Verification:
    """How a candidate's answers to `n_images` pictures compare with the float model's.

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
    lost_pictures: tuple[LostPicture, ...] = ()

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
    """What a predictor says of N pictures: logits float32 [N, K], and the median time of a prediction in microseconds."""

    logits: np.ndarray
    median_us: float


def ask(predictor: Predictor, images: np.ndarray) -> Answers:
    """`predictor`'s answers to `images`, uint8 [N, H, W, C], each timed from pixels to raw output."""
    logits, taken = [], []
    for image in images:
        pixels = image.tobytes()
        start = time.perf_counter_ns()
        prediction = predictor.answer(pixels)
        taken.append(time.perf_counter_ns() - start)
        logits.append(prediction.logits)
    return Answers(np.array(logits, np.float32), statistics.median(taken) / 1000)


def compare(logits: np.ndarray, labels: np.ndarray, reference: np.ndarray) -> Verification:
    """A candidate's `logits` against `reference`, the float model's: float32 [N, K] both, uint8 [N] labels."""
    answers, expected = logits.argmax(axis=1), reference.argmax(axis=1)
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
        lost_pictures=tuple(LostPicture(int(i), int(labels[i]), int(answers[i])) for i in lost),
    )
