"""The statistics behind what is said of pixels, against values worked by hand or published."""

import numpy as np
import pytest

from convert.pictures import evidence


@pytest.mark.parametrize(("gained", "lost", "p"), [(5, 0, 1 / 32), (3, 1, 5 / 16), (0, 0, 1), (0, 4, 1)])
def test_mcnemar_is_the_tail_of_fair_coins(gained, lost, p):
    assert evidence.mcnemar(gained, lost) == pytest.approx(p)


def test_fifty_nine_of_fifty_nine_show_less_than_five_percent_and_fifty_eight_do_not():
    # 0.95 ** 59 = 0.0485 and 0.95 ** 58 = 0.0510: the smallest n at which full agreement rules 5 % out.
    assert evidence.disagreement_bound(59, 59) < 0.05 < evidence.disagreement_bound(58, 58)
    assert evidence.disagreement_bound(59, 59) == pytest.approx(1 - 0.05 ** (1 / 59))


def test_the_interval_is_clopper_and_pearsons():
    assert evidence.interval(0, 10) == (0.0, pytest.approx(0.30850, abs=1e-5))  # their table: 1 - 0.025 ** 0.1
    low, high = evidence.interval(81, 263)  # Agresti and Coull 1998
    assert (low, high) == (pytest.approx(0.2527, abs=1e-4), pytest.approx(0.3676, abs=1e-4))


def test_answering_the_common_class_alone_is_chance_and_knowing_the_rare_one_is_not():
    labels = np.repeat([0, 1], [970, 30])
    assert evidence.chance(np.zeros_like(labels), labels) == 1.0
    assert evidence.balanced_accuracy(np.zeros_like(labels), labels) == 0.5
    some = labels.copy()
    some[-20:] = 0  # 10 of 30 found
    assert evidence.chance(some, labels) <= 0.001


def test_shuffled_answers_are_chance():
    labels = np.arange(300) % 10
    assert evidence.chance(np.random.default_rng(1).permutation(labels), labels) > 0.01


def test_the_best_order_gives_each_class_one_answer_and_stays_where_images_say_nothing():
    labels = np.repeat([0, 1, 2], 10)
    np.testing.assert_array_equal(evidence.best_order(np.array([1, 2, 0])[labels], labels, 3), [1, 2, 0])
    np.testing.assert_array_equal(evidence.best_order(np.zeros(30, int), labels, 3), [0, 1, 2])


def test_no_answers_are_sound_near_one_class_or_where_only_one_occurs():
    labels = np.repeat([0, 1], 50)
    assert evidence.is_sound(labels, labels)
    assert not evidence.is_sound(np.zeros_like(labels), labels)
    assert not evidence.is_sound(np.zeros_like(labels), np.zeros_like(labels))
