"""The gate: a candidate is published only when the test pictures show that it kept the float model's accuracy."""

import math
from dataclasses import dataclass

from convert.tango import Z_95, tango_interval
from convert.verify import Verification

# Percentage points. The digits' test split is small: at 2.0 points its 600 pictures can show up to five lost.
LIMITS = {"mnist": 0.5, "digits": 2.0, "cifar10": 1.0}
USUAL_LIMIT = 1.0

_MOST_IMAGES = 10_000_000


@dataclass(frozen=True)
class Verdict:
    """`passed`, `failed`, or `undecided`: too few pictures to tell, and `reasons` says how many would do."""

    decision: str
    reasons: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return self.decision == "passed"


@dataclass(frozen=True)
class Gate:
    """Passes a drop whose whole 95 % interval is within `max_drop_points`; fails one that is itself at the limit.

    None passes on fewer pictures than a model without any difference would need: there it would take luck, and luck is not
    what the interval's 2.5 % were computed for (docs/gate.md).
    """

    max_drop_points: float

    @property
    def least_images(self) -> int:
        """The least n that can pass: with nothing lost or gained the interval ends at z²/(n + z²)."""
        limit = self.max_drop_points / 100
        return math.ceil(Z_95**2 * (1 - limit) / limit)

    def judge(self, seen: Verification) -> Verdict:
        """The verdict on what was `seen`, with the numbers it rests on."""
        upper = seen.interval_points[1]
        if upper <= self.max_drop_points and seen.n_images >= self.least_images:
            return Verdict("passed", (self._account(seen),))
        if seen.drop_points >= self.max_drop_points:
            return Verdict("failed", (self._account(seen),))
        enough = self._images_needed(seen)
        advice = f"about {enough:,} pictures would do" if enough else "no number of pictures would do"
        return Verdict("undecided", (self._account(seen), f"{seen.n_images:,} pictures are too few to tell; {advice}"))

    def _account(self, seen: Verification) -> str:
        moved = f"fell {seen.drop_points:.2f}" if seen.drop_points >= 0 else f"rose {-seen.drop_points:.2f}"
        lower, upper = seen.interval_points
        return (
            f"top-1 {moved} points ({seen.lost:,} lost, {seen.gained:,} gained of {seen.n_images:,}; "
            f"95 % interval {lower:.2f} to {upper:.2f}); limit {self.max_drop_points:.2f}"
        )

    def _images_needed(self, seen: Verification) -> int | None:
        """The least n at which the same shares of lost and gained pictures would pass."""

        def passes(n: int) -> bool:
            share = n / seen.n_images
            return 100 * tango_interval(seen.lost * share, seen.gained * share, n)[1] <= self.max_drop_points

        if seen.n_images < self.least_images and passes(self.least_images):
            return self.least_images

        if not passes(_MOST_IMAGES):
            return None
        low, high = seen.n_images, _MOST_IMAGES
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if passes(middle) else (middle, high)
        return high


def gate_for(data: str, max_drop_points: float | None) -> Gate:
    """The gate at the limit the user gave, else at the usual one for the data set `data`."""
    return Gate(LIMITS.get(data, USUAL_LIMIT) if max_drop_points is None else max_drop_points)
