"""Conformal sets: the classes that a picture may be, at a few coverages, and whether the other half bears them out.

Split conformal prediction with the score minus log softmax(logits): sets of this form are the smallest on average (Sadinle et
al. 2019, "Least Ambiguous Set-Valued Classifiers"). The temperature stays out, because it was fitted on the same pictures.
The quantile is the one that holds with 95 % confidence, not only on average over draws of the pictures fitted on (Vovk 2012,
"Conditional validity of inductive conformal predictors", proposition 2).
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from convert.confidence.rejection import Promise, most
from convert.pictures.evidence import interval

LEVELS = (0.9, 0.95, 0.99, 0.995, 0.999)


@dataclass(frozen=True)
class Coverage(Promise):
    """A promised `level` on the judged half: the share of sets that held the true class, its two-sided 95 % interval, and the
    mean number of classes in a set."""

    level: float
    coverage: float
    interval: tuple[float, float]
    mean_size: float
    p: float

    @property
    def in_words(self) -> str:
        low, high = self.interval
        share = f"{100 * self.coverage:.2f} % ({100 * low:.2f} to {100 * high:.2f} %) of sets hold the true class"
        return self.words(share, f"{100 * self.level:g} %")


def quantiles(logits: np.ndarray, labels: np.ndarray, *, slack: float) -> tuple[tuple[float, float], ...]:
    """The levels that n pictures can show, each with its quantile: float32 [n, K] logits, int [n] labels.

    Of the pictures fitted on, as many are left outside as have a one-sided 95 % bound within 1 - level. The quantile has
    `slack` and less than two millionths on top, so that no rounding leaves another one out.
    """
    n, shown = len(labels), []
    scores = np.sort(_nats(logits)[np.arange(n), labels])
    for level in LEVELS:
        if (outside := most(n, at_most=1 - level)) is not None:
            shown.append((level, math.ceil((max(0.0, float(scores[n - 1 - outside])) + slack) * 1e6 + 1) / 1e6))
    return tuple(shown)


def judge(sets: tuple[tuple[float, float], ...], logits: np.ndarray, labels: np.ndarray) -> tuple[Coverage, ...]:
    """The sets on other pictures: float32 [n, K] logits, int [n] labels."""
    n, nats = len(labels), _nats(logits)
    nearest = np.arange(logits.shape[1]) == logits.argmax(axis=1)[:, None]
    judged = []
    for level, quantile in sets:
        inside = (nats <= quantile) | nearest
        covered = int(inside[np.arange(n), labels].sum())
        p = float(special.bdtr(covered, n, level))
        judged.append(Coverage(level, covered / n, interval(covered, n), float(inside.sum(axis=1).mean()), p))
    return tuple(judged)


def _nats(logits: np.ndarray) -> np.ndarray:
    """Minus log softmax: float64 [n, K]."""
    exact = logits.astype(np.float64)
    return np.asarray(special.logsumexp(exact, axis=1, keepdims=True) - exact)
