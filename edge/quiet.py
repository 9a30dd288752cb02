"""Hide what native libraries write to stdout and stderr where they offer no switch for it."""

import os
import sys
from fcntl import F_DUPFD_CLOEXEC, fcntl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


class NativeChatterHidden:
    """Sends file descriptors 1 and 2 to nowhere for the length of a `with` block. What is raised still passes.

    The descriptors are the process's: another thread's output is lost for as long.
    """

    __slots__ = ("_kept",)

    def __enter__(self) -> None:
        _flush()
        self._kept: list[tuple[int, int]] = []
        for number in (1, 2):
            try:
                # From 3 up: where 2 is closed, a plain dup would put stdout there, and the chatter with it.
                self._kept.append((number, fcntl(number, F_DUPFD_CLOEXEC, 3)))
            except OSError:  # closed already
                continue
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, number)
            os.close(null)

    def __exit__(self, kind: "type[BaseException] | None", error: object, trace: "TracebackType | None") -> None:
        _flush()
        for number, kept in self._kept:
            os.dup2(kept, number)
            os.close(kept)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
