"""One training in several processes: two real ones on this machine, and what is said where they do not come together."""

import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from conftest import ROOT, run
from edge.errors import UsageError
from train import checkpoint, datasets
from train.batches import Batches
from train.distributed import rendezvous, training
from train.distributed.rendezvous import Ended, Parted
from train.distributed.training import ALONE, Share
from train.recipes import Recipe

COMMAND = (sys.executable, "-m", "train.mnist", "--data", "digits", "--arch", "lenet5-relu", "--held-out", "0.1")
TOLERANCE = 1e-5
ENVIRONMENT = {"KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT)}


@pytest.fixture
def port() -> int:
    return free_port()


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def begun(folder: Path, *flags: str) -> list[subprocess.Popen]:
    """The two processes of a training, each with an --out of its own."""
    together = ("--coordinator", f"127.0.0.1:{free_port()}", "--processes", "2")
    return [
        subprocess.Popen(
            [*COMMAND, *flags, *together, "--index", str(i), "--out", str(folder / str(i))], env=os.environ | ENVIRONMENT,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for i in range(2)
    ]  # fmt: skip


def ended(processes: list[subprocess.Popen]) -> list[tuple[int, str, str]]:
    """Exit code, stdout and stderr of each."""
    said = [process.communicate(timeout=300) for process in processes]
    return [(process.returncode, *texts) for process, texts in zip(processes, said, strict=True)]


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    folder = tmp_path_factory.mktemp("together")
    return folder, ended(begun(folder, "--steps", "40"))


@pytest.mark.slow
def test_two_processes_end_with_the_same_weights_and_the_first_alone_speaks_and_writes(together):
    folder, ((code, out, err), follower) = together
    assert code == 0, err
    assert follower == (0, "", "") and not (folder / "1").exists()
    assert out.startswith("lenet5-relu on digits: top-1 ")
    digest = re.search(r"^2 processes end with the same weights, SHA-256 (\w{64})$", err, re.M)[1]
    saved = checkpoint.load(folder / "0")
    assert saved.figures["processes"] == 2 and saved.figures["versions"].keys() == {"python", "jax", "keras", "numpy"}
    assert hashlib.sha256(b"".join(w.tobytes() for w in saved.weights.values())).hexdigest() == digest


@pytest.mark.slow
def test_two_processes_find_what_one_finds_at_the_same_batch(together, tmp_path):
    done = run(*COMMAND, "--steps", "40", "--out", tmp_path, **ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    alone, both = checkpoint.load(tmp_path), checkpoint.load(together[0] / "0")
    # Only the order of float32 sums differs, by some 1e-7; 1.8e-7 was found, and 40 small steps cannot make it 1e-5.
    for name, weights in alone.weights.items():
        np.testing.assert_allclose(both.weights[name], weights, atol=TOLERANCE, err_msg=name)
    assert abs(alone.figures["top1"] - both.figures["top1"]) <= 1 / 600  # a picture between two classes may go either way


@pytest.mark.slow
def test_dropout_batch_norms_and_averaging_are_those_of_one_process(tmp_path):
    # Six steps: from there on Adam's division by small gradients magnifies the rounding, to 5e-4 at the fortieth.
    flags = ("--arch", "keras-cnn", "--steps", "6", "--log-every", "3", "--averaging", "0.5")
    ((code, _, err), _), alone = ended(begun(tmp_path, *flags)), run(*COMMAND, *flags, "--out", tmp_path / "one", **ENVIRONMENT)
    assert (code, alone.returncode) == (0, 0), err + alone.stderr
    one, both = checkpoint.load(tmp_path / "one"), checkpoint.load(tmp_path / "0")
    for name, weights in one.weights.items():
        np.testing.assert_allclose(both.weights[name], weights, atol=TOLERANCE, err_msg=name)


BOTH = """
import sys
import numpy as np
from train import datasets, distribution
from train.architectures import architecture
from train.recipes import Recipe

recipe, share = Recipe(steps=3, batch=32), distribution.Share(int(sys.argv[1]), 2, sys.argv[2])
with distribution.joined(share, {}, batch=32):
    model = architecture("lenet5-relu").build(recipe)
    from train.fit import fit
    if sys.argv[4:]:
        fit(model, datasets.digits.load().train, recipe, share=share)
    np.savez(sys.argv[3], *model.get_weights())
    if not sys.argv[4:]:
        model.get_weights = lambda: [np.float32(share.index)]
    distribution.check_same(share, model)
"""


def both(folder: Path, *more: str) -> list[tuple[int, str, str]]:
    address = f"127.0.0.1:{free_port()}"
    return ended([
        subprocess.Popen(
            [sys.executable, "-c", BOTH, str(i), address, str(folder / f"{i}.npz"), *more], env=os.environ | ENVIRONMENT,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for i in range(2)
    ])  # fmt: skip


@pytest.mark.slow
def test_each_process_reads_the_same_weights_from_its_own_model(tmp_path):
    assert [code for code, *_ in both(tmp_path, "fit")] == [0, 0]
    with np.load(tmp_path / "0.npz") as one, np.load(tmp_path / "1.npz") as other:
        assert one.files == other.files and all(one[name].tobytes() == other[name].tobytes() for name in one.files)


@pytest.mark.slow
def test_weights_that_differ_are_refused_in_every_process(tmp_path):
    for code, _, err in both(tmp_path):
        assert code == 1
        assert err.endswith(": the weights of process 1 differ from those of process 0; nothing is written\n")


def once_saved(folder: Path, *flags: str) -> list[subprocess.Popen]:
    """The two processes of a training, running and once saved."""
    processes = begun(folder, "--save-every", "0.1", *flags)
    while not (folder / "0" / "training.npz").exists():
        assert processes[0].poll() is None, processes[0].stderr.read()
        time.sleep(0.01)
    return processes


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_where_one_is_killed_the_other_ends_in_one_line_and_the_same_commands_go_on(tmp_path):
    processes = once_saved(tmp_path, "--steps", "100")
    processes[1].kill()
    (code, out, err), _ = ended(processes)
    assert (code, out) == (74, "")
    said = r"train\.mnist: lost another process; the same commands go on from the last save \((.*)\)"
    parts = re.fullmatch(said, err.splitlines()[-1])[1].split(": ")
    assert len(parts) == len(set(parts)), parts
    (code, out, err), (other, *_) = ended(begun(tmp_path, "--steps", "100"))
    assert (code, other) == (0, 0), err
    assert re.search(r"^going on at step \d+$", err, re.M) and "2 processes end with the same weights" in err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        ("SIGKILL", 74, r"lost process 0 at \S+; the same commands go on from the last save"),
        ("SIGINT", 130, r"process 0 at \S+ ended: interrupted; step [\d,]+ of 9,000 is saved; the same command goes on"),
    ],
    ids=["SIGKILL", "SIGINT"],
)
def test_where_the_first_ends_the_other_ends_in_one_line(number, code, said, tmp_path):
    processes = once_saved(tmp_path, "--steps", "9000")
    processes[0].send_signal(getattr(signal, number))
    _, (found, out, err) = ended(processes)
    assert (found, out) == (code, ""), err
    assert re.fullmatch(rf"train\.mnist: {said}\n", err)


@pytest.mark.slow
def test_the_other_hears_that_the_run_is_finished_or_refused(together):
    folder, _ = together
    (code, out, _), (other, _, err) = ended(begun(folder, "--steps", "40"))
    assert (code, other) == (0, 0) and out.startswith("lenet5-relu on digits: top-1 ")
    assert re.fullmatch(r"train\.mnist: process 0 at \S+ ended: the run is finished; there is nothing to train\n", err)
    (code, *_), (other, _, err) = ended(begun(folder, "--steps", "41"))
    assert (code, other) == (2, 2)
    assert re.fullmatch(r"train\.mnist: process 0 at \S+ ended: \S+ holds another run \(.*\); choose an --out\n", err)


@pytest.mark.parametrize(
    ("coordinator", "n", "index", "said"),
    [
        ("a:1", 2, None, "--coordinator, --processes and --index go together; give all three or none"),
        (None, None, 0, "--coordinator, --processes and --index go together; give all three or none"),
        ("a", 2, 0, "--coordinator a: not HOST:PORT"),
        ("a:70000", 2, 0, "--coordinator a:70000: not HOST:PORT"),
        ("::1:9", 2, 0, "--coordinator ::1:9: an IPv6 address goes in brackets, [::1]:9"),
        ("a:1", 1, 0, "--processes 1: fewer than two; leave out all three flags to train in one"),
        ("a:1", 3, 3, "--index 3: 3 processes are counted from 0 to 2"),
        ("a:1", 3, -1, "--index -1: 3 processes are counted from 0 to 2"),
        ("a:1", 3, 1, "--batch 128 does not divide among 3 processes"),
    ],
)
def test_flags_that_do_not_go_together_are_a_usage_error(coordinator, n, index, said, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(UsageError) as error:
        training.share(coordinator, n, index, batch=128)
    assert str(error.value) == said


def test_another_backend_is_a_usage_error_before_the_data_is_looked_for(tmp_path):
    flags = ("--data-dir", tmp_path / "gone", "--coordinator", "a:1", "--processes", "2", "--index", "0")
    done = run(sys.executable, "-m", "train.mnist", *flags, cwd=tmp_path, PYTHONPATH=str(ROOT), KERAS_BACKEND="tensorflow")
    said = "train.mnist: several processes train together on JAX alone; set KERAS_BACKEND=jax\n"
    assert (done.returncode, done.stderr) == (2, said)


def test_a_coordinator_that_is_not_there_is_given_up_on(port):
    with pytest.raises(
        Parted, match=rf"^process 0 was not found at 127\.0\.0\.1:{port} within 0\.3 s \(Connection refused\); "
    ):
        join(Share(1, 2, f"127.0.0.1:{port}"), {}, wait_s=0.3)
    assert Parted.exit_code == 74


def test_the_first_process_says_who_did_not_come(port):
    with pytest.raises(Parted, match=rf"^process 1, 2 did not come to 127\.0\.0\.1:{port} within 0\.3 s$"):
        join(Share(0, 3, f"127.0.0.1:{port}"), {}, wait_s=0.3)


def test_processes_that_were_asked_for_different_runs_are_refused(port):
    why = "process 1 was asked for another run; give all of them the same flags and data"
    with answering(f"127.0.0.1:{port}") as said, pytest.raises(UsageError, match=f"^{why}$"):
        join(Share(0, 2, f"127.0.0.1:{port}"), {"seed": 0})
    assert said == [(2, f"process 0 at 127.0.0.1:{port} ended: {why}")]


def test_a_first_process_that_refuses_before_the_roll_tells_the_others_that_wait(port):
    share = Share(0, 2, f"127.0.0.1:{port}")
    with answering(share.coordinator) as said, pytest.raises(UsageError), training.leading(share):
        raise UsageError("another process is training in run")
    assert said == [(2, f"process 0 at {share.coordinator} ended: another process is training in run")]


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_a_loopback_coordinator_is_found_and_listens_on_no_other_address(host, port):
    if host == "[::1]" and not socket.has_dualstack_ipv6():
        pytest.skip("needs IPv6")
    with rendezvous._door(f"{host}:{port}") as door:
        assert door.getsockname()[0] in ("127.0.0.1", "::1")
    with answering(f"{host}:{port}") as said:
        rendezvous.turn_away(f"{host}:{port}", 0, "done", n_processes=2)
    assert said == [(0, f"process 0 at {host}:{port} ended: done")]


@contextmanager
def answering(coordinator: str):
    """Process 1 of 2, which comes to `coordinator`; gives the exit code and the line it ends with, once it has."""
    said = []

    def other():
        with pytest.raises(Ended) as error:
            join(Share(1, 2, coordinator), {"seed": 1})
        said.append((error.value.exit_code, str(error.value)))

    thread = threading.Thread(target=other)
    thread.start()
    yield said
    thread.join()


def join(share: Share, asked: dict, *, wait_s: float = 20) -> None:
    with training.joined(share, asked, batch=2, wait_s=wait_s):
        raise AssertionError("nobody should have come")


def test_the_shares_of_a_batch_are_together_the_whole_of_it():
    split, recipe = datasets.digits.load().train, Recipe(batch=12, turn=10, flip=0.5)
    for k in (0, 99):  # the second runs over the end of an epoch
        whole = Batches(split, recipe)[k]
        parts = [Batches(split, recipe, share=Share(i, 3))[k] for i in range(3)]
        for ours, theirs in zip(zip(*parts, strict=True), whole, strict=True):
            np.testing.assert_array_equal(np.concatenate(ours), theirs)


def test_without_the_flags_a_process_is_alone():
    assert training.share(None, None, None, batch=7) == ALONE
    assert ALONE.rows(7) == slice(0, 7) and ALONE.leads
