"""One training in several processes, on one machine or many: each computes the gradient of its rows of every batch.

JAX sums the gradients through `keras.distribution`, so every process holds the same weights after every step. Process 0
leads: it alone keeps the run folder and speaks; the others lend their hands, and end when it ends.
"""

import atexit
import hashlib
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from edge.errors import Refused, ToolchainError, UsageError, one_line
from edge.quiet import NativeChatterHidden

if TYPE_CHECKING:
    import keras

WAIT_S = 60.0  # for the other processes to come
_RETRY_S = 0.2
_GREETING = "edgeproof-training"
_GO = "go\n"


class Parted(ToolchainError):
    """The other processes cannot be reached, or are gone."""

    exit_code = 74


@dataclass(frozen=True)
class Share:
    """Which of how many processes this is; where nothing is said, the only one."""

    index: int = 0
    n_processes: int = 1
    coordinator: str = ""  # HOST:PORT at which the others find process 0

    @property
    def alone(self) -> bool:
        """Whether there are no others."""
        return self.n_processes == 1

    @property
    def leads(self) -> bool:
        """Whether this process keeps the run folder and speaks."""
        return self.index == 0

    def rows(self, n: int) -> slice:
        """This process's rows of a batch of `n`, which the number of processes divides."""
        each = n // self.n_processes
        return slice(self.index * each, (self.index + 1) * each)


ALONE = Share()


def share(coordinator: str | None, n_processes: int | None, index: int | None, *, batch: int) -> Share:
    """The share that the flags ask for. Raises UsageError."""
    if coordinator is None and n_processes is None and index is None:
        return ALONE
    if coordinator is None or n_processes is None or index is None:
        raise UsageError("--coordinator, --processes and --index go together; give all three or none")
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise UsageError(one_line(f"--coordinator {coordinator}: not HOST:PORT"))
    if n_processes < 2:
        raise UsageError(f"--processes {n_processes}: fewer than two; leave out all three flags to train in one")
    if not 0 <= index < n_processes:
        raise UsageError(f"--index {index}: {n_processes} processes are counted from 0 to {n_processes - 1}")
    if os.environ.get("KERAS_BACKEND") != "jax":
        raise UsageError("several processes train together on JAX alone; set KERAS_BACKEND=jax")
    _check_batch(batch, n_processes, "processes")
    return Share(index, n_processes, coordinator)


@contextmanager
def joined(share: Share, run: dict[str, Any], *, batch: int, wait_s: float = WAIT_S) -> Iterator[None]:
    """Where the processes of `share` train what `run` describes together; one that is alone is left alone.

    A network is built and fitted within it, and of no use outside. Raises Parted where a process does not come within
    `wait_s` or is lost later, UsageError where one was asked for another run, or the batch cannot be divided.
    """
    if share.alone:
        yield
        return
    # JAX aborts the interpreter where its own wait for the others fails, so they are called together before it.
    digest = hashlib.sha256(json.dumps([run, share.n_processes], sort_keys=True).encode()).hexdigest()
    if share.leads:
        _call_roll(share, digest, wait_s)
    else:
        _answer_roll(share, digest, wait_s)
    with NativeChatterHidden():
        import jax
        import keras

        # Or JAX keeps SIGTERM for a use of its own, and `kill` ends nothing.
        jax.config.update("jax_enable_preemption_service", False)
        # This is keras.distribution.initialize, which does not pass on how long to wait.
        jax.distributed.initialize(
            share.coordinator, share.n_processes, share.index, initialization_timeout=60, shutdown_timeout_seconds=10
        )
        n_devices, n_local = jax.device_count(), jax.local_device_count()
    try:
        if n_devices != share.n_processes * n_local:
            raise UsageError(f"{n_devices} devices in {share.n_processes} processes; every process needs as many")
        _check_batch(batch, n_devices, "devices")
        keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
        yield
    except BaseException as error:
        lost = isinstance(error, jax.errors.JaxRuntimeError)
        # JAX would wait at the end for the others to end as well, and abort where they do not.
        atexit.register(os._exit, Parted.exit_code if lost else _exit_code(error))
        if lost:
            raise Parted(f"lost the other processes: {one_line(str(error).splitlines()[0])[:120]}") from error
        raise
    keras.distribution.set_distribution(None)
    jax.distributed.shutdown()


