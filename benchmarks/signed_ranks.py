"""By how much one side is slower, and how sure that is: paired rounds, ranked, with nothing assumed of the noise's shape.

Each round gives the logarithm of a ratio. The estimate is Hodges and Lehmann's, the median of all averages of two rounds;
its bounds are those averages at the ranks which Wilcoxon's signed-rank distribution names (Hollander, Wolfe and Chicken,
Nonparametric Statistical Methods, 3rd ed., 3.2 to 3.4). They are exact for rounds that are independent and as likely to
err upwards as downwards, heavy tails or not, and one spoilt round moves them little.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class Change:
    """A ratio as log(now / base): the estimate, its 95 % interval, and one-sided bounds at the level of the decision."""

    estimate: float
    lower: float
    upper: float
    surely_above: float
    surely_below: float


@dataclass(frozen=True)
class Ratio:
    """How many times as long as another, with its 95 % interval."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """theirs / ours, paired round by round, as a slow moment falls on both. Raises ValueError where rounds are too few."""
    found = change([math.log(their / our) for our, their in zip(ours, theirs, strict=True)], alpha=0.025)
    return Ratio(math.exp(found.estimate), math.exp(found.lower), math.exp(found.upper))


def change(logs: Sequence[float], *, alpha: float) -> Change:
    """What `logs`, one a round, come to; each one-sided bound is missed with probability `alpha` at most.

    Raises ValueError where the rounds are too few for that: see `fewest_rounds`.
    """
    averages = sorted((a + b) / 2 for at, a in enumerate(logs) for b in logs[at:])
    wide, narrow = rank(len(logs), alpha), rank(len(logs), 0.025)
    return Change(statistics.median(averages), averages[narrow - 1], averages[-narrow], averages[wide - 1], averages[-wide])


def rank(n: int, alpha: float) -> int:
    """The greatest k for which the k-th least average of `n` rounds lies above the truth with probability `alpha` at most."""
    below, counts = 0.0, _signed_rank_counts(n)
    for k, count in enumerate(counts):
        below += count / 2**n
        if below > alpha:
            if k == 0:
                raise ValueError(f"{n} rounds cannot show anything at {alpha:g}: {fewest_rounds(alpha)} could")
            return k
    raise AssertionError


def fewest_rounds(alpha: float) -> int:
    """The least number of rounds that can tell anything at `alpha`: 2^-n is the rarest thing that can happen in n."""
    return math.ceil(-math.log2(alpha))


@lru_cache
def _signed_rank_counts(n: int) -> list[int]:
    """In how many of the 2^n ways of giving the ranks 1 to n a sign the positive ones add up to 0, 1, 2, ..."""
    counts = [1] + [0] * (n * (n + 1) // 2)
    for each in range(1, n + 1):
        for total in range(len(counts) - 1, each - 1, -1):
            counts[total] += counts[total - each]
    return counts
