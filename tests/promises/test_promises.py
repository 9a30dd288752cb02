"""Each promise's command on a small sample: nothing is broken. `make check-full` runs them whole."""

import os
import signal
import sys
import time

import pytest

from conftest import run
from tests.promises import __main__ as promises
from tests.promises.asking import Ended, Tally, ask, in_lanes
from tests.promises.marks import needs_strace

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the promises are measured on Linux")


def kept(*command: str) -> str:
    """The line that the command prints; nothing was broken."""
    done = run(sys.executable, "-m", *command)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert "; 0 broken; " in done.stdout and done.stdout.count("\n") == 1
    return done.stdout


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_a_damaged_model_never_answers(kind):
    said = kept("tests.promises.damaged", "--count", "48", "--format", kind, "--seed", "1")
    assert said.startswith(f"{kind}: 48 damaged models in 16 ways")


def test_any_picture_is_answered_or_refused_in_one_line_and_small_memory():
    assert "60 files" in kept("tests.promises.pictures", "--count", "60", "--seed", "1")


def test_a_truncated_picture_is_refused_and_every_form_gets_its_class():
    assert "317 forms" in kept("tests.promises.truncated", "--count", "50")


@needs_strace
def test_a_prediction_writes_nothing():
    assert "3 predictions" in kept("tests.promises.writes", "--count", "3")


def test_eight_threads_give_one_threads_answers():
    assert "8 threads, 100 predictions each with litert-c: 800 identical" in kept(
        "tests.promises.steady", "threads", "--count", "100"
    )


def test_memory_stays_where_it_was():
    assert "5,000 predictions" in kept("tests.promises.steady", "process", "--count", "5000")


def test_a_prediction_fits_in_64_mib():
    assert "15 predictions, 0 killed" in kept("tests.promises.memory", "--count", "15")


def test_nothing_of_keras_tensorflow_or_pickle_is_loaded():
    assert kept("tests.promises.loaded").startswith("litert-c, litert, onnxruntime")


def test_an_update_killed_at_any_moment_leaves_one_whole_model():
    assert kept("tests.promises.killed", "--count", "4", "--seed", "1").startswith("4 installs killed, ")


@needs_strace
@pytest.mark.parametrize(("what", "every"), [("predict", "15"), ("install", "70"), ("start", "60")])
def test_a_failing_system_call_ends_cleanly(what, every):
    assert "in hand, refused" in kept("tests.promises.faults", what, "--every", every)


def test_a_process_left_behind_is_seen():
    ended = ask(["/bin/sh", "-c", "sleep 20 & echo $!"], {"PATH": os.defpath})
    os.kill(int(ended.out), signal.SIGKILL)
    assert len(ended.survivors) == 1
    assert ask(["/bin/sh", "-c", "sleep 0"], {"PATH": os.defpath}).survivors == ()


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
