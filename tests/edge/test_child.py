"""A child process of ours ends with its parent, however that ends."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from edge import child

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def children() -> list[int]:
    """The children of this process that live, or that nobody has waited for."""
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return [int(number) for number in file.read().split()]


def test_input_goes_in_and_what_it_prints_comes_out():
    code = "import sys; print(sys.stdin.read().upper()); print('why', file=sys.stderr); sys.exit(3)"
    done = child.run([sys.executable, "-c", code], input=b"word")
    assert (done.returncode, done.stdout, done.stderr) == (3, "WORD\n", "why\n")


def test_a_child_that_hangs_is_ended_at_the_timeout():
    with pytest.raises(subprocess.TimeoutExpired):
        child.run(SLEEP, timeout_s=0.2)
    assert not children()


def test_an_interrupted_wait_ends_the_child():
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            child.run(SLEEP)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not children()


def test_a_start_that_fails_halfway_leaves_no_child(monkeypatch):
    def fails(*_: object) -> bytes:  # what Popen hears from its child with, once that runs
        assert children()
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "read", fails)
    with pytest.raises(OSError, match="Input/output error"):
        child.run(SLEEP)
    assert not children()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("starts", ["child.run", "process.measure_from_small"])
def test_a_killed_parent_takes_its_child_along(how, starts, tmp_path):
    tell = f"import os, time; open({str(tmp_path / 'new')!r}, 'w').write(str(os.getpid())); "
    tell += f"os.rename({str(tmp_path / 'new')!r}, {str(tmp_path / 'pid')!r}); time.sleep(60)"
    code = f"import sys; from edge import child; from edge.bench import process; {starts}([sys.executable, '-c', {tell!r}])"
    parent = subprocess.Popen([sys.executable, "-c", code])
    wait_until((tmp_path / "pid").exists)
    os.kill(parent.pid, how)
    parent.wait()
    pid = (tmp_path / "pid").read_text()
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"))


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)
