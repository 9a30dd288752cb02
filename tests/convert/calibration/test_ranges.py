"""Activation ranges by each method, against figures worked by hand."""

import numpy as np
import pytest

from convert.calibration.ranges import METHODS, TensorRanges, counted, narrowed


def of(*arrays: np.ndarray):
    """The values of one tensor, an array an image."""
    return lambda: ({"relu": array} for array in arrays)


def test_min_max_is_the_least_and_the_greatest_over_all_images_and_holds_zero():
    first, second = np.array([1.0, 7.0]), np.array([3.0, 9.5])
    assert TensorRanges(of(first, second)).by("min-max") == {"relu": (0.0, 9.5)}
    assert TensorRanges(of(-first, -second)).by("min-max") == {"relu": (-9.5, 0.0)}


def test_the_model_runs_over_the_images_twice_for_all_methods():
    runs = []
    ranges = TensorRanges(lambda: runs.append(1) or of(np.linspace(0, 1, 100))())
    for method in (*METHODS, *METHODS):
        ranges.by(method)
    assert len(runs) == 2


def test_percentile_leaves_one_value_in_ten_thousand_out_at_either_end():
    values = np.concatenate([np.linspace(-1, 1, 99_990), np.full(5, -50.0), np.full(5, 50.0)])
    low, high = TensorRanges(of(values)).by("percentile")["relu"]
    # Five of 100,000 at each end lie outside; the ends fall within one bin of 100/2048 of ±1.
    assert (low, high) == pytest.approx((-1, 1), abs=100 / 2048)


def test_mse_clips_one_far_value_and_keeps_an_even_spread_whole():
    even = np.linspace(0, 1, 100_000)
    assert TensorRanges(of(even)).by("mse")["relu"] == pytest.approx((0, 1), abs=0.02)
    low, high = TensorRanges(of(np.append(even, 30.0))).by("mse")["relu"]
    # Kept, 30 makes the step 30/255 and the error 100,000 · step²/12 = 115; clipped at 1, it alone costs 29² = 841.
    # In between, at h: 100,000 · (h/255)²/12 + (30 - h)² is least where h = 30/(1 + 0.128) = 26.6.
    assert low == 0 and high == pytest.approx(26.6, abs=1.0)  # the even spread is not a whole number of steps


@pytest.mark.parametrize("seed", range(40))
def test_values_are_counted_as_numpy_counts_them(seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(rng.normal(), 10.0 ** rng.integers(-6, 7), rng.integers(1, 90_000)).astype(np.float32)
    values = np.maximum(values, 0) if seed % 3 == 0 else values  # zeros, at the first edge
    values = np.minimum(values, values.max() / 2) if seed % 4 == 0 else values  # many equal ones, as behind ReLU6
    widest = (min(0.0, float(values.min())), max(0.0, float(values.max())) + 1e-9)
    bounds = (1.7 * widest[0], 1.1 * widest[1]) if seed % 2 else widest  # of other images, or of these
    assert np.array_equal(counted(values, bounds), np.histogram(values, 2048, bounds)[0])


@pytest.mark.parametrize("method", METHODS)
def test_a_tensor_that_is_always_zero_has_an_empty_range(method):
    assert TensorRanges(of(np.zeros(5), np.zeros(5))).by(method) == {"relu": (0.0, 0.0)}


@pytest.mark.parametrize("method", METHODS[1:])
def test_a_range_keeps_zero_inside(method):
    counts = np.zeros(2048, np.int64)
    counts[1000:1010] = 500
    low, high = narrowed(counts, (0.0, 2.0), method)
    assert low == 0 and 0.9 < high <= 2.0
