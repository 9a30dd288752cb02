"""What sets the int8 ranges: drawn from training images alone, and refused in one line where it is not what it should be."""

import os
from argparse import Namespace
from dataclasses import replace

import numpy as np
import pytest

from convert import inputs
from convert.calibration.checks import check, is_plain, likeness
from convert.calibration.images import CalibrationSet, draw_calibration_set, draw_validation_images, second_set
from edge.contract import CIFAR, DIGIT, InputContract
from edge.errors import InputError, InputMissing
from tests.convert.landscapes import COLOURS, landscapes
from train import datasets
from train.datasets import Dataset, Split


def contents(images: np.ndarray) -> set[bytes]:
    return {image.tobytes() for image in images}


def refusal(images: np.ndarray, contract: InputContract, training: Split, *judging: Split) -> str:
    with pytest.raises(InputError) as refused:
        check(images, contract, training=training, apart_from=judging)
    assert "\n" not in str(refused.value)
    return str(refused.value)


# Drawn


def test_drawn_images_stand_in_the_training_split_where_the_indices_say(digits):
    drawn = draw_calibration_set(digits.train, seed=3)
    assert len(drawn.indices) == len(set(drawn.indices)) == 512 and list(drawn.indices) == sorted(drawn.indices)
    np.testing.assert_array_equal(drawn.images, digits.train.images[list(drawn.indices)])
    assert (drawn.seed, drawn.source) == (3, "train")


def test_the_same_seed_draws_the_same_images_and_another_others(digits):
    first, again, other = (draw_calibration_set(digits.train, seed=seed) for seed in (0, 0, 1))
    assert first.indices == again.indices != other.indices


def test_training_images_that_also_stand_in_a_split_that_judges_are_passed_over(digits):
    # As data sets have it: the same bytes at two places, under other indices.
    judge = Split(digits.train.images[::-2], digits.train.labels[::-2])
    drawn = draw_calibration_set(digits.train, n=1000, apart_from=[judge, digits.test])
    assert len(drawn.indices) == len(digits.train) - len(judge)
    assert not contents(drawn.images) & contents(judge.images)


def test_an_image_that_stands_twice_or_shows_nothing_is_drawn_once_or_never(digits):
    blank = np.full((50, 28, 28, 1), 7, np.uint8)
    images = np.concatenate([digits.train.images[:150], digits.train.images[:150], blank])
    drawn = draw_calibration_set(Split(images, np.zeros(len(images), np.uint8)))
    assert len(drawn.images) == len(contents(drawn.images)) == 150


def test_fewer_than_100_images_that_will_do_are_refused(digits):
    with pytest.raises(InputError, match=r"^calibration: 99 of 300 training images are usable .*at least 100 are wanted"):
        draw_calibration_set(digits.train[:300], apart_from=[digits.train[99:]])


@pytest.mark.parametrize(
    ("precisions", "n_drawn"), [(("float32", "float16"), 0), (("float16", "dynamic"), 30), (("int8",), None)]
)
def test_float_precisions_ask_for_no_calibration_images(digits, precisions, n_drawn):
    settings = Namespace(calibration=None, precisions=precisions, seed=0)
    few = replace(digits, train=digits.train[:30])
    if n_drawn is None:
        with pytest.raises(InputError, match=r"at least 100 are wanted.*--float32, --float16 and --dynamic need none"):
            inputs.calibrate(None, few, few.train, settings)
    else:
        assert len(inputs.calibrate(None, few, few.train, settings).images) == n_drawn


