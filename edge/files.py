"""Write files atomically: beside their place first, flushed to the disk, then renamed."""

import contextlib
import os

from edge import errors

_PARTIAL = ".partial"


def write_atomic(path: str, data: bytes) -> None:
    """Write `data` to `path` and its folder: a crash leaves the old file or the new one. Raises StorageError with the path."""
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
        raise errors.unwritable(path, error) from None
    finally:
        if os.path.exists(partial):
            os.unlink(partial)


def sync_folder(folder: str) -> None:
    """Flush the directory entries of `folder` to the disk. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def clear_partials(folder: str) -> None:
    """Remove what killed processes left half written in `folder`; call it before this process itself writes there."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        process = name.removesuffix(_PARTIAL).rpartition(".")[2]
        if name.startswith(".") and name.endswith(_PARTIAL) and process.isdecimal() and _has_ended(int(process)):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, name))


def _has_ended(process: int) -> bool:
    if process == os.getpid():
        return True
    if os.name != "posix":
        return False  # elsewhere signal 0 is not a question
    try:
        os.kill(process, 0)
    except (OSError, OverflowError) as error:
        return isinstance(error, ProcessLookupError)  # else another user's process, or not a process id
    return False
