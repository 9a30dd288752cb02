"""What is fitted on one half and judged on the other. Answers are drawn from known probabilities, so what is right is known."""

import math
import struct
from types import SimpleNamespace

import numpy as np
import pytest

from conftest import call
from convert.confidence import coverage, halves, judge, rejection, temperature
from convert.judging.gate import Verdict
from convert.plan import Plan
from convert.repair.search import repairable
from convert.report import confidence as report
from edge.contract import DIGIT, ModelContract
from edge.predictor import Prediction


def drawn(n: int, *, sharper: float = 1.0, classes: int = 10, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, float32 [n, K], and labels drawn from their softmax; then the logits are made `sharper` times as large."""
    rng = np.random.default_rng(seed)
    true = rng.normal(0, 3, (n, classes)).astype(np.float32)
    labels = (true + rng.gumbel(size=true.shape)).argmax(axis=1)  # the Gumbel trick: softmax(true)
    return true * np.float32(sharper), labels


@pytest.fixture(scope="module")
def ten_thousand():
    return drawn(10_000, sharper=2.0)


def test_the_temperature_undoes_what_made_the_logits_sharper(ten_thousand):
    logits, labels = ten_thousand
    found = judge(logits, labels)
    assert found.confidence.temperature == pytest.approx(2.0, abs=0.1)
    assert found.before.excess_points > 5 > 1 > abs(found.after.excess_points)
    assert found.before.n_images == 5_000 and len(found.after.bins) == temperature.N_BINS
    assert sum(n for *_, n in found.after.bins) == 5_000


def test_probabilities_that_are_right_show_as_much_error_as_chance_and_no_more():
    logits, labels = drawn(5_000)
    found = temperature.reliability(logits, labels, 1.0)
    assert 0.3 < found.chance_points < 2 and abs(found.excess_points) < 0.6
    # by hand: two pictures, each its own bin; probabilities 0.5 and 0.5, one right and one wrong: |0.5 - 1|, |0.5 - 0|
    assert temperature.reliability(np.zeros((2, 2), np.float32), np.array([0, 1]), 1.0).error_points == pytest.approx(50)


def test_where_every_answer_is_right_the_temperature_stays_away_from_0():
    logits = np.eye(10, dtype=np.float32)[np.arange(100) % 10] * 12
    assert 0.5 < temperature.fit(logits, np.arange(100) % 10) <= 1


@pytest.mark.parametrize(("n", "allowed"), [(5_000, 38), (915, 4), (299, 0), (298, None)])
def test_as_many_genuine_pictures_may_be_rejected_as_their_bound_allows(n, allowed):
    assert rejection.most(n, at_most=0.01) == allowed
    if allowed:  # against the binomial distribution itself: so few are seen in 1 of 20 draws at the bound
        p = rejection.bound(allowed, n)
        seen = sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(allowed + 1))
        assert seen == pytest.approx(0.05, abs=1e-9) and rejection.bound(allowed + 1, n) > 0.01 >= p


def test_what_few_pictures_cannot_show_is_not_promised():
    scores = np.arange(150, dtype=float)
    found = rejection.threshold(scores, at_most=0.01, slack=0.0)
    assert (found.rate, found.n_allowed, found.n_rejected) == (0.02, 0, 0) and 149 < found.threshold < 149.00001
    assert rejection.threshold(scores[:99], at_most=0.01, slack=0.0) is None
    assert rejection.threshold(np.zeros(5_000), at_most=0.01, slack=0.0).n_rejected == 0  # all equal: none is greater
    few = judge(*drawn(150))
    assert few.rejection is None and few.why_not == "not checked: 75 pictures to fit on, wanted 100; no picture is rejected"
    assert few.confidence.reject is None and [level for level, _ in few.confidence.sets] == [0.9, 0.95]
    assert judge(*drawn(150), reject_rate=None).why_not == "not asked for (--no-reject)"
    assert judge(*drawn(20)).as_json()["sets"] == "not checked: 10 pictures are too few"
    assert judge(*drawn(1)).confidence.items() == {}


def test_a_threshold_that_the_other_half_contradicts_fails():
    fitted = rejection.threshold(np.linspace(0, 1, 1_000), at_most=0.01, slack=0.0)
    kept = rejection.judge(fitted, "energy", np.linspace(0, 1, 1_000), np.ones(1_000, bool))
    assert not kept.fails and kept.n_withheld == kept.n_rejected == fitted.n_allowed
    shifted = rejection.judge(fitted, "energy", np.linspace(0, 1.02, 1_000), np.ones(1_000, bool))
    assert shifted.fails and "p = " in shifted.in_words and "promised at most 1 %" in shifted.in_words
    all_of_them = rejection.judge(fitted, "energy", np.full(50, 9.0), np.ones(50, bool))
    assert all_of_them.top1_answered is None and all_of_them.fails


def test_sets_hold_the_true_class_as_often_as_promised_and_are_those_of_the_device(ten_thousand):
    logits, labels = ten_thousand
    found = judge(logits, labels)
    assert [each.level for each in found.coverages] == list(coverage.LEVELS)
    for each in found.coverages:
        assert each.interval[1] >= each.level and not each.fails and 1 <= each.mean_size <= 10
    told = ModelContract(
        name="x", kind="onnx", model_bytes=1, input=DIGIT, input_dtype="uint8", output_dtype="float32", n_classes=10,
        confidence=found.confidence,
    )  # fmt: skip
    _, judging = halves(len(labels))
    answers = [Prediction(struct.pack("<10f", *logits[at]), told, tuple("0123456789")) for at in judging]
    sets = [answer.set(0.99) for answer in answers]
    at_99 = found.coverages[2]
    assert np.mean([len(each) for each in sets]) == pytest.approx(at_99.mean_size)
    assert np.mean([str(labels[at]) in each for at, each in zip(judging, sets, strict=True)]) == at_99.coverage
    assert sum(answer.rejected for answer in answers) == found.rejection.n_rejected
    failing = coverage.judge(((0.99, 0.0),), logits, labels)[0]
    assert failing.fails and "promised 99 %" in failing.in_words


def test_of_a_hundred_draws_nearly_all_keep_the_promises():
    """Each promise is one of 95 % confidence: more than 12 of 100 failing has a probability under 0.002 (binomial)."""
    logits, labels = drawn(100 * 400, seed=1)
    everything, scores = drawn(10_000, seed=2), logits.max(axis=1)
    beyond = wrong = 0
    for at in range(0, len(labels), 400):
        (level, quantile), *_ = coverage.quantiles(logits[at : at + 400], labels[at : at + 400], slack=0.0)
        wrong += coverage.judge(((level, quantile),), *everything)[0].coverage < level
        fitted = rejection.threshold(scores[at : at + 400], at_most=0.05, slack=0.0)
        beyond += np.mean(everything[0].max(axis=1) > fitted.threshold) > 0.05
    assert wrong <= 12 and beyond <= 12


def test_the_halves_share_no_picture_and_are_the_same_every_time():
    fitting, judging = halves(601)
    assert sorted([*fitting, *judging]) == list(range(601)) and len(fitting) == 300
    np.testing.assert_array_equal(fitting, halves(601)[0])


def test_extra_values_are_counted_and_a_score_may_use_them(ten_thousand):
    logits, labels = ten_thousand
    found = judge(logits, labels, np.zeros((len(labels), 4), np.float32))
    assert found.confidence.extra == 4
    assert not found.reasons


@pytest.mark.parametrize("rate", ["0", "0.6", "1 %", "nan"])
def test_a_rate_that_is_none_is_refused(rate, tmp_path):
    done = call("convert", "--int8", "--reject-rate", rate, cwd=tmp_path)
    assert done.returncode == 2 and "wanted a share above 0 and up to 0.5, such as 0.01" in done.stderr


def test_what_fails_for_a_broken_promise_is_not_repaired(ten_thousand):
    evaluation = SimpleNamespace(judged=judge(*ten_thousand))
    result = SimpleNamespace(evaluation=evaluation, plan=Plan("int8"), verdict=Verdict("failed", ("rejects too many",)))
    assert not repairable(SimpleNamespace(can_explain=True), result)


def test_the_report_tells_the_figures_and_draws_them(ten_thousand):
    found = judge(*ten_thousand)
    result = SimpleNamespace(file_name="m.tflite", evaluation=SimpleNamespace(judged=found))
    text = report.summary([result], drawn="reliability")
    assert f"{100 * found.rejection.n_rejected / 5_000:.2f} %" in text and "![reliability](reliability/m.tflite.png)" in text
    assert "fitted on 5,000 test pictures (seed 0), judged on the other 5,000" in text and "| m.tflite | 99 % |" in text
    assert report.summary([SimpleNamespace(file_name="m", evaluation=None)]) == ""
    assert report.diagram(found, title="m").startswith(b"\x89PNG")
