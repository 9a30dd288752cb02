"""The simulated machine: what each statistic is good for."""

import random

from benchmarks.studies import pace_model
from benchmarks.studies.pace_model import Scenario


def median_figure(statistic, scenario: Scenario) -> float:
    draw = random.Random(1)
    return sorted(statistic(pace_model.simulate(scenario, draw))[0] for _ in range(9))[4]


def test_beside_busy_programs_full_pace_is_true_the_median_too_slow_and_the_ratio_too_fast():
    busy = Scenario(name="busy", slow=0.9, waits=0.4)
    assert 98 < median_figure(pace_model.chosen, busy) < 102
    assert median_figure(pace_model.plain, busy) > 125
    assert median_figure(pace_model.ratio, busy) < 80


def test_on_a_quiet_machine_the_median_and_full_pace_agree_and_the_least_is_too_low():
    quiet = Scenario(name="quiet", slow=0.0)
    assert abs(median_figure(pace_model.chosen, quiet) - median_figure(pace_model.plain, quiet)) < 0.5
    assert median_figure(pace_model.least, quiet) < 98


def test_a_machine_that_is_always_slow_cannot_be_told():
    assert median_figure(pace_model.chosen, Scenario(name="always slow", slow=1.0)) > 125
