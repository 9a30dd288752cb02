"""IDX files: read exactly, or refused in one line."""

import gzip
import struct

import numpy as np
import pytest

from edge.errors import InputError, InputMissing
from train.datasets.idx import parse_idx, uncompressed


def idx(array: np.ndarray) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def read(path):
    return parse_idx(uncompressed(path), name=str(path), dimensions=3)


IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


@pytest.mark.parametrize("wrap", [bytes, gzip.compress])
def test_what_was_written_is_read_gzipped_or_not(wrap, tmp_path):
    path = tmp_path / "images"
    path.write_bytes(wrap(idx(IMAGES)))
    np.testing.assert_array_equal(read(path), IMAGES)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: data[:-1], "holds 23 values, its header says 24 (2 x 3 x 4); copy the file again"),
        (lambda data: data + b"\0", "holds 25 values, its header says 24"),
        (lambda data: data[:9], "truncated inside its header (9 bytes of 16)"),
        (lambda data: b"\0\0\x0d\x03" + data[4:], "begins 00000d03, an IDX file of 3 dimensions begins 00000803"),
        (lambda data: b"", "images: empty; copy the file again"),
        (lambda data: data[:1], "begins 00, an IDX file"),
        (lambda data: gzip.compress(data)[:-9], "damaged gzip file"),
        (lambda data: gzip.compress(gzip.compress(data)), "gzipped twice; unpack it once"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(damage, says, tmp_path):
    path = tmp_path / "images"
    path.write_bytes(damage(idx(IMAGES)))
    with pytest.raises(InputError) as refusal:
        read(path)
    assert says in str(refusal.value) and "\n" not in str(refusal.value)
    assert refusal.value.exit_code == 65


def test_no_such_file(tmp_path):
    with pytest.raises(InputMissing, match="gone: No such file"):
        read(tmp_path / "gone")
