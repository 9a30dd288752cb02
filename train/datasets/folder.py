"""A user's own pictures: a folder with a sub-folder a class, under `train/` and `test/` or split by us.

Every picture is read as the device reads it, so training, gate and device see the same pixels.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.contract import InputContract
from edge.errors import InputError, InputMissing, missing, note, one_line
from edge.image import read_pixels
from train.datasets.dataset import Dataset, Split

CLASSES = (2, 100)
SIDES = (16, 128)
TEST_SHARE = 0.3
# A class of which fewer are tested says nothing about that class.
MIN_TO_TRAIN, MIN_TO_TEST = 7, 3
MAX_MIB = 2048  # held in memory as uint8: 43,000 pictures of 128x128x3, 680,000 of 32x32x3
# What desktops leave in a folder without being asked; names that begin with a dot are left out too.
_LITTER = {"Thumbs.db", "desktop.ini"}
# A folder may be called like a published data set; figures on it must not pass for that one's.
_PUBLISHED = {"cifar10", "cifar10-jpeg", "custom", "digits", "mnist"}


@dataclass(frozen=True, eq=False)
class Pictures(Dataset):
    """A data set made from a folder: how it was split in words, and the file of each picture, in the order of the splits."""

    split: str
    train_files: tuple[str, ...]
    test_files: tuple[str, ...]


def load(folder: str | Path, contract: InputContract, *, seed: int = 0) -> Pictures:
    """The pictures in `folder`, made to fit `contract`; classes are the sub-folders, sorted by name as Keras sorts them.

    `seed` draws the split, where the folder has none, and the order of the pictures. Raises InputMissing, or InputError
    naming the file or class that is not as it should be.
    """
    folder = Path(folder)
    if not (min(contract.height, contract.width) >= SIDES[0] and max(contract.height, contract.width) <= SIDES[1]):
        raise InputError(f"pictures of {contract.height}x{contract.width}; wanted sides from {SIDES[0]} to {SIDES[1]} pixels")
    halves = _halves(folder)
    names = _class_names(*halves)
    listed = [[(path, label) for label, name in enumerate(names) for path in _files(half / name)] for half in halves]
    n_bytes = sum(map(len, listed)) * contract.n_values
    if n_bytes > MAX_MIB << 20:
        raise InputError(f"{folder}: {n_bytes >> 20:,} MiB of pixels; at most {MAX_MIB:,} are held: use fewer pictures")
    images = [_pixels([path for path, _ in half], contract) for half in listed]
    labels = [np.array([label for _, label in half], np.uint8) for half in listed]
    rng = np.random.default_rng(seed)
    if len(halves) == 2:
        files = [[str(path.relative_to(folder)) for path, _ in half] for half in listed]
        chosen = [rng.permutation(len(half)) for half in listed]
        said = "train/ and test/ as they are"
        _check_apart(folder, files, images)
    else:
        images, labels, files = images * 2, labels * 2, [[str(path.relative_to(folder)) for path, _ in listed[0]]] * 2
        chosen = _drawn(labels[0], _first_of_each(folder, files[0], images[0], labels[0]), rng)
        said = f"stratified, {TEST_SHARE:.0%} to test, seed {seed}"
    train, test = (Split(image[which], label[which]) for image, label, which in zip(images, labels, chosen, strict=True))
    _check_enough(folder, names, train, test)
    train_files, test_files = (tuple(half[i] for i in which) for half, which in zip(files, chosen, strict=True))
    return Pictures(_data_name(folder), names, contract, train, test, said, train_files, test_files)


def _data_name(folder: Path) -> str:
    """The folder's own name in letters, digits and dashes, as file names carry it."""
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")[:40].strip("-") or "pictures"
    return f"{name}-pictures" if name in _PUBLISHED else name


def _halves(folder: Path) -> list[Path]:
    """`folder`/train and `folder`/test where that is how it is laid out, else `folder`."""
    names = [path.name for path in _entries(folder) if path.is_dir()]
    # `train` alone, or beside other names, is a class: there are data sets with a train in them.
    if set(names) - {"val", "validation"} == {"test", "train"}:
        return [folder / "train", folder / "test"]
    return [folder]


