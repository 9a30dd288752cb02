"""Who made this model? A detached OpenSSF model signature (`python -m convert --sign`), checked with a public key."""

import contextlib
import importlib
import os
import tempfile

from edge import errors
from edge.errors import InputError, InputMissing, ModelError, StorageError, one_line

ENDING = ".sig"  # the signature of m.tflite is m.tflite.sig


def verify(path: str, data: bytes, *, key: str) -> None:
    """Check that the signature beside `path` is of `data` and made with the private half of the public key in the file `key`.

    Raises ModelError if not, InputMissing or InputError for the key, ModuleNotFoundError without model-signing.
    """
    verifying = importlib.import_module("model_signing.verifying")
    check_file(key)
    beside, shown = path + ENDING, one_line(path)
    try:
        verifier = verifying.Config().use_elliptic_key_verifier(public_key=key)
    except OSError as error:
        raise errors.missing(key, error) from None
    except Exception as error:  # the library's own errors have no base class; an RSA key is an AttributeError
        raise InputError(f"{key}: not an elliptic-curve public key in PEM ({_reason(error)})") from None
    try:
        if not os.path.isfile(beside):
            os.stat(beside)
            raise InputMissing(f"{beside}: not a file")
    except OSError:
        raise ModelError(f"{shown}: not signed: there is no {os.path.basename(beside)} beside it") from None
    try:
        # The library hashes a file: it gets a copy of `data`, because the original could change between two readings.
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(None):
            copy = os.path.join(folder, "model")
            with open(copy, "wb") as file:
                file.write(data)
            verifier.verify(copy, beside)
    except OSError as error:
        raise StorageError(f"{path}: its signature cannot be checked: {error}") from None
    except Exception as error:
        raise ModelError(f"{path}: its signature does not verify with {key} ({_reason(error)})") from None


def check_file(key: str) -> None:
    """Raise InputMissing unless `key` is a regular file: a FIFO would wait for its other end, and a device never ends."""
    try:
        if not os.path.isfile(key):
            os.stat(key)
            raise InputMissing(f"{key}: not a file; name the file of a key")
    except OSError as error:
        raise errors.missing(key, error) from None


def _reason(error: Exception) -> str:
    """The first sentence of a library's message, or its exception's name."""
    line = str(error).split("\n")[0]
    return "the file is another one" if line.startswith("Signature mismatch") else line.split(". ")[0] or type(error).__name__
