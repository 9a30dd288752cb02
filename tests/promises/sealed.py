"""Seal models that are wrong (contract, manifest, labels, archive, goldens or graph fuzzed); no command may be misled.

    python -m tests.promises.sealed --count 10000
    python -m tests.promises.sealed --count 10000 --log sealed.log --minutes 10      # again until it is done

Each file goes to `edge-predict`, with and without `--trust`, to `python -m edge verify` and to `python -m edge install`. Each
must give an ordinary result (0; a label of the file, a finite probability) or one line and 78 (`verify` and `install` also 1;
65 is a picture's own fault), without a control character or a process left behind, within 512 MiB and 20 s of processor time.
Under --trust a fuzzed graph may end the process by a signal: those are counted apart. A command that refuses a file before any
engine sees it runs in this process, others in forks of it, and for one file in 500 also as the installed commands.

With --log each file's result is a line of that log, and a run leaves out the files that stand there: what was interrupted, or
ended after --minutes, goes on. A log belongs to one revision, and to one seed and --kind.
"""

import contextlib
import ctypes
import importlib
import io
import json
import math
import os
import re
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NoReturn

from edge import artifact, errors, limits
from edge.errors import ToolchainError, UsageError
from tests.promises.asking import COMMAND, EDGE, SEVEN, Ended, Tally, ask, environment, flags, revision
from tests.promises.wrong_files import KINDS, MORE_KINDS, bases, fuzzed

MAX_MIB, MAX_S = 512, 20
PATIENCE_S = 300  # by the clock, on a machine shared with other work
EVERY = 500
_PR_SET_CHILD_SUBREAPER = 36
ALLOWED = {"predict": (65, 78), "trusted": (65, 78), "verify": (1, 78), "install": (1, 78)}


def main() -> int:
    parser = flags("sealed", __doc__, count=10_000)
    parser.add_argument("--first", type=int, default=0, metavar="N", help="the number of the first case (default: 0)")
    parser.add_argument("--kind", choices=[*KINDS, *MORE_KINDS], help="one kind only (default: the first six in turn)")
    parser.add_argument("--log", metavar="FILE", help="add each case's result, and go on with those that are not in it")
    parser.add_argument("--minutes", type=float, default=math.inf, metavar="M", help="begin no case after so long")
    given = parser.parse_args()
    kinds = [given.kind] if given.kind else list(KINDS)
    tally, numbers = Tally(), range(given.first, given.first + given.count)
    with tempfile.TemporaryDirectory() as scratch:
        path = given.log or os.path.join(scratch, "log")
        known = begun(path, {"revision": revision(), "seed": given.seed, "kinds": kinds})
        left = [number for number in numbers if number not in known]
        wholes = bases()
        _import_all()
        workers, until, follow = [], time.monotonic() + 60 * given.minutes, limits.end_together()
        for lane in range(given.lanes):
            if not (worker := os.fork()):
                follow()
                _lane(left[lane :: given.lanes], path, os.path.join(scratch, str(lane)), until, given.seed, kinds, wholes)
            workers.append(worker)
        failed = [worker for worker in workers if os.waitpid(worker, 0)[1]]
        known = _read(path)[1]
    done = [known[number] for number in numbers if number in known]
    for found in done:
        tally.broken += found.broken
        tally.seen.update(found.seen)
    signals = sum(found.signals for found in done)
    seen = ", ".join(f"{n:,} {what}" for what, n in sorted(tally.seen.items()))
    cost = f"at most {max((f.cpu_s for f in done), default=0):.1f} s and {max((f.peak_mib for f in done), default=0):.0f} MiB"
    killed = f"{signals} fuzzed graphs killed the fast engine under --trust"
    of = "" if len(done) == given.count else f" of {given.count:,}"
    code = tally.tell(f"{len(done):,}{of} sealed files, wrong in {len(kinds)} ways: {seen}; {cost}; {killed}")
    if of:
        again = "; run the same again to go on" if given.log else ""
        print(f"{given.count - len(done):,} files are left{again}", file=sys.stderr)
    return 1 if code or failed or of else 0


