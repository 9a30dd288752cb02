"""The C compiler of this machine, and what is built with it."""

import importlib.util
import os
import re
import shlex
import shutil
import sys
import tempfile
from subprocess import CompletedProcess

from edge import child
from edge.errors import EngineUnavailable, ModelError, one_line

SANITIZE = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def find() -> list[str]:
    """The command of the C compiler: $CC, else gcc, clang or cc, else that of the package ziglang. Raises EngineUnavailable."""
    try:
        named = shlex.split(os.environ.get("CC", ""))
    except ValueError as error:
        raise EngineUnavailable(f"CC={os.environ['CC']}: {error}; unset CC, or name a C compiler") from None
    if named:
        if shutil.which(named[0]):
            return named
        raise EngineUnavailable(f"CC={os.environ['CC']}: no such program; unset CC, or name a C compiler")
    for name in ("gcc", "clang", "cc"):
        if found := shutil.which(name):
            return [found]
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "cc"]
    raise EngineUnavailable("no gcc, clang, cc or ziglang here: apt install gcc, or pip install ziglang")


def version(command: list[str]) -> str:
    """The compiler's name and version: `gcc (Debian 12.2.0-14) 12.2.0`."""
    done = child.run([*command, "--version"])
    return one_line((done.stdout.splitlines() or [os.path.basename(command[0])])[0])


def foreign(error: OSError) -> EngineUnavailable:
    """What to raise where `error` says that a file just built does not run here: $CC compiles for another machine."""
    return EngineUnavailable(f"what {_name()} builds does not run here ({_short(error.strerror or str(error))}); {_ANOTHER}")


def build(sources: list[str], output: str, *flags: str) -> None:
    """Compile `sources`, C files, into the file `output`.

    Raises ModelError with the compiler's line, and EngineUnavailable where there is no compiler, or one that builds nothing.
    """
    done = _compiled(sources, output, *flags)
    if done.returncode == 0:
        if not os.path.exists(output):
            raise EngineUnavailable(f"{_name()} ends without an error and has built nothing; {_ANOTHER}")
        return
    last_words = _said(done)
    with tempfile.TemporaryDirectory() as folder:
        empty = os.path.join(folder, "empty.c")
        with open(empty, "w") as file:
            file.write("int main(void) { return 0; }\n")
        if _compiled([empty], os.path.join(folder, "empty")).returncode:
            raise EngineUnavailable(f"{_name()} does not even compile an empty program: {last_words}; {_ANOTHER}")
    raise ModelError(f"{_name()} does not compile it: {last_words}; {_ANOTHER}")


_ANOTHER = "name another C compiler of this machine, such as CC=clang"


def _compiled(sources: list[str], output: str, *flags: str) -> CompletedProcess[str]:
    libraries = ["-lm", "-lz"] if "-DEDGEPROOF_ZLIB" in flags else ["-lm"]
    return child.run([*find(), "-O3", *flags, "-o", output, *sources, *libraries])


def _said(done: CompletedProcess[str]) -> str:
    """The compiler's first error; how it ended where it told none."""
    ended = f"it was killed (signal {-done.returncode})" if done.returncode < 0 else f"it ended with {done.returncode}"
    first = next((line for line in done.stderr.splitlines() if "error" in line), child.last_line(done, default=ended))
    return _short(first.strip())


def _short(text: str) -> str:
    """`text` without our temporary folders, and no longer than a line or two."""
    text = re.sub(re.escape(tempfile.gettempdir()) + r"/(\S*/)?", "", text)
    return text if len(text) <= 200 else text[:200] + "…"


def _name() -> str:
    """The compiler as a user would call it."""
    return " ".join(find())
