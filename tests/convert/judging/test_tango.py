"""Tango's interval against published figures and against algebra."""

import pytest

from convert.judging.tango import Z_95, tango_interval


def test_the_published_worked_example():
    # Airway hyper-responsiveness before and after stem-cell transplantation (Bentur et al. 2009): of 21 pairs 1 changed
    # one way and 7 the other. Tango's interval is -0.517 to -0.026 in Fagerland, Lydersen and Laake, "Recommended tests
    # and confidence intervals for paired binomial proportions", Statistics in Medicine 33 (2014) 2850-2875, table IV.
    lower, upper = tango_interval(1, 7, 21)
    assert (round(lower, 3), round(upper, 3)) == (-0.517, -0.026)


@pytest.mark.parametrize("n", [10, 180, 10_000])
def test_without_any_disagreement_the_end_is_z_squared_over_n_plus_z_squared(n):
    # With b = c = 0 the estimate q is 0 and the score is n d / sqrt(n d (1 - d)); equal to z at d = z² / (n + z²).
    lower, upper = tango_interval(0, 0, n)
    assert upper == pytest.approx(Z_95**2 / (n + Z_95**2), abs=1e-9)
    assert lower == pytest.approx(-upper, abs=1e-9)


def test_swapping_lost_and_gained_mirrors_the_interval():
    lower, upper = tango_interval(90, 30, 10_000)
    assert tango_interval(30, 90, 10_000) == (pytest.approx(-upper, abs=1e-12), pytest.approx(-lower, abs=1e-12))


def test_with_many_pictures_it_agrees_with_walds():
    # Wald: d ± z sqrt(b + c - (b - c)² / n) / n, by hand 0.006 ± 1.96 · 10.937 / 10,000.
    lower, upper = tango_interval(90, 30, 10_000)
    assert (lower, upper) == (pytest.approx(0.006 - 0.002144, abs=1.5e-4), pytest.approx(0.006 + 0.002144, abs=1.5e-4))


@pytest.mark.parametrize(("lost", "gained", "n"), [(1, 0, 0), (-1, 0, 5), (3, 3, 5)])
def test_counts_that_do_not_fit_are_refused(lost, gained, n):
    with pytest.raises(ValueError, match=f"{lost} lost and {gained} gained of {n}"):
        tango_interval(lost, gained, n)
