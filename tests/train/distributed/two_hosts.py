"""Train one network on two hosts, and on what one of them is killed or cannot be reached, say how both end.

`make check-full` runs it: `python -m tests.train.distributed.two_hosts`, as root on Linux with iproute2. A host is a network
namespace with a hostname, an address and an /etc/hosts of its own; a veth pair joins the two. Everything is removed at the end.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from conftest import ROOT
from tests.train.distributed.test_rendezvous import free_port

PORT = 4711
# Without batch norms: a bias before one has a gradient that is rounding alone, which Adam would blow up to its rate.
NETWORK = ("--data", "digits", "--held-out", "0.1", "--arch", "lenet5-relu")
FEW, MANY = (*NETWORK, "--steps", "6"), (*NETWORK, "--steps", "100000", "--save-every", "0.1")
# Only the order of float32 sums differs between one process and two. Adam magnifies that: 4e-4 was found after 40 steps.
TOLERANCE = 1e-5
LIMIT_S = 600
# The training command, which also writes the weights this process ends with to the file named last.
TRAIN = """
import runpy, sys
import numpy as np
from train.distributed import training

def keep(rank, model, check=training.check_same, file=sys.argv.pop()):
    np.savez(file, *model.get_weights())
    check(rank, model)

training.check_same = keep
runpy.run_module("train.mnist", run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True)
class Host:
    """One of the two machines."""

    name: str
    address: str

    @property
    def namespace(self) -> str:
        """The network namespace that stands for the machine; of this process alone, as several may run at a time."""
        return f"edgeproof-{os.getpid()}-{self.name}"

    @property
    def interface(self) -> str:
        """Its end of the veth pair; Linux takes 15 characters."""
        return f"ep{os.getpid()}{self.name[-1]}"

    def command(self, *arguments: str) -> list[str]:
        """`arguments`, to be run on this machine."""
        named = ("unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', self.name)
        return ["ip", "netns", "exec", self.namespace, *named, *arguments]

    def kill(self) -> None:
        """Kill every process of this machine, as a power cut would."""
        for pid in _ip("netns", "pids", self.namespace).split():
            os.kill(int(pid), signal.SIGKILL)

    def unplug(self) -> None:
        """Take the link down: the other machine is gone without a word."""
        _ip("-n", self.namespace, "link", "set", self.interface, "down")

    def plug(self) -> None:
        """Bring the link up."""
        _ip("-n", self.namespace, "link", "set", self.interface, "up")


HOSTS = (Host("host-a", "10.77.0.1"), Host("host-b", "10.77.0.2"))


@dataclass(frozen=True)
class Ending:
    """How the process of one host ended."""

    exit_code: int
    seconds: float
    stdout: str
    stderr: str

    @property
    def last_line(self) -> str:
        return self.stderr.splitlines()[-1] if self.stderr else ""


def obstacle() -> str:
    """Why two hosts cannot be made here; "" where they can."""
    if sys.platform != "linux" or os.geteuid():
        return "needs root on Linux"
    if not (shutil.which("ip") and shutil.which("unshare")):
        return "needs iproute2 and util-linux"
    try:
        _ip("netns", "add", f"edgeproof-{os.getpid()}-probe")
        _ip("netns", "del", f"edgeproof-{os.getpid()}-probe")
    except subprocess.CalledProcessError as error:
        return f"no network namespace can be made: {error.stderr.strip()}"
    return ""


@contextmanager
def network() -> Iterator[None]:
    """Where the two hosts exist, joined by a link that is up."""
    try:
        for host in HOSTS:
            _ip("netns", "add", host.namespace)
            folder = Path("/etc/netns", host.namespace)  # `ip netns exec` puts it in the place of /etc
            folder.mkdir(parents=True)
            known = ("127.0.0.1 localhost", *(f"{other.address} {other.name}" for other in HOSTS))
            (folder / "hosts").write_text("\n".join(known) + "\n")
        one, other = HOSTS
        _ip("link", "add", one.interface, "type", "veth", "peer", "name", other.interface)
        for host in HOSTS:
            _ip("link", "set", host.interface, "netns", host.namespace)
            _ip("-n", host.namespace, "address", "add", f"{host.address}/24", "dev", host.interface)
            _ip("-n", host.namespace, "link", "set", "lo", "up")
            host.plug()
        yield
    finally:
        for host in HOSTS:
            shutil.rmtree(Path("/etc/netns", host.namespace), ignore_errors=True)
            if Path("/run/netns", host.namespace).exists():
                host.kill()
                _ip("netns", "del", host.namespace)  # the link goes with it


def environment(folder: Path) -> dict[str, str]:
    """Of a training in `folder`: what JAX compiles for one serves the next, and a few steps are not worth optimizing."""
    return {
        "KERAS_BACKEND": "jax",
        "PYTHONPATH": str(ROOT),
        "JAX_COMPILATION_CACHE_DIR": str(folder.parent / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }


def begin(folder: Path, *flags: str, apart: bool = True) -> list[subprocess.Popen[str]]:
    """A training on the two hosts, or in two processes of this one where they are not `apart`; process 0 on the first.

    Each has a run folder and a file of weights of its own.
    """
    coordinator = f"{HOSTS[0].name}:{PORT}" if apart else f"127.0.0.1:{free_port()}"
    processes = []
    for index, host in enumerate(HOSTS):
        command = [
            sys.executable, "-c", TRAIN, *flags, "--coordinator", coordinator, "--processes", "2", "--index", str(index),
            "--out", str(folder / host.name), str(folder / f"{host.name}.npz"),
        ]  # fmt: skip
        command = host.command(*command) if apart else command
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        processes.append(subprocess.Popen(command, env=os.environ | environment(folder), **pipes))
    return processes


def begin_and_save(folder: Path, *flags: str, apart: bool = True) -> list[subprocess.Popen[str]]:
    """A training that has saved its state, once more where one before had."""
    state = folder / HOSTS[0].name / "training.npz"
    before = state.stat().st_mtime_ns if state.exists() else 0
    processes = begin(folder, *flags, apart=apart)
    while not state.exists() or state.stat().st_mtime_ns == before:
        if processes[0].poll() is not None:
            raise RuntimeError(f"the training ended early: {processes[0].communicate()}")
        time.sleep(0.05)
    return processes


def end(processes: list[subprocess.Popen[str]]) -> list[Ending]:
    """How each of `processes` ends, in at most LIMIT_S; the seconds count from now."""
    started = time.monotonic()
    endings: dict[int, tuple[int, float]] = {}
    while len(endings) < len(processes):
        for i, process in enumerate(processes):
            if i not in endings and process.poll() is not None:
                endings[i] = process.returncode, time.monotonic() - started
        if time.monotonic() - started > LIMIT_S:
            for process in processes:
                process.kill()
        time.sleep(0.02)
    return [Ending(*endings[i], *process.communicate()) for i, process in enumerate(processes)]


def weights(file: Path) -> list[np.ndarray]:
    """The weights that a process wrote to `file`."""
    with np.load(file) as archive:
        return list(archive.values())


def check_equal_weights(folder: Path) -> str:
    """Train on both hosts and in one process; what was found, in a line. Raises AssertionError."""
    before = _received(HOSTS[0])
    first, second = end(begin(folder, *FEW))
    _expect(first, 0, r"2 processes end with the same weights, SHA-256 \w{64}")
    _expect(second, 0, "")
    n_bytes = _received(HOSTS[0]) - before
    ours, theirs = (weights(folder / f"{host.name}.npz") for host in HOSTS)
    assert [w.tobytes() for w in ours] == [w.tobytes() for w in theirs], "the hosts' weights differ"
    command = (sys.executable, "-c", TRAIN, *FEW, "--out", str(folder / "alone"), str(folder / "alone.npz"))
    subprocess.run(command, env=os.environ | environment(folder), check=True, capture_output=True)
    apart = max(float(np.abs(w - o).max()) for w, o in zip(ours, weights(folder / "alone.npz"), strict=True))
    assert apart <= TOLERANCE, f"the hosts' weights lie {apart:.2g} from those of one process"
    return f"equal on both hosts, at most {apart:.2g} from one process at the same batch; {n_bytes:,} bytes came over the link"


def check_worker_killed(folder: Path) -> list[Ending]:
    """Kill the second host in mid-training; then the same commands go on."""
    processes = begin_and_save(folder, *MANY)
    ports = [_ports(process.pid) for process in processes]
    print("  listening:", "; ".join(f"{host.name} {' '.join(map(str, p))}" for host, p in zip(HOSTS, ports, strict=True)))
    HOSTS[1].kill()
    first, second = end(processes)
    _expect(first, 74, r"train\.mnist: lost .*; the same commands go on from the last save.*")
    processes = begin(folder, *MANY)
    for line in processes[0].stderr:  # type: ignore[union-attr]
        if re.fullmatch(r"going on at step [\d,]+\n", line):
            break
    else:
        raise AssertionError("the same commands did not go on")
    for host in HOSTS:
        host.kill()
    end(processes)
    return [first, second]


def check_coordinator_killed(folder: Path) -> list[Ending]:
    """Kill the first host in mid-training."""
    processes = begin_and_save(folder, *MANY)
    HOSTS[0].kill()
    first, second = end(processes)
    _expect(second, 74, r"train\.mnist: lost process 0 at host-a:4711; the same commands go on from the last save")
    assert second.stderr.count("\n") == 1, second.stderr
    return [first, second]


def check_unplugged(folder: Path) -> list[Ending]:
    """Take the link down in mid-training."""
    processes = begin_and_save(folder, *MANY)
    HOSTS[1].unplug()
    try:
        endings = end(processes)
    finally:
        HOSTS[1].plug()
    for ending in endings:
        _expect(ending, 74, r"train\.mnist: lost .*; the same commands go on from the last save.*")
    assert endings[1].stderr.count("\n") == 1, endings[1].stderr
    return endings


def check_never_reached(folder: Path) -> list[Ending]:
    """Start both with the link down."""
    HOSTS[1].unplug()
    try:
        endings = end(begin(folder, *FEW))
    finally:
        HOSTS[1].plug()
    _expect(endings[0], 74, r"train\.mnist: process 1 did not come to host-a:4711 within 60 s")
    _expect(endings[1], 74, r"train\.mnist: process 0 was not found at host-a:4711 within 60 s \(.*\); .*")
    return endings


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.train.distributed.two_hosts", description=__doc__.splitlines()[0])
    parser.parse_args()
    if why := obstacle():
        print(f"two hosts cannot be made here: {why}")
        return 0
    failed = 0
    with tempfile.TemporaryDirectory() as scratch, network():
        print(f"{HOSTS[0].name} ({HOSTS[0].address}) and {HOSTS[1].name} ({HOSTS[1].address}), a veth pair between them")
        for check in (check_equal_weights, check_worker_killed, check_coordinator_killed, check_unplugged, check_never_reached):
            folder = Path(scratch, check.__name__)
            folder.mkdir()
            print(f"{(check.__doc__ or '').split('; ')[0].rstrip('.')}:", flush=True)
            try:
                result = check(folder)
            except AssertionError as error:
                failed += 1
                print(f"  FAILED: {error}", flush=True)
                continue
            if isinstance(result, str):
                print(f"  {result}", flush=True)
                continue
            for host, ending in zip(HOSTS, result, strict=True):
                how = (
                    "killed"
                    if ending.exit_code == -signal.SIGKILL
                    else f"exit code {ending.exit_code} after {ending.seconds:.1f} s"
                )
                print(f"  {host.name}: {how}{f': {ending.last_line}' if how != 'killed' else ''}", flush=True)
    return 1 if failed else 0


def _expect(ending: Ending, exit_code: int, last_line: str) -> None:
    assert ending.exit_code == exit_code, f"exit code {ending.exit_code}, not {exit_code}: {ending.stderr}"
    assert re.fullmatch(last_line, ending.last_line), ending.stderr


def _ip(*arguments: str) -> str:
    return subprocess.run(("ip", *arguments), check=True, capture_output=True, text=True).stdout


def _received(host: Host) -> int:
    """Bytes that came to `host` over the link."""
    return int(subprocess.check_output(host.command("cat", f"/sys/class/net/{host.interface}/statistics/rx_bytes")))


def _ports(pid: int) -> list[int]:
    """TCP ports on which the host of process `pid` listens."""
    lines = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()]
    return sorted({int(fields[1].rpartition(":")[2], 16) for fields in lines if fields[3] == "0A"})


if __name__ == "__main__":
    sys.exit(main())
