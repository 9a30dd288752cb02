"""One training in several processes: two real ones on this machine, and what is said where they do not come together."""

import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, nullcontext

import numpy as np
import pytest

from conftest import call, run
from edge.errors import UsageError
from tests.train.distributed import two_hosts
from tests.train.distributed.test_rendezvous import free_port
from train import checkpoint, datasets
from train.batches import Batches
from train.distributed import rendezvous, training
from train.distributed.rendezvous import CoordinatorEnded, PeerLost
from train.distributed.training import ALONE, Rank
from train.recipes import Recipe

DIGITS = ("--data", "digits", "--held-out", "0.1")
# Six steps: from there on Adam's division by small gradients magnifies the rounding, to 5e-4 at the fortieth.
SHORT = (*DIGITS, "--arch", "keras-cnn", "--steps", "6", "--log-every", "3", "--averaging", "0.5")
# Of one length in every test, so that it is compiled once.
LONG = (*DIGITS, "--arch", "lenet5-relu", "--save-every", "0.1", "--batch", "16", "--steps", "400")
TOLERANCE = 1e-5  # only the order of float32 sums differs
FIRST, SECOND = (host.name for host in two_hosts.HOSTS)


@pytest.fixture
def port() -> int:
    return free_port()


def end(processes: list[subprocess.Popen]) -> list[tuple[int, str, str]]:
    """Exit code, stdout and stderr of each."""
    return [(ending.exit_code, ending.stdout, ending.stderr) for ending in two_hosts.end(processes)]


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """A training in two processes, on hosts of their own where this machine can make them."""
    folder, apart = tmp_path_factory.mktemp("together"), not two_hosts.obstacle()
    with two_hosts.network() if apart else nullcontext():
        return folder, end(two_hosts.begin(folder, *SHORT, apart=apart))


@pytest.mark.slow
def test_two_processes_end_with_the_same_weights_and_the_coordinator_alone_reports_and_writes(together):
    folder, ((code, out, err), worker) = together
    assert code == 0, err
    assert worker == (0, "", "") and not (folder / SECOND).exists()
    assert out.startswith("keras-cnn on digits: top-1 ")
    digest = re.search(r"^2 processes end with the same weights, SHA-256 (\w{64})$", err, re.M)[1]
    saved = checkpoint.load(folder / FIRST)
    assert saved.figures["processes"] == 2 and saved.figures["versions"].keys() == {"python", "jax", "keras", "numpy"}
    of_each = (saved.weights.values(), *(two_hosts.weights(folder / f"{host}.npz") for host in (FIRST, SECOND)))
    assert {hashlib.sha256(b"".join(w.tobytes() for w in weights)).hexdigest() for weights in of_each} == {digest}


@pytest.mark.slow
def test_the_two_processes_found_each_other_over_a_network(together):
    if obstacle := two_hosts.obstacle():
        pytest.skip(obstacle)
    _, ((_, _, err), _) = together
    assert f"{FIRST}:{two_hosts.PORT}" in err


@pytest.mark.slow
def test_two_processes_train_dropout_batch_norms_and_averages_as_one_does_at_the_same_batch(together, tmp_path):
    done = run(sys.executable, "-m", "train.mnist", *SHORT, "--out", tmp_path / "run", **two_hosts.environment(tmp_path))
    assert done.returncode == 0, done.stderr
    one, both = checkpoint.load(tmp_path / "run"), checkpoint.load(together[0] / FIRST)
    for name, weights in one.weights.items():
        np.testing.assert_allclose(both.weights[name], weights, atol=TOLERANCE, err_msg=name)
    assert abs(one.figures["top1"] - both.figures["top1"]) <= 1 / 600  # an image between two classes may go either way


DIVERGE = """
import sys
from contextlib import nullcontext
from types import SimpleNamespace
import numpy as np
from train.distributed import training

rank = training.Rank(int(sys.argv[2]), 2, sys.argv[1])
with training.coordinator_scope(rank) if rank.is_coordinator else nullcontext(rank) as rank:
    with training.training_group(rank, {}, batch=32):
        for weight in (7, rank.index):
            training.check_same(rank, SimpleNamespace(get_weights=lambda: [np.float32(weight)]))
            print("the same", flush=True)
"""


