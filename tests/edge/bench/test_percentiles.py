"""From how many calls a percentile may be told, against the numbers MLPerf's LoadGen prints in published logs."""

import pytest

from edge.bench.percentiles import bound, fewest_calls, interval, interval_ranks, may_exceed, nearest_rank, summarize


def test_the_fewest_calls_are_those_loadgen_asks_for():
    # "Processed at least 64 queries", "would need to process at least 662 total queries" (loadgen/results.cc, p90 and p99).
    assert (fewest_calls(90), fewest_calls(99), fewest_calls(50)) == (64, 662, 1)


@pytest.mark.parametrize(("queries", "discarded"), [(100, 2), (201, 9), (2048, 172), (2116, 178), (7469, 685)])
def test_as_many_slow_calls_are_set_aside_as_in_published_loadgen_logs(queries, discarded):
    # "Processed at least 64 queries (2048). Would discard 172 highest latency queries": one less than may exceed.
    assert may_exceed(queries, 90) == discarded + 1


def test_two_slow_calls_of_662_are_just_too_unlikely():
    def one_or_none(n: int) -> float:
        """The chance of at most one slow call among `n`, each slow with 1 %."""
        return 0.99**n + n * 0.01 * 0.99 ** (n - 1)

    assert one_or_none(661) > 0.01 > one_or_none(662)
    assert (may_exceed(661, 99), may_exceed(662, 99)) == (0, 1)


def test_the_bound_is_the_slowest_call_where_one_may_exceed_and_nothing_below():
    calls = list(range(1, 663))
    assert bound(calls, 99) == 662
    assert bound(calls[:661], 99) is None
    assert bound(list(range(1, 101)), 90) == 98  # three may exceed: the third slowest


def test_nearest_rank_takes_a_call_that_happened():
    assert [nearest_rank([40, 10, 30, 20], p) for p in (50, 75, 90, 99)] == [20, 30, 40, 40]
    assert nearest_rank([7], 50) == 7


def test_a_summary_says_nothing_its_window_is_too_small_for():
    small = summarize([[1000, 2000, 3000]] * 5, [1000, 2000, 3000])
    assert (small.least_us, small.p50_us, small.p90_us, small.p99_us, small.p99_bound_us) == (1.0, 2.0, None, None, None)
    assert summarize([list(range(1000, 65_000, 1000))], list(range(1000, 65_000, 1000))).p90_us == 58.0


def test_the_medians_interval_is_that_of_the_sign_test():
    # Conover, Practical Nonparametric Statistics: 5 values enclose the median in 93.75 %, 6 in 96.9 %; of 20, the 6th to 15th.
    assert [interval_ranks(n) for n in (0, 5, 6, 8, 9, 20)] == [None, None, 0, 0, 1, 5]
    assert interval([3.0, 1.0, 2.0]) is None
    assert interval([6.0, 1.0, 5.0, 2.0, 4.0, 3.0]) == (1.0, 6.0)
