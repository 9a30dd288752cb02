"""The gate: a candidate is published only when the test images show that it kept the float model's accuracy."""

import math
from bisect import bisect_left
from dataclasses import dataclass, replace

from scipy import special

from convert.judging.tango import Z_95, tango_interval
from convert.judging.verify import Verification

# Percentage points. The digits' test split is small: at 2.0 points its 600 images can prove a loss of up to five of them.
LIMITS = {"mnist": 0.5, "digits": 2.0, "cifar10": 1.0}
USUAL_LIMIT = 1.0

# What decides: the test images; the share of all answers that differ; or lost and gained of all pictures, where those without
# labels on which no answer differs are neither, and those on which one does get labels.
TEST, ANSWERS, LABELS = "test", "answers", "labels"

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
class UnlabelledCounts:
    """A candidate on `n_images` pictures beyond the test images: on `differing` of them its answer is not the float model's.

    `labelled`: the owner was asked what the differing ones show. `lost` and `gained` count as on test images; `unknown` are
    those without a label, which count as lost where labels decide; on the rest both models are wrong.
    """

    n_images: int
    differing: int
    labelled: bool = False
    lost: int = 0
    gained: int = 0
    unknown: int = 0


@dataclass(frozen=True)
class Grounds:
    """What a verdict rests on: the `rule`, and `verification`, under LABELS of all pictures, else of the test images.

    Under ANSWERS, `differing` of all `n_images` answers are not the float model's, and the drop is at most `most`, a fraction:
    the one-sided 97.5 % bound of their share (Clopper and Pearson).
    """

    rule: str
    verification: Verification
    n_images: int
    differing: int
    unknown: int = 0

    @property
    def most(self) -> float:
        return _bound(self.differing, self.n_images)

    def as_json(self) -> dict[str, object]:
        """For the manifest and the report."""
        if self.rule == ANSWERS:
            return {"rule": ANSWERS, "n_images": self.n_images, "differing": self.differing, "most_points": 100 * self.most}
        judged = self.verification
        return {
            "rule": self.rule,
            "n_images": judged.n_images,
            "lost": judged.lost,
            "gained": judged.gained,
            "interval_points": list(judged.interval_points),
        } | ({"lost_for_want_of_a_label": self.unknown} if self.rule == LABELS else {})


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

    @property
    def least_answers(self) -> int:
        """The least n that can pass under ANSWERS: with none differing the bound is 1 - 0.025^(1/n)."""
        return math.ceil(math.log(0.025) / math.log1p(-self.max_drop_points / 100))

    def rule(self, n_images: int, n_unlabelled: int, *, labelled: bool) -> str:
        """What decides, by numbers of pictures alone: nothing that was measured may choose.

        TEST without pictures beyond the test images; ANSWERS where these are too few for anything to pass and the owner gave
        no labels; else LABELS. What passes without labels passes with any, so asking for them is no second chance.
        """
        if not n_unlabelled:
            return TEST
        return LABELS if labelled or n_images >= self.least_images else ANSWERS

    def grounds(self, verification: Verification, more: UnlabelledCounts | None = None) -> Grounds:
        """What decides of these test images and, if there are any, pictures without labels."""
        n_images, differing = verification.n_images, verification.n_images - verification.agreeing
        if more is None or (rule := self.rule(n_images, more.n_images, labelled=more.labelled)) == TEST:
            return Grounds(TEST, verification, n_images, differing)
        n_images, differing = n_images + more.n_images, differing + more.differing
        if rule == ANSWERS:
            return Grounds(ANSWERS, verification, n_images, differing)
        both = replace(
            verification,
            n_images=n_images,
            lost=verification.lost + more.lost + more.unknown,
            gained=verification.gained + more.gained,
            agreeing=n_images - differing,
        )
        return Grounds(LABELS, both, n_images, differing, more.unknown)

    def judge(self, verification: Verification, more: UnlabelledCounts | None = None) -> Verdict:
        """The verdict, with the numbers it rests on."""
        grounds = self.grounds(verification, more)
        decision = self.decide(grounds)
        return Verdict(decision, (self._account(grounds), *self._advice(decision, grounds, verification, more)))

    def decide(self, grounds: Grounds) -> str:
        """The decision in a word."""
        judged, limit = grounds.verification, self.max_drop_points
        if grounds.rule == ANSWERS:
            # The drop is known of too few images to fail it for what it is there.
            enough, too_much = 100 * grounds.most <= limit, judged.interval_points[0] >= limit
        else:
            enough = judged.interval_points[1] <= limit and judged.n_images >= self.least_images
            too_much = judged.drop_points - 100 * grounds.unknown / judged.n_images >= limit
        return "passed" if enough else "failed" if too_much else "undecided"

    def _account(self, grounds: Grounds) -> str:
        judged = grounds.verification
        if grounds.rule == ANSWERS:
            return (
                f"{grounds.differing:,} of {grounds.n_images:,} answers are not the float model's, so top-1 fell by "
                f"{100 * grounds.most:.2f} points at most (one-sided 97.5 % bound); limit {self.max_drop_points:.2f}"
            )
        drop, (lower, upper) = judged.drop_points, judged.interval_points
        moved = f"fell {drop:.2f}" if drop >= 0 else f"rose {-drop:.2f}"
        unknown = f", {grounds.unknown:,} of them for want of a label," if grounds.unknown else ","
        return (
            f"top-1 {moved} points ({judged.lost:,} lost{unknown} {judged.gained:,} gained of {judged.n_images:,}; "
            f"95 % interval {lower:.2f} to {upper:.2f}); limit {self.max_drop_points:.2f}"
        )

    def _advice(
        self, decision: str, grounds: Grounds, verification: Verification, more: UnlabelledCounts | None
    ) -> tuple[str, ...]:
        """How many images would do, and the limit that would pass; nothing for what passed, or failed on enough."""
        by_answers = grounds.rule == ANSWERS
        n_images, least = grounds.n_images, self.least_answers if by_answers else self.least_images
        pictures = "test images" if grounds.rule == TEST else "pictures"
        limit = self._limit_that_passes(verification, more) if decision == "undecided" or n_images < least else None
        other_limit = (f"--max-drop-points {limit} would pass it",) if limit else ()
        if decision == "failed" and n_images < least:
            return f"on {n_images:,} {pictures} nothing can pass at this limit ({least:,} needed)", *other_limit
        if decision != "undecided":
            return ()
        if grounds.unknown:
            return f"{grounds.unknown:,} answers differ on pictures without a label: label those", *other_limit
        enough = self._images_needed(grounds, least)
        advice = f"about {enough:,} would be enough" if enough else "no number would be enough"
        return f"{n_images:,} {pictures} are too few to tell; {advice}", *other_limit

    def _images_needed(self, grounds: Grounds, least: int) -> int | None:
        """The least n at which the same shares would pass; None where none would."""
        lost, gained, n_images = grounds.verification.lost, grounds.verification.gained, grounds.n_images

        def passes(n: int) -> bool:
            share = n / n_images
            if grounds.rule == ANSWERS:
                return 100 * _bound(grounds.differing * share, n) <= self.max_drop_points
            return 100 * tango_interval(lost * share, gained * share, n)[1] <= self.max_drop_points

        if n_images < least and passes(least):
            return least
        if not passes(_MOST_IMAGES):
            return None
        return bisect_left(range(_MOST_IMAGES), True, lo=n_images, key=passes)

    def _limit_that_passes(self, verification: Verification, more: UnlabelledCounts | None) -> float | None:
        """The least limit in tenths of a point at which this would pass; None below 100."""
        for tenths in range(math.floor(10 * self.max_drop_points) + 1, 1000):
            gate = Gate(tenths / 10)
            if gate.decide(gate.grounds(verification, more)) == "passed":
                return tenths / 10
        return None


def _bound(differing: float, n: int) -> float:
    """The one-sided 97.5 % bound of the share that differs, as a fraction (Clopper and Pearson)."""
    return 1.0 if differing >= n else float(special.betaincinv(differing + 1, n - differing, 0.975))


def gate_for(data: str, max_drop_points: float | None) -> Gate:
    """The gate at the limit the user gave, else at the usual one for the data set `data`."""
    return Gate(LIMITS.get(data, USUAL_LIMIT) if max_drop_points is None else max_drop_points)
