"""A process on the other end of two pipes: a line in, a line out."""

import subprocess
import tempfile
from contextlib import suppress
from typing import Self

from edge import errors
from edge.errors import ToolchainError, one_line


class WorkerEnded(ToolchainError):
    """The process ended instead of answering."""


class WorkerProcess:
    """A running `argv`, killed at the end of the context. `failure` begins the message when it ends by itself."""

    def __init__(self, argv: list[str], *, failure: str) -> None:
        self._failure = failure
        self._errors = tempfile.TemporaryFile(mode="w+")  # noqa: SIM115 (lives as long as the process; a pipe could fill up)
        pipe = subprocess.PIPE
        try:
            self._child = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=self._errors, text=True, bufsize=1)
        except OSError as error:
            raise errors.missing(argv[0], error) from None

    def ask(self, line: str) -> str:
        """The answer to `line`. Raises WorkerEnded with the last line of the process's stderr."""
        assert self._child.stdin
        with suppress(BrokenPipeError):  # it has ended; `read` says why
            self._child.stdin.write(f"{line}\n")
        return self.read()

    def read(self) -> str:
        """The next line it writes. Raises WorkerEnded."""
        assert self._child.stdout
        if line := self._child.stdout.readline():
            return line.strip()
        self._child.wait()
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines() or ["it ended without a message"]
        raise WorkerEnded(f"{self._failure}: {one_line(lines[-1])}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.kill()
        self._child.communicate()
        self._errors.close()
