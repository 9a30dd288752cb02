"""Summarize the windows of one stage; how many calls support a percentile."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count

CONFIDENCE = 0.99
# What repeats within one process cannot show: the next process lies elsewhere in memory, and full pace is not always reached.
# Nine measurements of one model at loads of 5 to 27 gave figures from 79.3 to 84.0 µs.
MARGIN = 0.04
PERCENTILES = (50, 90, 99)


@dataclass(frozen=True, kw_only=True)
class LatencySummary:
    """One stage in µs: the percentiles of the median window, the lowest and highest median of the windows, and a bound.

    `low_us` to `high_us` is the 95 % interval of the median; None with fewer than six windows. `pace_varied` is None on a
    steady machine. Else it is the share by which its own speed varied, p50 is the median at its full pace (interleaved.py),
    and p90 and p99 are of all calls, so they contain what other programs did. A percentile is None if a window has too few
    calls for it. `p99_bound_us` is MLPerf's early-stopping estimate over the calls of all windows: with 99 % confidence, 99 of
    100 calls take at most this; None if the calls are too few.
    """

    calls: int  # in the window that is shown
    windows: int
    least_us: float
    p50_us: float
    p90_us: float | None
    p99_us: float | None
    p50_lowest_us: float
    p50_highest_us: float
    p99_bound_us: float | None
    low_us: float | None = None
    high_us: float | None = None
    pace_varied: float | None = None


def may_exceed(n: int, percentile: float) -> int:
    """The t for which the t-th slowest of `n` calls is a sound estimate of `percentile`; 0 if there is none.

    MLPerf LoadGen's early stopping (loadgen/early_stopping.cc, tolerance 0, confidence 99 %): if more than a share q = 1 - p
    of all calls were slower than the estimate, n calls would contain at most t slower ones with the binomial probability
    sum_{k<=t} C(n, k) q^k p^(n-k). The result is the largest t that keeps this below 1 %.
    """
    p = percentile / 100
    below = 0.0
    for t in count():
        # In logarithms, because p^n underflows a double.
        chosen = math.lgamma(n + 1) - math.lgamma(t + 1) - math.lgamma(n - t + 1)
        below += math.exp(chosen + t * math.log(1 - p) + (n - t) * math.log(p))
        if t == n or below >= 1 - CONFIDENCE:
            return max(t - 1, 0)
    raise AssertionError


@lru_cache
def fewest_calls(percentile: float) -> int:
    """The fewest calls that support `percentile`: 64 for 90, 662 for 99, 1 for a median."""
    return 1 if percentile <= 50 else next(n for n in count(2) if may_exceed(n, percentile))


def bound(samples: Sequence[int], percentile: float) -> int | None:
    """With 99 % confidence, `percentile` per cent of all calls take at most this; None if `samples` are too few."""
    t = may_exceed(len(samples), percentile)
    return sorted(samples)[-t] if t else None


def nearest_rank(samples: Sequence[int], percentile: float) -> int:
    """The least of `samples` that at least `percentile` per cent of them do not exceed."""
    return sorted(samples)[max(math.ceil(percentile / 100 * len(samples)), 1) - 1]


def interval_ranks(n: int, confidence: float = 0.95) -> int | None:
    """How many of `n` sorted values may be left out on either side so that the rest enclose the median; None if n is too small.

    Distribution-free: each independent value is below the median with probability one half (the sign test's interval).
    """
    tail, ranks = 0.0, None
    for k in range((n + 1) // 2):
        tail += math.comb(n, k) / 2**n
        if 1 - 2 * tail < confidence:
            break
        ranks = k
    return ranks


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % interval of the median of which `values` are independent estimates; None with fewer than six."""
    if (left_out := interval_ranks(len(values))) is None:
        return None
    ordered = sorted(values)
    return ordered[left_out], ordered[-1 - left_out]


def summarize(windows: list[list[int]], shown: list[int]) -> LatencySummary:
    """The summary of one stage from its ns by window; the percentiles are those of the window `shown`."""
    percentiles = {p: nearest_rank(shown, p) if len(shown) >= fewest_calls(p) else None for p in PERCENTILES}
    medians = [nearest_rank(window, 50) for window in windows]
    low, high = interval(medians) or (None, None)
    return LatencySummary(
        calls=len(shown),
        windows=len(windows),
        least_us=min(map(min, windows)) / 1e3,
        p50_us=nearest_rank(shown, 50) / 1e3,
        p90_us=_us(percentiles[90]),
        p99_us=_us(percentiles[99]),
        p50_lowest_us=min(medians) / 1e3,
        p50_highest_us=max(medians) / 1e3,
        p99_bound_us=_us(bound([ns for window in windows for ns in window], 99)),
        low_us=None if low is None else low / 1e3 * (1 - MARGIN),
        high_us=None if high is None else high / 1e3 * (1 + MARGIN),
    )


def _us(ns: int | None) -> float | None:
    return None if ns is None else ns / 1e3
