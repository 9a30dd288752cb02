"""What a child process may take: it ends with its parent, and a model in it has a bound of memory and of processor time."""

import os
import sys
from _thread import get_native_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MODEL_MIB = 384  # for what a model computes with, and
FILE_FOLD = 4  # times its file, and
THREAD_MIB = 16  # for each thread beyond the first
_PR_SET_PDEATHSIG, _SIGKILL = 1, 9  # prctl(2)


def end_together(*, outlives_thread: bool = False) -> "Callable[[], None]":
    """What a child of this process calls first: from then on the kernel kills it when this process ends, however that comes
    about (Linux).

    The kernel takes the thread that started it for the parent: where the child `outlives_thread`, and that is not the main
    one, it must end by itself.
    """
    parent = os.getpid()
    prctl = None
    if sys.platform == "linux" and not (outlives_thread and get_native_id() != parent):
        import ctypes

        prctl = ctypes.CDLL(None).prctl  # before the fork, where a lock of the loader may be held

    def follow() -> None:
        if prctl:
            prctl(_PR_SET_PDEATHSIG, _SIGKILL)
        if os.getppid() != parent:  # it died before the request
            os._exit(0)

    return follow


def for_model(file_bytes: int, *, threads: int = 1) -> int:
    """The bytes of memory that a model may take whose file has `file_bytes`."""
    return (MODEL_MIB + (threads - 1) * THREAD_MIB << 20) + FILE_FOLD * file_bytes


def memory(more: int) -> None:
    """Refuse this process memory of its own beyond what it has and `more` bytes (Linux; elsewhere nothing happens)."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        with open("/proc/self/status", "rb") as file:
            used = next(int(line.split()[1]) << 10 for line in file if line.startswith(b"VmData:"))
    except (OSError, StopIteration):
        return
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    wanted = used + more
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


def processor_time(seconds: float) -> None:
    """Have SIGPROF end this process after `seconds` of processor time in all its threads; 0 for no end."""
    import signal

    signal.setitimer(signal.ITIMER_PROF, seconds)