def test_a_training_split_of_scaled_images_is_refused(digits):
    scaled = Split(digits.train.images // 255, digits.train.labels)
    with pytest.raises(InputError, match=r"uint8 from 0 to 1 \(already scaled to 0\.\.1\); wanted uint8 pixels from 0 to 255"):
        draw_calibration_set(scaled)


def test_the_second_set_holds_as_many_others(digits):
    first = draw_calibration_set(digits.train, n=200)
    second = second_set(digits.train, first, apart_from=[digits.test])
    assert len(second.images) == 200 and not contents(second.images) & contents(first.images)
    np.testing.assert_array_equal(second.images, digits.train.images[list(second.indices)])


def test_the_second_set_of_a_small_split_is_half_of_what_is_left_or_none(digits):
    for n, wanted in ((912, 200), (713, 100), (711, 0)):
        training = digits.train[:n]
        first = draw_calibration_set(training)
        second = second_set(training, first)
        assert (len(second.images) if second else 0) == wanted
        validation = draw_validation_images(training, first, second, n=5000)
        assert len(validation) == n - 512 - wanted


def test_an_image_that_stands_twice_comes_to_one_of_the_calibrating_the_second_and_the_validating(digits):
    training = Split(np.tile(digits.train.images[:500], (2, 1, 1, 1)), np.tile(digits.train.labels[:500], 2))
    first = draw_calibration_set(training, n=150)
    second = second_set(training, first)
    validation = draw_validation_images(training, first, second, n=5000)
    sets = [contents(each.images) for each in (first, second, validation)]
    assert [len(each) for each in sets] == [150, 150, 200] and len(validation) == 200
    assert len(set.union(*sets)) == 500


def test_validation_images_are_none_of_the_users_own_calibration_pictures_and_keep_their_labels(digits):
    own = CalibrationSet(digits.train.images[:200], (), 0, "own")
    chosen = draw_validation_images(digits.train, own, None, n=300, apart_from=[digits.train[400:600], digits.test])
    assert len(chosen) == 300
    assert not contents(chosen.images) & (contents(own.images) | contents(digits.train.images[400:600]))
    label_of = {image.tobytes(): label for image, label in zip(digits.train.images, digits.train.labels, strict=True)}
    assert [label_of[image.tobytes()] for image in chosen.images] == chosen.labels.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_what_is_drawn_is_what_the_checks_let_through(digits, seed):
    drawn = draw_calibration_set(digits.train, n=100, seed=seed, apart_from=[digits.test])
    check(drawn.images, DIGIT, training=digits.train, apart_from=[digits.test])
    check(digits.test.images[:200], DIGIT, training=digits.train, apart_from=[digits.test[200:]])


# Refused


def test_an_image_that_judges_is_refused_by_its_content(digits):
    images = digits.train.images[:200].copy()
    images[[17, 60]] = digits.test.images[[400, 3]]
    said = refusal(images, DIGIT, digits.train, digits.train[1000:], digits.test)
    assert said.startswith("calibration: 2 of 200 images (the first: index 17) are also validation or test images,")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda x: (x / 255).astype(np.float32), "float32 from 0 to 1 (already scaled to 0..1); wanted uint8 pixels"),
        (lambda x: x / 127.5 - 1, "float64 from -1 to 1 (already scaled to -1..1); wanted uint8 pixels"),
        (lambda x: (x - x.mean()) / x.std(), "(already shifted or standardised); wanted uint8 pixels"),
        (lambda x: (x.astype(int) - 128).astype(np.int8), "int8 from -128 to 127 (already shifted or standardised); wanted"),
        (lambda x: x.astype(np.float32), "float32 from 0 to 255 (pixels in another type: save images.astype(np.uint8))"),
        (lambda x: x.astype(np.uint16) * 257, "uint16 from 0 to 65535 (another scale); wanted uint8 pixels from 0 to 255"),
        (lambda x: x * np.float32(np.nan), "float32 from nan to nan (not all are numbers); wanted uint8 pixels from 0 to 255"),
        (lambda x: x // 255, "uint8 from 0 to 1 (already scaled to 0..1); wanted uint8 pixels from 0 to 255"),
        (lambda x: x > 0, "of bool; wanted uint8 pixels"),
        (lambda x: x[..., 0], "the channel is missing: save images[..., np.newaxis]"),
        (lambda x: np.concatenate([x[:40], 0 * x[40:43], x[43:]]), "3 of 200 images (the first: index 40) have one value"),
        (lambda x: x[:99], "calibration: 99 images; at least 100 are wanted"),
        (lambda x: np.tile(x[:60], (5, 1, 1, 1)), "300 images, 60 of them distinct; at least 100 are wanted"),
        (lambda x: x[:0], "calibration: 0 images; at least 100 are wanted"),
        (lambda x: x // 16, "values from 0 to 15; half of the training images span 255 or more each"),
        (lambda x: np.concatenate([x[:50], ~x[50:80], x[80:]]), "30 of 200 images (the first: index 50) are dark on light"),
    ],
)
def test_what_are_not_pictures_as_the_network_takes_them_are_refused_and_named(digits, change, found):
    assert found in refusal(change(digits.train.images[:200]), DIGIT, digits.train)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda x: x.transpose(0, 3, 1, 2), "[150, 3, 16, 20]; wanted [n, 16, 20, 3]: channels come first: save images.transp"),
        (lambda x: x[0], "an array [16, 20, 3]; wanted [n, 16, 20, 3]: a single image"),
        (lambda x: x[..., 0], "an array [150, 16, 20]; wanted [n, 16, 20, 3]"),
        (lambda x: x.swapaxes(1, 2), "an array [150, 20, 16, 3]; wanted [n, 16, 20, 3]"),
        (lambda x: x[..., ::-1], "of 150 images compared are nearer to the training images with red and blue exchanged"),
        (lambda x: 255 - x, "nearer to the training images as negatives: save 255 - images"),
    ],
)
def test_pictures_in_colour_of_another_shape_or_other_colours_are_refused_and_named(change, found):
    assert found in refusal(change(landscapes(150, seed=1).images), COLOURS, landscapes(600, seed=0))


