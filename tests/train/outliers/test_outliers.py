"""Pictures of no class: any contract's images, in equal shares, the same at each call."""

import numpy as np
import pytest

from edge.contract import CIFAR, DIGIT, InputContract
from train import outliers
from train.datasets import Split
from train.outliers import drawn, pieces

SMALL = InputContract(height=16, width=24, channels=1, fit="resize")


def genuine(contract: InputContract) -> Split:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (10, contract.height, contract.width, contract.channels)).astype(np.uint8)
    return Split(images, np.arange(10, dtype=np.uint8))


@pytest.mark.parametrize("contract", [DIGIT, CIFAR, SMALL])
def test_every_contract_has_outliers_and_equal_seeds_make_equal_ones(contract):
    first, again, other = (outliers.made(genuine(contract), contract, n=40, seed=seed) for seed in (0, 0, 1))
    assert first.shape == (40, contract.height, contract.width, contract.channels) and first.dtype == np.uint8
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert all(image.min() != image.max() for image in first)


def test_a_glyph_is_drawn_as_mnist_places_a_digit():
    for image in drawn.glyphs(DIGIT, n=20, rng=np.random.default_rng(0))[:10, :, :, 0]:  # drawn; the rest are variants
        rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
        assert max(np.ptp(rows), np.ptp(columns)) < 20
        assert image.max() >= 250


def test_no_letter_that_resembles_a_digit_is_drawn():
    assert not set("0123456789OoIlSsZzBbGgqQЗзЧч") & set(drawn.LETTERS)


def test_pieces_hold_nothing_but_what_two_images_of_different_classes_held():
    two = Split(np.stack([np.full((8, 8, 1), 10), np.full((8, 8, 1), 200)]).astype(np.uint8), np.uint8([0, 1]))
    for index, image in enumerate(pieces.images(two, n=9, rng=np.random.default_rng(0))):
        if index % 3 == 0:  # tiles of one
            assert len(np.unique(image)) == 1
        elif index % 3 == 1:  # a part of either
            assert set(np.unique(image)) == {10, 200}
        else:
            assert len(np.unique(image)) == 1 and 10 < image[0, 0, 0] <= 200
