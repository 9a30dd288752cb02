"""What is made of slices of calls between calibration loops."""

import pytest

from edge.bench.interleaved import Slice, estimate, full_pace, least_beyond, summaries
from edge.bench.timing import TimedPipeline


def test_slices_beside_a_slow_loop_are_left_out():
    assert full_pace([100, 104, 106, 180, 100, 101, 102, 105, 300], best=100) == [0, 1, 4, 5, 6, 7]


def test_with_too_few_at_full_pace_the_six_that_came_closest_count():
    assert full_pace([170, 100, 180, 160, 190, 120, 110, 175], best=100) == [0, 1, 3, 5, 6, 7]


def test_the_interval_is_of_blocks_of_neighbours_and_leaves_five_of_twenty_out_on_either_side():
    # Slices of equal neighbours: as single values they would pretend to know ten times as much.
    medians = [10.0 + block for block in range(20) for _ in range(10)]
    assert estimate(medians, range(200), least=9.0) == (19.5, 15.0, 24.0)


def test_where_full_pace_was_seldom_the_least_time_is_the_lower_end():
    medians = [20.0] * 200
    assert estimate(medians, range(6), least=12.0) == (20.0, 12.0, 20.0)
    assert estimate(medians, range(100), least=12.0) == (20.0, 20.0, 20.0)


def test_a_process_is_charged_its_cpu_time_and_the_interval_reaches_to_the_least_that_any_took_beyond_it():
    made = TimedPipeline(name="start", stages=("load", "first"), call=lambda number: (0, 0), calls=10, busy=lambda: (0, 0))
    beyond = (5000, 50_000, 90_000, 4000, 70_000, 60_000)
    slices = [Slice([(45_000 + waited, 1000)], loop_ns=20.0, busy=(45_000, 1000)) for waited in beyond]
    found = summaries(made, slices, [20.0] * 6)
    load, whole = found["load"], found["whole"]
    assert (load.p50_us, whole.p50_us, load.least_us) == (45.0, 46.0, 49.0)
    assert (load.low_us, load.high_us) == pytest.approx((45.0 * 0.96, 49.0 * 1.04))
    assert least_beyond([50.0], [70.0]) == 0.0  # two threads


def test_a_slice_that_waited_for_a_processor_is_left_out():
    made = TimedPipeline(name="pixels", stages=("inference",), call=lambda number: (0,), calls=1000)
    slices = [Slice([(1000,)], loop_ns=20.0)] * 8 + [Slice([(5000,)], loop_ns=20.0, waited=5.0)] * 8
    whole = summaries(made, slices, [20.0] * 16)["whole"]
    assert (whole.p50_us, whole.p90_us, whole.pace_varied) == (1.0, None, 0.0)
    assert whole.high_us == pytest.approx(1.04)
