"""Fail the k-th system call of a command for every k, until a run gets through untouched, as SQLite tests itself.

    python -m tests.promises.faults install
    python -m tests.promises.faults predict
    python -m tests.promises.faults start

strace fails the k-th openat, read, write, fsync, rename … of the process with ENOSPC, EIO, EROFS and ENOMEM (the errors take
turns where the call does not touch the store; there each k meets all four; `--all`: everywhere). No run may be killed by a
signal, answer wrongly, or leave a process behind. From where the program is in hand, a failure ends it in one line with an
exit code of ours. An install that fails leaves the model that was current current (where only the last flush of the folder
failed it may be the new one, as edge/store/lifecycle.py says), and one that succeeds has changed it; no file is half written
under a final name. A start finds a sound model that failed once before: whatever fails, that model stays current. While
Python starts and loads our modules, it speaks for itself: there any exit code but 0 will do, and a traceback. Not failed are
reads of /sys and /proc, and calls of the child process, which tries the model.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from dataclasses import dataclass

from edge import artifact
from tests.promises.asking import COMMAND, EDGE, ROOT, SEVEN, Ended, Tally, ask, environment, in_lanes
from tests.promises.killed import variants

ERRORS = ("ENOSPC", "EIO", "EROFS", "ENOMEM")
CALLS = "openat,read,pread64,readv,write,pwrite64,close,fsync,fdatasync,rename,renameat,renameat2,unlink,mkdir,flock"
# No disk stands behind these, and the library falls (SIGSEGV) where one of /sys's lists of processors can be read and the
# other cannot, which no card brings about; without both it runs.
KERNEL = re.compile(r"[<\"]/(sys|proc)/")
OURS = (1, 2, 65, 66, 69, 71, 74, 78)


@dataclass(frozen=True)
class Call:
    """One system call of an undisturbed run: its name, the how manyth of that name it is, whether Python is still starting,
    and whether it touches the store."""

    name: str
    k: int
    starting: bool
    on_store: bool


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.promises.faults", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("install", "predict", "start"))
    parser.add_argument("--all", action="store_true", help="every call with every error")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every N-th case alone (default: %(default)s)")
    parser.add_argument("--lanes", type=int, default=2, metavar="N", help="processes side by side (default: %(default)s)")
    given = parser.parse_args()
    if not shutil.which("strace"):
        print("strace is not installed: apt-get install strace", file=sys.stderr)
        return 69
    tally, guard = Tally(), threading.Lock()
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(given.what, scratch)
        calls = bench.calls()
        cases = [
            (call, error)
            for number, call in enumerate(calls)
            for error in (ERRORS if given.all or call.on_store else ERRORS[number % len(ERRORS) :][:1])
        ][:: given.every]

        def case(number: int, folder: str) -> None:
            call, error = cases[number]
            ended, injected, fault = bench.disturbed(folder, call, error)
            with guard:
                where = "starting" if call.starting else "in hand"
                tally.seen["not reached" if not injected else f"{where}, {'refused' if ended.code else 'done'}"] += 1
                if fault:
                    tally.broken.append(f"{call} {error}: {fault}: {ended.code}, {ended.err.splitlines()[-3:]}")

        in_lanes(case, len(cases), lanes=given.lanes)
    counts = Counter(call.name for call in calls)
    shown = ", ".join(f"{n} {name}" for name, n in counts.most_common())
    seen = ", ".join(f"{n:,} {kind}" for kind, n in sorted(tally.seen.items()))
    return tally.tell(f"{given.what}: {len(cases):,} runs, a failure each of {shown}: {seen}")


class Bench:
    """The command on trial and what it starts from: a store in which another model is current than the one to install."""

    def __init__(self, what: str, scratch: str) -> None:
        self.what, self.scratch = what, scratch
        self.surroundings = environment(scratch) | {"PYTHONPATH": ROOT}
        self.before = os.path.join(scratch, "before")
        if what != "predict":
            self.old, self.new = variants(scratch, 2)
            for store in (self.before, os.path.join(scratch, "warm")):
                done = ask([*EDGE, "install", self.old, "--store", store], self.surroundings)
                assert not done.code, done
            if what == "start":
                with open(os.path.join(self.before, "failures"), "w") as file:
                    file.write("1\n")
                ask([*EDGE, "start", "--store", os.path.join(scratch, "warm")], self.surroundings)
        else:
            os.mkdir(self.before)
            ask([COMMAND, SEVEN], self.surroundings)  # the bytecode

    def calls(self) -> list[Call]:
        """Every call of an undisturbed run, in order."""
        with tempfile.TemporaryDirectory(dir=self.scratch) as folder:
            ended, trace = self._traced(folder, [])
            assert not ended.code, ended
        marker, starting, counts, found = self._marker(), True, Counter[str](), []
        for line in trace.splitlines():
            name = line.partition("(")[0]
            if marker in line:
                starting = False
            if name in CALLS.split(","):
                counts[name] += 1
                if not KERNEL.search(line):
                    found.append(Call(name, counts[name], starting, f"{folder}/store" in line))
        assert not starting and len(found) > 50, trace[-500:]
        return found

    def disturbed(self, folder: str, call: Call, error: str) -> tuple[Ended, bool, str]:
        """How the run ended in which `call` failed with `error`, whether it came to that, and what is wrong, or nothing."""
        ended, trace = self._traced(folder, ["-e", f"inject={call.name}:error={error}:when={call.k}"])
        injected = "(INJECTED)" in trace
        starting = injected and self._marker() not in trace[: trace.index("(INJECTED)")]
        fault = ""
        if ended.survivors:
            fault = f"left behind: {ended.survivors}"
        elif ended.code < 0:
            fault = "a signal"
        elif self.what == "predict" and ended.code == 0 and not ended.out.startswith(f"{SEVEN}: 7 ("):
            fault = "another answer"
        elif ended.code and not starting and (ended.code not in OURS or not self._one_line(ended)):
            fault = "not one line and a code of ours"
        elif self.what != "predict":
            store = os.path.join(folder, "store")
            disturbed = next((line for line in trace.splitlines() if "(INJECTED)" in line), "")
            flush = f'"{store}"' in disturbed or f"<{store}>" in disturbed
            fault = self._wrong_store(store, ended.code, may_be_new=flush)
        return ended, injected, fault

    def _one_line(self, ended: Ended) -> bool:
        # Where stderr itself fails, nothing can be said.
        return "Traceback" not in ended.err and (ended.err.count("\n") == 1 or (self.what != "install" and not ended.err))

    def _marker(self) -> str:
        """What stands in the first call by which the program itself is at work."""
        return self.new if self.what == "install" else {"predict": "predictor.cpython", "start": "/store/lock"}[self.what]

    def _traced(self, folder: str, injection: list[str]) -> tuple[Ended, str]:
        store, trace = os.path.join(folder, "store"), os.path.join(folder, "trace")
        shutil.rmtree(store, ignore_errors=True)
        shutil.copytree(self.before, store)
        words = ["install", self.new] if self.what == "install" else ["start"]
        command = [COMMAND, SEVEN] if self.what == "predict" else [*EDGE, *words, "--store", store]
        strace = [shutil.which("strace"), "-qq", "-y", "-s", "0", "-e", f"trace={CALLS}", *injection, "-o", trace]
        ended = ask([*strace, *command], self.surroundings)
        with open(trace, errors="replace") as file:
            return ended, file.read()

    def _wrong_store(self, store: str, code: int, *, may_be_new: bool) -> str:
        """What is wrong with the store after a command that ended with `code`, or nothing."""
        try:
            with open(os.path.join(store, "current")) as file:
                digest, name, *_ = file.readline().split()
            current = artifact.read(os.path.join(store, "models", digest, name)).digest
            for folder, _, names in os.walk(os.path.join(store, "models")):
                for name in names:
                    if not re.match(r"\..*\.partial$", name):
                        artifact.read(os.path.join(folder, name))
        except Exception as error:
            return f"the store is broken: {error}"
        old, new = artifact.read(self.old).digest, artifact.read(self.new).digest
        if self.what == "start":
            return "" if current == old else "another model is current"
        if code == 0:
            return "" if current == new else "succeeded, but the old model is current"
        return "" if current == old or (may_be_new and current == new) else "failed, but the new model is current"


def may_trace() -> bool:
    """Whether strace is installed and may trace a process here."""
    strace = shutil.which("strace")
    return bool(strace) and subprocess.run([strace, "-qq", "-o", "/dev/null", "true"], check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
