"""The connections between the processes of a training, without a training."""

import socket
import subprocess
import sys
import threading

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


@pytest.fixture
def links():
    """A coordinator's end, and its address, with a worker in a process of its own that has begun."""
    address = f"127.0.0.1:{free_port()}"
    links = WorkerLinks(address, n_workers=1)
    command = (sys.executable, "-c", WORKER, address)
    worker = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    links.open("digest", wait_s=60)
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
    coordinator._hang_up()  # as the kernel does when the coordinator is killed
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
    coordinator.done()
    assert worker.communicate(timeout=60) == ("done\n", "")


def test_a_worker_that_ends_by_itself_speaks_alone():
    address = f"127.0.0.1:{free_port()}"
    coordinator, worker = WorkerLinks(address, n_workers=1), CoordinatorLink(address, index=1)
    thread = threading.Thread(target=worker.open, args=("digest",), kwargs={"wait_s": 60})
    thread.start()
    coordinator.open("digest", wait_s=60)
    thread.join()
    worker.silence()
    coordinator.end(2, "another reason")  # would end this process, were the thread to speak
    assert worker.lost() == ""
