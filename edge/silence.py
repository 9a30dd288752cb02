"""Suppress what native libraries write to stdout and stderr when they have no switch for it."""

import os
import sys
from _thread import allocate_lock  # `threading` takes a millisecond to import
from fcntl import F_DUPFD_CLOEXEC, fcntl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import ClassVar


class silence_native_output:  # noqa: N801 (used like a function; importing contextlib would delay every start)
    """A context in which file descriptors 1 and 2 lead nowhere, for all threads. Exceptions still pass.

    When the contexts of several threads overlap, the first to enter silences and the last to leave restores.
    """

    __slots__ = ()

    _lock = allocate_lock()
    _n_inside = 0
    _saved: "ClassVar[list[tuple[int, int]]]" = []  # noqa: RUF012 (ruff does not read the quotes)

    def __enter__(self) -> None:
        with self._lock:
            if not silence_native_output._n_inside:
                _hide(self._saved)
            silence_native_output._n_inside += 1

    def __exit__(self, kind: "type[BaseException] | None", error: object, trace: "TracebackType | None") -> None:
        with self._lock:
            silence_native_output._n_inside -= 1
            if not silence_native_output._n_inside:
                _restore(self._saved)


def leave_stderr_to_python() -> None:
    """From here on sys.stderr alone is heard: native libraries that write to file descriptor 2 write to nowhere."""
    if sys.stderr is None:
        return
    sys.stderr.flush()
    copy, encoding = fcntl(2, F_DUPFD_CLOEXEC, 3), sys.stderr.encoding
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    sys.stderr = open(copy, "w", buffering=1, encoding=encoding, errors="backslashreplace")  # noqa: SIM115 (to the end)


def _hide(saved: "list[tuple[int, int]]") -> None:
    _flush()
    for number in (1, 2):
        try:
            # From 3 up: where 2 is closed, a plain dup would put stdout there, and the native output with it.
            saved.append((number, fcntl(number, F_DUPFD_CLOEXEC, 3)))
        except OSError:  # closed already
            continue
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, number)
        os.close(null)


def _restore(saved: "list[tuple[int, int]]") -> None:
    _flush()
    while saved:
        number, copy = saved.pop()
        os.dup2(copy, number)
        os.close(copy)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
