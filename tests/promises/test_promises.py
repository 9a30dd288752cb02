"""Each promise's command on a small sample: nothing is broken. `make check-full` runs them whole."""

import os
import signal
import sys
import time

import pytest

from conftest import run
from edge.errors import UsageError
from tests.promises import __main__ as promises
from tests.promises import asking, sealed
from tests.promises.asking import Ended, Tally, ask, in_lanes
from tests.promises.marks import needs_strace

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the promises are measured on Linux")


# How each command is asked for its small sample, and what its line says was looked at.
SAMPLES = {
    "a damaged .tflite never answers": ("damaged --count 16 --format tflite --seed 1", "tflite: 16 damaged models in 16 ways"),
    "a damaged .onnx never answers": ("damaged --count 16 --format onnx --seed 1", "onnx: 16 damaged models in 16 ways"),
    "a file that is sealed and wrong misleads no command": (
        "sealed --count 60 --first 1 --seed 1 --lanes 2", "60 sealed files, wrong in 6 ways"
    ),
    "any picture is answered or refused in one line and small memory": ("pictures --count 30 --seed 1", "30 files"),
    "a truncated picture is refused and every form gets its class": ("truncated --count 50", "373 forms"),
    "eight threads give one thread's answers": (
        "steady threads --count 100", "8 threads, 100 predictions each with litert-c: 800 identical"
    ),
    "memory stays where it was": ("steady process --count 5000", "5,000 predictions"),
    "a prediction fits in 64 MiB": ("memory --count 15", "15 predictions, 0 killed"),
    "nothing of Keras, TensorFlow or pickle is loaded": ("loaded", "litert-c, litert, onnxruntime"),
    "a picture of any size is answered within 64 MiB or refused": ("megapixels --every 26", "2 answered"),
    "an update killed at any moment leaves one whole model": ("killed --count 2 --seed 1", "2 installs killed, "),
}  # fmt: skip
# Drawing such pictures takes half a minute.
WHOLE = ("whole --count 39", "39 pictures, 35 answered")
TRACED = {
    "a prediction writes nothing": ("writes --count 3", "3 predictions"),
    "a failing system call of a prediction ends cleanly": ("faults predict --every 15", "in hand, refused"),
    "a failing system call of an install ends cleanly": ("faults install --every 140", "in hand, refused"),
    "a failing system call of a start ends cleanly": ("faults start --every 120", "in hand, refused"),
}


@pytest.mark.parametrize(
    ("command", "looked_at"),
    [
        *SAMPLES.values(),
        pytest.param(*WHOLE, marks=pytest.mark.long),
        *(pytest.param(*sample, marks=needs_strace) for sample in TRACED.values()),
    ],
    ids=[*SAMPLES, "sixteen megapixels fit in 256 MiB", *TRACED],
)
def test_a_promise_is_kept(command, looked_at):
    name, *flags = command.split()
    done = run(sys.executable, "-m", f"tests.promises.{name}", *flags)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    line = done.stdout.splitlines()[-1]  # behind a table, where there is one
    assert "; 0 broken; " in line and looked_at in line


def test_a_log_of_sealed_files_goes_on_behind_a_line_cut_short_and_belongs_to_one_revision(tmp_path):
    log, of = str(tmp_path / "log"), {"revision": "1a2b3c4", "seed": 0, "kinds": ["graph"]}
    assert sealed.begun(log, of) == {}
    sealed._append(log, vars(sealed.Found(number=3, signals=1)))
    with open(log, "a") as file:
        file.write('\n{"number": 4, "se')
    sealed._append(log, vars(sealed.Found(number=5)))
    known = sealed.begun(log, of)
    assert (sorted(known), known[3].signals) == ([3, 5], 1)
    with pytest.raises(UsageError, match=r"a log of another run \(revision 1a2b3c4, not 5d6e7f8\)"):
        sealed.begun(log, of | {"revision": "5d6e7f8"})


def test_a_process_left_behind_is_seen():
    ended = ask(["/bin/sh", "-c", "sleep 20 & echo $!"], {"PATH": os.defpath})
    os.kill(int(ended.out), signal.SIGKILL)
    assert len(ended.survivors) == 1
    assert ask(["/bin/sh", "-c", "sleep 0"], {"PATH": os.defpath}).survivors == ()


def test_a_process_that_hangs_is_ended(monkeypatch):
    monkeypatch.setattr(asking, "PATIENCE_S", 0.2)
    assert ask(["/bin/sleep", "60"], {}).code == -signal.SIGKILL


def test_no_lane_loses_anothers_count():
    class Slow(str):
        def __hash__(self) -> int:  # looking the kind up gives way to the other lanes, storing its count too
            time.sleep(0.001)
            return super().__hash__()

    tally, kind = Tally(), Slow("kind")
    in_lanes(lambda number, folder: tally.add(Ended(0, "", "", cpu_s=number, peak_mib=-number), kind), 200, lanes=8)
    assert (tally.seen[kind], tally.cpu_s, tally.peak_mib) == (200, 199, 0)


def test_the_table_keeps_what_was_measured_and_says_what_was_not(monkeypatch):
    found = {"loaded": ("nothing; 0 broken; 1 s", promises.when())}
    page = promises.table(found)
    assert "| `python -m tests.promises.loaded` | nothing; 0 broken; 1 s | 20" in page
    assert page.count(promises.NOT_YET) == len(promises.ROWS) - 1
    again = promises.kept(page)
    assert again["loaded"] == found["loaded"] and promises.table(again) == page
    monkeypatch.setattr(promises, "LIBRARIES", ("numpy",))
    assert promises.kept(page) == {}


def test_a_row_that_is_not_there_is_named():
    done = run(sys.executable, "-m", "tests.promises", "nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("tests.promises: no row's command begins with nonsense; there are: damaged --count 10000")
