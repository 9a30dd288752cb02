"""What a kind of stranger is, the pictures it is shown, and how its network learns in a moment."""

import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image

SIZE = 24
COLOURS = ("blue", "green", "red")
N_TRAIN, N_TEST = 60, 240  # of a class, and of all
RIDGE = 1e-2


@dataclass(frozen=True)
class Kind:
    """`build(keras)` is a network of `classes`, whose last layer is still to be fitted; `spoil` changes its file. `fed` is what
    the owner's code does to pixels; `told`, the contract file that says so. `says` is a part of what `convert` says where it
    must refuse; "" where the published file must answer as the owner's network does."""

    name: str
    build: Callable[[Any], Any]
    says: str = ""
    classes: int = 3
    file: str = "model.keras"
    library: str = "keras"
    fed: Callable[[np.ndarray], np.ndarray] | None = None
    told: dict[str, object] | None = None
    flags: tuple[str, ...] = ("--formats", "tflite")
    fitted: bool = True
    grey: bool = False
    size: int = SIZE
    spoil: Callable[[Path], Path | None] | None = None


def pictures(folder: Path, n_classes: int, *, grey: bool = False, size: int = SIZE) -> None:
    """Noisy pictures of some colours, or of some tones, a few hard to tell: FOLDER/train/NAME and FOLDER/test/NAME."""
    rng = np.random.default_rng(n_classes)
    for split, n in (("train", N_TRAIN), ("test", N_TEST // n_classes)):
        for k, name in enumerate(COLOURS[-n_classes:]):
            home = folder / split / name
            home.mkdir(parents=True)
            for i in range(n):
                pixels = rng.integers(60, 180, (size, size, 3))
                pixels[..., 2 - COLOURS.index(name)] += rng.integers(5, 60)
                if grey:
                    pixels = pixels[..., 0] + 40 * k + rng.integers(-10, 10)
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(home / f"{i:03}.png")


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*/*") if path.is_file())


def read(paths: list[Path]) -> np.ndarray:
    """As the owner reads them: float32 [N, H, W, C]."""
    images = np.stack([np.asarray(Image.open(path)) for path in paths]).astype(np.float32)
    return images if images.ndim == 4 else images[..., None]


def learn(library: ModuleType, model: Any, images: np.ndarray, labels: np.ndarray) -> None:
    """Fit the last dense layer to what comes before it, by least squares: above chance in a second, without training."""
    last = model.layers[-1]
    if isinstance(last, library.Sequential):
        before, last = library.Sequential([*model.layers[:-1], *last.layers[:-1]]), last.layers[-1]
    else:
        last = [part for part in model.layers if hasattr(part, "units")][-1]
        before = library.Model(model.inputs, last.input)
    features = np.asarray(before.predict(images, batch_size=len(images), verbose=0))
    centre, spread = features.mean(axis=0), features.std(axis=0)
    spread = np.maximum(spread, 0.05 * spread.max())  # or a dead feature gets a weight that int8 cannot hold beside the others
    x = np.c_[(features - centre) / spread, np.ones(len(features))]
    wanted = np.eye(labels.max() + 1)[labels] if last.units > 1 else labels[:, None]
    solved = np.linalg.solve(x.T @ x + RIDGE * len(x) * np.eye(x.shape[1]), x.T @ (8.0 * wanted - 4.0))
    kernel = solved[:-1] / spread[:, None]
    last.set_weights([kernel, solved[-1] - centre @ kernel])


def made(kind: Kind, home: Path, shown: Path) -> tuple[Path, np.ndarray]:
    """The kind's file in `home`, and its owner's answers to the test pictures of `shown`: class numbers, int [N]."""
    library = importlib.import_module(kind.library)
    library.utils.set_random_seed(1)
    model = kind.build(library)
    path, answers = home / kind.file, np.zeros(0, np.int64)
    if kind.fitted:
        paths = files(shown / "train")
        names = sorted({path.parent.name for path in paths})
        feed = kind.fed or (lambda images: images)
        learn(library, model, feed(read(paths)), np.array([names.index(path.parent.name) for path in paths]))
        given = np.asarray(model.predict(feed(read(files(shown / "test"))), batch_size=8, verbose=0))
        over = 0.5 if ((given >= 0) & (given <= 1)).all() else 0.0
        answers = given.argmax(axis=1) if given.shape[1] > 1 else (given[:, 0] > over).astype(np.int64)
    if model is not None:
        model.save(path)
    if kind.told:
        (home / "contract.json").write_text(json.dumps(kind.told))
    return (kind.spoil(path) or path) if kind.spoil else path, answers
