"""Six small batches of noise in every form that CIFAR-10 is published in."""

import io
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np

from train.datasets import cifar10

BINARY, PYTHON = "cifar-10-batches-bin", "cifar-10-batches-py"


def records(n: int, *, seed: int) -> np.ndarray:
    """`n` records of noise: uint8 [N, 3073], labels counting up."""
    made = np.random.default_rng(seed).integers(0, 256, (n, 3073), np.uint8)
    made[:, 0] = np.arange(n) % 10
    return made


# Not of one length, so that a batch out of place shows.
BATCHES = {name: records(3 + i, seed=i) for i, name in enumerate(cifar10.BATCHES)}
N_TRAIN, N_TEST = 3 + 4 + 5 + 6 + 7, 8


class Python2Pickler(pickle._Pickler):
    """Writes strings as Python 2 did: as bytes that do not say whether they are text."""

    dispatch = pickle._Pickler.dispatch.copy()

    def save_string(self, text):
        raw = text.encode() if isinstance(text, str) else text
        self.write(pickle.BINSTRING + struct.pack("<i", len(raw)) + raw)
        self.memoize(text)

    dispatch[bytes] = dispatch[str] = save_string


def python2_pickle(value) -> bytes:
    file = io.BytesIO()
    Python2Pickler(file, protocol=2).dump(value)
    # The module's name as the numpy of those days had it.
    return file.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def batch_of(rows: np.ndarray, **changed) -> bytes:
    content = {b"batch_label": b"a batch", b"data": rows[:, 1:].copy(), b"labels": rows[:, 0].tolist()}
    return python2_pickle(content | {name.encode(): value for name, value in changed.items()})


def binary_files(batches) -> dict[str, bytes]:
    return {f"{name}.bin": rows.tobytes() for name, rows in batches.items()} | {"batches.meta.txt": b"airplane\n"}


def python_files(batches) -> dict[str, bytes]:
    return {name: batch_of(rows) for name, rows in batches.items()} | {"batches.meta": python2_pickle({b"num_vis": 3072})}


def write(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def write_binary(folder: Path, batches) -> None:
    write(folder, binary_files(batches))


def packed(folder: str, files: dict[str, bytes]) -> bytes:
    """A .tar.gz, its members in an order of its own, as in the published ones."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name in sorted(files, reverse=True):
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(files[name])
            tar.addfile(member, io.BytesIO(files[name]))
    return file.getvalue()


FORMS = {
    "binary": lambda folder: write_binary(folder / BINARY, BATCHES),
    "binary, direct": lambda folder: write_binary(folder, BATCHES),
    "binary, packed": lambda folder: write(folder, {"cifar-10-binary.tar.gz": packed(BINARY, binary_files(BATCHES))}),
    "python": lambda folder: write(folder / PYTHON, python_files(BATCHES)),
    "python, packed": lambda folder: write(folder, {"cifar-10-python.tar.gz": packed(PYTHON, python_files(BATCHES))}),
}
