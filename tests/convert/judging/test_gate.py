"""The gate's three verdicts, with the numbers they rest on."""

import numpy as np
import pytest

from convert.judging.gate import Gate, UnlabelledCounts, gate_for
from convert.judging.verify import LostImage, Verification, compare


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


# Pictures without labels.


def beyond(n_images: int, differing: int, **labels: int) -> UnlabelledCounts:
    return UnlabelledCounts(n_images, differing, **({"labelled": True} | labels if labels else {"unknown": differing}))


def test_the_limit_that_would_pass_is_named():
    # Of 171 none lost: z² / (171 + z²) = 2.197 %; of 180 four: the interval ends at 5.57.
    assert Gate(1.0).judge(verification(n_images=171, lost=0, gained=0)).reasons[2] == "--max-drop-points 2.2 would pass it"
    assert Gate(2.2).judge(verification(n_images=171, lost=0, gained=0)).passed
    assert not Gate(2.1).judge(verification(n_images=171, lost=0, gained=0)).passed
    assert Gate(1.0).judge(verification(n_images=180, lost=4, gained=0)).reasons[2] == "--max-drop-points 5.6 would pass it"


@pytest.mark.parametrize(
    ("n_images", "more", "labelled", "rule"),
    [(380, 0, False, "test"), (381, 0, False, "test"), (380, 1, False, "answers"), (381, 1, False, "labels"),
     (380, 1, True, "labels"), (10_000, 9, True, "labels")],
)  # fmt: skip
def test_the_rule_depends_on_numbers_of_pictures_alone(n_images, more, labelled, rule):
    assert Gate(1.0).rule(n_images, more, labelled=labelled) == rule
    for n_differing in {0, more}:
        counts = UnlabelledCounts(more, n_differing, labelled=labelled) if more else None
        assert Gate(1.0).grounds(verification(n_images=n_images, lost=n_differing, gained=0), counts).rule == rule


@pytest.mark.parametrize(
    # 1 - 0.025^(1/368) = 0.9974 %; of 1,164 five: 0.9996 %; at one picture fewer they are over 1.
    ("n_images", "differing", "decision"),
    [(367, 0, "undecided"), (368, 0, "passed"), (1163, 5, "undecided"), (1164, 5, "passed")],
)
def test_the_share_of_answers_that_differ_bounds_the_drop(n_images, differing, decision):
    verdict = Gate(1.0).judge(verification(n_images=100, lost=0, gained=0), beyond(n_images - 100, differing))
    assert verdict.decision == decision
    assert verdict.reasons[0].startswith(
        f"{differing} of {n_images:,} answers are not the float model's, so top-1 fell by 1.00"
    )
    assert Gate(1.0).least_answers == 368


def test_answers_on_test_images_count_among_those_that_differ():
    counts = Gate(1.0).grounds(Verification(100, 1, 1, agreeing=97, float_top1=0.9, top1=0.9), beyond(900, 4))
    assert (counts.differing, counts.n_images) == (7, 1000)  # on one of the three both are wrong
    assert counts.as_json() == {
        "rule": "answers", "n_images": 1000, "differing": 7, "most_points": pytest.approx(1.4372, abs=1e-3)
    }  # fmt: skip


def test_labelled_pictures_count_as_test_images_do():
    test, more = verification(n_images=200, lost=1, gained=0), beyond(800, 12, lost=3, gained=2)
    alone = Gate(1.0).judge(verification(n_images=1000, lost=4, gained=2))
    assert Gate(1.0).judge(test, more) == alone and alone.passed
    assert Gate(1.0).grounds(test, more).as_json() == {
        "rule": "labels", "n_images": 1000, "lost": 4, "gained": 2, "lost_for_want_of_a_label": 0,
        "interval_points": list(verification(n_images=1000, lost=4, gained=2).interval_points),
    }  # fmt: skip


def test_a_differing_picture_without_a_label_counts_as_lost_and_is_no_failure():
    test = verification(n_images=400, lost=0, gained=0)
    assert Gate(1.0).judge(test, beyond(1000, 5)).decision == "passed"  # five lost of 1,400 at worst
    verdict = Gate(1.0).judge(test, beyond(1000, 40))
    assert verdict.decision == "undecided"
    assert verdict.reasons[0].startswith("top-1 fell 2.86 points (40 lost, 40 of them for want of a label, 0 gained of 1,400;")
    assert verdict.reasons[1] == "40 answers differ on pictures without a label: label those"
    assert Gate(1.0).judge(test, beyond(1000, 40, lost=25, unknown=1)).decision == "failed"


def test_no_label_makes_pass_later_what_did_not_pass_without():
    # Whatever the labels say of 12 that differ, it passes if it passed with all of them lost.
    test = verification(n_images=400, lost=1, gained=0)
    most = next(n for n in range(50) if not Gate(1.0).judge(test, beyond(1500, n)).passed) - 1
    assert most > 0
    for lost in range(most + 1):
        assert Gate(1.0).judge(test, beyond(1500, most, lost=lost, gained=most - lost)).passed


def test_a_few_test_images_that_lose_by_chance_fail_nothing_where_answers_decide():
    one_of_eighty = verification(n_images=80, lost=1, gained=0)
    assert Gate(1.0).judge(one_of_eighty).decision == "failed"
    assert Gate(1.0).judge(one_of_eighty, beyond(400, 3)).decision == "undecided"
    assert Gate(1.0).judge(one_of_eighty, beyond(2000, 3)).decision == "passed"
    # The interval of 20 lost of 80 begins at 17 points.
    assert Gate(1.0).judge(verification(n_images=80, lost=20, gained=0), beyond(400, 100)).decision == "failed"
