"""Our .npz files: named arrays and a JSON description. Read without pickle, written atomically."""

import io
import json
import struct
import tokenize
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from edge.errors import InputError, missing
from edge.files import write_atomic

_ABOUT = "about.json"
_BEGINS = b"PK\x03\x04"  # a zip archive that is not empty
# What flipped bits raise, in the archive, in an array's header, in the text.
_DAMAGE = (
    EOFError, KeyError, NotImplementedError, OverflowError, RuntimeError, SyntaxError, TypeError, ValueError,
    struct.error, tokenize.TokenError, zipfile.BadZipFile,
)  # fmt: skip


def write(path: Path, about: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Write `about` (JSON) and the `arrays` to `path`, atomically. Raises StorageError."""
    buffer = io.BytesIO()
    everything: dict[str, Any] = {_ABOUT: np.array(json.dumps(about)), **arrays}
    np.savez(buffer, **everything)
    write_atomic(str(path), buffer.getvalue())


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The `about` and `arrays` that `write` wrote. Raises InputMissing, or InputError if the file is damaged."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise missing(str(path), error) from None
    if not data.startswith(_BEGINS):  # numpy would take it for a pickle, and advise loading it as one
        raise InputError(f"{path}: not a checkpoint (it does not begin like one): train again or copy it again")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        about = json.loads(str(arrays.pop(_ABOUT)))
    except (*_DAMAGE, OSError) as error:
        why = "an array in it is not of plain numbers" if "pickle" in str(error) else error
        raise InputError(f"{path}: damaged ({why}); remove its folder and train again, or copy it again") from None
    return about, arrays