def test_grey_pictures_are_not_refused_for_an_order_that_cannot_be_known():
    grey = landscapes(150, seed=1).images.mean(axis=3, keepdims=True).astype(np.uint8).repeat(3, axis=3)
    tinted = np.clip(grey.astype(int) + np.array([-1, 0, 1]), 0, 255).astype(np.uint8)  # as a decoder may leave them
    for images in (grey, tinted):
        check(images, COLOURS, training=landscapes(600, seed=0), apart_from=[])


# On real pictures


@pytest.fixture(scope="module")
def real() -> Dataset:
    """CIFAR-10 where the folder has it, else MNIST."""
    if not os.environ.get("EDGEPROOF_DATA"):
        pytest.skip("EDGEPROOF_DATA names no folder with pictures")
    try:
        return datasets.cifar10.load()
    except InputMissing:
        return datasets.mnist.load()


@pytest.mark.realdata
def test_sets_of_real_pictures_are_let_through_and_their_negatives_are_not(real):
    rng = np.random.default_rng(0)
    for _ in range(5):
        images = real.test.images[np.sort(rng.choice(len(real.test), 200, replace=False))]
        check(images, real.contract, training=real.train, apart_from=[])
        assert "255 - images" in refusal(255 - images, real.contract, real.train)


@pytest.mark.realdata
@pytest.mark.parametrize("n", [100, 200, 512])
def test_exchanged_colours_are_told_from_right_ones_whatever_the_set_shows(real, n):
    """Rates over 2,000 sets of any classes, and of 500 sets of each class alone, drawn from the test split."""
    if real.contract != CIFAR:
        pytest.skip("the pictures have no colours")
    ratios = likeness(real.test.images, real.test.images[..., ::-1], real.train, n=len(real.test))
    rng = np.random.default_rng(0)
    mixed = [rng.choice(ratios, n, replace=False) for _ in range(2000)]
    alone = [rng.choice(ratios[real.test.labels == k], n, replace=False) for k in range(10) for _ in range(500)]
    refused = np.mean([is_plain(one) for one in mixed + alone])
    # Exchanged twice is not exchanged: the ratio's sign turns.
    caught, caught_alone = (np.mean([is_plain(-one) for one in some]) for some in (mixed, alone))
    print(f"{n} images: {refused:.2%} of right sets refused; exchanged ones {caught:.2%}, of one class {caught_alone:.2%}")
    assert refused == 0 and caught >= (0.99 if n == 100 else 1)


@pytest.mark.realdata
def test_grey_pictures_tinted_by_three_levels_are_let_through(real):
    grey = real.test.images[:512].mean(axis=3, keepdims=True).repeat(real.contract.channels, axis=3)
    for tint in ((0, 0, 0), (-1, 0, 1), (-3, 0, 3), (3, 0, -3)):
        images = np.clip(grey + tint[: real.contract.channels], 0, 255).astype(np.uint8)
        check(images, real.contract, training=real.train, apart_from=[])
