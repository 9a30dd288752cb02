"""Tango's score interval for the difference of two proportions measured on the same images.

T. Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample design",
Statistics in Medicine 17 (1998) 891-908.
"""

import math
from collections.abc import Callable

Z_95 = 1.959963984540054  # two-sided 95 %: 2.5 % in each tail


def tango_interval(lost: float, gained: float, n: int, *, z: float = Z_95) -> tuple[float, float]:
    """The interval of (lost - gained) / n, as fractions; ValueError where the counts do not fit into `n` pairs."""
    if n < 1 or min(lost, gained) < 0 or lost + gained > n:
        raise ValueError(f"{lost} lost and {gained} gained of {n}")
    observed = (lost - gained) / n

    def score(difference: float) -> float:
        """The paper's equation 18: how many standard errors `difference` lies below the observed one."""
        a = 2 * n
        b = -lost - gained + (2 * n - lost + gained) * difference
        c = -gained * difference * (1 - difference)
        # The most likely share of `gained` if `difference` is true (equation 8).
        q = max((math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a), 0.0)
        variance = n * (2 * q + difference * (1 - difference))
        distance = lost - gained - n * difference
        if variance <= 0:
            return 0.0 if distance == 0 else math.copysign(math.inf, distance)
        return distance / math.sqrt(variance)

    # `score` falls from +inf to -inf; the ends are where it crosses +z and -z.
    return _falls_to(z, score, low=-1.0, high=observed), _falls_to(-z, score, low=observed, high=1.0)


def _falls_to(target: float, score: Callable[[float], float], *, low: float, high: float) -> float:
    """Where the falling `score` reaches `target` between `low` and `high`, to the last bit: manifests hold the result."""
    for _ in range(100):
        middle = (low + high) / 2
        if score(middle) > target:
            low = middle
        else:
            high = middle
    return (low + high) / 2
