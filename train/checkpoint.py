"""The trained network as one file that cannot carry code: `checkpoint.npz`, weights by name and a JSON description."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.contract import DIGIT2, InputContract
from edge.errors import InputError, InputMissing
from train import npz
from train.architectures import architecture
from train.recipes import Recipe

if TYPE_CHECKING:
    import keras

FILE = "checkpoint.npz"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Weights by name, and their provenance."""

    network: str
    data: str
    class_names: tuple[str, ...]
    recipe: Recipe
    data_digest: str
    figures: dict[str, Any]  # test top1, n_images, seconds, peak_rss_mib, versions, …
    weights: dict[str, np.ndarray]
    fit: str = ""  # of its contract, where that is not the architecture's: `digit2`, or `exact` for images that are no digits

    @property
    def contract(self) -> InputContract:
        """The images that the network takes: its architecture's contract, unless its data wanted another fit."""
        usual = architecture(self.network).contract
        if self.fit == DIGIT2.fit:
            return DIGIT2
        if not self.fit:
            return usual
        return InputContract(height=usual.height, width=usual.width, channels=usual.channels, fit=self.fit)

    @property
    def name(self) -> str:
        """`<network>-<data>`, or `<network>-<recipe>-<data>` for a recipe other than `modern`."""
        recipe = "" if self.recipe.name == "modern" else f"-{self.recipe.name}"
        return f"{self.network}{recipe}-{self.data}"

    @property
    def provenance(self) -> dict[str, Any]:
        """The recipe and the versions it was trained with."""
        return {"recipe": dataclasses.asdict(self.recipe), "trained_with": self.figures["versions"]}

    def build(self, *, batch_size: int | None = None) -> "keras.Model":
        """The trained network. Raises InputError if the weights are not this network's."""
        model = architecture(self.network).build(self.recipe, batch_size=batch_size)
        wanted = {v.path: v for v in model.weights}
        if wanted.keys() != self.weights.keys():
            odd = sorted(wanted.keys() ^ self.weights.keys())
            raise InputError(f"checkpoint of {self.network}: weights do not match the network ({', '.join(odd[:3])})")
        for path, variable in wanted.items():
            if variable.shape != self.weights[path].shape:
                raise InputError(
                    f"checkpoint of {self.network}: {path} is {self.weights[path].shape}, wanted {tuple(variable.shape)}"
                )
            variable.assign(self.weights[path])
        return model

    def save(self, folder: Path) -> None:
        """Write `folder`/checkpoint.npz atomically. Raises StorageError."""
        about = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "weights"}
        if not self.fit:
            del about["fit"]  # an older reader knows the rest
        npz.write(folder / FILE, about | {"recipe": dataclasses.asdict(self.recipe)}, self.weights)


def weights_of(model: "keras.Model") -> dict[str, np.ndarray]:
    """The weights of `model` by path ("conv1/kernel")."""
    # A view, then a copy: Keras variables do not accept numpy's copy flag.
    return {v.path: np.array(np.asarray(v)) for v in model.weights}


def load(folder: Path) -> Checkpoint:
    """The checkpoint in the run folder `folder`. Raises InputMissing, or InputError if it is damaged."""
    path = folder / FILE
    if not path.exists():
        raise InputMissing(f"{path}: no such file; train first: python -m train.mnist")
    about, weights = npz.read(path)
    try:
        about["recipe"] = Recipe(**about["recipe"])
        about["class_names"] = tuple(about["class_names"])
        return Checkpoint(**about, weights=weights)
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: not a checkpoint of this version of edgeproof ({error})") from None
