"""Which model answers: a named one, else the current installed one, else the shipped one. The store's reading half."""

import os

from edge import artifact, errors
from edge.artifact import Artifact
from edge.errors import InputMissing, ModelError

SHIPPED = "lenet5-relu-mnist-int8.tflite"
RECOVERY_HINT = "python -m edge rollback or start repairs it"

_HEX = "0123456789abcdef"
_CURRENT_BYTES = 4096  # three lines of at most 191 bytes; a damaged file may be longer


def load_model(named: str | None, *, allow_unverified: bool = False) -> tuple[Artifact, bool]:
    """The model that answers (`named`, else $EDGEPROOF_MODEL, else installed); whether its structure was verified before."""
    if path := named or os.environ.get("EDGEPROOF_MODEL"):
        try:
            return artifact.read(path, allow_unverified=allow_unverified), False
        except artifact.NotSealed as error:
            foreign = str(error).partition(";")[0]
            raise ModelError(f"{foreign}; edge-predict --allow-unverified lets an engine try it") from None
    installed = read_current(store := store_folder())
    if installed:
        digest, file_name, _ = installed[0]
        return read_installed(model_path(store, digest, file_name), digest), True
    return artifact.read(shipped_model()), True


def shipped_model() -> str:
    """The path of the model that came with edgeproof."""
    return os.path.join(os.path.dirname(__file__), "models", SHIPPED)


def store_folder() -> str:
    """The folder of the installed models: $EDGEPROOF_STORE, else in the user's data folder; empty for a user without a home."""
    if store := os.environ.get("EDGEPROOF_STORE"):
        return store
    data = os.environ.get("XDG_DATA_HOME", "")
    if not os.path.isabs(data):  # the XDG specification says to ignore it then
        data = os.path.expanduser("~/.local/share")
    return os.path.join(data, "edgeproof") if os.path.isabs(data) else ""


def current_file(store: str) -> str:
    """The path of the file that names the current model and those before it."""
    return os.path.join(store, "current")


def model_path(store: str, digest: str, file_name: str) -> str:
    """The path of an installed model."""
    return os.path.join(store, "models", digest, file_name)


def read_current(store: str) -> list[tuple[str, str, str]]:
    """What STORE/current names: (digest, file name, digest of the labels), current first; [] if nothing is installed.

    Raises InputMissing if it may not be read, ModelError if it cannot be or its first line names no model.
    """
    if not store:
        return []
    path = current_file(store)
    try:
        # Non-blocking, because a FIFO of this name would wait for its other end.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            content = file.read(_CURRENT_BYTES) or b""
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError as error:
        raise errors.missing(path, error) from None  # the file may be intact
    except OSError as error:
        hint = RECOVERY_HINT if os.path.isdir(store) else "name another folder in EDGEPROOF_STORE"
        raise ModelError(f"{path}: {error.strerror or error}; {hint}") from None
    rows = [_row(line) for line in content.splitlines()]
    if not rows or not rows[0]:
        raise ModelError(f"{path}: names no model (begins {content[:16]!r}); {RECOVERY_HINT}")
    return [row for row in rows if row]


def _row(line: bytes) -> tuple[str, str, str] | None:
    """The three fields of a line; None if they lead out of the store, whatever a power failure left there."""
    fields = line.decode("ascii", "replace").split()
    if len(fields) != 3 or not is_digest(fields[0]) or "/" in fields[1]:
        return None
    return fields[0], fields[1], fields[2]


def is_digest(text: str) -> bool:
    """Whether `text` is a SHA-256 in lower-case hexadecimal."""
    return len(text) == 64 and not text.strip(_HEX)


def read_installed(path: str, digest: str) -> Artifact:
    """The model at `path`, its seal checked. Raises InputMissing if it may not be read, and ModelError if it cannot be read
    or is no longer the one that was installed there, whose seal is `digest`."""
    try:
        model = artifact.read(path)
    except (InputMissing, ModelError) as error:
        if isinstance(error.__context__, PermissionError):
            raise  # the file may be intact
        raise ModelError(f"{str(error).removesuffix('; copy the file again')}; {RECOVERY_HINT}") from None
    if model.digest != digest:
        raise ModelError(f"{model.path}: not the model that was installed there; {RECOVERY_HINT}")
    return model
