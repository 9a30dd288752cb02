"""Recipes: what the documents specify, what flags change, what is refused."""

import argparse

import pytest

from edge.contract import CIFAR
from edge.errors import UsageError
from train import command, recipe_book, recipes
from train.architectures import architecture, networks_for
from train.recipe_book import RECIPES
from train.recipes import Recipe


def flags(*given: str, recipe: str = "modern") -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    recipes.add_flags(parser)
    return argparse.Namespace(recipe=recipe, **vars(parser.parse_args(given)))


# As each document has them: optimizer, learning rate, batch size, steps, reduction of the loss, number of training images.
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
def test_flags_reach_every_recipe_a_network_has(network):
    contract = architecture(network).contract
    data = "cifar10" if contract == CIFAR else "mnist"
    parser = command.parser("train", networks=networks_for(contract), description="")
    for name, recipe in RECIPES[network].items():
        assert command.chosen(parser.parse_args(("--arch", network, "--recipe", name)), data=data) == recipe


def test_the_modern_rate_and_weight_decay_follow_the_optimizer_unless_they_are_given():
    assert chosen("lenet5-relu", "mnist", flags("--optimizer", "adam")).rate == 3e-3  # the recipe's own
    assert chosen("lenet5-relu", "mnist", flags("--optimizer", "momentum")).rate == 0.02
    assert chosen("lenet5-relu", "mnist", flags("--optimizer", "momentum", "--learning-rate", "0.5")).rate == 0.5
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
        (("--epochs", "1", "--steps", "9"), "--epochs and --steps both set the length; give one"),
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
