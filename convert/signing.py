"""Sign a published model, so that `python -m edge install --require-signature` can tell who made it."""

import importlib
import os
import tempfile
from typing import Any

from edge import errors, files
from edge.errors import InputError, StorageError, one_line
from edge.store.signature import ENDING


def check_key(key: str) -> None:
    """Return if `sign` can sign by `key`; raises what it would raise, before there is anything to sign."""
    _signer(key)


def sign(path: str, key: str) -> str:
    """Write the OpenSSF model signature of the file `path` beside it, and return its path.

    `key` is the file of an elliptic-curve private key: PEM, P-256, P-384 or P-521, without a password. Raises InputMissing
    where a file is not there, InputError for another kind of key, StorageError, and ModuleNotFoundError where model-signing
    is not installed.
    """
    signer = _signer(key)
    if not os.path.isfile(path):
        raise errors.InputMissing(f"{one_line(path)}: not a file to sign")
    # The library writes in place; ours are whole or not there.
    with tempfile.TemporaryDirectory() as folder:
        draft = os.path.join(folder, "signature")
        signer.sign(path, draft)
        with open(draft, "rb") as file:
            files.write_atomic(path + ENDING, file.read())
    return path + ENDING


def write_signed(path: str, data: bytes, key: str) -> None:
    """Put `data` at `path` and its signature beside it, the signature first: a file of that name is never unsigned.

    Raises what `sign` raises; then neither is written.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            draft = os.path.join(folder, "model")
            files.write_atomic(draft, data)
            with open(sign(draft, key), "rb") as file:
                signature = file.read()
    except OSError as error:
        raise StorageError(one_line(f"{path}: cannot be signed, not published: {error}")) from None
    files.write_atomic(path + ENDING, signature)
    files.write_atomic(path, data)


def _signer(key: str) -> Any:
    """The library's signing configuration with the private key in the file `key`."""
    signing = importlib.import_module("model_signing.signing")
    try:
        return signing.Config().use_elliptic_key_signer(private_key=key)
    except OSError as error:
        raise errors.missing(key, error) from None
    except Exception as error:  # the library's own errors have no base class; an RSA key is an AttributeError
        said = "another kind" if isinstance(error, AttributeError) else str(error).split("\n")[0].split(". ")[0]
        wanted = "not an elliptic-curve private key in PEM without a password"
        raise InputError(one_line(f"{key}: {wanted} ({said})")) from None
