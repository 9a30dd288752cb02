"""Ask the installed `edge-predict`, one real process a case, and hold what it did against what was promised.

The processes get an environment of their own: no HOME, none of the caller's settings. Python's bytecode lies ready in
`PYTHONPYCACHEPREFIX`, as pip leaves it on a device. This process stays small, because a child's peak memory includes what
its parent held when it was started.
"""

import argparse
import concurrent.futures
import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COMMAND = os.path.join(os.path.dirname(sys.executable), "edge-predict")
EXAMPLES = os.path.join(ROOT, "examples")
SEVEN = os.path.join(EXAMPLES, "seven.png")
EDGE = [sys.executable, "-m", "edge"]
SHIPPED = os.path.join(ROOT, "edge", "models", "lenet5-relu-mnist-int8.tflite")
# A process hangs that did nothing for so long by the clock, or has used so much of the processor: on a busy machine one
# that works may take minutes.
PATIENCE_S = 60

# Shown at most; the count tells of the rest.
MAX_SHOWN = 100


@dataclass(frozen=True)
class Ended:
    """How a process ended. `code` is negative for a signal; `cpu_s` is processor time, user and system; `survivors` are the
    processes it left behind, which promise to be none."""

    code: int
    out: str
    err: str
    cpu_s: float
    peak_mib: float
    survivors: tuple[str, ...] = ()

    @property
    def refused(self) -> bool:
        """No answer, and one line that says why."""
        return not self.out and self.err.count("\n") == 1 and self.err.startswith("edge-predict: ") and self.err[-1] == "\n"


def environment(scratch: str) -> dict[str, str]:
    """What the processes get; the bytecode goes to `scratch`."""
    return {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "PYTHONPYCACHEPREFIX": os.path.join(scratch, "bytecode")}


def ask(argv: list[str], surroundings: dict[str, str]) -> Ended:
    """Run `argv` to its end; one that hangs is killed, which shows as a signal."""
    mark = f"EDGEPROOF_CASE={uuid.uuid4()}"
    surroundings = surroundings | dict([mark.split("=")])
    with os.fdopen(os.memfd_create("out"), "rb") as out, os.fdopen(os.memfd_create("err"), "rb") as err:
        streams = [(os.POSIX_SPAWN_DUP2, out.fileno(), 1), (os.POSIX_SPAWN_DUP2, err.fileno(), 2)]
        child = os.posix_spawn(argv[0], argv, surroundings, file_actions=streams)
        watch = os.pidfd_open(child)
        used_s = 0.0
        while not select.select([watch], [], [], PATIENCE_S)[0]:
            before_s, used_s = used_s, sum(map(_cpu_s, _marked(mark)))
            if used_s == before_s or used_s > PATIENCE_S:
                os.kill(child, signal.SIGKILL)
                break
        os.close(watch)
        _, status, usage = os.wait4(child, 0)
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode("utf-8", "backslashreplace"))
    survivors = tuple(filter(None, map(_command, _marked(mark))))
    code, cpu_s = os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime
    return Ended(code, *texts, cpu_s=cpu_s, peak_mib=usage.ru_maxrss / 1024, survivors=survivors)


def _marked(mark: str) -> list[str]:
    """The numbers of the living processes that have `mark` in their environment."""
    numbers = []
    for number in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{number}/environ", "rb") as file:  # it has ended, or is another user's
            if mark.encode() in file.read():
                numbers.append(number)
    return numbers


def _command(number: str) -> str:
    with contextlib.suppress(OSError), open(f"/proc/{number}/cmdline", "rb") as file:
        return file.read().replace(b"\0", b" ").decode(errors="replace")
    return ""


def _cpu_s(number: str) -> float:
    """Processor time of a process and of those of its children that have ended, user and system."""
    with contextlib.suppress(OSError), open(f"/proc/{number}/stat") as file:
        return sum(map(int, file.read().rpartition(")")[2].split()[11:15])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def revision() -> str:
    """The commit of what is asked and of who asks, `1a2b3c4`, with a + where either has changed since."""
    commit, changed = (
        subprocess.run(["git", *words, "--", "edge", "tests/promises"], cwd=ROOT, capture_output=True, text=True, check=False)
        for words in (("log", "-1", "--format=%h"), ("status", "--porcelain"))
    )
    return f"{commit.stdout.strip()}{'+' if changed.stdout else ''}"


def flags(name: str, text: str | None, *, count: int, seed: int | None = 0) -> argparse.ArgumentParser:
    """The options that these commands share: how many cases, which, and how many side by side."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.promises.{name}", description=(text or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=count, metavar="N", help="cases (default: %(default)s)")
    if seed is not None:
        parser.add_argument("--seed", type=int, default=seed, help="of the cases (default: %(default)s)")
        parser.add_argument("--lanes", type=int, default=2, metavar="N", help="processes side by side (default: %(default)s)")
    return parser


class Tally:
    """What was seen, and what broke a promise. `tell` is the one line that each of these commands prints."""

    def __init__(self) -> None:
        self._one_lane = threading.Lock()
        self.started = time.monotonic()
        self.seen: Counter[str] = Counter()
        self.broken: list[str] = []
        self.cpu_s = self.peak_mib = 0.0

    def add(self, ended: Ended, kind: str) -> None:
        """Count one more of this `kind`, and remember the largest cost; from any lane."""
        with self._one_lane:
            self.seen[kind] += 1
            self.broken += [f"{kind}: left behind: {command}" for command in ended.survivors]
            self.cpu_s, self.peak_mib = max(self.cpu_s, ended.cpu_s), max(self.peak_mib, ended.peak_mib)

    def tell(self, said: str) -> int:
        """Print `said` with the number of broken promises and the seconds; 1 where there are any, else 0."""
        for line in self.broken[:MAX_SHOWN]:
            print(line, file=sys.stderr)
        print(f"{said}; {len(self.broken)} broken; {time.monotonic() - self.started:.0f} s")
        return 1 if self.broken else 0


def in_lanes(work: Callable[[int, str], None], count: int, *, lanes: int) -> None:
    """`work(number, folder)` for every number below `count`, `lanes` at a time, each lane in a folder of its own."""
    numbers: Iterator[int] = iter(range(count))

    def lane() -> None:
        with tempfile.TemporaryDirectory() as folder:
            for number in numbers:  # one iterator for all; `next` on a range's is one step that no thread can split
                work(number, folder)

    with concurrent.futures.ThreadPoolExecutor(lanes) as threads:
        for done in [threads.submit(lane) for _ in range(lanes)]:
            done.result()


def examples() -> Iterator[tuple[str, str]]:
    """Every example picture's path, and the class a healthy device gives it."""
    names = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    for name in sorted(os.listdir(EXAMPLES)):
        if name.endswith((".png", ".jpg", ".bmp")):
            yield os.path.join(EXAMPLES, name), str(names.index(name.partition(".")[0].partition("-")[0]))
