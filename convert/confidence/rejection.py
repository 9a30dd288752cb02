"""The threshold of a score above which a picture is none of the classes: a promise about genuine pictures, with its proof.

With n pictures fitted on and the (k + 1)th greatest of their scores as threshold, the share of genuine pictures rejected is at
most the upper end of Clopper and Pearson's one-sided 95 % interval for k of n, in 95 of 100 draws of those pictures.
"""

import math
from dataclasses import asdict, dataclass, replace

import numpy as np
from scipy import special

from convert.pictures.evidence import interval

MIN_PICTURES = 100
FAILS_AT = 0.001  # the p of the judged half's rate, if the promise held


@dataclass(frozen=True)
class Threshold:
    """A picture is rejected when its score is greater than `threshold`.

    `rate`: the share of genuine pictures promised; `n_allowed` of `n_images` fitted on may be rejected, `n_rejected` are (fewer
    where scores are equal); `bound`: the one-sided 95 % bound of the share, from `n_allowed`.
    """

    threshold: float
    rate: float
    n_allowed: int
    n_rejected: int
    n_images: int
    bound: float

    def raised(self, least: float, scores: np.ndarray) -> "Threshold":
        """The same with a threshold of `least` or more; `scores` are those it was taken from."""
        at = max(least, self.threshold)
        return replace(self, threshold=at, n_rejected=int(np.sum(scores > at)))


class Promise:
    """A promise, held against the judged half. `p`: of a result as bad or worse, if the promise holds."""

    p: float

    @property
    def fails(self) -> bool:
        """Whether the judged half contradicts it."""
        return self.p < FAILS_AT

    def words(self, found: str, promised: str) -> str:
        return f"{found}; promised {promised}" + (f", p = {self.p:.1g}" if self.fails else "")


@dataclass(frozen=True)
class Rejection(Promise):
    """A threshold on the judged half: `n_rejected` of `n_images`, `n_withheld` of them answered right; `top1_answered` is of
    those not rejected, 0 to 1, None where all were. `interval`: of the rejected share, two-sided, 95 %."""

    kind: str
    fitted: Threshold
    n_images: int
    n_rejected: int
    n_withheld: int
    interval: tuple[float, float]
    top1_answered: float | None
    p: float

    @property
    def in_words(self) -> str:
        low, high = self.interval
        counted = f"rejects {self.n_rejected:,} of {self.n_images:,} genuine pictures ({100 * low:.2f} to {100 * high:.2f} %)"
        return self.words(counted, f"at most {100 * self.fitted.rate:.3g} %")

    def as_json(self) -> dict[str, object]:
        return asdict(self) | {"interval": list(self.interval)}


def bound(seen: int, n: int) -> float:
    """The upper end of Clopper and Pearson's one-sided 95 % interval for a share of which `seen` of `n` were seen."""
    return 1.0 if seen >= n else float(special.betaincinv(seen + 1, n - seen, 0.95))


def most(n: int, *, at_most: float) -> int | None:
    """The greatest number of `n` whose bound is `at_most`, a share; None where n pictures cannot show so little: 5,000 at 1 %
    give 38, 299 give 0, 298 None."""
    return max((n_failed for n_failed in range(math.ceil(n * at_most) + 1) if bound(n_failed, n) <= at_most), default=None)


def threshold(scores: np.ndarray, *, at_most: float, slack: float) -> Threshold | None:
    """The threshold from the `scores` of genuine pictures, float [n]; None for fewer than MIN_PICTURES.

    It lies `slack` and less than two millionths above the score it comes from, so that no rounding rejects that picture.
    """
    if (n := len(scores)) < MIN_PICTURES:
        return None
    rate = max(at_most, math.ceil(1000 * bound(0, n)) / 1000)  # the least, in tenths of a point, that n pictures can show
    allowed = most(n, at_most=rate) or 0
    at = math.ceil((float(np.sort(scores)[n - 1 - allowed]) + slack) * 1e6 + 1) / 1e6
    return Threshold(at, rate, allowed, int(np.sum(scores > at)), n, bound(allowed, n))


def judge(fitted: Threshold, kind: str, scores: np.ndarray, right: np.ndarray) -> Rejection:
    """The threshold on other genuine pictures: float [n] scores, bool [n] whether each was answered right."""
    rejected = scores > fitted.threshold
    n, count = len(scores), int(rejected.sum())
    # As many rejected or more, if each were at the promised rate (binomial).
    p = float(special.bdtrc(count - 1, n, fitted.rate)) if count else 1.0
    return Rejection(
        kind=kind,
        fitted=fitted,
        n_images=n,
        n_rejected=count,
        n_withheld=int(np.sum(rejected & right)),
        interval=interval(count, n),
        top1_answered=float(right[~rejected].mean()) if count < n else None,
        p=p,
    )
