"""The loss and the schedules, against figures worked by hand; and that every optimizer learns."""

import dataclasses
import math

import numpy as np
import pytest

from edge.errors import Refused
from tests.train.test_recipes import chosen, flags
from train import datasets, evaluate
from train.architectures import architecture
from train.fit import fit, loss, optimizer
from train.recipes import USUAL_RATES, Recipe

LOGITS = np.log(np.array([[0.7, 0.2, 0.1], [0.25, 0.5, 0.25]], np.float32))
LABELS = np.array([0, 2], np.uint8)


@pytest.mark.parametrize(("reduction", "share"), [("mean", 0.5), ("sum", 1.0)])
def test_cross_entropy_is_minus_the_log_of_the_labels_probability(reduction, share):
    cross_entropy = float(loss(Recipe(loss_reduction=reduction))(LABELS, LOGITS))
    assert cross_entropy == pytest.approx(share * (-math.log(0.7) - math.log(0.25)), abs=1e-6)


def test_label_smoothing_spreads_its_share_over_all_classes():
    # 0.3 spread over three classes: the target is 0.8, 0.1, 0.1.
    cross_entropy = float(loss(Recipe(label_smoothing=0.3, loss_reduction="sum"))(LABELS[:1], LOGITS[:1]))
    assert cross_entropy == pytest.approx(-0.8 * math.log(0.7) - 0.1 * math.log(0.2) - 0.1 * math.log(0.1), abs=1e-6)


def test_one_cycle_warms_up_for_a_fifth_and_ends_at_zero():
    rate = optimizer(Recipe(learning_rate=0.5), n_steps=1000)._learning_rate
    assert [float(rate(step)) for step in (0, 200, 1000)] == pytest.approx([0.02, 0.5, 0], abs=1e-6)
    assert float(rate(600)) == pytest.approx(0.25, abs=1e-3)


def test_the_steps_schedule_falls_to_a_tenth_at_half_and_a_hundredth_at_three_quarters():
    rate = optimizer(Recipe(learning_rate=0.1, schedule="steps"), n_steps=400)._learning_rate
    assert [float(rate(step)) for step in (1, 200, 201, 300, 301)] == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001])


def test_weight_decay_leaves_biases_and_norms_alone():
    model = architecture("resnet8").build()
    made = optimizer(Recipe(weight_decay=0.1), n_steps=10)
    made.build(model.trainable_variables)
    decayed = {v.path.split("/")[-1] for v in model.trainable_variables if made._use_weight_decay(v)}
    assert decayed == {"kernel"}


@pytest.mark.parametrize(
    "name", [name if name == "adadelta" else pytest.param(name, marks=pytest.mark.long) for name in USUAL_RATES]
)
def test_every_optimizer_learns_the_digits_at_the_rate_the_flags_give(name):
    digits = datasets.digits.load()
    recipe = chosen("lenet5-relu", "digits", flags("--optimizer", name, "--epochs", "25", "--held-out", "0.2"))
    model = architecture("lenet5-relu").build(recipe)
    assert fit(model, digits.train, recipe).rows[-1].validation_accuracy > 0.93


def test_validation_judges_the_average_the_model_ends_with():
    digits = datasets.digits.load()
    recipe = Recipe(steps=40, averaging=0.5, held_out=0.2, learning_rate=3e-3, schedule="constant", batch=32)
    model = architecture("lenet5-relu").build(recipe)
    rows = fit(model, digits.train, recipe).rows
    held_out = digits.train[recipe.n_training(len(digits.train)) :]
    assert rows[-1].validation_accuracy == evaluate.top1(evaluate.logits(model, held_out.images), held_out.labels)
    unseen = architecture("lenet5-relu").build(recipe)
    fit(unseen, digits.train[: len(digits.train) - len(held_out)], dataclasses.replace(recipe, held_out=0.0))
    for ours, theirs in zip(model.get_weights(), unseen.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_average_of_the_weights_replaces_the_last_ones():
    digits = datasets.digits.load()
    ends = []
    for averaging in (0.0, 0.5):
        model = architecture("lenet5-relu").build(Recipe(seed=1))
        fit(model, digits.train, Recipe(steps=6, averaging=averaging, learning_rate=1e-3, schedule="constant"))
        ends.append(model.get_weights()[0])
    assert not np.array_equal(*ends) and np.allclose(*ends, atol=5e-3)


def test_a_loss_that_is_not_finite_ends_the_training_at_its_row():
    model = architecture("lenet5-relu").build()
    model.get_layer("logits").bias.assign(np.full(10, np.nan, np.float32))
    with pytest.raises(Refused, match=r"^the loss is nan at step 5; try a --learning-rate below 0\.001$"):
        fit(model, datasets.digits.load().train, Recipe(learning_rate=1e-3, steps=1000, log_every=5))


def test_weights_that_are_not_finite_behind_a_finite_loss_end_it_too():
    model = architecture("lenet5-relu").build()
    recipe = Recipe(optimizer="sgd", learning_rate=3e38, schedule="constant", steps=1, loss_reduction="sum")
    with pytest.raises(Refused, match=r"^the weights are not finite at step 1; try a --learning-rate below 3e\+38$"):
        fit(model, datasets.digits.load().train, recipe)
