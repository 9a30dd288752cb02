"""A user's own pictures: one sub-folder per class, in `train/`, `test/` and optionally `val/`, or split by us.

Every picture is read as the device reads it: training, gate and device see the same pixels. Pictures with the same pixels
count once, so that none is both trained on and tested, or tested twice.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.contract import InputContract, is_label
from edge.errors import InputError, InputMissing, missing, note, one_line
from edge.pictures import read_pixels
from train.datasets.dataset import Dataset, Split

CLASSES = (2, 100)
SIDES = (16, 128)
TEST_SHARE = 0.3
# Fewer test images say nothing about a class.
MIN_TO_TRAIN, MIN_TO_TEST = 7, 3
MAX_MIB = 2048  # in memory as uint8: 43,000 images of 128x128x3, 680,000 of 32x32x3
# Accepted names of the validation folder beside train/ and test/.
VALIDATION = ("val", "valid", "validation")
# Left behind by desktops; ignored, like names that begin with a dot.
_LITTER = {"Thumbs.db", "desktop.ini"}
# A user's folder may not take the name of a published data set: its figures would pass for that one's.
_PUBLISHED = {"cifar10", "cifar10-jpeg", "custom", "digits", "mnist"}


@dataclass(frozen=True, eq=False)
class FolderDataset(Dataset):
    """A data set from `folder`: its split in words, the file of each image in it, and how many of `train` are for training."""

    folder: Path
    split: str
    n_training: int
    train_files: tuple[str, ...]
    test_files: tuple[str, ...]


def load(folder: str | Path, contract: InputContract, *, seed: int = 0) -> FolderDataset:
    """The pictures in `folder` as `contract` takes them; `seed` draws order and split. Raises InputMissing or InputError."""
    folder = Path(folder)
    if not (min(contract.height, contract.width) >= SIDES[0] and max(contract.height, contract.width) <= SIDES[1]):
        raise InputError(f"images of {contract.height}x{contract.width}; wanted sides from {SIDES[0]} to {SIDES[1]} pixels")
    parts = _parts(folder)
    names = _class_names(*parts)
    listed = [
        (path, label, k) for k, part in enumerate(parts) for label, name in enumerate(names) for path in _files(part / name)
    ]
    n_bytes = len(listed) * contract.n_values
    if n_bytes > MAX_MIB << 20:
        raise InputError(f"{folder}: {n_bytes >> 20:,} MiB of pixels; wanted at most {MAX_MIB:,}: use fewer pictures")
    images = _pixels([path for path, _, _ in listed], contract)
    labels = np.array([label for _, label, _ in listed], np.uint8)
    files = [str(path.relative_to(folder)) for path, _, _ in listed]
    home = np.array([k for _, _, k in listed])
    usable = _first_of_each(folder, files, images, labels, parts=[parts[k].name for k in home])
    rng = np.random.default_rng(seed)
    if len(parts) == 1:
        training, testing, held_out = *_drawn(labels, usable, rng), usable[:0]
        split = f"stratified, {TEST_SHARE:.0%} to test, seed {seed}"
    else:
        training, testing, held_out = (rng.permutation(usable[home[usable] == k]) for k in range(3))
        split = f"{', '.join(f'{part.name}/' for part in parts[:1] + parts[2:])} and test/ as they are"
    _check_enough(folder, names, labels[training], labels[testing])
    learning = np.concatenate([training, held_out])
    train, test = (Split(images[which], labels[which]) for which in (learning, testing))
    train_files, test_files = (tuple(files[i] for i in which) for which in (learning, testing))
    name = _data_name(folder)
    return FolderDataset(name, names, contract, train, test, folder, split, len(training), train_files, test_files)


def _data_name(folder: Path) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")[:40].strip("-") or "pictures"
    return f"{name}-pictures" if name in _PUBLISHED else name


def _parts(folder: Path) -> list[Path]:
    """`folder`/train, `folder`/test and its validation folder if there is one; just `folder` if it is not split."""
    names = [path.name for path in _entries(folder) if path.is_dir()]
    held_out = [name for name in names if name in VALIDATION]
    # `train` among other names is a class: some data sets have trains.
    if set(names) - set(held_out) != {"test", "train"}:
        _check_no_half(folder, names)
        return [folder]
    if len(held_out) > 1:
        raise InputError(f"{folder}: {' and '.join(held_out)} beside train and test; wanted one of them at most")
    return [folder / name for name in ("train", "test", *held_out)]


def _check_no_half(folder: Path, names: list[str]) -> None:
    """Raises InputError if `names`, the sub-folders of `folder`, are the parts of a data set without its train or test."""
    parts = {"train", "test"} & set(names)
    if len(parts) != 1 or not set(names) <= {*parts, *VALIDATION}:
        return
    if any(path.is_dir() for name in names for path in _entries(folder / name)):
        lacks = "train" if "test" in parts else "test"
        spare = f"rename {names[1]} to test, or " if len(names) > 1 and lacks == "test" else ""
        present = f"{' and '.join(names)} but no {lacks}"
        raise InputError(f"{folder}: {present}: {spare}put the classes directly in the folder")


def _class_names(part: Path, *others: Path) -> tuple[str, ...]:
    subfolders = [path for path in _entries(part) if path.is_dir()]
    names = tuple(path.name for path in subfolders)
    loose = [path for path in _entries(part) if not path.is_dir()]
    if loose and names:
        raise InputError(f"{loose[0]}: outside the sub-folders; wanted one sub-folder per class, and nothing beside them")
    if not CLASSES[0] <= len(names) <= CLASSES[1]:
        raise InputError(f"{part}: {len(names)} sub-folders; wanted one per class, {CLASSES[0]} to {CLASSES[1]} classes")
    if odd := [name for name in names if not is_label(name)]:
        raise InputError(f"{part}: {odd[0]!r} cannot be a label; rename that sub-folder")
    for other in others:
        if apart := sorted(set(names) ^ set(_class_names(other))):
            has, lacks = (part, other) if apart[0] in names else (other, part)
            raise InputError(f"{has / apart[0]}: {lacks} has no such class; both need the same sub-folders")
    return names


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.name not in _LITTER)
    except FileNotFoundError:
        raise InputMissing(f"{folder}: no such folder; wanted one with a sub-folder of pictures per class") from None
    except OSError as error:
        raise missing(str(folder), error) from None


def _files(folder: Path) -> Iterator[Path]:
    for path in _entries(folder):
        if path.is_dir():
            raise InputError(f"{path}: a folder inside a class; wanted pictures there: move them up or out")
        yield path


def _pixels(paths: list[Path], contract: InputContract) -> np.ndarray:
    """The pictures as images, uint8 [N, H, W, C]. Raises InputError that names the picture it cannot read."""
    images = np.empty((len(paths), contract.height, contract.width, contract.channels), np.uint8)
    for image, path in zip(images, paths, strict=True):
        image[:] = np.frombuffer(read_pixels(str(path), contract), np.uint8).reshape(image.shape)
    return images


def _first_of_each(folder: Path, files: list[str], images: np.ndarray, labels: np.ndarray, *, parts: list[str]) -> np.ndarray:
    """Indices of the distinct images, int64. Raises InputError if equal ones are in two classes, or in test and elsewhere."""
    first: dict[bytes, int] = {}
    others = [first.setdefault(content(image), index) for index, image in enumerate(images)]
    both = [(i, j) for i, j in enumerate(others) if (parts[i] == "test") != (parts[j] == "test")]
    if both:
        tested, trained = both[0] if parts[both[0][0]] == "test" else both[0][::-1]
        more = f" ({len(both):,} pictures are in both)" if len(both) > 1 else ""
        raise InputError(
            f"{folder}: {files[trained]} and {files[tested]} are the same picture{more}; "
            "a test on training images proves nothing: remove one"
        )
    for index, other in enumerate(others):
        if labels[other] != labels[index]:
            raise InputError(f"{folder}: {files[other]} and {files[index]} are the same picture in two classes: remove one")
    usable = np.array(list(first.values()), np.int64)
    if len(usable) < len(images):
        left = Counter(parts[i] for i in usable)
        where = f" ({', '.join(f'{part} {n:,}' for part, n in left.items())})" if len(left) > 1 else ""
        note(one_line(f"{folder}: {len(images):,} pictures, {len(usable):,} of them distinct; each is used once{where}"))
    return usable


def content(image: np.ndarray) -> bytes:
    """A digest of the pixels: equal for equal images of one contract."""
    return hashlib.sha256(image.tobytes()).digest()


def _drawn(labels: np.ndarray, usable: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Indices to train and to test on: the same share of every class, shuffled."""
    to_train, to_test = [usable[:0]], [usable[:0]]
    for label in np.unique(labels[usable]):
        mixed = rng.permutation(usable[labels[usable] == label])
        n_test = round(TEST_SHARE * len(mixed))
        to_test.append(mixed[:n_test])
        to_train.append(mixed[n_test:])
    return [rng.permutation(np.concatenate(half)) for half in (to_train, to_test)]


def _check_enough(folder: Path, names: tuple[str, ...], train: np.ndarray, test: np.ndarray) -> None:
    for label, name in enumerate(names):
        n_train, n_test = int((train == label).sum()), int((test == label).sum())
        if n_train < MIN_TO_TRAIN or n_test < MIN_TO_TEST:
            raise InputError(
                f"{folder}: class {name!r} has {n_train} pictures to train and {n_test} to test; wanted at least "
                f"{MIN_TO_TRAIN} and {MIN_TO_TEST}: add pictures"
            )
