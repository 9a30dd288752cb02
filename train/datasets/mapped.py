"""Images in a file that is mapped into memory, so that memory does not grow with their number.

The file has no name: the system frees it when the process ends, however that ends, so no run leaves one behind or finds one.
"""

import contextlib
import errno
import mmap
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edge.errors import StorageError

_MIB = 1 << 20
_PASS_MIB = 32  # of mapped images that are in memory at once while all are looked at


class PixelFile:
    """Room for `n` images uint8 `shape` on the disk of `folder`. Raises StorageError where the disk has less.

    Without a reservation, a disk that fills up would kill the process at a page it cannot write (SIGBUS).
    """

    def __init__(self, folder: Path, n: int, shape: tuple[int, int, int]) -> None:
        self._shape, self._n_bytes = shape, int(np.prod(shape))
        self._folder = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.is_dir())
        try:
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115  # as long as this value lives
            _reserve(self._file.fileno(), n * self._n_bytes)
        except OSError as error:
            wanted = f"no room for {-(-n * self._n_bytes // _MIB):,} MiB of pixels"
            raise StorageError(
                f"{self._folder}: {wanted} ({error.strerror or error}): free it, or name a folder on another disk with --out"
            ) from None

    def put(self, index: int, pixels: bytes) -> None:
        """Write the image `index`."""
        view, at = memoryview(pixels), index * self._n_bytes
        try:
            while view:
                written = os.pwrite(self._file.fileno(), view, at)
                view, at = view[written:], at + written
        except OSError as error:
            raise StorageError(f"{self._folder}: pixels cannot be written: {error.strerror or error}") from None

    def arranged(self, order: np.ndarray) -> np.ndarray:
        """The images `order`, int [m], in this order, mapped and not writable: uint8 [m, H, W, C]. Once a file."""
        n = os.fstat(self._file.fileno()).st_size // self._n_bytes
        left = np.setdiff1d(np.arange(n), order)
        self._permute([*order.tolist(), *left.tolist()])
        if not len(order):
            return np.empty((0, *self._shape), np.uint8)
        return np.memmap(self._file, np.uint8, "r", shape=(len(order), *self._shape))

    def _permute(self, sources: list[int]) -> None:
        """Move the image `sources[i]` to place i, all of them, in place: cycle by cycle."""
        for start in range(len(sources)):
            at, held = start, b""
            while sources[at] != at:
                source, sources[at] = sources[at], at
                held = held or self._get(start)
                self.put(at, held if source == start else self._get(source))
                at = source

    def _get(self, index: int) -> bytes:
        return os.pread(self._file.fileno(), self._n_bytes, index * self._n_bytes)


def _reserve(file: int, n_bytes: int) -> None:
    """Have the disk set `n_bytes` aside. Raises OSError where it has less."""
    if not n_bytes:
        return
    with contextlib.suppress(AttributeError):  # macOS has none
        try:
            os.posix_fallocate(file, 0, n_bytes)
            return
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                raise
    for start in range(0, n_bytes, _MIB):
        os.pwrite(file, bytes(min(_MIB, n_bytes - start)), start)


def release(images: np.ndarray) -> None:
    """Give back the memory that mapped images take; they are read again when they are looked at. Other arrays stay."""
    mapped = getattr(images, "_mmap", None)
    if mapped is not None:
        mapped.madvise(mmap.MADV_DONTNEED)


def each(images: np.ndarray) -> Iterator[np.ndarray]:
    """Every image of `images`, uint8 [N, H, W, C], a few in memory at a time."""
    for batch in batches(images, n=max(1, _PASS_MIB * _MIB // max(1, images[:1].nbytes))):
        yield from batch


def batches(images: np.ndarray, *, n: int) -> Iterator[np.ndarray]:
    """`images`, uint8 [N, H, W, C], by `n`; only these are in memory."""
    for start in range(0, len(images), n):
        yield images[start : start + n]
        release(images)