def _lane(
    numbers: list[int], log: str, folder: str, until: float, seed: int, kinds: list[str], wholes: list[bytes]
) -> NoReturn:
    """Ask about each file and add to the log, until that time of the clock, in a fork of its own; does not return."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the other process says that it was interrupted
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # no child inherits this
    code = 1
    try:
        for number in numbers:
            if time.monotonic() >= until:
                break
            _append(log, vars(one(number, seed, kinds, wholes, folder)))
        code = 0
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(code)


class Found:
    """What was seen of file `number`."""

    def __init__(self, **values: object) -> None:
        self.number = 0
        self.seen: dict[str, int] = {}
        self.broken: list[str] = []
        self.signals, self.cpu_s, self.peak_mib = 0, 0.0, 0.0
        vars(self).update(values)


def begun(path: str, of: dict[str, object]) -> dict[int, Found]:
    """The results in the log `path`, by number; a new log begins with `of`. Raises UsageError where it began otherwise."""
    head, known = _read(path)
    if head is None:
        _append(path, of)
    elif head != of:
        other = ", ".join(f"{key} {head.get(key)}, not {value}" for key, value in of.items() if head.get(key) != value)
        raise UsageError(f"{path}: a log of another run ({other}); name a new file")
    return known


def _read(path: str) -> tuple[dict[str, object] | None, dict[int, Found]]:
    """The log's first line, None if there is none, and the results."""
    if not os.path.exists(path):
        return None, {}
    lines = []
    for line in Path(path).read_text().splitlines():
        with contextlib.suppress(ValueError):  # half a line, where the power went
            lines.append(json.loads(line))
    return (lines[0] if lines else None), {line["number"]: Found(**line) for line in lines[1:]}


def _append(path: str, line: dict[str, object]) -> None:
    """Add a line, whole, whoever else does: by one call. The line break comes first, so that it ends half a line before it."""
    with open(path, "ab", buffering=0) as file:
        file.write(f"\n{json.dumps(line)}\n".encode())


def one(number: int, seed: int, kinds: list[str], wholes: list[bytes], folder: str) -> Found:
    """What every command says of file `number`."""
    found = Found(number=number)
    random = Random(f"{seed} {number}")
    kind = kinds[number % len(kinds)]
    whole = wholes[random.randrange(len(wholes))]
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "m")
    Path(path).write_bytes(fuzzed(random, kind, whole))
    store = os.path.join(folder, "store")
    asked = {
        "predict": ["edge-predict", SEVEN, "--model", path],
        "trusted": ["edge-predict", SEVEN, "--model", path, "--trust"],
        "verify": ["edge", "verify", path],
        "install": ["edge", "install", path, "--store", store],
    }
    read, agrees = False, False
    try:
        model = artifact.read(path)
        read = True
        model.manifest()
        agrees = True
    except ToolchainError:
        pass
    for name, words in asked.items():
        run = in_fork if read and (name in ("predict", "trusted") or agrees) else in_process
        ways: list[Callable[[], Ended]] = [lambda words=words, run=run: run(words)]  # type: ignore[misc]
        if number % EVERY == 0:
            command = [COMMAND] if words[0] == "edge-predict" else EDGE
            ways.append(lambda words=words, command=command: ask([*command, *words[1:]], environment(folder)))  # type: ignore[misc]
        for way in ways:
            ended = way()
            shutil.rmtree(store, ignore_errors=True)
            if name == "trusted" and kind in ("graph", "structure") and ended.code < 0:
                found.signals += 1
                continue
            what = f"{name} {'done' if ended.code == 0 else 'refused'}"
            if way is ways[0]:
                found.seen[what] = found.seen.get(what, 0) + 1
            found.cpu_s, found.peak_mib = max(found.cpu_s, ended.cpu_s), max(found.peak_mib, ended.peak_mib)
            if fault := wrong(name, ended, path):
                found.broken.append(f"case {number} of seed {seed}, {kind}, {name}: {fault}: {ended}")
    return found


