"""The connections between the processes of a training, without a training."""

import socket
import subprocess
import sys
import threading
import time

import pytest

from conftest import ROOT
from train.distributed.rendezvous import CoordinatorLink, WorkerLinks

WORKER = """
import sys
from train.distributed.rendezvous import CoordinatorLink

link = CoordinatorLink(sys.argv[1], index=1)
link.open("digest", wait_s=60)
link.done()
print("done")
"""


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


COORDINATOR = """
import sys, time
from train.distributed.rendezvous import WorkerLinks

links = WorkerLinks(sys.argv[1], n_workers=1)
links.open("digest", wait_s=60)
time.sleep(60)
"""


@pytest.fixture
def links():
    """A coordinator's end, and its address, with a worker in a process of its own that has begun."""
    address = f"127.0.0.1:{free_port()}"
    links = WorkerLinks(address, n_workers=1)
    command = (sys.executable, "-c", WORKER, address)
    worker = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    links.open("digest", wait_s=60)
    links.silence()  # or its watch would end this process
    yield links, address, worker
    worker.kill()
    worker.communicate()


def test_a_killed_worker_is_named(links):
    coordinator, _, worker = links
    assert coordinator.lost() == ""
    worker.kill()
    assert coordinator.lost() == "1"


def test_a_worker_ends_in_one_line_when_its_connection_breaks(links):
    coordinator, address, worker = links
    for link in coordinator._links:
        link.shutdown(socket.SHUT_RDWR)  # as the kernel does when the coordinator is killed
    _, err = worker.communicate(timeout=60)
    assert (worker.returncode, err) == (
        74,
        f"train: lost process 0 at {address}; the same commands go on from the last save\n",
    )


def test_a_worker_ends_with_the_coordinators_exit_code_and_reason(links):
    coordinator, address, worker = links
    coordinator.end(130, "interrupted; step 7 is saved")
    _, err = worker.communicate(timeout=60)
    assert (worker.returncode, err) == (130, f"train: process 0 at {address} ended: interrupted; step 7 is saved\n")


def test_a_worker_goes_on_when_the_training_is_over(links):
    coordinator, _, worker = links
    coordinator._send("done")
    coordinator._hang_up()
    assert worker.communicate(timeout=60) == ("done\n", "")


def test_a_coordinator_that_hangs_ends_in_one_line_when_a_worker_is_gone():
    address = f"127.0.0.1:{free_port()}"
    commands = ((sys.executable, "-c", script, address) for script in (COORDINATOR, WORKER))
    coordinator, worker = (subprocess.Popen(c, cwd=ROOT, stderr=subprocess.PIPE, text=True) for c in commands)
    assert coordinator.stderr.readline() == f"waiting at {address} for 1 of 2 processes\n"
    time.sleep(3)  # the worker has come
    worker.kill()
    worker.communicate()
    _, err = coordinator.communicate(timeout=60)
    assert (coordinator.returncode, err) == (74, "train: lost process 1; the same commands go on from the last save\n")


def test_a_worker_that_ends_by_itself_speaks_alone():
    address = f"127.0.0.1:{free_port()}"
    coordinator, worker = WorkerLinks(address, n_workers=1), CoordinatorLink(address, index=1)
    thread = threading.Thread(target=worker.open, args=("digest",), kwargs={"wait_s": 60})
    thread.start()
    coordinator.open("digest", wait_s=60)
    thread.join()
    coordinator.silence()
    worker.silence()
    coordinator.end(2, "another reason")  # would end this process, were the thread to speak
    assert worker.lost() == ""