def from_the_first(share: Share, step: int, values: list[np.ndarray], *, like: list[Any]) -> tuple[int, list[np.ndarray]]:
    """`step` and `values` as process 0 has them; no values where its step is 0, else of the shapes and types of `like`."""
    if share.alone:
        return step, values
    from jax.experimental.multihost_utils import broadcast_one_to_all

    step = int(broadcast_one_to_all(np.int32(step)))
    if not step:
        return 0, []
    return step, broadcast_one_to_all(values if share.leads else [np.zeros(v.shape, v.dtype) for v in like])


def check_same(share: Share, model: "keras.Model") -> None:
    """Raises Refused, in every process, where the weights of `model` are not the same in all of them; else 0 says so."""
    if share.alone:
        return
    from jax.experimental.multihost_utils import process_allgather

    digest = hashlib.sha256(b"".join(weight.tobytes() for weight in model.get_weights()))
    every = process_allgather(np.frombuffer(digest.digest(), np.uint8))
    if odd := [str(i) for i, other in enumerate(every) if not np.array_equal(other, every[0])]:
        raise Refused(f"the weights of process {', '.join(odd)} differ from those of process 0; nothing is written")
    if share.leads:
        print(f"{share.n_processes} processes end with the same weights, SHA-256 {digest.hexdigest()}", file=sys.stderr)


def _exit_code(error: BaseException) -> int:
    """As edge.errors.run gives it."""
    if isinstance(error, ToolchainError):
        return error.exit_code
    return 130 if isinstance(error, KeyboardInterrupt) else 74 if isinstance(error, OSError) else 70


def _check_batch(batch: int, n: int, what: str) -> None:
    if batch % n:
        raise UsageError(f"--batch {batch} does not divide among {n} {what}")


def _call_roll(share: Share, digest: str, wait_s: float) -> None:
    """As process 0: wait until all the others have come for the same run, and tell them to go on."""
    n_others, port = share.n_processes - 1, int(share.coordinator.rpartition(":")[2])
    until = time.monotonic() + wait_s
    present: dict[str, socket.socket] = {}
    with ExitStack() as sockets:
        try:
            door = sockets.enter_context(socket.create_server(("", port)))
        except OSError as error:
            raise Parted(f"port {port} cannot be listened on: {error.strerror}; choose another --coordinator") from None
        print(f"waiting at {share.coordinator} for {n_others} of {share.n_processes} processes", file=sys.stderr)
        while len(present) < n_others:
            try:
                door.settimeout(_left(until))
                peer = sockets.enter_context(door.accept()[0])
            except TimeoutError:
                absent = ", ".join(str(i) for i in range(1, share.n_processes) if str(i) not in present)
                raise Parted(f"process {absent} did not come to {share.coordinator} within {wait_s:g} s") from None
            greeting, _, said = _line(peer, until=min(until, time.monotonic() + 5)).partition(" ")
            index, _, theirs = said.partition(" ")
            if greeting != _GREETING:
                continue  # not one of ours
            if index in present:
                _refuse(peer, f"there are two processes with --index {index}")
            if theirs != digest:
                _refuse(peer, f"process {index} was asked for another run; give all of them the same flags and data")
            present[index] = peer
        for peer in present.values():
            peer.sendall(_GO.encode())


def _answer_roll(share: Share, digest: str, wait_s: float) -> None:
    """As another: find process 0, and wait until it says to go on."""
    host, _, port = share.coordinator.rpartition(":")
    until = time.monotonic() + wait_s
    while True:
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=_left(until)) as first:
                first.sendall(f"{_GREETING} {share.index} {digest}\n".encode())
                said = _line(first, until=until + 5)  # 5: it counts its own seconds, and is to speak first
            break
        except OSError as error:
            if time.monotonic() >= until:
                why = one_line(str(error.strerror or error))
                raise Parted(f"process 0 was not found at {share.coordinator} within {wait_s:g} s: {why}") from None
            time.sleep(_RETRY_S)
    if said != _GO.strip():
        raise Parted(f"process 0 at {share.coordinator} does not go on: {one_line(said) or 'it ended'}")


def _refuse(peer: socket.socket, why: str) -> NoReturn:
    peer.sendall(f"{why}\n".encode())
    raise UsageError(why)


def _line(peer: socket.socket, *, until: float) -> str:
    """What `peer` says, up to the end of a line of 200 bytes at most; less where it falls silent or hangs up."""
    said = b""
    try:
        while not said.endswith(b"\n") and len(said) < 200:
            peer.settimeout(_left(until))
            if not (more := peer.recv(200 - len(said))):
                break
            said += more
    except OSError:
        pass
    return said.decode(errors="replace").strip()


def _left(until: float) -> float:
    return max(until - time.monotonic(), 0.01)
