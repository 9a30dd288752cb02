"""How many times as long as another: the median of ratios taken round by round, and its interval.

Pairs, because a slow moment of the machine falls on both of a round. The interval needs no assumption on how the ratios are
spread but that rounds are independent: each is as likely above the true median as below, so it lies between two of them in
order with a probability that a coin gives (W. R. Thompson, "On confidence ranges for the median and other expectation
distributions for populations of unknown distribution form", Annals of Mathematical Statistics 7 (1936) 122-128).
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95
FEWEST_ROUNDS = 6  # of five, even the least and the greatest enclose the median with 93.75 % only


@dataclass(frozen=True)
class Ratio:
    """A median of paired ratios, with its interval."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """theirs / ours, round by round. Raises ValueError where the rounds are too few for an interval."""
    ratios = sorted(their / our for our, their in zip(ours, theirs, strict=True))
    skip = outside(len(ratios))
    return Ratio(statistics.median(ratios), ratios[skip], ratios[-1 - skip])


def outside(n: int) -> int:
    """How many of `n` values in order may be left out at either end, the rest enclosing the median with CONFIDENCE.

    The chance that the k-th value already lies above it is that of fewer than k heads in n throws of a coin.
    """
    skip, below = -1, 0.0
    while (below := below + math.comb(n, skip + 1) / 2**n) <= (1 - CONFIDENCE) / 2:
        skip += 1
    if skip < 0:
        raise ValueError(f"{n} rounds have no interval; {FEWEST_ROUNDS} are the least")
    return skip