@pytest.mark.slow
def test_weights_that_differ_are_refused_in_every_process(tmp_path):
    command = (sys.executable, "-c", DIVERGE, f"127.0.0.1:{free_port()}")
    how = {"env": os.environ | two_hosts.environment(tmp_path), "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    for code, out, err in end([subprocess.Popen([*command, index], text=True, **how) for index in "01"]):
        said = [line for line in out.splitlines() if not line.startswith("[Gloo]")]  # which a training keeps quiet
        assert (code, said) == (1, ["the same"] if "waiting" in err else []), err
        assert err.endswith(": the weights of process 1 differ from those of process 0; nothing is written\n")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_worker_and_an_interrupted_coordinator_end_the_other_in_one_line_and_the_same_commands_go_on(tmp_path):
    processes = two_hosts.begin_and_save(tmp_path, *LONG, apart=False)
    processes[1].kill()
    (code, out, err), _ = end(processes)
    assert (code, out) == (74, "")
    line = r"train\.mnist: lost process 1; the same commands go on from the last save \((.*)\)"
    parts = re.fullmatch(line, err.splitlines()[-1])[1].split(": ")
    assert len(parts) == len(set(parts)), parts
    processes = two_hosts.begin_and_save(tmp_path, *LONG, apart=False)
    processes[0].send_signal(signal.SIGINT)
    (_, _, err), (worker_code, out, said) = end(processes)
    assert re.search(r"^going on at step \d+$", err, re.M)
    line = r"process 0 at \S+ ended: interrupted; step \d+ of 400 is saved; the same command goes on"
    assert (worker_code, out) == (130, "") and re.fullmatch(rf"train\.mnist: {line}\n", said), said


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_where_the_coordinator_is_killed_the_worker_says_so_and_the_same_commands_train_to_the_end(tmp_path):
    processes = two_hosts.begin_and_save(tmp_path, *LONG, apart=False)
    processes[0].kill()
    _, (worker_code, out, err) = end(processes)
    line = r"train\.mnist: lost process 0 at \S+; the same commands go on from the last save\n"
    assert (worker_code, out) == (74, "") and re.fullmatch(line, err), err
    (code, _, err), (worker_code, *_) = end(two_hosts.begin(tmp_path, *LONG, apart=False))
    assert (code, worker_code) == (0, 0), err
    assert re.search(r"^going on at step \d+$", err, re.M) and "2 processes end with the same weights" in err


@pytest.mark.parametrize(
    ("coordinator", "n", "index", "message"),
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
def test_flags_that_do_not_go_together_are_a_usage_error(coordinator, n, index, message, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(UsageError) as error:
        training.rank_from_flags(coordinator, n, index, batch=128)
    assert str(error.value) == message


def test_another_backend_is_a_usage_error_before_the_data_is_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    flags = ("--data-dir", tmp_path / "gone", "--coordinator", "a:1", "--processes", "2", "--index", "0")
    done = call("train.mnist", *flags, cwd=tmp_path)
    line = "train.mnist: several processes train together on JAX alone; set KERAS_BACKEND=jax\n"
    assert (done.returncode, done.stderr) == (2, line)


def test_a_coordinator_that_is_not_there_is_given_up_on(port):
    with pytest.raises(
        PeerLost, match=rf"^process 0 was not found at 127\.0\.0\.1:{port} within 0\.3 s \(Connection refused\); "
    ):
        join(Rank(1, 2, f"127.0.0.1:{port}"), {}, wait_s=0.3)
    assert PeerLost.exit_code == 74


def test_the_first_process_says_who_did_not_come(port):
    with pytest.raises(PeerLost, match=rf"^process 1, 2 did not come to 127\.0\.0\.1:{port} within 0\.3 s$"):
        join(Rank(0, 3, f"127.0.0.1:{port}"), {}, wait_s=0.3)


def test_processes_that_were_asked_for_different_runs_are_refused(port):
    reason = "process 1 was asked for another run; give all of them the same flags and data"
    with worker(f"127.0.0.1:{port}") as endings, pytest.raises(UsageError, match=f"^{reason}$"):
        join(Rank(0, 2, f"127.0.0.1:{port}"), {"seed": 0})
    assert endings == [(2, f"process 0 at 127.0.0.1:{port} ended: {reason}")]


def test_a_coordinator_that_refuses_before_the_training_tells_the_workers(port):
    rank = Rank(0, 2, f"127.0.0.1:{port}")
    with worker(rank.coordinator) as endings, pytest.raises(UsageError), training.coordinator_scope(rank):
        raise UsageError("run holds another run; choose an --out")
    assert endings == [(2, f"process 0 at {rank.coordinator} ended: run holds another run; choose an --out")]


def test_what_is_not_a_worker_is_passed_over(port):
    rank = Rank(0, 2, f"127.0.0.1:{port}")
    with (
        worker(rank.coordinator) as endings,
        training.coordinator_scope(rank),
        socket.create_connection(("127.0.0.1", port)) as stranger,
    ):
        stranger.sendall(b"GET / HTTP/1.1\n")
    assert endings == [(0, f"process 0 at {rank.coordinator} ended: the run is finished; there is nothing to train")]


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_a_loopback_coordinator_is_found_and_listens_on_no_other_address(host, port):
    if host == "[::1]" and not socket.has_dualstack_ipv6():
        pytest.skip("needs IPv6")
    links = rendezvous.WorkerLinks(f"{host}:{port}", n_workers=1)
    assert links._port.getsockname()[0] in ("127.0.0.1", "::1")
    with worker(f"{host}:{port}") as endings:
        links.end(0, "done")
    assert endings == [(0, f"process 0 at {host}:{port} ended: done")]


@contextmanager
def worker(coordinator: str):
    """Process 1 of 2, which comes to `coordinator`; gives the exit code and the line it ends with, once it has."""
    endings = []

    def come():
        with pytest.raises(CoordinatorEnded) as error:
            join(Rank(1, 2, coordinator), {"seed": 1})
        endings.append((error.value.exit_code, str(error.value)))

    thread = threading.Thread(target=come)
    thread.start()
    yield endings
    thread.join()


def join(rank: Rank, run: dict, *, wait_s: float = 20) -> None:
    scope = training.coordinator_scope(rank) if rank.is_coordinator else nullcontext(rank)
    with scope as rank, training.training_group(rank, run, batch=2, wait_s=wait_s):
        raise AssertionError("nobody should have come")


def test_the_rows_of_all_ranks_are_together_the_whole_batch():
    split, recipe = datasets.digits.load().train, Recipe(batch=12, turn=10, flip=0.5)
    for k in (0, 99):  # the second runs over the end of an epoch
        whole = Batches(split, recipe)[k]
        parts = [Batches(split, recipe, rank=Rank(i, 3))[k] for i in range(3)]
        for ours, theirs in zip(zip(*parts, strict=True), whole, strict=True):
            np.testing.assert_array_equal(np.concatenate(ours), theirs)


def test_without_the_flags_a_process_is_alone():
    assert training.rank_from_flags(None, None, None, batch=7) == ALONE
    assert ALONE.rows(7) == slice(0, 7) and ALONE.is_coordinator
