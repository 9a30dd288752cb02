"""By how much one side is slower, with confidence bounds: paired rounds, ranked, without assumptions on the noise's shape.

Each round gives the logarithm of a ratio. The estimate is that of Hodges and Lehmann, the median of all averages of two rounds;
its bounds are those averages at the ranks that Wilcoxon's signed-rank distribution gives (Hollander, Wolfe and Chicken,
Nonparametric Statistical Methods, 3rd ed., 3.2 to 3.4). They are exact for independent rounds that err upwards as often as
downwards, even with heavy tails, and one disturbed round hardly moves them.
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
    """A ratio of two times, with its 95 % interval."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """theirs / ours, paired by round, because a slow moment affects both. Raises ValueError if there are too few rounds."""
    logs = change([math.log(their / our) for our, their in zip(ours, theirs, strict=True)], alpha=0.025)
    return Ratio(math.exp(logs.estimate), math.exp(logs.lower), math.exp(logs.upper))


def change(logs: Sequence[float], *, alpha: float) -> Change:
    """The change that `logs`, one for each round, show; a one-sided bound is wrong with a probability of at most `alpha`.

    Raises ValueError if there are too few rounds for that: see `fewest_rounds`.
    """
    averages = sorted((a + b) / 2 for at, a in enumerate(logs) for b in logs[at:])
    wide, narrow = rank(len(logs), alpha), rank(len(logs), 0.025)
    return Change(statistics.median(averages), averages[narrow - 1], averages[-narrow], averages[wide - 1], averages[-wide])


def rank(n: int, alpha: float) -> int:
    """The greatest k for which the k-th least average of `n` rounds exceeds the truth with a probability of at most `alpha`."""
    below, counts = 0.0, _signed_rank_counts(n)
    for k, count in enumerate(counts):
        below += count / 2**n
        if below > alpha:
            if k == 0:
                raise ValueError(f"{n} rounds cannot show anything at {alpha:g}: {fewest_rounds(alpha)} could")
            return k
    raise AssertionError


def fewest_rounds(alpha: float) -> int:
    """The least number of rounds that can show anything at `alpha`: in n rounds the rarest outcome has probability 2^-n."""
    return math.ceil(-math.log2(alpha))


@lru_cache
def _signed_rank_counts(n: int) -> list[int]:
    """How many of the 2^n sign patterns of the ranks 1 to n give the positive ranks the sum 0, 1, 2, ..."""
    counts = [1] + [0] * (n * (n + 1) // 2)
    for each in range(1, n + 1):
        for total in range(len(counts) - 1, each - 1, -1):
            counts[total] += counts[total - each]
    return counts
