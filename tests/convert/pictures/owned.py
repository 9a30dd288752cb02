"""A tiny network of a user's own with its picture files, for the trials of conventions: no training, weights by hand."""

from dataclasses import dataclass

import keras
import numpy as np
from PIL import Image

from convert.pictures.arithmetic import PLAIN, Arithmetic
from convert.sources.flatten import flatten
from edge.contract import InputContract
from train.datasets import folder

L = keras.layers
SIZE = 16
CLASSES = ("blue", "green", "red")


def by_colour(order: str = "rgb", *, softness: float = 40.0, side: int | None = SIZE) -> keras.Model:
    """The colour whose channel, taken in `order`, is strongest on average; pixels from 0 to 255. No `side`: it takes any."""
    dense = L.Dense(3, activation="softmax", name="answer")
    model = keras.Sequential([keras.Input((side, side, 3)), L.Rescaling(1 / 255), L.GlobalAveragePooling2D(), dense])
    weights = np.eye(3)[:, ::-1] if order == "rgb" else np.eye(3)  # classes: blue, green, red
    dense.set_weights([weights * softness, np.zeros(3)])
    return model


def colours(out, n: int = 40, *, size=(SIZE, SIZE), seed: int = 0, names=CLASSES) -> None:
    """`n` noisy pictures of each colour: out/train/NAME and out/test/NAME, a third of them grey enough to be hard."""
    rng = np.random.default_rng(seed)
    for split in ("train", "test"):
        for k, name in enumerate(names):
            (out / split / name).mkdir(parents=True, exist_ok=True)
            for i in range(n):
                pixels = rng.integers(60, 180, (*size, 3))
                pixels[..., 2 - k] += rng.integers(5, 60)
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(out / split / name / f"{i:03}.png")


@dataclass
class Owned:
    """What `convert.sources.from_keras.Foreign` is to the trials."""

    model: keras.Model
    dataset: folder.FolderDataset
    contract: InputContract
    arithmetic: Arithmetic = PLAIN

    @property
    def class_names(self):
        return self.dataset.class_names

    @property
    def open_sizes(self):
        sizes = zip(("height", "width", "channels"), self.model.inputs[0].shape[1:], strict=True)
        return {key: getattr(self.contract, key) for key, size in sizes if size is None}

    def build(self, *, batch_size=None):
        return flatten(self.model, self.contract, self.arithmetic, batch_size=batch_size)

    def unscaled(self):
        return flatten(self.model, self.contract, batch_size=None)


def owned(model, pictures, *, arithmetic=PLAIN, **keys) -> Owned:
    contract = InputContract(height=SIZE, width=SIZE, channels=3, fit="resize", **keys)
    return Owned(model, folder.load(pictures, contract), contract, arithmetic)
