"""Files that are whole or not there: written beside their place, flushed to the disk, then renamed."""

import os

from edge.errors import StorageError, one_line


def write_whole(path: str, data: bytes) -> None:
    """Put `data` at `path`, making the folder where needed; a crash leaves the old file or the new one, never half.

    Raises `StorageError` with the path and the system's reason; the partial file is removed.
    """
    folder, name = os.path.split(os.path.abspath(path))
    partial = os.path.join(folder, f".{name}.{os.getpid()}.partial")
    try:
        os.makedirs(folder, exist_ok=True)
        with open(partial, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        # The rename itself must reach the disk too.
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise StorageError(one_line(f"{path}: cannot be written: {error.strerror or error}")) from None
    finally:
        if os.path.exists(partial):
            os.unlink(partial)
