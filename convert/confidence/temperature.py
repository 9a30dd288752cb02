"""The temperature of a candidate's probabilities, and how far they are from what they say.

Guo et al. 2017, "On Calibration of Modern Neural Networks"; the error that chance alone shows, as Vaicenavicius et al. 2019
draw it, "Evaluating model calibration in classification".
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

N_BINS = 15
N_DRAWS = 1_000
_WIDEST = 6.9  # of |log T|: 0.001 to 992


@dataclass(frozen=True, eq=False)
class Reliability:
    """How probabilities and shares of right answers agree, in N_BINS bins of equally many pictures.

    `error_points`: the expected calibration error in percentage points; `chance_points`: what perfectly calibrated answers of
    these very probabilities show on average. Each bin: mean probability, share right, pictures.
    """

    n_images: int
    error_points: float
    chance_points: float
    bins: tuple[tuple[float, float, int], ...]

    @property
    def excess_points(self) -> float:
        """The error beyond chance: below 0 where the bins happen to agree better than a perfect model's usually do."""
        return self.error_points - self.chance_points

    @property
    def in_words(self) -> str:
        return f"{self.excess_points:.2f} points ({self.error_points:.2f} less {self.chance_points:.2f} by chance)"

    def as_json(self) -> dict[str, object]:
        return {"beyond_chance": self.excess_points, "raw": self.error_points, "by_chance": self.chance_points}


def fit(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature of the least cross-entropy: float32 [N, K] logits, int [N] labels; to 4 digits.

    Where every answer is right that would be 0, so log T has a normal prior around 0 of standard deviation 1, which thousands
    of pictures outweigh.
    """
    scaled, rows = logits.astype(np.float64), np.arange(len(labels))

    def loss(log_t: float) -> float:
        z = scaled / math.exp(log_t)
        return float((special.logsumexp(z, axis=1) - z[rows, labels]).sum()) + log_t**2 / 2

    best = optimize.minimize_scalar(loss, bounds=(-_WIDEST, _WIDEST), method="bounded")
    return float(f"{math.exp(best.x):.4g}")


def reliability(logits: np.ndarray, labels: np.ndarray, degree: float, *, seed: int = 0) -> Reliability:
    """The reliability of softmax(logits / degree): float32 [N, K] logits, int [N] labels, at least one."""
    certain = special.softmax(logits.astype(np.float64) / degree, axis=1).max(axis=1)
    order = np.argsort(certain, kind="stable")
    certain, right = certain[order], (logits.argmax(axis=1) == labels)[order]
    starts = np.unique(np.linspace(0, len(labels), min(N_BINS, len(labels)) + 1).astype(int)[:-1])
    counts = np.diff([*starts, len(labels)])
    expected = np.add.reduceat(certain, starts)

    def error_points(answers: np.ndarray) -> float:
        return float(100 * np.abs(np.add.reduceat(answers, starts, dtype=np.float64) - expected).sum() / len(labels))

    rng = np.random.default_rng(seed)
    drawn = [error_points(rng.random(len(certain)) < certain) for _ in range(N_DRAWS)]
    shares = np.add.reduceat(right, starts, dtype=np.float64) / counts
    bins = tuple((float(p), float(s), int(n)) for p, s, n in zip(expected / counts, shares, counts, strict=True))
    return Reliability(len(labels), error_points(right), float(np.mean(drawn)), bins)
