"""An engine in a child process: whatever a library or a model does there (crash, hang, take all memory) is one line here.

The child is this process once more, so the bytes that were checked are the bytes that run. Its stdout and stderr lead
nowhere. Messages are a letter, a length in four bytes, and as many bytes; the child's first ones tell that the library was
imported and the model loaded, then every image is answered by an output or an error.
"""

import os
import select
import signal
import struct
import sys
from fcntl import F_DUPFD_CLOEXEC, fcntl

from edge import limits
from edge.artifact import Artifact
from edge.contract import ModelContract
from edge.errors import EngineMissing, EngineUnavailable, ModelError, OutOfMemory, StorageError, ToolchainError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# By the clock, and of processor time: an import from a slow card or on an emulated processor takes its time.
PATIENCE_S = {"import": 180.0, "load": 60.0, "run": 10.0}
IMPORT_S, LOAD_S = 120.0, 20.0
ANSWER_S = 5.0  # of processor time
MAX_HANGS = 3  # after so many pictures without an answer, each given a quarter of the time before, no other is tried

_HEAD = struct.Struct("<cL")
_IMPORTED, _LOADED, _OUTPUT = b"I", b"L", b"O"
_ERRORS: dict[bytes, type[ToolchainError]] = {
    b"N": EngineMissing, b"U": EngineUnavailable, b"M": ModelError, b"R": OutOfMemory, b"S": StorageError,
}  # fmt: skip


