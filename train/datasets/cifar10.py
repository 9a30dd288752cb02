"""CIFAR-10, from its binary or its Python files, unpacked or in their archive.

Five batches train, one tests. A binary record is 1 label byte and 3,072 pixel bytes: a red, a green and a blue plane,
row by row. The Python batches (`pickled.py`) hold the same images in the same order. Source: the data set's page, https://www.cs.toronto.edu/~kriz/cifar.html.
"""

import gzip
import io
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from edge.contract import CIFAR
from edge.errors import InputError, InputMissing, missing, note
from train.datasets import published
from train.datasets.dataset import Dataset, Split
from train.datasets.pickled import parse_batch

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# SHA-256 of each binary batch; the last is the test split.
BATCHES = {
    "data_batch_1": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}
ARCHIVES = {"cifar-10-binary.tar.gz": "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"}
MIRRORS = ("https://www.cs.toronto.edu/~kriz/",)

# This project's figures were measured on a copy whose images had been stored as JPEG (quality 75), decoded by Pillow 13.0,
# for lack of the original. A decoder that differs in one bit makes another copy, called `custom`.
JPEG_COPY_DIGEST = "9d954b69a4f1b27d632a1aec7f281a952097f291766fa97caa4d178513fe64fc"

RECORD_BYTES = 1 + CIFAR.n_values
MAX_BATCH_MIB = 256  # the published ones have 30


@dataclass(frozen=True)
class BatchFormat:
    """One of CIFAR-10's two published formats; `records` parses a batch (its bytes, its name) into uint8 [N, 3073]."""

    folder: str
    archive: str
    ending: str
    records: Callable[[bytes, str], np.ndarray]

    @property
    def file_names(self) -> tuple[str, ...]:
        return tuple(batch + self.ending for batch in BATCHES)


def load(data_dir: str | None = None) -> Dataset:
    """CIFAR-10, or `cifar10-jpeg` or `custom` for other images in a named folder, with a note. Raises as `mnist.load` does."""
    folder = published.named_folder(data_dir, "cifar10", wanted="CIFAR-10")
    batches = list(_batches_in(folder) if folder else _published_batches())
    is_published = [published.sha256(batch.data) for batch in batches] == list(BATCHES.values())
    test = _split([batches.pop()])
    dataset = Dataset("cifar10", CLASS_NAMES, CIFAR, _split(batches), test)
    if is_published:
        return dataset
    if dataset.digest == JPEG_COPY_DIGEST:
        note(
            f"{folder}: a JPEG copy of CIFAR-10: figures on it are a few points below the original's; "
            "files say `cifar10-jpeg`, not `cifar10`."
        )
        return replace(dataset, name="cifar10-jpeg")
    note(f"{folder}: not the published CIFAR-10; files and figures will say `custom`, not `cifar10`.")
    return replace(dataset, name="custom")


def _split(batches: list[np.ndarray]) -> Split:
    """The images and labels of `batches` (records); empties the list, so that no batch is in memory twice."""
    n = sum(map(len, batches))
    images, labels = np.empty((n, 32, 32, 3), np.uint8), np.empty(n, np.uint8)
    filled = 0
    while batches:
        batch = batches.pop(0)
        rows = slice(filled, filled + len(batch))
        labels[rows] = batch[:, 0]
        images[rows] = batch[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        filled += len(batch)
    return Split(images, labels)


def _batches_in(folder: Path) -> Iterator[np.ndarray]:
    """The records of the six batches in a folder, in the order of BATCHES; binary files are preferred."""
    for batch_format in (BINARY, PYTHON):
        if (folder / batch_format.folder).is_dir():
            return _unpacked(folder / batch_format.folder, batch_format)
        if batch_format is BINARY and any((folder / name).exists() for name in batch_format.file_names):
            return _unpacked(folder, batch_format)
        if (folder / batch_format.archive).exists():
            return _opened(folder / batch_format.archive, batch_format)
    wanted = f"{BINARY.folder}, {BINARY.archive}, {PYTHON.folder} or {PYTHON.archive}"
    raise InputMissing(f"{folder}: no CIFAR-10 in it; name a folder that holds {wanted}")


def _published_batches() -> Iterator[np.ndarray]:
    files = published.files(
        "CIFAR-10", ARCHIVES, folder="cifar10", mirrors=MIRRORS, wanted=f"{BINARY.folder} or {BINARY.archive}"
    )
    ((path, content),) = files.items()
    return _packed(io.BytesIO(content), path, BINARY)


def _unpacked(folder: Path, batch_format: BatchFormat) -> Iterator[np.ndarray]:
    for path in (folder / name for name in batch_format.file_names):
        try:
            with open(path, "rb") as file:
                content = file.read((MAX_BATCH_MIB << 20) + 1)
        except FileNotFoundError:
            raise InputMissing(f"{path}: no such file; wanted all six batches of CIFAR-10") from None
        except OSError as error:
            raise missing(str(path), error) from None
        _check_size(len(content), str(path))
        yield batch_format.records(content, str(path))


def _opened(archive: Path, batch_format: BatchFormat) -> Iterator[np.ndarray]:
    try:
        with open(archive, "rb") as file:
            yield from _packed(file, archive, batch_format)
    except OSError as error:
        raise missing(str(archive), error) from None


def _packed(file: BinaryIO, archive: Path, batch_format: BatchFormat) -> Iterator[np.ndarray]:
    """The records of the six batches in a .tar.gz. Nothing is extracted to the disk; other members are not read."""
    wanted = [f"{batch_format.folder}/{name}" for name in batch_format.file_names]
    records: dict[str, np.ndarray] = {}
    try:
        with gzip.open(file) as unzipped, tarfile.open(fileobj=unzipped, mode="r|") as tar:
            for member in tar:
                if member.name in wanted and member.isreg():
                    name = f"{archive}: {member.name}"
                    _check_size(member.size, name)
                    content = tar.extractfile(member)
                    assert content is not None  # it is a regular file
                    records[member.name] = batch_format.records(content.read(), name)
            while unzipped.read(1 << 20):  # to the end: gzip's checksum is there
                pass
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise InputError(f"{archive}: damaged .tar.gz file ({error}); copy the file again") from None
    for name in wanted:
        if name not in records:
            raise InputError(f"{archive}: holds no {name}; wanted all six batches of CIFAR-10: copy the file again")
        yield records.pop(name)


def _check_size(n_bytes: int, name: str) -> None:
    if n_bytes > MAX_BATCH_MIB << 20:
        raise InputError(f"{name}: more than {MAX_BATCH_MIB} MiB; a batch of CIFAR-10 has 30: copy the file again")


def _binary_records(content: bytes, name: str) -> np.ndarray:
    if not content or len(content) % RECORD_BYTES:
        raise InputError(
            f"{name}: {len(content):,} bytes; wanted one or more whole records of {RECORD_BYTES:,} bytes: copy the file again"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD_BYTES)
    highest = records[:, 0].max()
    if highest > 9:
        raise InputError(f"{name}: holds a label {highest}; CIFAR-10's are 0 to 9: copy the file again")
    return records


def _python_records(content: bytes, name: str) -> np.ndarray:
    pixels, labels = parse_batch(content, name=name)
    records = np.empty((len(labels), RECORD_BYTES), np.uint8)
    records[:, 0], records[:, 1:] = labels, pixels
    return records


BINARY = BatchFormat("cifar-10-batches-bin", "cifar-10-binary.tar.gz", ".bin", _binary_records)
PYTHON = BatchFormat("cifar-10-batches-py", "cifar-10-python.tar.gz", "", _python_records)
