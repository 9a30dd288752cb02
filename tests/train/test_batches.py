"""The order and the augmentation of training images, against figures worked by hand."""

import threading

import numpy as np
import pytest

from train.batches import Batches, augment
from train.datasets import Split
from train.recipes import Recipe


def random_images(n: int = 64, *, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (n, 32, 32, channels), np.uint8)


class AlwaysTheMost:
    """Stands in for a generator: every draw is the highest value."""

    def uniform(self, low, high, shape):
        return np.full(shape, high)


def by(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_flip_mirrors_its_share_left_to_right_and_leaves_the_others():
    images = random_images(1000)
    flipped = augment(images, Recipe(shift=0, flip=0.5), by())
    same = (flipped == images).all(axis=(1, 2, 3))
    mirrored = (flipped == images[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all() and 440 < mirrored.sum() < 560


def test_brightness_moves_a_whole_image_and_does_not_clip():
    moved = augment(random_images(), Recipe(shift=0, brightness=63), by()) - random_images()
    each = moved.reshape(64, -1)
    np.testing.assert_allclose(each, each[:, :1] * np.ones(each.shape[1]), atol=1e-3)
    assert -63 <= each.min() < -40 and 40 < each.max() <= 63


def test_contrast_spreads_about_each_channels_mean_over_what_the_crop_will_show():
    images = random_images(1)
    cropped = augment(images, Recipe(shift=4, contrast=0.8), by(3))[0, 4:28, 4:28]
    # Two pixels of one channel keep the ratio of their distances to that channel's mean.
    means = cropped.mean(axis=(0, 1))
    plain = augment(images, Recipe(shift=4), by(3))[0, 4:28, 4:28]
    np.testing.assert_allclose(means, plain.mean(axis=(0, 1)), atol=1e-2)
    factors = (cropped - means) / (plain - plain.mean(axis=(0, 1)))
    assert factors.std() < 1e-2 and 0.2 <= factors.mean() <= 1.8 and abs(factors.mean() - 1) > 0.05


def test_erase_blanks_one_square_with_the_mean_colour():
    images = random_images()
    erased = augment(images, Recipe(shift=0, erase=8), by())
    changed = (erased != images).any(axis=-1)
    assert changed.sum(axis=(1, 2)).max() == 64 and changed.sum(axis=(1, 2)).min() >= 16  # a corner keeps a quarter
    k = int(changed.sum(axis=(1, 2)).argmax())
    rows, columns = np.nonzero(changed[k])
    assert (np.ptp(rows), np.ptp(columns)) == (7, 7)
    np.testing.assert_allclose(erased[k][changed[k]], np.tile(images[k].mean(axis=(0, 1)), (64, 1)), rtol=1e-5)


@pytest.mark.parametrize("side", [1, 3, 5])
def test_an_odd_square_is_erased_whole(side):
    erased = augment(random_images(), Recipe(shift=0, erase=side), by()) != random_images()
    assert erased.any(axis=-1).sum(axis=(1, 2)).max() == side * side


def test_a_warp_of_nothing_is_nothing_and_a_shift_is_a_shift():
    image = random_images(1, channels=1)
    np.testing.assert_allclose(augment(image, Recipe(shift=0, turn=1e-9), by()), image, atol=1e-2)

    moved = augment(image, Recipe(shift=3, turn=1e-9), AlwaysTheMost())
    np.testing.assert_allclose(moved[0, :-3, :-3], image[0, 3:, 3:], atol=1e-2)
    assert np.abs(moved[0, -3:]).max() < 0.5  # a thousandth of the pixel beside it shines through


def test_a_zoom_enlarges_about_the_centre():
    image = np.zeros((1, 28, 28, 1), np.uint8)
    image[0, 10:18, 10:18] = 255

    zoomed = augment(image, Recipe(shift=0, stretch=0.5), AlwaysTheMost())[0, ..., 0]
    # Row 7 lies 6.5 above the centre, 6.5/1.5 in the source: a sixth of the way from row 9 to row 10.
    assert zoomed[9:19, 9:19].min() == pytest.approx(255) and zoomed[:7].max() == 0
    assert zoomed[7, 14] == pytest.approx(255 / 6, abs=0.1)


@pytest.mark.parametrize("recipe", [Recipe(shift=2), Recipe(turn=5), Recipe(flip=0.5, erase=6), Recipe(contrast=0.5)])
def test_augmentation_keeps_shape_and_type_and_the_images_it_was_given(recipe):
    images = random_images()
    before = images.copy()
    done = augment(images, recipe, by())
    assert done.shape == images.shape and done.dtype == np.float32
    np.testing.assert_array_equal(images, before)


def test_sampling_with_replacement_draws_some_images_twice_and_the_same_ones_again():
    split = Split(np.zeros((200, 4, 4, 1), np.uint8), np.arange(200, dtype=np.uint8))
    recipe = Recipe(batch=100, epochs=2, shift=0, sampling="replacement")
    labels = np.concatenate([Batches(split, recipe)[k][1] for k in range(2)])
    # Of 200 drawn with replacement 1 - 1/e, about 126, are different.
    assert 105 < len(set(labels)) < 150
    np.testing.assert_array_equal(labels[100:], Batches(split, recipe)[1][1])
    np.testing.assert_array_equal(labels[100:], Batches(split, recipe, first=1)[0][1])


def numbered(n: int) -> Split:
    """Images in which the place of one bright pixel tells the number."""
    images = np.zeros((n, 8, 8, 1), np.uint8)
    images[np.arange(n), 3, np.arange(n) % 8, 0] = 255
    return Split(images, np.arange(n, dtype=np.uint8))


def test_batches_are_made_ahead_in_another_thread(monkeypatch):
    made = []
    monkeypatch.setattr(Batches, "_made", lambda self, step: made.append((step, threading.current_thread())) or step)
    batches = Batches(numbered(10), Recipe(batch=4, epochs=9), first=2)
    assert batches[0] == 2 and batches[1] == 3
    batches._maker.shutdown()
    assert [step for step, _ in made] == list(range(2, 11))
    assert threading.main_thread() not in {thread for _, thread in made}


def test_each_epoch_holds_every_image_once_across_batches_that_do_not_divide_it():
    batches = Batches(numbered(10), Recipe(batch=4, epochs=2, shift=0))
    labels = np.concatenate([batches[k][1] for k in range(len(batches))])
    assert len(batches) == 5
    assert sorted(labels[:10]) == sorted(labels[10:]) == list(range(10))
    assert list(labels[:10]) != list(labels[10:])


def test_a_batch_depends_on_its_number_and_the_seed_alone():
    first, later, other = (Batches(numbered(10), Recipe(batch=4, epochs=9, seed=seed)) for seed in (0, 0, 1))
    for k in range(7):
        later[k]
    for ours, theirs in zip(first[7], later[7], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not np.array_equal(first[7][1], other[7][1])


def test_shifts_move_whole_images_by_at_most_that_many_pixels():
    images = np.zeros((200, 9, 9, 1), np.uint8)
    images[:, 4, 4] = 200
    moved = augment(images, Recipe(shift=2), np.random.default_rng(0))
    where = np.argwhere(moved[..., 0] == 200)
    assert moved.dtype == np.float32 and len(where) == 200
    assert {tuple(at) for at in where[:, 1:] - 4} == {(y, x) for y in range(-2, 3) for x in range(-2, 3)}


def test_a_quarter_turn_is_a_quarter_turn_clockwise():
    images = np.arange(25, dtype=np.uint8).reshape(1, 5, 5, 1)

    turned = augment(images, Recipe(shift=0, turn=90.0), AlwaysTheMost())
    np.testing.assert_allclose(turned[0, ..., 0], np.rot90(images[0, ..., 0], -1), atol=1e-3)


def test_to_every_four_images_one_outlier_comes_with_a_label_of_its_own():
    split = Split(np.zeros((40, 32, 32, 3), np.uint8), np.zeros(40, np.uint8))
    outliers = np.full((5, 32, 32, 3), 255, np.uint8)
    images, labels = Batches(split, Recipe(batch=8, shift=0), outliers=outliers, n_classes=3)[0]
    assert labels.tolist() == [0] * 8 + [3] * 2
    assert (images[8:] == 255).all() and (images[:8] == 0).all()
    without = Batches(split, Recipe(batch=8, shift=0))[0][0]
    assert np.array_equal(images[:8], without)  # the genuine ones do not depend on it
