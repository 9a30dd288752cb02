"""The settings of a training run: one frozen value, made from flags and saved with the result."""

import argparse
import dataclasses
import math
from dataclasses import dataclass, field

from edge.errors import UsageError

# The learning rate of each optimizer, unless the recipe sets one.
USUAL_RATES = {"sgd": 0.1, "momentum": 0.02, "adagrad": 0.02, "rmsprop": 1e-3, "adadelta": 1.0, "adam": 1.5e-3}
_OPEN = ", if the network allows a choice"


def _setting(default, text, **more):
    return field(default=default, metadata={"help": text, **more})


@dataclass(frozen=True)
class Recipe:
    """All settings of a training run, besides the network and the data."""

    name: str = "modern"
    optimizer: str = _setting("adam", "how weights follow the gradient", choices=tuple(USUAL_RATES))
    learning_rate: float = _setting(0.0, "peak learning rate; 0: the optimizer's usual one")
    schedule: str = _setting(
        "one-cycle",
        "of the learning rate: warm-up, then cosine to zero; or a tenth after half the steps and a hundredth after three "
        "quarters; or constant",
        choices=("one-cycle", "steps", "constant"),
    )
    weight_decay: float = _setting(0.0, "fraction of each kernel subtracted per step, times the learning rate")
    batch: int = _setting(128, "images per step")
    epochs: float = _setting(8.0, "passes over the training images")
    steps: int = _setting(0, "optimizer steps; 0: as many as the epochs take")
    sampling: str = _setting("epochs", "each image once per epoch, or with replacement", choices=("epochs", "replacement"))
    loss_reduction: str = _setting("mean", "over the images of a batch", choices=("mean", "sum"))
    initialization: str = _setting("he", "of the weights", choices=("he", "documented"))
    activation: str = _setting("", f"of the hidden layers{_OPEN}", choices=("", "relu", "selu", "sigmoid"))
    standardization: str = _setting(
        "",
        f"of the pixels, by the mean and deviation of each image or of the data set{_OPEN}",
        choices=("", "image", "data-set"),
    )
    dropout: float = _setting(0.0, f"fraction of the wide dense layers' inputs that is dropped{_OPEN}")
    l2: float = _setting(0.0, f"penalty on the wide dense layers' weights, l2/2 times their sum of squares{_OPEN}")
    shift: int = _setting(2, "pixels by which an image is shifted at most, each way")
    turn: float = _setting(0.0, "degrees by which an image is rotated at most, each way")
    stretch: float = _setting(0.0, "fraction by which an image is enlarged or reduced at most")
    flip: float = _setting(0.0, "fraction of the images that is mirrored left to right")
    erase: int = _setting(0, "side of the square that is blanked in each image, in pixels")
    brightness: float = _setting(0.0, "grey levels by which an image is lightened or darkened at most")
    contrast: float = _setting(0.0, "fraction by which an image's contrast is raised or lowered at most")
    label_smoothing: float = _setting(0.0, "fraction of the target that is spread over all classes")
    averaging: float = _setting(0.0, "fraction of the run that a moving average of the weights covers; 0: none")
    background: bool = _setting(False, "one output more, trained on made pictures of no class, so that these are told apart")
    held_out: float = _setting(0.0, "fraction of the training images, the last ones, held out for validation")
    log_every: int = _setting(100, "steps between two rows of history.csv")
    seed: int = _setting(0, "of weights, order and augmentation")

    def n_training(self, n: int) -> int:
        """How many of the `n` images of a training split, its first ones, are trained on."""
        return n - round(n * self.held_out)

    def n_steps(self, n_train: int) -> int:
        """Optimizer steps over `n_train` training images."""
        return self.steps or math.ceil(self.epochs * n_train / self.batch)

    @property
    def rate(self) -> float:
        """The peak learning rate."""
        return self.learning_rate or USUAL_RATES[self.optimizer]


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds a flag for each field of `Recipe`."""
    group = parser.add_argument_group("recipe", "each flag replaces one setting of the recipe")
    for setting in dataclasses.fields(Recipe):
        if setting.name == "name":
            continue
        if setting.type is bool:
            group.add_argument(f"--{setting.name}", action="store_true", default=None, help=setting.metadata["help"])
            continue
        group.add_argument(
            f"--{setting.name.replace('_', '-')}",
            type=type(setting.default),
            choices=setting.metadata.get("choices"),
            metavar=None if "choices" in setting.metadata else "N",
            help=setting.metadata["help"],
        )


def from_flags(base: Recipe, flags: argparse.Namespace) -> Recipe:
    """The recipe `base` with the given flags in place of its settings. Raises UsageError."""
    given = {
        setting.name: value
        for setting in dataclasses.fields(Recipe)
        if setting.name != "name" and (value := getattr(flags, setting.name)) is not None
    }
    if "epochs" in given and "steps" in given:
        raise UsageError("--epochs and --steps both set the length; give one")
    if "epochs" in given:
        given["steps"] = 0
    if base.name == "modern" and given.get("optimizer", base.optimizer) != base.optimizer:
        # The recipe's values were chosen for its optimizer.
        given.setdefault("learning_rate", 0.0)
        given.setdefault("weight_decay", 0.0)
    recipe = dataclasses.replace(base, **given)
    _check(recipe)
    return recipe


def _check(recipe: Recipe) -> None:
    # NaN fails every comparison, infinity the upper bound.
    for name, holds in {
        "batch": 1 <= recipe.batch <= 16_384,  # eight batches are in memory
        # A documented recipe may set steps and no epochs.
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
