"""Sign published models, so that `python -m edge install --require-signature` can tell who made them."""

import importlib
import tempfile
from pathlib import Path
from typing import Any

from edge import errors, files
from edge.errors import InputError, StorageError
from edge.store.signature import ENDING, check_file


def check_key(key: str) -> None:
    """Raise what `write_signed` would raise for the `key`, before there is anything to sign."""
    _signer(key)


def write_signed(path: str, data: bytes, key: str) -> None:
    """Put `data` at `path` and before it its OpenSSF signature by the EC private `key` (PEM, no password) beside it.

    Raises InputMissing or InputError for the key, StorageError, ModuleNotFoundError; then neither file is written.
    """
    signer = _signer(key)
    try:
        with tempfile.TemporaryDirectory() as folder:  # the library reads and writes files, and not atomically
            model, signed = Path(folder, "model"), Path(folder, "signature")
            model.write_bytes(data)
            signer.sign(str(model), str(signed))
            signature = signed.read_bytes()
    except OSError as error:
        raise StorageError(f"{path}: cannot be signed, not published: {error}") from None
    files.write_atomic(path + ENDING, signature)
    files.write_atomic(path, data)


def _signer(key: str) -> Any:
    """The library's signer with the private key in the file `key`."""
    signing = importlib.import_module("model_signing.signing")
    check_file(key)
    try:
        return signing.Config().use_elliptic_key_signer(private_key=key)
    except OSError as error:
        raise errors.missing(key, error) from None
    except Exception as error:  # the library's own errors have no base class; an RSA key is an AttributeError
        reason = "another kind" if isinstance(error, AttributeError) else str(error).split("\n")[0].split(". ")[0]
        wanted = "not an elliptic-curve private key in PEM without a password"
        raise InputError(f"{key}: {wanted} ({reason})") from None
