"""Files that are whole or not there: written beside their place, flushed to the disk, then renamed."""

import contextlib
import os

from edge.errors import StorageError, one_line

_PARTIAL = ".partial"


def write_atomic(path: str, data: bytes) -> None:
    """Put `data` at `path`, making the folder where needed; a crash leaves the old file or the new one, never half.

    Raises `StorageError` with the path and the system's reason; the partial file is removed.
    """
    folder, name = os.path.split(os.path.abspath(path))
    partial = os.path.join(folder, f".{name}.{os.getpid()}{_PARTIAL}")
    try:
        os.makedirs(folder, exist_ok=True)
        with open(partial, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        sync_folder(folder)  # the rename itself must reach the disk too
    except OSError as error:
        raise StorageError(one_line(f"{path}: cannot be written: {error.strerror or error}")) from None
    finally:
        if os.path.exists(partial):
            os.unlink(partial)


def sync_folder(folder: str) -> None:
    """Flush to the disk which names `folder` holds. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def clear_partials(folder: str) -> None:
    """Remove from `folder` what killed processes left there half written; a living process's files stay.

    Called before this process writes there: a file that bears its number is then a dead namesake's. What cannot be
    listed or removed is left.
    """
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        process = name.removesuffix(_PARTIAL).rpartition(".")[2]
        if name.startswith(".") and name.endswith(_PARTIAL) and process.isdecimal() and _is_gone(int(process)):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, name))


def _is_gone(process: int) -> bool:
    if process == os.getpid():
        return True
    if os.name != "posix":
        return False  # elsewhere signal 0 is no question
    try:
        os.kill(process, 0)
    except (OSError, OverflowError) as error:
        return isinstance(error, ProcessLookupError)  # the others: another user's process, no process's number
    return False
