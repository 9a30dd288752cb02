"""Run the promises' commands in full and write the table in docs/promises.md, each row when it is done (an hour or two).

    python -m tests.promises [NAME...]

NAME is how a row's command begins, `damaged` or "faults predict" say; the other rows stay as they were measured, if with
these versions. Each row says when, and at which commit.
"""

import datetime
import importlib.metadata
import os
import shlex
import subprocess
import sys
from pathlib import Path

from benchmarks import pages
from edge.device import host
from tests.promises.asking import ROOT, revision

PAGE = Path(ROOT, "docs", "promises.md")
NOT_YET = "not run yet"
# What is promised, and the command that holds us to it.
ROWS = (
    ("A damaged model never answers (.tflite)", "damaged --count 10000 --format tflite --seed 0"),
    ("A damaged model never answers (.onnx)", "damaged --count 10000 --format onnx --seed 0"),
    ("A file that is sealed and wrong misleads no command", "sealed --count 10000 --seed 0"),
    ("Any picture is answered or refused, in one line, 2 s and 64 MiB", "pictures --count 10000 --seed 0"),
    ("A truncated picture is refused, and every form gets its class", "truncated --count 20000"),
    ("An update killed at any moment leaves one whole model", "killed --count 1000 --seed 0"),
    ("Every failing system call of an install ends cleanly", "faults install"),
    ("Every failing system call of a prediction ends cleanly", "faults predict"),
    ("Every failing system call of a boot check ends cleanly", "faults start"),
    ("A prediction writes nothing", "writes --count 16"),
    ("8 threads give one thread's answers", "steady threads --count 10000"),
    ("A million predictions take the memory of the first", "steady process --count 1000000"),
    ("A prediction fits in 64 MiB", "memory --count 1000"),
    ("A picture of 1 to 60 megapixels is answered within 64 MiB or refused, in every format", "megapixels"),
    ("A picture of 16 megapixels that is not shrunk fits in 256 MiB", "whole --count 39"),
    ("Nothing of Keras, TensorFlow or pickle is loaded", "loaded"),
)
# Their versions say what was measured; another one's table is begun anew.
LIBRARIES = ("ai-edge-litert", "numpy", "onnxruntime", "pillow")


def main() -> int:
    chosen, failed = sys.argv[1:], False
    if unknown := [name for name in chosen if not any(command.startswith(name) for _, command in ROWS)]:
        named = "; ".join(command for _, command in ROWS)
        print(f"tests.promises: no row's command begins with {unknown[0]}; there are: {named}", file=sys.stderr)
        return 2
    for _, command in ROWS:
        name, *arguments = shlex.split(command)
        if chosen and not command.startswith(tuple(chosen)):
            continue
        measured = when()
        done = subprocess.run(
            [sys.executable, "-m", f"tests.promises.{name}", *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        failed |= done.returncode != 0
        found = done.stdout.strip().rpartition("\n")[2] or f"ended with {done.returncode}"
        print(f"{command}: {found}", flush=True)
        pages.write(PAGE, table(kept(PAGE.read_text()) | {command: (found, measured)}))
    return 1 if failed else 0


def circumstances() -> str:
    """The machine and the versions, in one line."""
    here = host.read()
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    return f"{here.cpu_model}, {os.cpu_count()} cores shared with other work; Python {sys.version.split()[0]}, {versions}."


def when() -> str:
    """Today, and the commit that was measured: `2026-11-22, 1a2b3c4`, with a + where the code has changed since."""
    return f"{datetime.date.today()}, {revision()}"


def kept(page: str) -> dict[str, tuple[str, str]]:
    """What was found before and when, by command; nothing where it was found under other circumstances."""
    if circumstances() not in page:
        return {}
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| ")]
    return {row[1].strip("`").removeprefix("python -m tests.promises."): (row[2], row[3]) for row in rows if len(row) == 4}


def table(found: dict[str, tuple[str, str]]) -> str:
    lines = [circumstances(), "", "| promise | command | found | when |", "|---|---|---|---|"]
    for said, command in ROWS:
        lines.append(f"| {said} | `python -m tests.promises.{command}` | {' | '.join(found.get(command, (NOT_YET, '')))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
