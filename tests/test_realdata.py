"""What only real pictures can show. MNIST comes from the folder in EDGEPROOF_DATA; the digits are always there."""

import os

import numpy as np
import pytest

from edge import predictor
from edge.locate import shipped_model
from tests.redraw import drop_points, pages, photos, right
from train import datasets

needs_mnist = pytest.mark.skipif(not os.environ.get("EDGEPROOF_DATA"), reason="EDGEPROOF_DATA names no folder with MNIST")


@pytest.fixture(scope="module")
def mnist():
    return datasets.mnist.load().test


@pytest.fixture(scope="module")
def shipped():
    return predictor.load(shipped_model())


@pytest.mark.realdata
@needs_mnist
def test_the_shipped_model_is_right_on_99_1_percent_of_mnists_test_pictures(shipped, mnist):
    n_right = sum(right(shipped, image.tobytes(), label) for image, label in zip(mnist.images, mnist.labels, strict=True))
    assert len(mnist) == 10_000 and n_right >= 9910
    assert os.path.getsize(shipped_model()) < 150_000


@pytest.mark.realdata
@needs_mnist
def test_both_doors_of_litert_give_the_same_bytes_on_every_test_picture(shipped, mnist):
    fast = predictor.load(shipped_model(), engine_name="litert-c", trusted=True)
    assert shipped.engine.name == "litert"
    assert all(fast.engine.run(image.tobytes()) == shipped.engine.run(image.tobytes()) for image in mnist.images)


@pytest.mark.realdata
@needs_mnist
@pytest.mark.parametrize("n", [200, pytest.param(1_000, marks=pytest.mark.long)])
def test_digits_on_a_page_lose_at_most_one_and_a_half_points(shipped, mnist, n):
    chosen = mnist[np.random.default_rng(0).permutation(len(mnist))[:n]]
    assert drop_points(shipped, chosen, pages(1)) <= 1.5


@pytest.mark.realdata
@needs_mnist
@pytest.mark.parametrize("n", [40, pytest.param(200, marks=pytest.mark.long)])
def test_photos_lose_at_most_three_points(shipped, mnist, n):
    chosen = mnist[np.random.default_rng(1).permutation(len(mnist))[:n]]
    assert drop_points(shipped, chosen, photos(2)) <= 3


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.long)])
def test_the_digits_on_a_page_lose_at_most_one_and_a_half_points(tflite, every):
    assert drop_points(predictor.load(str(tflite)), datasets.digits.load().test[::every], pages(1)) <= 1.5
