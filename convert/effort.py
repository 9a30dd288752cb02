"""How much work a network is worth: fewer images where they are large, and as many conversions on trial as were asked for.

Nothing here looks at a clock but what turns minutes into a number, before any trial; the number is sealed. So the same number
gives the same file on a fast machine and on a slow one.
"""

import math
from dataclasses import dataclass

from edge.contract import InputContract

LARGE = 128 * 128  # pixels; of smaller images a trial takes seconds at most, and all are made
TRIALS = 150  # of larger ones, where no number was asked for; a MobileNetV2 of 224 pixels takes 3 s of processor time each
TRIALS_TO_EXPLAIN = 16  # the same where nothing is repaired
MAX_TRIALS = 100_000
MAX_MINUTES = 10_000  # a week
WORTH_SAYING = 60  # seconds of work
MORE = "--trials or --budget allow more"


def n_images(n: int, contract: InputContract, *, least: int, side: int = 64) -> int:
    """`n` where images have at most `side` x `side` pixels, of larger ones fewer in proportion, but `least`."""
    return min(n, max(least, n * side * side // (contract.height * contract.width)))


def usual_trials(contract: InputContract, *, repairs: bool) -> int | None:
    """How many conversions may be tried to diagnose and, if it `repairs`, repair a model; None: all there are."""
    if contract.height * contract.width <= LARGE:
        return None
    return TRIALS if repairs else TRIALS_TO_EXPLAIN


def trials_in(minutes: float, *, seconds_each: float, n_models: int) -> int:
    """How many trials each of `n_models` gets of `minutes`."""
    return max(1, min(MAX_TRIALS, int(60 * minutes / (n_models * max(seconds_each, 1e-3)))))


def seconds_to_judge(seconds_each: float, *, n_test: int, n_calibration: int) -> float:
    """About how long one model takes until it is judged, where an image takes the float network `seconds_each`.

    Factors as a MobileNetV2 of 224 pixels needed on two cores: a calibration image is run twice for the model and twice for
    the other images that it is compared with, operator by operator; a test image through the float network and the candidate.
    """
    return 30 + seconds_each * (1.3 * n_test + 6 * n_calibration)


def in_words(seconds: float) -> str:
    """`40 s` or `6 minutes`."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{math.ceil(seconds / 60)} minutes"


@dataclass
class Trials:
    """How many conversions may still be tried; None: as many as there are."""

    left: int | None = None

    def take(self, n: int = 1, *, leave: int = 0) -> bool:
        """Take `n` of them if `leave` are left then; whether it did."""
        if self.left is None:
            return True
        if self.left < n + leave:
            return False
        self.left -= n
        return True
