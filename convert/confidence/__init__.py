"""What an answer is worth: fitted on one half of the test split, judged on the other, stated in the contract.

`judge` is the door. The halves are drawn by a seed; top-1 and the gate keep all pictures. docs/unknown.md has the method.
"""

from dataclasses import asdict, dataclass

import numpy as np

from convert.confidence import coverage, rejection, temperature
from convert.confidence.coverage import Coverage
from convert.confidence.rejection import Rejection
from convert.confidence.temperature import Reliability
from edge.confidence import KINDS, Confidence

SEED = 0
KIND, WITH_UNITS = "energy", "units"  # the score of networks without and with extra outputs (convert/unknown.py)
N_REDRAWN_HALF = 5_000  # genuine pictures of either half of the test split
Outputs = tuple[np.ndarray, np.ndarray]  # logits and extra values
REJECT_RATE = 0.01  # of genuine pictures, at most


@dataclass(frozen=True, eq=False)
class Judged:
    """What the contract states, and how it did on the other half.

    `n_fitted`, `n_judged`: pictures of the halves. `before`, `after`: reliability without and with the temperature.
    `rejection` is None where no picture is rejected, and `why_not` says why; `redrawn` is that of genuine pictures redrawn as a
    device redraws photographed digits, where there are any. `top1`: of the judged half, 0 to 1.
    """

    confidence: Confidence
    n_fitted: int
    n_judged: int
    before: Reliability
    after: Reliability
    rejection: Rejection | None
    redrawn: Rejection | None
    why_not: str
    coverages: tuple[Coverage, ...]
    top1: float

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the candidate fails, in words; empty where it does not."""
        judged = (self.rejection, self.redrawn, *self.coverages)
        return tuple(each.in_words for each in judged if each and each.fails)

    def as_json(self) -> dict[str, object]:
        """Every figure, for the manifest and the report."""
        return {
            "fitted_on": {"split": "test", "n_images": self.n_fitted, "seed": SEED},
            "judged_on": {"split": "test", "n_images": self.n_judged, "top1": self.top1},
            "temperature": self.confidence.temperature,
            "calibration_error_points": {"before": self.before.as_json(), "after": self.after.as_json()},
            "rejection": self.rejection.as_json() if self.rejection else self.why_not,
            "rejection_redrawn": self.redrawn.as_json() if self.redrawn else "not checked",
            "sets": [asdict(each) for each in self.coverages] or f"not checked: {self.n_fitted} pictures are too few",
        }


def judge(
    logits: np.ndarray, labels: np.ndarray, extra: np.ndarray | None = None, *, told: Confidence | None = None,
    reject_rate: float | None = REJECT_RATE, redrawn: tuple[Outputs, Outputs] | None = None,
) -> Judged:  # fmt: skip
    """What a candidate's answers to the test split are worth: float32 [N, K] logits, int [N] labels, float32 [N, E] extra,
    which are coded as `told`.

    Of the genuine pictures at most `reject_rate` are to be rejected; None: none is. `redrawn`: logits and extra values of the
    first pictures of the half to fit on and of the half to judge on, redrawn; the promise is about these too, so the higher
    of the two thresholds holds for both.
    """
    extra = np.empty((len(logits), 0), np.float32) if extra is None else extra
    kind = WITH_UNITS if extra.shape[1] else KIND
    fitting, judging = halves(len(labels))
    degree = temperature.fit(logits[fitting], labels[fitting])
    # float32 numbers are off by less from those of the device.
    slack = 1e-6 * max(1.0, float(np.abs(logits).max()), float(np.abs(extra).sum(axis=1).max()))

    def scored(logits: np.ndarray, extra: np.ndarray) -> np.ndarray:
        return np.array([KINDS[kind](*row) for row in zip(logits.tolist(), extra.tolist(), strict=True)])

    scores, limit, again, again_judged = scored(logits, extra), None, None, None
    if reject_rate is not None:
        limit = rejection.threshold(scores[fitting], at_most=reject_rate, slack=slack)
    if limit and redrawn:
        again = rejection.threshold(fitted := scored(*redrawn[0]), at_most=reject_rate or 0, slack=slack)
        if again:
            limit, again = limit.raised(again.threshold, scores[fitting]), again.raised(limit.threshold, fitted)
    confidence = Confidence(
        temperature=degree,
        extra=extra.shape[1],
        extra_scale=told.extra_scale if told else 1.0,
        extra_zero_point=told.extra_zero_point if told else 0,
        reject=(kind, limit.threshold) if limit else None,
        sets=coverage.quantiles(logits[fitting], labels[fitting], slack=slack),
    )
    right = logits[judging].argmax(axis=1) == labels[judging]
    if again and redrawn:
        right_again = redrawn[1][0].argmax(axis=1) == labels[judging][: len(redrawn[1][0])]
        again_judged = rejection.judge(again, kind, scored(*redrawn[1]), right_again)
    too_few = f"not checked: {len(fitting):,} pictures to fit on, wanted {rejection.MIN_PICTURES}; no picture is rejected"
    return Judged(
        confidence=confidence,
        n_fitted=len(fitting),
        n_judged=len(judging),
        before=temperature.reliability(logits[judging], labels[judging], 1.0),
        after=temperature.reliability(logits[judging], labels[judging], degree),
        rejection=rejection.judge(limit, kind, scores[judging], right) if limit else None,
        redrawn=again_judged,
        why_not="" if limit else "not asked for (--no-reject)" if reject_rate is None else too_few,
        coverages=coverage.judge(confidence.sets, logits[judging], labels[judging]),
        top1=float(right.mean()),
    )


def halves(n: int) -> tuple[np.ndarray, np.ndarray]:
    """The indices of the half to fit on and of the half to judge on, int [n // 2] and [n - n // 2], each in order."""
    order = np.random.default_rng(SEED).permutation(n)
    return np.sort(order[: n // 2]), np.sort(order[n // 2 :])
