"""A user's own pictures: one sub-folder per class, in `train/`, `test/` and optionally `val/`, or split by us.

Every picture is read as the device reads it: training, gate and device see the same pixels. Pictures with the same pixels
count once, so that none is both trained on and tested, or tested twice.
"""

import hashlib
import re
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edge.contract import InputContract
from edge.errors import InputError, InputMissing, note, one_line
from edge.pictures import read_pixels
from train.datasets import listing, mapped
from train.datasets.dataset import Dataset, Split
from train.datasets.listing import TWICE, TWO_CLASSES, UNREADABLE, Faults

CLASSES = (2, 1_000)
SIDES = (8, 320)
TEST_SHARE = 0.3
# Fewer test images say nothing about a class.
MIN_TO_TRAIN, MIN_TO_TEST = 7, 3
_FIRST, _WORTH_SAYING = 64, 30.0  # pictures that tell how long all take; seconds
# A user's folder may not take the name of a published data set: its figures would pass for that one's.
_PUBLISHED = {"cifar10", "cifar10-jpeg", "custom", "digits", "mnist"}


@dataclass(frozen=True, eq=False)
class FolderDataset(Dataset):
    """A data set from `folder`: its split in words, the file of each image in it, and how many of `train` are for training.

    `left_out`: how many files were left out as unusable, by kind.
    """

    folder: Path
    split: str
    n_training: int
    train_files: tuple[str, ...]
    test_files: tuple[str, ...]
    left_out: dict[str, int] = field(default_factory=dict)
    scratch: str = ""  # a folder on whose disk pixels may lie; "": where the system keeps such files


def load(
    folder: str | Path, contract: InputContract, *, seed: int = 0, skip_bad: bool = False, scratch: str | Path = ""
) -> FolderDataset:
    """The pictures in `folder` as `contract` takes them; `seed` draws order and split.

    Their pixels lie in a file without a name on the disk of the folder `scratch` ("": where the system keeps such files).
    Raises StorageError where that is full, InputMissing or InputError; with `skip_bad`, files that cannot be used are left out
    instead.
    """
    folder = Path(folder)
    if not (min(contract.height, contract.width) >= SIDES[0] and max(contract.height, contract.width) <= SIDES[1]):
        raise InputError(f"images of {contract.height}x{contract.width}; wanted sides from {SIDES[0]} to {SIDES[1]} pixels")
    faults = Faults(folder)
    listed = listing.read(folder, faults, classes=CLASSES)
    parts, names = listed.parts, listed.names
    shape = contract.height, contract.width, contract.channels
    pixels = mapped.PixelFile(Path(scratch or tempfile.gettempdir()), len(listed.files), shape)
    keys, unread = _read(folder, [path for path, _, _ in listed.files], contract, pixels)
    for words in unread.values():
        faults.add(UNREADABLE, words)
    labels = np.array([label for _, label, _ in listed.files], np.uint8 if len(names) <= 256 else np.uint16)
    files = [str(path.relative_to(folder)) for path, _, _ in listed.files]
    home = np.array([k for _, _, k in listed.files], np.int64)
    usable = _distinct(files, keys, labels, home, faults=faults)
    left_out = faults.settle(skip=skip_bad)
    n_pictures = len(files) - sum(left_out.get(kind, 0) for kind in (UNREADABLE, TWICE, TWO_CLASSES))
    _tell_distinct(folder, usable, n_pictures, [parts[k].name for k in home])
    rng = np.random.default_rng(seed)
    if len(parts) == 1:
        training, testing, held_out = *_drawn(labels, usable, rng), usable[:0]
        split = f"stratified, {TEST_SHARE:.0%} to test, seed {seed}"
    else:
        training, testing, held_out = (rng.permutation(usable[home[usable] == k]) for k in range(3))
        split = f"{', '.join(f'{part.name}/' for part in parts[:1] + parts[2:])} and {parts[1].name}/ as they are"
    _check_enough(folder, names, labels[training], labels[testing])
    learning = np.concatenate([training, held_out])
    images = pixels.arranged(np.concatenate([learning, testing]))
    train = Split(images[: len(learning)], labels[learning])
    test = Split(images[len(learning) :], labels[testing])
    train_files, test_files = (tuple(files[i] for i in which) for which in (learning, testing))
    name = _data_name(folder)
    return FolderDataset(
        name, names, contract, train, test, folder, split, len(training), train_files, test_files, left_out, str(scratch)
    )


def _data_name(folder: Path) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")[:40].strip("-") or "pictures"
    return f"{name}-pictures" if name in _PUBLISHED else name


def _read(
    folder: Path, paths: list[Path], contract: InputContract, pixels: mapped.PixelFile
) -> tuple[dict[int, bytes], dict[int, str]]:
    """Put the pictures into `pixels` as images, each at its index; the digest of each, and why one cannot be read."""
    keys, unread, start = {}, {}, time.perf_counter()
    for index, path in enumerate(paths):
        if index == _FIRST and (seconds := (time.perf_counter() - start) / _FIRST * len(paths)) > _WORTH_SAYING:
            note(one_line(f"{folder}: about {seconds / 60:.1f} minutes to read {len(paths):,} pictures"))
        try:
            image = read_pixels(str(path), contract)
        except (InputError, InputMissing) as error:
            unread[index] = str(error)
        else:
            pixels.put(index, image)
            keys[index] = hashlib.sha256(image).digest()
    return keys, unread


def _distinct(files: list[str], keys: dict[int, bytes], labels: np.ndarray, home: np.ndarray, *, faults: Faults) -> np.ndarray:
    """Indices of the first of each picture by its digest in `keys`, int64.

    Equal ones in two classes go to `faults`, all of them; so do those in the test part that also are elsewhere.
    """
    groups: dict[bytes, list[int]] = {}
    for index, key in keys.items():
        groups.setdefault(key, []).append(index)
    kept = []
    for group in groups.values():
        tested, elsewhere = [i for i in group if home[i] == 1], [i for i in group if home[i] != 1]
        if other := [i for i in group if labels[i] != labels[group[0]]]:
            same = f"{faults.folder}: {files[group[0]]} and {files[other[0]]} are the same picture"
            faults.add(TWO_CLASSES, f"{same} in two classes: remove one", len(group))
            continue
        if tested and elsewhere:
            same = f"{faults.folder}: {files[elsewhere[0]]} and {files[tested[0]]} are the same picture"
            faults.add(TWICE, f"{same}; a test on training images proves nothing: remove one", len(tested))
        kept.append((elsewhere or tested)[0])
    return np.array(sorted(kept), np.int64)


def _tell_distinct(folder: Path, usable: np.ndarray, n_pictures: int, parts: list[str]) -> None:
    if len(usable) < n_pictures:
        left = Counter(parts[i] for i in usable)
        where = f" ({', '.join(f'{part} {n:,}' for part, n in left.items())})" if len(left) > 1 else ""
        note(one_line(f"{folder}: {n_pictures:,} pictures, {len(usable):,} of them distinct; each is used once{where}"))


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
