"""The ranked rounds against tables, enumeration and a simulation of equal code."""

import itertools
import math
import random

import pytest

from benchmarks.signed_ranks import change, fewest_rounds, rank


@pytest.mark.parametrize(
    ("n", "alpha", "wanted"), [(10, 0.025, 9), (15, 0.025, 26), (20, 0.025, 53), (10, 0.005, 4), (6, 0.025, 1)]
)
def test_the_ranks_are_those_of_published_tables(n, alpha, wanted):
    # Critical values of Wilcoxon's signed-rank test are 8, 25, 52, 3 and 0 (Wilcoxon and Wilcox 1964, table 2): one less.
    assert rank(n, alpha) == wanted


def test_a_bound_misses_as_often_as_enumerating_all_signs_says():
    n, alpha = 9, 0.02
    sizes = [1.3**i for i in range(n)]  # any distinct sizes give the same count
    missed = sum(
        change([s * size for s, size in zip(signs, sizes, strict=True)], alpha=alpha).surely_above > 0
        for signs in itertools.product((-1, 1), repeat=n)
    )
    assert 0 < missed / 2**n <= alpha


def test_the_estimate_is_the_median_of_all_averages_of_two():
    with pytest.raises(ValueError, match="3 rounds cannot show anything"):
        change([1, 2, 6], alpha=0.01)
    found = change([1, 2, 6, 1, 2, 6, 1, 2, 6], alpha=0.01)
    # In order: 6 times 1, 9 times 1.5, 6 times 2, then from the 22nd on 3.5; the middle one of 45 is the 23rd.
    assert found.estimate == 3.5
    assert found.surely_above <= found.lower <= found.estimate <= found.upper <= found.surely_below


def test_one_spoilt_round_moves_little():
    calm = [0.01 * x for x in range(-7, 8)]
    assert change([*calm[:-1], 50.0], alpha=0.01).estimate == pytest.approx(change(calm, alpha=0.01).estimate, abs=0.01)


def test_the_fewest_rounds_are_those_whose_rarest_outcome_is_rare_enough():
    assert fewest_rounds(0.01 / 3) == 9
    assert rank(9, 0.01 / 3) == 1
    with pytest.raises(ValueError, match=r"8 rounds cannot show anything at 0\.00333333: 9 could"):
        rank(8, 0.01 / 3)


def test_equal_code_with_wild_noise_is_beyond_zero_no_more_often_than_promised():
    draw, alpha, trials = random.Random(1), 0.02, 3000
    missed = sum(
        change([draw.gauss(0, 1) / draw.gauss(0, 1) for _ in range(12)], alpha=alpha).surely_above > 0 for _ in range(trials)
    )
    # Cauchy noise has no mean; four standard errors of a share of alpha.
    assert missed / trials < alpha + 4 * math.sqrt(alpha / trials)
