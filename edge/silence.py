"""Hide what native libraries write to stdout and stderr where they offer no switch for it."""

import os
import sys
from _thread import allocate_lock  # `threading` takes a millisecond to import
from fcntl import F_DUPFD_CLOEXEC, fcntl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import ClassVar


class NativeChatterHidden:
    """Sends file descriptors 1 and 2 to nowhere for the length of a `with` block. What is raised still passes.

    The descriptors are the process's: another thread's output is lost for as long. Of threads whose blocks overlap, the
    first hides and the last brings back, or what one found hidden it would leave so for good.
    """

    __slots__ = ()

    _lock = allocate_lock()
    _n_inside = 0
    _kept: "ClassVar[list[tuple[int, int]]]" = []  # noqa: RUF012 (ruff does not read the quotes)

    def __enter__(self) -> None:
        with self._lock:
            if not NativeChatterHidden._n_inside:
                _hide(self._kept)
            NativeChatterHidden._n_inside += 1

    def __exit__(self, kind: "type[BaseException] | None", error: object, trace: "TracebackType | None") -> None:
        with self._lock:
            NativeChatterHidden._n_inside -= 1
            if not NativeChatterHidden._n_inside:
                _bring_back(self._kept)


def _hide(kept: "list[tuple[int, int]]") -> None:
    _flush()
    for number in (1, 2):
        try:
            # From 3 up: where 2 is closed, a plain dup would put stdout there, and the chatter with it.
            kept.append((number, fcntl(number, F_DUPFD_CLOEXEC, 3)))
        except OSError:  # closed already
            continue
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, number)
        os.close(null)


def _bring_back(kept: "list[tuple[int, int]]") -> None:
    _flush()
    while kept:
        number, copy = kept.pop()
        os.dup2(copy, number)
        os.close(copy)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
