"""Count the instructions of one prediction, by the processor's counters or by valgrind.

    python -m benchmarks.instructions.count [--models FILE...] [--engine NAME]

A count has next to no noise: (count of 1,001 predictions - count of 1) / 1,000 repeats to a millionth, whatever else runs, so
it shows a change of 1 % on any machine. It is no time: a change of kernel or of cache misses may cost time and no instruction.
valgrind hides AVX-512 from the program, so it counts another kernel path than the one that normally runs; the path is named.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.instructions import predictions
from edge import child, errors
from edge.errors import EngineMissing, InputMissing, ToolchainError
from edge.locate import shipped_model
from train import markdown

PREDICTIONS = 1000
MOST_INSTRUCTIONS = 3e9  # a large network gets fewer predictions: valgrind runs some 50 million instructions a second
# The widest instructions that a kernel may choose, the widest first; as /proc/cpuinfo calls them.
WIDTHS = {
    "avx512_vnni": "AVX-512 VNNI", "avx512f": "AVX-512", "avx_vnni": "AVX-VNNI", "avx2": "AVX2", "avx": "AVX",
    "sse4_1": "SSE4.1", "i8mm": "I8MM", "asimddp": "NEON dot product", "asimd": "NEON", "neon": "NEON",
}  # fmt: skip
HIDDEN = ("avx512_vnni", "avx512f", "avx_vnni")  # by valgrind
SCRIPT = Path(predictions.__file__)


@dataclass(frozen=True, kw_only=True)
class Instructions:
    """Instructions of one prediction, from an image's bytes to its class: counted how, and along which kernels."""

    per_prediction: float
    predictions: int
    counter: str
    kernels: str


def able() -> str:
    """`counters` or `valgrind`: what counts here. Raises EngineMissing if nothing does."""
    if predictions.open_counter() is not None:
        return "counters"
    if shutil.which("valgrind"):
        return "valgrind"
    raise EngineMissing("the kernel closes the instruction counters, and valgrind is not installed: apt install valgrind")


def count(model: str, engine: str = "", *, python: str = sys.executable, by: str = "") -> Instructions:
    """The instructions of one prediction of `model` ("": the one in the wheel). Raises ToolchainError."""
    if model and not os.path.exists(model):
        raise InputMissing(f"{model}: no such model")
    if (by or able()) == "counters":
        hello, per_prediction = _run(python, model, engine, PREDICTIONS, "counters").stdout.splitlines()
        return Instructions(
            per_prediction=float(per_prediction), predictions=PREDICTIONS, counter="hardware counter", kernels=_path(hello)
        )
    _run(python, model, engine, 1)  # Python compiles what it imports for the first time; that must not be in one count alone
    one = _collected(python, model, engine, 1)
    few = _collected(python, model, engine, 11)
    n = max(10, min(PREDICTIONS, round(MOST_INSTRUCTIONS / max((few[0] - one[0]) / 10, 1))))
    many = _collected(python, model, engine, 1 + n)
    version = subprocess.run(["valgrind", "--version"], capture_output=True, text=True).stdout.strip()
    return Instructions(
        per_prediction=(many[0] - one[0]) / n,
        predictions=n,
        counter=f"callgrind, {version}",
        kernels=_path(one[1], hidden=HIDDEN),
    )


def _collected(python: str, model: str, engine: str, n: int) -> tuple[int, str]:
    """The instructions of a whole process with `n` predictions, and what it said of its engine."""
    prefix = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    done = _run(python, model, engine, n, prefix=prefix)
    if not (total := re.search(r"Collected : (\d+)", done.stderr)):
        raise ToolchainError(f"valgrind counted nothing: {child.last_line(done, default='no message')}")
    return int(total[1]), done.stdout.strip()


def _run(
    python: str, model: str, engine: str, n: int, *more: str, prefix: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    # Sets and dicts of strings in the same order every time.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | {"PYTHONHASHSEED": "0"}
    if python == sys.executable:
        environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])  # this checkout, also where it is not installed
    argv = [*prefix, python, "-P", "-s", str(SCRIPT), os.path.abspath(model) if model else "", engine, str(n), *more]
    done = subprocess.run(argv, capture_output=True, text=True, env=environment)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if not line.startswith("==")]
        why = errors.one_line(lines[-1]) if lines else f"it ended with {done.returncode}"
        raise ToolchainError(f"{model or 'the model in the wheel'}: cannot be counted: {why}")
    return done


def _path(hello: str, *, hidden: Sequence[str] = ()) -> str:
    """The kernels, and the widest instructions that they may use here."""
    kernels = hello.split("\t")[2]
    try:
        flags = set(re.search(r"^(?:flags|Features)\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)[1].split())  # type: ignore[index]
    except (OSError, TypeError):
        return kernels
    width = next((name for flag, name in WIDTHS.items() if flag in flags and flag not in hidden), "")
    unseen = next((name for flag, name in WIDTHS.items() if flag in flags and flag in hidden), "")
    return ", ".join(filter(None, [kernels, width])) + (f" (valgrind hides {unseen})" if unseen else "")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.instructions.count", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--models", nargs="+", metavar="FILE", default=[shipped_model()], help="default: the one in the wheel")
    parser.add_argument("--engine", default="", metavar="NAME", help="default: the one a prediction would use")
    flags = parser.parse_args()
    by, rows = able(), []
    for path in flags.models:
        errors.say("benchmarks.instructions", f"{path}: counting by {by}")
        each = count(path, flags.engine, by=by)
        rows.append((Path(path).name, f"{each.per_prediction:,.0f}", f"{each.predictions:,}", each.counter, each.kernels))
    print(markdown.table(("model", "instructions a prediction", "predictions", "counter", "kernels"), rows, align="lrrl"))
    return 0


if __name__ == "__main__":
    sys.exit(errors.run(main, "benchmarks.instructions"))