def _class_names(half: Path, test: Path | None = None) -> tuple[str, ...]:
    found = [path for path in _entries(half) if path.is_dir()]
    names = tuple(path.name for path in found)
    loose = [path for path in _entries(half) if not path.is_dir()]
    if loose and names:
        raise InputError(
            one_line(f"{loose[0]}: stands outside the sub-folders; wanted a sub-folder a class, nothing beside them")
        )
    if not CLASSES[0] <= len(names) <= CLASSES[1]:
        raise InputError(
            one_line(f"{half}: {len(names)} sub-folders; wanted one a class, {CLASSES[0]} to {CLASSES[1]} classes")
        )
    if odd := [name for name in names if name != one_line(name) or not name.strip()]:
        raise InputError(one_line(f"{half}: no label can be {odd[0]!r}; rename that sub-folder"))
    if test is not None:
        others = _class_names(test)
        if apart := sorted(set(names) ^ set(others)):
            has, lacks = (half, test) if apart[0] in names else (test, half)
            raise InputError(one_line(f"{has / apart[0]}: {lacks} has no such class; both need the same sub-folders"))
    return names


def _entries(folder: Path) -> list[Path]:
    """What `folder` shows, sorted by name."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.name not in _LITTER)
    except FileNotFoundError:
        raise InputMissing(one_line(f"{folder}: no such folder; wanted one with a sub-folder of pictures a class")) from None
    except OSError as error:
        raise missing(str(folder), error) from None


def _files(folder: Path) -> Iterator[Path]:
    for path in _entries(folder):
        if path.is_dir():
            raise InputError(one_line(f"{path}: a folder inside a class; wanted pictures there: move them up or out"))
        yield path


def _pixels(paths: list[Path], contract: InputContract) -> np.ndarray:
    """uint8 [N, H, W, C]. Raises InputError naming the picture that cannot be read."""
    images = np.empty((len(paths), contract.height, contract.width, contract.channels), np.uint8)
    for image, path in zip(images, paths, strict=True):
        image[:] = np.frombuffer(read_pixels(str(path), contract), np.uint8).reshape(image.shape)
    return images


def _check_apart(folder: Path, files: list[list[str]], images: list[np.ndarray]) -> None:
    """Raises InputError where a picture of the first half is in the second, whatever the files are called."""
    trained = {_content(image): file for file, image in zip(files[0], images[0], strict=True)}
    both = [
        (trained[content], file)
        for file, image in zip(files[1], images[1], strict=True)
        if (content := _content(image)) in trained
    ]
    if both:
        train, test = both[0]
        more = f" ({len(both):,} pictures are in both)" if len(both) > 1 else ""
        raise InputError(
            one_line(f"{folder}: {train} and {test} are the same picture{more}; what is trained on proves nothing: remove it")
        )


def _first_of_each(folder: Path, files: list[str], images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Indices of the pictures that differ from all before them, so that no split can put one picture on both sides."""
    first: dict[bytes, int] = {}
    for index, image in enumerate(images):
        other = first.setdefault(_content(image), index)
        if labels[other] != labels[index]:
            raise InputError(
                one_line(f"{folder}: {files[other]} and {files[index]} are the same picture in two classes: remove one")
            )
    if len(first) < len(images):
        note(one_line(f"{folder}: {len(images):,} pictures, {len(first):,} different ones; each is used once"))
    return np.array(list(first.values()))


def _content(image: np.ndarray) -> bytes:
    return hashlib.sha256(image.data).digest()


def _drawn(labels: np.ndarray, usable: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Indices to train and to test on: the same share of every class, in an order in which classes are mixed."""
    to_train, to_test = [], []
    for label in np.unique(labels[usable]):
        mixed = rng.permutation(usable[labels[usable] == label])
        n_test = round(TEST_SHARE * len(mixed))
        to_test.append(mixed[:n_test])
        to_train.append(mixed[n_test:])
    return [rng.permutation(np.concatenate(half)) for half in (to_train, to_test)]


def _check_enough(folder: Path, names: tuple[str, ...], train: Split, test: Split) -> None:
    for label, name in enumerate(names):
        n_train, n_test = int((train.labels == label).sum()), int((test.labels == label).sum())
        if n_train < MIN_TO_TRAIN or n_test < MIN_TO_TEST:
            raise InputError(
                one_line(
                    f"{folder}: class {name!r} has {n_train} pictures to train and {n_test} to test; wanted at least "
                    f"{MIN_TO_TRAIN} and {MIN_TO_TEST}: add pictures"
                )
            )
