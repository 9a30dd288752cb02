"""Run a child process that never outlives this one."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1  # prctl(2)


def run(
    command: list[str], *, input: bytes = b"", timeout_s: float | None = None, cwd: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `command` to its end, `input` on its stdin; what it printed, as text.

    Whatever ends the wait (the timeout, an error, Ctrl-C) ends the child first, and on Linux the kernel ends it where this
    process is killed. Raises subprocess.TimeoutExpired, and OSError where the child cannot be started or read.
    """
    with _Child(command, cwd=cwd) as child:
        try:
            stdout, stderr = (output.decode(errors="replace") for output in child.communicate(input, timeout_s))
        except BaseException:
            child.end()
            raise
        return subprocess.CompletedProcess(command, child.returncode, stdout, stderr)


def last_line(done: subprocess.CompletedProcess[str], *, default: str) -> str:
    """The last line that a process wrote to stderr; `default` if it wrote none."""
    return (done.stderr.strip().splitlines() or [default])[-1]


class _Child(subprocess.Popen[bytes]):
    def __init__(self, command: list[str], *, cwd: str | None) -> None:
        pipe = subprocess.PIPE
        follow = _die_with(os.getpid()) if sys.platform == "linux" else None
        try:
            super().__init__(command, cwd=cwd, stdin=pipe, stdout=pipe, stderr=pipe, preexec_fn=follow)
        except BaseException:
            # Popen reads from a pipe whether the start succeeded; where that read fails, the child runs and nobody has it.
            if getattr(self, "pid", None):
                self.end()
            raise

    def end(self) -> None:
        """Kill the child and wait for it."""
        self.kill()
        self.wait()


def _die_with(parent: int) -> Callable[[], None]:
    """What a child does before it becomes another program: ask to be killed when `parent` dies."""
    prctl = ctypes.CDLL(None).prctl  # before the fork, where a lock of the loader may be held

    def follow() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the request
            os._exit(0)

    return follow
