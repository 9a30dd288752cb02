"""The gate's three verdicts, with the numbers they rest on."""

import numpy as np
import pytest

from convert.gate import Gate, gate_for
from convert.verify import LostImage, Verification, compare


def verification(*, n_images: int, lost: int, gained: int) -> Verification:
    return Verification(n_images, lost, gained, agreeing=n_images - lost - gained, float_top1=0.99, top1=0.99)


def test_a_drop_over_the_limit_fails_and_says_by_how_much():
    verdict = Gate(max_drop_points=0.5).judge(verification(n_images=10_000, lost=90, gained=30))
    assert verdict.decision == "failed" and not verdict.passed
    assert verdict.reasons == ("top-1 fell 0.60 points (90 lost, 30 gained of 10,000; 95 % interval 0.39 to 0.83); limit 0.50",)


@pytest.mark.parametrize(
    ("lost", "gained", "decision", "says"),
    [
        (50, 0, "failed", "top-1 fell 0.50 points (50 lost, 0 gained of 10,000"),  # exactly at the limit
        (20, 12, "passed", "top-1 fell 0.08 points (20 lost, 12 gained of 10,000"),
        (3, 10, "passed", "top-1 rose 0.07 points (3 lost, 10 gained of 10,000"),
    ],
)
def test_a_drop_at_the_limit_fails_one_within_it_passes_and_a_gain_reads_as_a_rise(lost, gained, decision, says):
    verdict = Gate(max_drop_points=0.5).judge(verification(n_images=10_000, lost=lost, gained=gained))
    assert verdict.decision == decision and verdict.reasons[0].startswith(says)


def test_too_few_images_are_undecided_and_the_reason_says_how_many_are_enough():
    verdict = Gate(max_drop_points=2.0).judge(verification(n_images=180, lost=0, gained=0))
    assert verdict.decision == "undecided"
    # z² / (n + z²) ≤ 0.02 from n = 49 z² = 188.2 on.
    assert verdict.reasons[1] == "180 test images are too few to tell; about 189 would be enough"


def test_luck_on_few_images_does_not_pass():
    # 12 gained and 3 lost of 188: the interval ends below the limit, but a model without a difference could not pass there.
    lucky = verification(n_images=188, lost=3, gained=12)
    assert lucky.interval_points[1] < 2.0
    verdict = Gate(max_drop_points=2.0).judge(lucky)
    assert verdict.decision == "undecided"
    assert verdict.reasons[1] == "188 test images are too few to tell; about 189 would be enough"
    assert [Gate(limit).least_images for limit in (0.5, 1.0, 2.0)] == [765, 381, 189]


def test_a_failure_on_images_too_few_to_pass_says_how_many_are_needed():
    verdict = Gate(max_drop_points=1.0).judge(verification(n_images=180, lost=4, gained=0))
    assert verdict.decision == "failed"
    assert verdict.reasons[1] == "on 180 test images nothing can pass at this limit (381 needed)"
    assert len(Gate(max_drop_points=1.0).judge(verification(n_images=381, lost=4, gained=0)).reasons) == 1


@pytest.mark.parametrize(
    ("n_images", "lost", "decision"),
    [(188, 0, "undecided"), (189, 0, "passed"), (360, 1, "passed"), (597, 5, "passed"), (597, 6, "undecided")],
)
def test_what_n_can_show_at_two_points(n_images, lost, decision):
    assert Gate(max_drop_points=2.0).judge(verification(n_images=n_images, lost=lost, gained=0)).decision == decision


def test_each_data_set_has_its_limit_and_the_user_the_last_word():
    limits = [gate_for(data, None).max_drop_points for data in ("mnist", "cifar10", "digits", "their-own")]
    assert limits == [0.5, 1.0, 2.0, 1.0]
    assert gate_for("mnist", 0.1).max_drop_points == 0.1


def test_lost_gained_and_agreement_are_counted_image_by_image():
    labels = np.array([0, 0, 1, 1, 2], np.uint8)
    reference = np.eye(3, dtype=np.float32)[[0, 0, 1, 0, 1]]  # right right right wrong wrong
    candidate = np.eye(3, dtype=np.float32)[[0, 1, 1, 1, 0]]  # right wrong right right wrong-otherwise
    compared = compare(candidate, labels, reference)
    assert (compared.n_images, compared.lost, compared.gained, compared.agreeing) == (5, 1, 1, 2)
    assert (compared.float_top1, compared.top1, compared.drop_points) == (0.6, 0.6, 0.0)
    assert compared.class_changes == (-1, 1, 0)
    assert compared.lost_pictures == (LostImage(index=1, label=0, answer=1),)
    assert compared.largest_logit_difference == 1.0
