"""Expected failures: one line for the user, one exit code for the shell.

An expected failure is a `ToolchainError`; its message says what was found, what was wanted and what to do next. Any other
exception that reaches the top is a defect of ours and keeps its traceback.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# How to install the libraries that a device does not need. No message tells pip to install "edgeproof": the package index
# has no such project, and anyone could register the name.
_CLONE = "in a clone of edgeproof, pip install "
INSTALL_HINTS = dict.fromkeys(("keras", "matplotlib", "sklearn", "tensorboard", "tensorflow"), _CLONE + "'.[train]'")
INSTALL_HINTS |= dict.fromkeys(("flatbuffers", "litert_quantizer", "onnx", "onnxruntime", "tf2onnx"), _CLONE + "'.[convert]'")
# model-signing 1.1 imports pyOpenSSL without requiring it.
INSTALL_HINTS |= dict.fromkeys(("model_signing", "OpenSSL"), "pip install 'model-signing<2' 'pyopenssl>=26'")
INSTALL_HINTS |= {"jax": "pip install jax"}  # for KERAS_BACKEND=jax


_TELLING = frozenset(("-h", "--help", "--version"))  # options of every command: a text is all they give


class ToolchainError(Exception):
    """An expected failure: `str(error)` is one line, whatever it quotes; `exit_code` is what the process ends with."""

    exit_code = 70

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class Refused(ToolchainError):
    """A gate or a baseline refused."""

    exit_code = 1


class UsageError(ToolchainError):
    """The command line names something that does not exist, or options that exclude each other."""

    exit_code = 2


class InputError(ToolchainError):
    """A picture or a data file was read but is not valid."""

    exit_code = 65


class InputMissing(ToolchainError):
    """A named input does not exist or may not be read."""

    exit_code = 66


class EngineMissing(ToolchainError):
    """The library that runs this kind of model is not installed."""

    exit_code = 69


class EngineUnavailable(EngineMissing):
    """An engine that cannot run on this device, or not this model; another engine may."""


class OutOfMemory(ToolchainError):
    """A process we started ran out of memory, or was killed for lack of it."""

    exit_code = 71


class StorageError(ToolchainError):
    """A file could not be read or written: disk full, read-only, failing."""

    exit_code = 74


class ModelError(ToolchainError):
    """A model file that is not run: damaged, unverified, or in an unknown form."""

    exit_code = 78


class SealError(ModelError):
    """An artifact whose bytes do not match its seal."""


class Interrupted(ToolchainError):
    """Ctrl-C; the work so far is saved."""

    exit_code = 130


def one_line(text: str) -> str:
    """`text` with line breaks and control characters escaped, so that no file name can forge a second line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def first_line(error: Exception) -> str:
    """The beginning of a library's message; the kind of the exception where there is none."""
    line = next(iter(str(error).splitlines()), type(error).__name__)
    return line if len(line) <= 200 else line[:200] + "…"


def missing(path: str, error: OSError) -> InputMissing:
    """The error for an input that could not be opened or read."""
    return InputMissing(f"{path}: {error.strerror or error}")


def unwritable(path: str, error: OSError) -> StorageError:
    """The error for a file that could not be written."""
    return StorageError(f"{path}: cannot be written: {error.strerror or error}")


def say(program: str, text: object) -> None:
    """Print `program: text` on stderr, in one line whatever file names `text` contains."""
    note(one_line(f"{program}: {text}"))


def note(text: str, *, end: str = "\n") -> None:
    """Print `text` on stderr; if nobody reads it, the work goes on."""
    try:
        if sys.stderr is not None:  # None if the shell closed it; print would then use stdout
            print(text, file=sys.stderr, end=end, flush=True)
    except OSError:
        discard(2)


def need_stdout() -> None:
    """Raises StorageError where the shell closed stdout: what is printed would go nowhere, without an error."""
    if sys.stdout is None:
        raise StorageError("stdout is closed: there is nowhere to print to")


def put(line: str) -> None:
    """Print `line` on stdout now. Raises StorageError, and BrokenPipeError where the reader has gone."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        discard(1)
        raise StorageError(f"stdout: {error.strerror or error}") from None


def run(main: "Callable[[], int | None]", program: str) -> int:
    """Call `main()`: its failures become one line and their exit code, a defect keeps its traceback and ends with 70."""
    if reconfigure := getattr(sys.stdout, "reconfigure", None):
        # A name with letters that the terminal lacks is printed with escapes rather than not at all.
        reconfigure(errors="backslashreplace")
    import _signal  # type: ignore[import-not-found] # `signal` would take a millisecond

    if _signal.getsignal(_signal.SIGCHLD) == _signal.SIG_IGN:  # inherited: the ends of children would not be told
        _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    return _flushed(_called(main, program), program)


def explain_imports(program: str) -> None:
    """Until `run` is called, end as it would: a library that is missing is one line and 69. For the packages of `python -m`."""

    def end(_kind: object, error: BaseException, _trace: object) -> None:
        def again() -> None:
            raise error

        sys.exit(run(again, program))

    sys.excepthook = end


def _called(main: "Callable[[], int | None]", program: str) -> int:
    try:
        if not _TELLING.isdisjoint(sys.argv[1:]):
            need_stdout()
            if reconfigure := getattr(sys.stdout, "reconfigure", None):
                reconfigure(write_through=False)  # argparse ignores a write that fails; the flush at the end does not
        return main() or 0
    except ToolchainError as error:
        say(program, error)
        return error.exit_code
    except SystemExit as ended:  # argparse, which has printed its help or what is wrong
        if not isinstance(ended.code, int | None):
            raise
        return ended.code or 0
    except KeyboardInterrupt:
        say(program, "interrupted")
        return 130
    except ModuleNotFoundError as error:
        library = (error.name or "").split(".")[0]
        if library not in INSTALL_HINTS:
            return _defect(program)
        say(program, f"{library} is not installed: {INSTALL_HINTS[library]}")
        return EngineMissing.exit_code
    except ImportError as error:
        if not (error.path or "").endswith(".so"):
            return _defect(program)
        # A compiled module that exists but cannot be mapped: a failing card, or an incomplete installation.
        say(program, f"{error}; check the disk, or install edgeproof and Python again")
        return StorageError.exit_code
    except MemoryError:
        say(program, "out of memory")
        return 71
    except BrokenPipeError:
        return 0  # the reader (`| head`) has what it wanted
    except OSError as error:
        say(program, error)
        return 74
    except Exception:
        return _defect(program)


def _defect(program: str) -> int:
    import traceback

    traceback.print_exc()
    say(program, "a defect of edgeproof; please report it with the lines above")
    return 70


def _flushed(code: int, program: str) -> int:
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except OSError as error:
        discard(1)
        if isinstance(error, BrokenPipeError):
            return code
        say(program, f"stdout: {error.strerror}")
        return code or 74


def discard(stream: int) -> None:
    """Discard what `stream` still holds or gets: Python would flush it at its end, fail, and change the exit code."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
