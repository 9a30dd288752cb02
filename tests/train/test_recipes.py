"""Recipes: what the documents say, what flags change, what is refused."""

import argparse
import threading

import numpy as np
import pytest

from edge.errors import UsageError
from train import recipe_book, recipes
from train.batches import Batches, augment
from train.datasets import Split
from train.recipe_book import RECIPES
from train.recipes import Recipe


def flags(*given: str, recipe: str = "modern") -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    recipes.add_flags(parser)
    return argparse.Namespace(recipe=recipe, **vars(parser.parse_args(given)))


def test_documented_deep_mnist_is_20000_steps_of_adam_on_55000_pictures():
    recipe = RECIPES["deep-mnist"]["documented"]
    assert (recipe.optimizer, recipe.rate, recipe.batch) == ("adam", 1e-4, 50)
    assert recipe.n_training(60_000) == 55_000
    assert recipe.n_steps(55_000) == 20_000


def test_documented_lenet5_relu_is_300_steps_of_gradient_descent_on_the_summed_loss():
    recipe = RECIPES["lenet5-relu"]["documented"]
    assert (recipe.optimizer, recipe.rate, recipe.batch, recipe.loss_reduction) == ("sgd", 1e-4, 200, "sum")
    assert recipe.n_steps(60_000) == 300


# Optimizer, rate, batch, steps or epochs, loss, held out: as NETWORKS has them.
DOCUMENTED = {
    "deep-mnist": ("adam", 1e-4, 50, 20_000, "mean", 55_000),
    "deep-mnist-conv": ("adam", 1e-4, 100, 30_000, "mean", 55_000),
    "keras-cnn": ("adadelta", 1.0, 64, 37_500, "mean", 48_000),
    "lenet5-sigmoid": ("sgd", 1e-3, 200, 20_000, "sum", 60_000),
    "lenet5-relu": ("sgd", 1e-4, 200, 300, "sum", 60_000),
    "lenet5-wide": ("sgd", 1e-4, 200, 1_000, "sum", 60_000),
    "cifar-lrn": ("adam", 1e-3, 128, 3_000, "mean", 50_000),
}


def test_every_documented_recipe_has_the_numbers_of_its_document():
    recorded = {}
    for network in RECIPES:
        if "documented" in RECIPES[network]:
            r = RECIPES[network]["documented"]
            n = r.n_training(50_000 if network == "cifar-lrn" else 60_000)
            recorded[network] = (r.optimizer, r.rate, r.batch, r.n_steps(n), r.loss_reduction, n)
            assert (r.schedule, r.label_smoothing, r.averaging, r.initialization) == ("constant", 0, 0, "documented")
    assert recorded == DOCUMENTED
    lrn = RECIPES["cifar-lrn"]["documented"]
    assert (lrn.shift, lrn.flip, lrn.brightness, lrn.contrast, lrn.l2) == (4, 0.5, 63, 0.8, 0.004)


def test_a_recipe_without_steps_and_epochs_is_a_usage_error():
    with pytest.raises(UsageError, match="--steps 0 is out of range"):
        chosen("deep-mnist", "mnist", flags("--steps", "0", recipe="documented"))


def test_a_flag_replaces_the_recipes_value_and_nothing_else():
    recipe = chosen("deep-mnist", "mnist", flags("--optimizer", "momentum", "--seed", "7", recipe="documented"))
    assert (recipe.optimizer, recipe.seed, recipe.steps, recipe.rate) == ("momentum", 7, 20_000, 1e-4)


@pytest.mark.parametrize("network", RECIPES)
@pytest.mark.parametrize("optimizer", recipes.USUAL_RATES)
def test_the_modern_rate_follows_the_optimizer_unless_it_is_given(network, optimizer):
    base = RECIPES[network]["modern"]
    usual = base.rate if optimizer == base.optimizer else recipes.USUAL_RATES[optimizer]
    assert chosen(network, "mnist", flags("--optimizer", optimizer)).rate == usual
    assert chosen(network, "mnist", flags("--optimizer", optimizer, "--learning-rate", "0.5")).rate == 0.5


