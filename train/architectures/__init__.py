"""The networks, one file per family. A new network is a builder and an entry in `ARCHITECTURES`.

Every network takes pixels from 0 to 255 and returns logits: scaling is a layer inside it, softmax is the caller's.
"""

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.contract import CIFAR, DIGIT, InputContract
from edge.errors import UsageError
from edge.silence import silence_native_output
from train.recipes import Recipe

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Architecture:
    """One network of exactly `n_parameters`; `options` are the fields of a recipe that it lets the recipe choose."""

    name: str
    builder: str  # module.function; Keras is imported when a network is built, not when one is named
    n_parameters: int
    contract: InputContract
    options: tuple[str, ...] = ("initialization",)

    def build(self, recipe: Recipe = Recipe(), *, batch_size: int | None = None) -> "keras.Model":  # noqa: B008 (frozen)
        """A new network, seeded by `recipe`: float32 [N, H, W, C] pixels → float32 [N, K] logits. Raises as `check` does."""
        self.check(recipe)
        module, function = self.builder.split(".")
        chosen = {option: getattr(recipe, option) for option in self.options}
        # TensorFlow's import and its search for a GPU write a screenful.
        with silence_native_output():
            import keras

            build = getattr(importlib.import_module(f"{__name__}.{module}"), function)
            keras.utils.set_random_seed(recipe.seed)
            model = build(batch_size=batch_size, **chosen)
            if recipe.background:
                model = importlib.import_module(f"{__name__}.widen").with_background(model)
            return model

    def check(self, recipe: Recipe) -> None:
        """Raises UsageError if `recipe` sets what this network does not let it choose."""
        for option in _OPTIONS - set(self.options):
            if getattr(recipe, option) != getattr(Recipe, option):
                raise UsageError(f"--{option} {getattr(recipe, option)}: {self.name} has a fixed {option}; leave out the flag")


_OPTIONS = {"initialization", "activation", "standardization", "dropout", "l2"}
ARCHITECTURES = {
    a.name: a
    for a in (
        Architecture("deep-mnist", "deep_mnist.build", 3_274_634, DIGIT),
        Architecture("deep-mnist-conv", "deep_mnist.build_conv", 3_274_634, DIGIT),
        Architecture("keras-cnn", "keras_cnn.build", 1_886_250, DIGIT, options=("initialization", "activation")),
        Architecture("lenet5-1998", "lenet5_1998.build", 60_850, DIGIT),
        Architecture("lenet5-sigmoid", "lenet5.build_sigmoid", 521_982, DIGIT, options=("initialization", "activation")),
        Architecture("lenet5-relu", "lenet5.build_relu", 97_982, DIGIT),
        Architecture("lenet5-wide", "lenet5.build_wide", 3_274_634, DIGIT),
        Architecture("mnist-tiny", "mnist_tiny.build", 7_426, DIGIT, options=()),
        Architecture("cifar-lrn", "cifar_lrn.build", 1_068_298, CIFAR,
                     options=("initialization", "standardization", "dropout", "l2")),
        Architecture("resnet8", "resnet8.build", 78_666, CIFAR, options=()),
    )
}  # fmt: skip


def networks_for(contract: InputContract) -> tuple[str, ...]:
    """The names of the networks that take images of `contract`."""
    return tuple(a.name for a in ARCHITECTURES.values() if a.contract == contract)


def architecture(name: str) -> Architecture:
    """The network called `name`. Raises UsageError that lists the known names."""
    if name not in ARCHITECTURES:
        raise UsageError(f"unknown network {name!r}; known are {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]
