"""The networks, a file a family; a new one is a builder and an entry in `ARCHITECTURES`.

Every network eats pixels from 0 to 255 and ends in logits: scaling is a layer inside, softmax belongs to the caller.
"""

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.contract import DIGIT, InputContract
from edge.errors import UsageError
from edge.quiet import NativeChatterHidden

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Architecture:
    """One network: `build` makes it, with exactly `n_parameters`."""

    name: str
    builder: str  # module.function; Keras is imported when a network is built, not when one is named
    n_parameters: int
    contract: InputContract

    def build(self, *, initialization: str = "documented", seed: int = 0, batch_size: int | None = None) -> "keras.Model":
        """A fresh network, float32 [N, H, W, C] pixels 0 to 255 → float32 [N, K] logits. Seeds all of Keras with `seed`."""
        module, function = self.builder.split(".")
        # TensorFlow's first import and its look for a GPU write a screenful.
        with NativeChatterHidden():
            import keras

            build = getattr(importlib.import_module(f"{__name__}.{module}"), function)
            keras.utils.set_random_seed(seed)
            return build(initialization=initialization, batch_size=batch_size)


ARCHITECTURES = {
    a.name: a
    for a in (
        Architecture("deep-mnist", "deep_mnist.build", 3_274_634, DIGIT),
        Architecture("lenet5-relu", "lenet5.build_relu", 97_982, DIGIT),
    )
}


def architecture(name: str) -> Architecture:
    """The network called `name`. Raises UsageError listing those there are."""
    if name not in ARCHITECTURES:
        raise UsageError(f"no network is called {name!r}; there are {', '.join(ARCHITECTURES)}")
    return ARCHITECTURES[name]
