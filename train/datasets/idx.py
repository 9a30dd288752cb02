"""Read IDX files, MNIST's format, gzipped or not.

Format: two zero bytes, a type code (8 = unsigned byte), the number of dimensions, each dimension as a big-endian
32-bit number, then the values. Source: "The IDX file format", on the MNIST page of LeCun, Cortes and Burges.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from edge.errors import InputError, missing


def parse_idx(data: bytes, *, name: str, dimensions: int) -> np.ndarray:
    """The array in `data`, the IDX file `name` uncompressed: uint8, shape as its header says. Raises InputError."""
    if not data:
        raise InputError(f"{name}: empty; copy the file again")
    wanted = bytes((0, 0, 8, dimensions))
    if data[:4] != wanted:
        raise InputError(f"{name}: begins {data[:4].hex()}, an IDX file of {dimensions} dimensions begins {wanted.hex()}")
    header = 4 + 4 * dimensions
    if len(data) < header:
        raise InputError(f"{name}: truncated inside its header ({len(data)} bytes of {header}); copy the file again")
    shape = struct.unpack(f">{dimensions}I", data[4:header])
    n_values = math.prod(shape)
    if len(data) - header != n_values:
        raise InputError(
            f"{name}: holds {len(data) - header} values, its header says {n_values} "
            f"({' x '.join(map(str, shape))}); copy the file again"
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def uncompressed(path: Path) -> bytes:
    """The bytes of `path`, decompressed if gzipped. Raises InputMissing, or InputError if the gzip data is damaged."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise missing(str(path), error) from None
    if raw[:2] != b"\x1f\x8b":
        return raw
    try:
        content = gzip.decompress(raw)
    except (EOFError, OSError, zlib.error) as error:
        raise InputError(f"{path}: damaged gzip file ({error}); copy the file again") from None
    if content[:2] == b"\x1f\x8b":
        raise InputError(f"{path}: gzipped twice; unpack it once, with gunzip, and name the result {path.name}")
    return content
