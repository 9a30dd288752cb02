"""The simulation of the rules for pictures without labels, against the binomial; and the page that shows it."""

import math
import re

import pytest
from scipy.stats import binom

from benchmarks.studies.unlabelled_errors import (
    LIMITS_POINTS,
    N_IMAGES,
    RULES,
    WORST,
    UnlabelledCell,
    exact,
    most_differing,
    passes,
    simulate,
)
from tests.benchmarks.studies.test_gate_errors import PAGE, section

AT_LIMIT = "Pictures without labels, wrongly published: the true drop is the limit"
SOUND = "Pictures without labels, a sound model: the true drop is 0"


def test_the_most_that_may_differ_are_the_issues_figures():
    assert [most_differing(1.0, n) for n in (367, 368, 1_163, 1_164)] == [None, 0, 4, 5]


def test_labels_decide_as_if_all_pictures_had_one():
    # Of 1,000: three lost and none gained pass at 1.0 points, four do not (docs/gate.md).
    assert passes(1.0, 1_000, 3, 0) and not passes(1.0, 1_000, 4, 0)


def test_the_rates_are_the_binomials_where_nothing_is_gained():
    counts = simulate(UnlabelledCell(500, 2.0, 0.02, 0.02), candidates=20_000, seed=1)
    chance = binom.cdf(3, 500, 0.02)
    assert most_differing(2.0, 500) == 3
    for rule in RULES:  # three lost pass with labels, too
        assert counts[rule] / 20_000 == pytest.approx(chance, abs=4 * math.sqrt(chance / 20_000))


def test_the_rates_are_those_of_enumeration_which_are_under_the_goal_at_the_worst_sizes():
    for n, limit, share in WORST:
        assert max(exact(UnlabelledCell(n, limit, limit / 100, share)).values()) < 0.0255
    cell = UnlabelledCell(280, 2.0, 0.02, 0.08)
    counts, chances = simulate(cell, candidates=20_000, seed=3), exact(cell)
    for rule in RULES:
        assert counts[rule] / 20_000 == pytest.approx(chances[rule], abs=4 * math.sqrt(chances[rule] / 20_000) + 1e-9)


def test_both_rules_in_turn_pass_what_either_passes():
    cell = UnlabelledCell(1_164, 1.0, 0.01, 0.012)
    counts = simulate(cell, candidates=2_000, seed=2)
    assert max(counts["without"], counts["with"]) <= counts["both"] <= counts["without"] + counts["with"]


def test_the_page_names_the_highest_figures_and_none_is_over_the_goal():
    rows = [[figure.split(" / ") for figure in row[2:]] for row in section(AT_LIMIT)]
    figures = [[float(part) for part in cell] for row in rows for cell in row]
    stated = re.search(
        r"highest of (\d+) figures is \*\*(\S+) %\*\*, \*\*with labels (\S+) %\*\*, and \*\*(\S+) %\*\*", PAGE.read_text()
    )
    assert (len(figures), *map(max, zip(*figures, strict=True))) == (int(stated[1]), *map(float, stated.groups()[1:]))
    assert max(map(max, figures)) <= 2.7 and len(rows) * len(N_IMAGES) == len(figures)


def test_the_pages_figures_without_labels_are_the_binomials():
    rows = [row for row in section(AT_LIMIT) if float(row[0]) == float(row[1])]
    assert len(rows) == len(LIMITS_POINTS)
    for row in rows:
        limit = float(row[0])
        for n, figure in zip(N_IMAGES, row[2:], strict=True):
            most = most_differing(limit, n)
            chance = binom.cdf(-1 if most is None else most, n, limit / 100)
            # Four standard errors at 200,000 candidates, and the last digit.
            tolerance = 400 * math.sqrt(chance * (1 - chance) / 200_000) + 0.005
            assert float(figure.split(" / ")[0]) == pytest.approx(100 * chance, abs=tolerance)
