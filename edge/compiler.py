"""The C compiler of this machine, and what is built with it."""

import importlib.util
import os
import shlex
import shutil
import sys

from edge import child
from edge.errors import EngineUnavailable, ModelError, one_line

SANITIZE = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


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
    return EngineUnavailable(
        f"what {' '.join(find())} builds does not run here ({one_line(str(error))}); unset CC, or name this machine's compiler"
    )


def build(sources: list[str], output: str, *flags: str) -> None:
    """Compile `sources`, C files, into the file `output`. Raises EngineUnavailable, or ModelError with the compiler's line."""
    command = [*find(), "-O3", *flags, "-o", output, *sources, "-lm"]
    if "-DEDGEPROOF_ZLIB" in flags:
        command.append("-lz")
    done = child.run(command)
    if done.returncode:
        said = next(
            (line for line in done.stderr.splitlines() if "error" in line), child.last_line(done, default="it said nothing")
        )
        raise ModelError(f"{sources[0]}: {os.path.basename(command[0])} does not compile it: {said.strip()}")