def wrong(name: str, ended: Ended, path: str) -> str:
    """What is wrong with how a command ended; "" if nothing is."""
    if ended.survivors:
        return "left a process behind"
    if ended.cpu_s > MAX_S or ended.peak_mib > MAX_MIB:
        return "too long or too large"
    if any(not c.isprintable() for c in (ended.out + ended.err).replace("\n", "")):
        return "a control character"
    if ended.code == 0:
        return "" if not ended.err and ended.out.count("\n") == 1 and _ordinary(name, ended.out, path) else "no ordinary result"
    program = "edge" if name in ("verify", "install") else "edge-predict"
    line = not ended.out and ended.err.count("\n") == 1 and ended.err.startswith(f"{program}: ")
    return "" if ended.code in ALLOWED[name] and line else "not one line and a code of ours"


def _ordinary(name: str, out: str, path: str) -> bool:
    if name in ("verify", "install"):
        return True
    try:
        labels = artifact.read(path).labels
    except ToolchainError:
        return False
    answer = re.fullmatch(re.escape(SEVEN) + r": (.*) \(([0-9.]+) %\)\n", out)
    return bool(answer) and answer[1] in labels and 0 <= float(answer[2]) <= 100 and math.isfinite(float(answer[2]))


def _import_all() -> None:
    """Import what the commands would, so that their forks need not."""
    for name in (
        "ai_edge_litert.interpreter", "onnxruntime", "PIL.Image", "edge.__main__", "edge.cli", "edge.engines.in_child",
        "edge.engines.litert", "edge.engines.litert_c", "edge.engines.onnx_runtime", "edge.pictures.decode",
    ):  # fmt: skip
        importlib.import_module(name)


def in_process(words: list[str]) -> Ended:
    """The command of these words, called here. An exception that it lets through is a traceback of the real one."""
    from edge import __main__, cli

    out, err, argv, before = io.StringIO(), io.StringIO(), sys.argv, time.process_time()
    sys.argv = words
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = errors.run(cli.main if words[0] == "edge-predict" else __main__.main, words[0])
    finally:
        sys.argv = argv
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cpu_s = time.process_time() - before
    return Ended(code, out.getvalue(), err.getvalue(), cpu_s=cpu_s, peak_mib=peak_mib, survivors=_left())


def in_fork(words: list[str]) -> Ended:
    """The command of these words in a fork of this process."""
    with os.fdopen(os.memfd_create("out"), "rb") as out, os.fdopen(os.memfd_create("err"), "rb") as err:
        child = os.fork()
        if not child:
            _become(words, out.fileno(), err.fileno())
        watch, status = os.pidfd_open(child), 0
        if not select.select([watch], [], [], PATIENCE_S)[0]:
            os.kill(child, signal.SIGKILL)
        os.close(watch)
        _, status, usage = os.wait4(child, 0)
        survivors = _left()
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode("utf-8", "backslashreplace"))
    cpu_s = usage.ru_utime + usage.ru_stime
    return Ended(os.waitstatus_to_exitcode(status), *texts, cpu_s=cpu_s, peak_mib=usage.ru_maxrss / 1024, survivors=survivors)


def _become(words: list[str], out: int, err: int) -> None:
    """Be the command; does not return."""
    try:
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "wb", closefd=False), encoding="utf-8", write_through=True)
        sys.stderr = io.TextIOWrapper(io.FileIO(2, "wb", closefd=False), encoding="utf-8", write_through=True)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for name in ("EDGEPROOF_MODEL", "EDGEPROOF_STORE"):
            os.environ.pop(name, None)
        sys.argv = words
        if words[0] == "edge-predict":
            from edge.cli import console

            console()
        from edge.__main__ import main as edge_main

        os._exit(errors.run(edge_main, "edge"))
    except SystemExit as ended:
        os._exit(ended.code if isinstance(ended.code, int) else 1)
    finally:
        os._exit(99)


def _left() -> tuple[str, ...]:
    """The processes that a command left behind: they are this process's children now. What is being killed has a second."""
    for _ in range(100):
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.01)
        except ChildProcessError:
            return ()
    return ("a child that lives on",)


if __name__ == "__main__":
    sys.exit(errors.run(main, "tests.promises.sealed"))
