"""The gate: a candidate is published only when the test images show that it kept the float model's accuracy."""

import math
from bisect import bisect_left
from dataclasses import dataclass

from convert.tango import Z_95, tango_interval
from convert.verify import Verification

# Percentage points. The digits' test split is small: at 2.0 points its 600 images can prove a loss of up to five of them.
LIMITS = {"mnist": 0.5, "digits": 2.0, "cifar10": 1.0}
USUAL_LIMIT = 1.0

_MOST_IMAGES = 10_000_000


@dataclass(frozen=True)
class Verdict:
    """The `decision`, and the `reasons` for it in words.

    `passed`, `failed`, `undecided` (too few images to tell; the reasons say how many would be enough) or `refused` (the
    format does not have this precision, or the user forbade it).
    """

    decision: str
    reasons: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return self.decision == "passed"


@dataclass(frozen=True)
class Gate:
    """Passes a drop whose whole 95 % interval is within `max_drop_points`; fails a drop that itself reaches the limit.

    Nothing passes on fewer images than a model without any difference would need: there it would take luck, which the
    interval's 2.5 % do not account for (docs/gate.md).
    """

    max_drop_points: float

    @property
    def least_images(self) -> int:
        """The least n that can pass: with nothing lost or gained the interval ends at z²/(n + z²)."""
        limit = self.max_drop_points / 100
        return math.ceil(Z_95**2 * (1 - limit) / limit)

    def judge(self, verification: Verification) -> Verdict:
        """The verdict, with the numbers it rests on."""
        account, n_images = self._account(verification), verification.n_images
        if verification.interval_points[1] <= self.max_drop_points and n_images >= self.least_images:
            return Verdict("passed", (account,))
        if verification.drop_points >= self.max_drop_points:
            too_few = f"on {n_images:,} test images nothing can pass at this limit ({self.least_images:,} needed)"
            return Verdict("failed", (account, too_few) if n_images < self.least_images else (account,))
        enough = self._images_needed(verification)
        advice = f"about {enough:,} would be enough" if enough else "no number would be enough"
        return Verdict("undecided", (account, f"{n_images:,} test images are too few to tell; {advice}"))

    def _account(self, verification: Verification) -> str:
        drop, (lower, upper) = verification.drop_points, verification.interval_points
        moved = f"fell {drop:.2f}" if drop >= 0 else f"rose {-drop:.2f}"
        return (
            f"top-1 {moved} points ({verification.lost:,} lost, {verification.gained:,} gained of {verification.n_images:,}; "
            f"95 % interval {lower:.2f} to {upper:.2f}); limit {self.max_drop_points:.2f}"
        )

    def _images_needed(self, verification: Verification) -> int | None:
        """The least n at which the same shares of lost and gained images would pass; None where none would."""
        lost, gained, n_images = verification.lost, verification.gained, verification.n_images

        def passes(n: int) -> bool:
            share = n / n_images
            return 100 * tango_interval(lost * share, gained * share, n)[1] <= self.max_drop_points

        if n_images < self.least_images and passes(self.least_images):
            return self.least_images
        if not passes(_MOST_IMAGES):
            return None
        return bisect_left(range(_MOST_IMAGES), True, lo=n_images, key=passes)


def gate_for(data: str, max_drop_points: float | None) -> Gate:
    """The gate at the limit the user gave, else at the usual one for the data set `data`."""
    return Gate(LIMITS.get(data, USUAL_LIMIT) if max_drop_points is None else max_drop_points)
