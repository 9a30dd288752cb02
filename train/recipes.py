"""How a network is trained: one frozen value, made from flags, saved with the result.

`documented` is the recipe of the document that describes the network; `modern` is ours, for the same network.
"""

import argparse
import dataclasses
import math
from dataclasses import dataclass, field

from edge.errors import UsageError

# Learning rates that suit each optimizer when a recipe leaves the choice to us.
USUAL_RATES = {"sgd": 0.1, "momentum": 0.02, "adagrad": 0.02, "rmsprop": 1e-3, "adadelta": 1.0, "adam": 1.5e-3}


_OPEN = ", where the network leaves it open"


def _setting(default, text, **more):
    return field(default=default, metadata={"help": text, **more})


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run, besides the network and the data."""

    name: str = "modern"
    optimizer: str = _setting("adam", "what follows the gradient", choices=tuple(USUAL_RATES))
    learning_rate: float = _setting(0.0, "the peak, where the schedule has one; 0: what usually suits the optimizer")
    schedule: str = _setting(
        "one-cycle",
        "warm up, then cosine to zero; or a tenth from half the steps on and a hundredth from three quarters; or constant",
        choices=("one-cycle", "steps", "constant"),
    )
    weight_decay: float = _setting(0.0, "share of each kernel taken off a step, times the learning rate")
    batch: int = _setting(128, "pictures a step")
    epochs: float = _setting(8.0, "passes over the training pictures")
    steps: int = _setting(0, "optimizer steps; 0: as many as the epochs take")
    sampling: str = _setting("epochs", "each picture once an epoch, or with replacement", choices=("epochs", "replacement"))
    loss_reduction: str = _setting("mean", "over the pictures of a batch", choices=("mean", "sum"))
    initialization: str = _setting("he", "of the weights", choices=("he", "documented"))
    activation: str = _setting("", f"of the hidden layers{_OPEN}", choices=("", "relu", "selu", "sigmoid"))
    standardization: str = _setting(
        "", f"of the pixels, by each image's own mean and deviation or the data set's{_OPEN}", choices=("", "image", "data-set")
    )
    dropout: float = _setting(0.0, f"share of the wide dense layers' inputs that is dropped{_OPEN}")
    l2: float = _setting(0.0, f"penalty on the wide dense layers' weights, l2/2 times the sum of their squares{_OPEN}")
    shift: int = _setting(2, "pixels a training picture is moved at most, each way")
    turn: float = _setting(0.0, "degrees a training picture is turned at most, each way")
    stretch: float = _setting(0.0, "share a training picture is enlarged or reduced at most, each way")
    flip: float = _setting(0.0, "share of the training pictures mirrored left to right")
    erase: int = _setting(0, "side of the square blanked in each training picture, in pixels")
    brightness: float = _setting(0.0, "grey levels a training picture is made lighter or darker at most")
    contrast: float = _setting(0.0, "share a training picture's contrast is raised or lowered at most")
    label_smoothing: float = _setting(0.0, "share of the target spread over the other classes")
    averaging: float = _setting(0.0, "share of the run that a moving average of the weights reaches back over; 0: none")
    held_out: float = _setting(0.0, "share of the training pictures, its last ones, held out for validation")
    log_every: int = _setting(100, "steps between two rows of history.csv")
    seed: int = _setting(0, "of the weights, the order and the augmentation")

    def n_training(self, n: int) -> int:
        """How many of a training split's `n` pictures, its first ones, are trained on."""
        return n - round(n * self.held_out)

    def n_steps(self, n_train: int) -> int:
        """Optimizer steps over `n_train` training pictures."""
        return self.steps or math.ceil(self.epochs * n_train / self.batch)

    @property
    def rate(self) -> float:
        """The learning rate in force, at its peak."""
        return self.learning_rate or USUAL_RATES[self.optimizer]


def add_flags(parser: argparse.ArgumentParser) -> None:
    """A flag for each field of `Recipe`; one not given keeps the recipe's value."""
    group = parser.add_argument_group("recipe", "what is not given is as the recipe says")
    for setting in dataclasses.fields(Recipe):
        if setting.name == "name":
            continue
        group.add_argument(
            f"--{setting.name.replace('_', '-')}",
            type=type(setting.default),
            choices=setting.metadata.get("choices"),
            metavar=None if "choices" in setting.metadata else "N",
            help=setting.metadata["help"],
        )


def from_flags(base: Recipe, flags: argparse.Namespace) -> Recipe:
    """The recipe `base`, with the flags that were given in place of its values. Raises UsageError."""
    given = {
        setting.name: value
        for setting in dataclasses.fields(Recipe)
        if setting.name != "name" and (value := getattr(flags, setting.name)) is not None
    }
    if "epochs" in given and "steps" in given:
        raise UsageError("--epochs and --steps say the same thing twice; give one")
    if "epochs" in given:
        given["steps"] = 0
    if base.name == "modern" and given.get("optimizer", base.optimizer) != base.optimizer:
        # The recipe's own were found for its optimizer.
        given.setdefault("learning_rate", 0.0)
        given.setdefault("weight_decay", 0.0)
    recipe = dataclasses.replace(base, **given)
    _check(recipe)
    return recipe


def _check(recipe: Recipe) -> None:
    # NaN fails every comparison, infinity the upper bound.
    for name, holds in {
        "batch": 1 <= recipe.batch <= 16_384,  # eight are made ahead
        # A documented recipe may count steps and no epochs.
        "steps": 0 <= recipe.steps <= 1e9 and (recipe.steps > 0 or recipe.epochs != 0),
        "epochs": recipe.steps > 0 or 0 < recipe.epochs <= 1e6,
        "learning-rate": 0 <= recipe.learning_rate < math.inf,
        "weight-decay": 0 <= recipe.weight_decay < 1,
        "dropout": 0 <= recipe.dropout < 1,
        "l2": 0 <= recipe.l2 < math.inf,
        "flip": 0 <= recipe.flip <= 1,
        "erase": 0 <= recipe.erase <= 16,
        "brightness": 0 <= recipe.brightness <= 255,
        "contrast": 0 <= recipe.contrast <= 1,
        "shift": 0 <= recipe.shift <= 8,
        "turn": 0 <= recipe.turn <= 180,
        "stretch": 0 <= recipe.stretch < 1,
        "held-out": 0 <= recipe.held_out < 1,
        "label-smoothing": 0 <= recipe.label_smoothing < 1,
        "averaging": 0 <= recipe.averaging < 1,
        "log-every": recipe.log_every >= 1,
        "seed": 0 <= recipe.seed < 2**32,
    }.items():
        if not holds:
            raise UsageError(f"--{name} {getattr(recipe, name.replace('-', '_'))} is out of range")
