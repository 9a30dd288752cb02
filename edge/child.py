"""Run a child process that never outlives this one."""

import subprocess

from edge import limits


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
        try:
            super().__init__(command, cwd=cwd, stdin=pipe, stdout=pipe, stderr=pipe, preexec_fn=limits.end_together())
        except BaseException:
            # Popen reads from a pipe whether the start succeeded; where that read fails, the child runs and nobody has it.
            if getattr(self, "pid", None):
                self.end()
            raise

    def end(self) -> None:
        """Kill the child and wait for it."""
        self.kill()
        self.wait()
