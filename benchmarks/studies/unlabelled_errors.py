"""How often the gate is wrong where pictures without labels decide: the tables that gate_errors adds to docs/gate.md.

Each candidate meets the rule without labels (the share of answers that differ bounds the drop), the rule with labels (lost and
gained of all pictures), and both in turn, as an owner does who labels only what did not pass without. A verdict depends on the
totals alone, so a hundred test images and all others without labels stand for any such split.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from convert.judging.gate import Gate, UnlabelledCounts
from convert.judging.verify import Verification
from train import markdown

N_TEST = 100
N_IMAGES = (500, 1_164, 2_000, 10_000)  # with those without labels
LIMITS_POINTS = (0.5, 1.0, 2.0)
BOTH_WRONG = 1 / 3  # for each picture lost or gained, how many on which both models are wrong, each in its way: resnet8's 0.36
RULES = ("without", "with", "both")
# The highest `exact` rates at the limit, of n up to 16 / limit and disagreements up to four times the drop.
WORST = ((2_046, 0.5, 0.005), (1_218, 0.5, 0.02), (564, 1.0, 0.04), (280, 2.0, 0.08))


@dataclass(frozen=True)
class UnlabelledCell:
    """Candidates that lose `drop` of all `n_images` and are right where the float model is wrong, or the reverse, on
    `disagreement`; on `both_wrong` more the answers differ. Shares."""

    n_images: int
    limit_points: float
    drop: float
    disagreement: float
    both_wrong: float = 0.0


@functools.cache
def simulate(cell: UnlabelledCell, *, candidates: int, seed: int) -> dict[str, int]:
    """How many of `candidates` pass, by each of RULES. Equal arguments give equal draws."""
    lost, gained = (cell.disagreement + cell.drop) / 2, (cell.disagreement - cell.drop) / 2
    entropy = [seed, cell.n_images, *(round(1e6 * share) for share in (cell.drop, cell.disagreement, cell.both_wrong))]
    shares = [lost, gained, cell.both_wrong, 1 - lost - gained - cell.both_wrong]
    drawn = np.random.default_rng(entropy).multinomial(cell.n_images, shares, candidates)[:, :3]
    counts = dict.fromkeys(RULES, 0)
    triples, times = np.unique(drawn, axis=0, return_counts=True)
    for (n_lost, n_gained, n_both), n in zip(triples.tolist(), times.tolist(), strict=True):
        without = passes(cell.limit_points, cell.n_images, n_lost + n_gained + n_both)
        labelled = passes(cell.limit_points, cell.n_images, n_lost, n_gained)
        for rule, passed in zip(RULES, (without, labelled, without or labelled), strict=True):
            counts[rule] += n * passed
    return counts


@functools.cache
def passes(limit_points: float, n_images: int, *counted: int) -> bool:
    """Whether the gate passes `counted`: answers that differ, without labels; or lost and gained, of pictures with them."""
    counts = UnlabelledCounts(n_images - N_TEST, sum(counted))
    if len(counted) == 2:
        counts = UnlabelledCounts(n_images - N_TEST, sum(counted), labelled=True, lost=counted[0], gained=counted[1])
    gate = Gate(limit_points)
    return gate.decide(gate.grounds(_same_answers(), counts)) == "passed"


@functools.cache
def _same_answers() -> Verification:
    return Verification(N_TEST, 0, 0, agreeing=N_TEST, float_top1=1.0, top1=1.0)


def exact(cell: UnlabelledCell) -> dict[str, float]:
    """The chance to pass by each of RULES, enumerated: for each number gained, whatever is lost up to the most that passes."""
    n, differing = cell.n_images, most_differing(cell.limit_points, cell.n_images)
    lost_share, gained_share = (cell.disagreement + cell.drop) / 2, (cell.disagreement - cell.drop) / 2
    chances, most = dict.fromkeys(RULES, 0.0), -1
    for gained in range(int(binom.isf(1e-9, n, gained_share)) + 1):
        while passes(cell.limit_points, n, most + 1, gained):
            most += 1
        without = -1 if differing is None else differing - gained
        for rule, lost in zip(RULES, (without, most, max(without, most)), strict=True):
            within = binom.cdf(lost, n - gained, lost_share / (1 - gained_share)) if lost >= 0 else 0.0
            chances[rule] += float(binom.pmf(gained, n, gained_share) * within)
    return chances


def most_differing(limit_points: float, n_images: int) -> int | None:
    """The most answers that may differ in a pass without labels; None where not even 0."""
    differing = 0
    while passes(limit_points, n_images, differing):
        differing += 1
    return differing - 1 if differing else None


def section(disagreements: Callable[[float], list[float]], *, candidates: int, seed: int) -> str:
    """The tables; `disagreements` are the shares to simulate at a true drop."""

    def percents(cell: UnlabelledCell) -> str:
        counts = simulate(cell, candidates=candidates, seed=seed)
        return " / ".join(f"{100 * counts[rule] / candidates:.2f}" for rule in RULES)

    def rows(multiple: float, both_wrong: float) -> str:
        body = []
        for limit in LIMITS_POINTS:
            drop = multiple * limit / 100
            for share in disagreements(drop):
                cells = (UnlabelledCell(n, limit, drop, share, round(both_wrong * share, 6)) for n in N_IMAGES)
                body.append((f"{limit}", f"{100 * share:.4g}", *map(percents, cells)))
        head = ("limit, points", "differ, %", *(f"n = {n:,}" for n in N_IMAGES))
        return markdown.table(head, body, align="r")

    worst = []
    for n, limit, share in WORST:
        cell = UnlabelledCell(n, limit, limit / 100, share)
        enumerated = " / ".join(f"{100 * chance:.2f}" for chance in exact(cell).values())
        worst.append((f"{limit}", f"{100 * share:.4g}", f"{n:,}", percents(cell), enumerated))
    most = []
    for n in (368, *N_IMAGES):
        counted = (most_differing(limit, n) for limit in LIMITS_POINTS)
        most.append((f"{n:,}", *("not even 0" if count is None else str(count) for count in counted)))
    return "\n\n".join(
        (
            "### Pictures without labels, wrongly published: the true drop is the limit",
            "% of candidates passed, by the rule without labels / with labels / without and, if that says no, with.",
            rows(1.0, 0.0),
            "The same at the worst n, and enumerated:",
            markdown.table(("limit, points", "differ, %", "n", "passed", "enumerated"), worst, align="r"),
            "### Pictures without labels, a sound model: the true drop is 0",
            "The same; on a third as many pictures more, both models are wrong and differ.",
            rows(0.0, BOTH_WRONG),
            "### The most answers that may differ in a pass without labels",
            markdown.table(("n", *(f"limit {limit}" for limit in LIMITS_POINTS)), most, align="r"),
        )
    )