class EngineInChild:
    """The engine that `load` gives after `bring`, in a child of its own; started anew where a picture ended the one before."""

    def __init__(
        self, artifact: Artifact, *, title: str, advice: str, threads: int, bring: "Callable[[], None]",
        load: "Callable[[], Any]",
    ) -> None:  # fmt: skip
        """Start it; `title` is the library's, `advice` how to install that.

        Raises ModelError if `artifact` is at fault, else the error for what is.
        """
        self._artifact, self._title, self._advice = artifact, title, advice
        self._bring, self._load = bring, load
        self._bytes = limits.for_model(len(artifact.data), threads=threads)
        self._seconds = ANSWER_S * threads
        self._child, self._hangs, self._owner = 0, 0, os.getpid()
        self._seconds_in_all = 0
        self._start()

    def run(self, pixels: bytes) -> bytes:
        """The raw output tensor for one image, uint8 [H, W, C] as bytes. Raises ModelError where the model fails on it."""
        if self._hangs == MAX_HANGS:
            raise ModelError(f"{self._artifact.path}: gave no answer to {MAX_HANGS} pictures; not tried on this one")
        if self._owner != os.getpid():  # in a fork: that child answers the process that started it
            self._forget()
        if not self._child:
            self._start()
        return self._expect(_OUTPUT, pixels, during="run")

    def describe(self) -> ModelContract:
        """The contract that the model itself describes; a sealed model's own, with which it was compared."""
        return self._artifact.contract or self._described

    def end_after(self, seconds: int) -> None:
        """Have the kernel end the child after `seconds` of processor time in all, its start included (Linux)."""
        import resource

        self._seconds_in_all = seconds
        if self._child and sys.platform == "linux":
            resource.prlimit(self._child, resource.RLIMIT_CPU, (seconds, seconds + 1))

    def end_process(self) -> None:
        """End the child."""
        if self._child and os.getpid() == self._owner:  # a fork of this process may forget it too
            child = self._forget()
            os.kill(child, signal.SIGKILL)
            _status(child)

    def __del__(self) -> None:
        self.end_process()

    def _forget(self) -> int:
        """The child's process id; from now on there is none."""
        child, self._child, self._owner = self._child, 0, os.getpid()
        if child:
            os.close(self._to)
            os.close(self._from)
        return child

    def _start(self) -> None:
        follow = limits.end_together(outlives_thread=True)  # it ends when its pipe does, too
        try:
            there, self._to = _pipe()
            self._from, back = _pipe()
            child = os.fork()
        except OSError as error:
            raise StorageError(f"{self._artifact.path}: cannot be tried: {error.strerror}") from None
        if not child:
            try:
                self._serve(follow, there, back)
            finally:
                os._exit(1)
        os.close(there)
        os.close(back)
        self._child = child
        self._expect(_IMPORTED, None, during="import")
        text = self._expect(_LOADED, None, during="load").decode()
        self.name, self.version, self.kernels, contract = text.split("\n", 3)
        if not self._artifact.contract:
            self._described = ModelContract.from_text(contract)

    def _expect(self, wanted: bytes, request: bytes | None, *, during: str) -> bytes:
        """The child's next message, of the kind `wanted`. Raises the error that comes instead, or one for its end."""
        try:
            if request is not None:
                _write(self._to, b"P", request)
            answers = select.poll()  # select() takes no descriptor from 1024 up
            answers.register(self._from, select.POLLIN)
            if not answers.poll(1000 * PATIENCE_S[during]):
                raise self._ended(during, patience=True)
            message = _read(self._from)
        except (BrokenPipeError, ConnectionResetError):
            message = None
        except BaseException:  # Ctrl-C, or a caller's time limit: what comes later would pass for the next picture's answer
            self.end_process()
            raise
        if message is None:
            raise self._ended(during)
        kind, content = message
        if kind == wanted:
            return content
        if during != "run":
            self.end_process()
        raise _ERRORS[kind](content.decode())

    def _ended(self, during: str, *, patience: bool = False) -> ToolchainError:
        """The error for a child that has ended, or does not go on for want of `patience`."""
        child = self._forget()
        if patience:
            os.kill(child, signal.SIGKILL)
        code = _status(child)
        path, title = self._artifact.path, self._title
        if patience or code == -signal.SIGPROF:
            if during == "import":
                return EngineUnavailable(f"{title} is not imported within {PATIENCE_S[during]:g} s: {self._advice}")
            if during != "run":
                return ModelError(f"{path}: was not loaded within {PATIENCE_S[during] if patience else LOAD_S:g} s")
            seconds = PATIENCE_S["run"] if patience else self._seconds
            self._hangs, self._seconds = self._hangs + 1, self._seconds / 4
            return ModelError(f"{path}: gave no answer within {seconds:.1f} s")
        if code == -signal.SIGXCPU:
            self._hangs = MAX_HANGS
            return ModelError(f"{path}: took over {self._seconds_in_all} s of processor time in all; not tried further")
        if code == -signal.SIGKILL:
            return OutOfMemory(f"{path}: killed when tried, as for want of memory")
        if code is None:
            return ModelError(f"{path}: its process ended, and this one ignores SIGCHLD, which would say how")
        if code >= 0:
            return StorageError(f"{path}: cannot be tried: its process ended with {code}")
        how = signal.strsignal(-code)
        if during == "import":
            return EngineUnavailable(f"{title} crashes when it is imported ({how}): {self._advice}")
        return ModelError(f"{path}: crashes {title} ({how})")

    def _serve(self, follow: "Callable[[], None]", there: int, back: int) -> None:
        """The child, until it is ended or its parent goes."""
        for number, default in ((signal.SIGINT, signal.SIG_IGN), (signal.SIGTERM, signal.SIG_DFL)):
            signal.signal(number, default)
        limits.processor_time(IMPORT_S)
        follow()
        os.close(self._to)
        os.close(self._from)
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        try:
            self._bring()
        except BaseException as error:
            return _write(back, *self._error(error, imported=False))
        limits.memory(self._bytes)
        limits.processor_time(LOAD_S)
        _write(back, _IMPORTED, b"")
        try:
            engine = self._load()
            contract = "" if self._artifact.contract else engine.describe().to_text()
            about = "\n".join((engine.name, engine.version, engine.kernels, contract))
        except BaseException as error:
            return _write(back, *self._error(error, imported=True))
        _write(back, _LOADED, about.encode())
        while message := _read(there):
            try:
                limits.processor_time(self._seconds)
                answer = _OUTPUT, engine.run(message[1])
                limits.processor_time(0)
            except BaseException as error:
                answer = self._error(error, imported=True)
            _write(back, *answer)
        return None

    def _error(self, error: BaseException, *, imported: bool) -> tuple[bytes, bytes]:
        """The message for an error in the child."""
        path = self._artifact.path
        if isinstance(error, MemoryError):
            if not imported:
                error = OutOfMemory(f"{path}: out of memory when tried")
            else:
                error = ModelError(f"{path}: needs more than {self._bytes >> 20} MiB of memory")
        elif isinstance(error, OSError):
            error = StorageError(f"{path}: cannot be tried: {error}")
        elif not isinstance(error, ToolchainError):  # these bytes caused it, whatever it is
            error = ModelError(f"{path}: fails when tried: {type(error).__name__}: {error}")
        letter = next((letter for letter, kind in _ERRORS.items() if type(error) is kind), b"M")
        return letter, str(error).encode("utf-8", "backslashreplace")


def _status(child: int) -> int | None:
    """How `child` ended: its exit code, or minus its signal. None where this process ignores SIGCHLD and is not told."""
    try:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except ChildProcessError:
        return None


def _pipe() -> tuple[int, int]:
    """A new pipe, to read and to write; from 3 up, because what is closed of stdin, stdout and stderr stays so."""
    ends = []
    for end in os.pipe():
        ends.append(fcntl(end, F_DUPFD_CLOEXEC, 3))
        os.close(end)
    return ends[0], ends[1]


def _write(pipe: int, kind: bytes, content: bytes) -> None:
    left = memoryview(_HEAD.pack(kind, len(content)) + content)
    while left:
        left = left[os.write(pipe, left) :]


def _read(pipe: int) -> tuple[bytes, bytes] | None:
    """The next message; None where the other end is closed."""
    if len(head := _exactly(pipe, _HEAD.size)) < _HEAD.size:
        return None
    kind, length = _HEAD.unpack(head)
    content = _exactly(pipe, length)
    return (kind, content) if len(content) == length else None


def _exactly(pipe: int, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length and (part := os.read(pipe, min(length - len(parts), 1 << 20))):
        parts += part
    return bytes(parts)
