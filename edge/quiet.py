"""Hide what native libraries write to stdout and stderr where they offer no switch for it."""

import os
import sys

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
        null = os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):
            try:
                self._kept.append((number, os.dup(number)))
            except OSError:  # closed already
                continue
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