def test_the_weight_decay_was_found_for_its_optimizer_too():
    assert chosen("cifar-lrn", "cifar10", flags("--optimizer", "adam")).weight_decay == 0.3
    assert chosen("cifar-lrn", "cifar10", flags("--optimizer", "sgd")).weight_decay == 0
    assert chosen("cifar-lrn", "cifar10", flags("--optimizer", "sgd", "--weight-decay", "5e-4")).weight_decay == 5e-4


def test_epochs_replace_documented_steps_and_the_digits_take_more_epochs():
    assert chosen("deep-mnist", "mnist", flags("--epochs", "2", recipe="documented")).n_steps(1000) == 40
    assert chosen("deep-mnist", "digits", flags()).epochs == recipe_book.DIGITS_EPOCHS
    assert chosen("deep-mnist", "digits", flags("--epochs", "3")).epochs == 3


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("--epochs", "1", "--steps", "9"), "--epochs and --steps say the same thing twice"),
        (("--batch", "0"), "--batch 0 is out of range"),
        (("--batch", "100000"), "--batch 100000 is out of range"),
        (("--steps", "-5"), "--steps -5 is out of range"),
        (("--steps", "99999999999999999999"), "--steps 99999999999999999999 is out of range"),
        (("--held-out", "1"), "--held-out 1.0 is out of range"),
        (("--learning-rate", "-1"), "--learning-rate -1.0 is out of range"),
        (("--learning-rate", "inf"), "--learning-rate inf is out of range"),
        (("--epochs", "nan"), "--epochs nan is out of range"),
        (("--averaging", "nan"), "--averaging nan is out of range"),
        (("--turn", "181"), "--turn 181.0 is out of range"),
        (("--stretch", "1"), "--stretch 1.0 is out of range"),
        (("--seed", "-1"), "--seed -1 is out of range"),
        (("--seed", str(2**32)), "--seed 4294967296 is out of range"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(given, says):
    with pytest.raises(UsageError, match=says):
        chosen("deep-mnist", "mnist", flags(*given))


def chosen(network: str, data: str, given: argparse.Namespace) -> Recipe:
    return recipes.from_flags(recipe_book.recipe(network, given.recipe, data=data), given)


def numbered(n: int) -> Split:
    """Pictures whose one bright pixel tells their number apart from the others'."""
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


def test_each_epoch_holds_every_picture_once_across_batches_that_do_not_divide_it():
    batches = Batches(numbered(10), Recipe(batch=4, epochs=2, shift=0))
    labels = np.concatenate([batches[k][1] for k in range(len(batches))])
    assert len(batches) == 5
    assert sorted(labels[:10]) == sorted(labels[10:]) == list(range(10))
    assert list(labels[:10]) != list(labels[10:])


def test_a_batch_depends_on_its_number_and_the_seed_alone():
    first = Batches(numbered(10), Recipe(batch=4, epochs=9))
    later = Batches(numbered(10), Recipe(batch=4, epochs=9))
    for k in range(7):
        later[k]
    for ours, theirs in zip(first[7], later[7], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    other = Batches(numbered(10), Recipe(batch=4, epochs=9, seed=1))
    assert not np.array_equal(first[7][1], other[7][1])


def test_shifts_move_whole_pictures_by_at_most_that_many_pixels():
    images = np.zeros((200, 9, 9, 1), np.uint8)
    images[:, 4, 4] = 200
    moved = augment(images, Recipe(shift=2), np.random.default_rng(0))
    where = np.argwhere(moved[..., 0] == 200)
    assert moved.dtype == np.float32 and len(where) == 200
    assert {tuple(at) for at in where[:, 1:] - 4} == {(y, x) for y in range(-2, 3) for x in range(-2, 3)}


def test_a_quarter_turn_is_a_quarter_turn_clockwise():
    images = np.arange(25, dtype=np.uint8).reshape(1, 5, 5, 1)

    class AlwaysTheMost:
        def uniform(self, low, high, shape):
            return np.full(shape, high)

    turned = augment(images, Recipe(shift=0, turn=90.0), AlwaysTheMost())
    np.testing.assert_allclose(turned[0, ..., 0], np.rot90(images[0, ..., 0], -1), atol=1e-3)
