"""One training in several processes, on one machine or many: each computes the gradient of its rows of every batch.

JAX sums the gradients through `keras.distribution`, so every process holds the same weights after every step. Process 0 is
the coordinator: it alone writes the run folder and reports. The others, the workers, only compute, and end when it ends.
"""

import atexit
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.errors import Refused, ToolchainError, UsageError, note, one_line
from edge.silence import silence_native_output
from train.distributed import rendezvous
from train.distributed.rendezvous import CoordinatorLink, PeerLost, WorkerLinks

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Rank:
    """Which of how many processes this is; by default the only one."""

    index: int = 0
    world_size: int = 1
    coordinator: str = ""  # HOST:PORT at which the workers find process 0
    workers: WorkerLinks | None = field(default=None, compare=False)  # within `coordinator_scope`

    @property
    def alone(self) -> bool:
        """Whether there are no others."""
        return self.world_size == 1

    @property
    def is_coordinator(self) -> bool:
        """Whether this process writes the run folder and reports."""
        return self.index == 0

    def rows(self, n: int) -> slice:
        """This process's rows of a batch of `n`, which the number of processes divides."""
        each = n // self.world_size
        return slice(self.index * each, (self.index + 1) * each)


ALONE = Rank()


def rank_from_flags(coordinator: str | None, n_processes: int | None, index: int | None, *, batch: int) -> Rank:
    """The rank that the flags ask for. Raises UsageError."""
    if coordinator is None and n_processes is None and index is None:
        return ALONE
    if coordinator is None or n_processes is None or index is None:
        raise UsageError("--coordinator, --processes and --index go together; give all three or none")
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise UsageError(one_line(f"--coordinator {coordinator}: not HOST:PORT"))
    if ":" in host and not host.startswith("["):
        raise UsageError(one_line(f"--coordinator {coordinator}: an IPv6 address goes in brackets, [{host}]:{port}"))
    if n_processes < 2:
        raise UsageError(f"--processes {n_processes}: fewer than two; leave out all three flags to train in one")
    if not 0 <= index < n_processes:
        raise UsageError(f"--index {index}: {n_processes} processes are counted from 0 to {n_processes - 1}")
    if os.environ.get("KERAS_BACKEND") != "jax":
        raise UsageError("several processes train together on JAX alone; set KERAS_BACKEND=jax")
    _check_batch(batch, n_processes, "processes")
    return Rank(index, n_processes, coordinator)


@contextmanager
def coordinator_scope(rank: Rank) -> Iterator[Rank]:
    """`rank` for process 0 to train with: within it workers can come, and at its end they learn why it ends."""
    if rank.alone:
        yield rank
        return
    workers = WorkerLinks(rank.coordinator, n_workers=rank.world_size - 1)
    try:
        yield replace(rank, workers=workers)
    except BaseException as error:
        workers.end(*rendezvous.ending(error))
        raise
    workers.end(0, "the run is finished; there is nothing to train")


@contextmanager
def training_group(rank: Rank, run: dict[str, Any], *, batch: int, wait_s: float = rendezvous.WAIT_S) -> Iterator[None]:
    """Within it the processes of `rank` train what `run` describes together; one that is alone is left alone.

    A network is built and fitted within it, and of no use outside. Raises PeerLost where a process does not come within
    `wait_s` or is lost later, UsageError where one was asked for another run or the batch cannot be divided, and
    CoordinatorEnded where process 0 does not begin. Where process 0 ends later, a worker ends at once with one line on stderr.
    """
    if rank.alone:
        yield
        return
    digest = hashlib.sha256(json.dumps([run, rank.world_size], sort_keys=True).encode()).hexdigest()
    link = rank.workers or CoordinatorLink(rank.coordinator, index=rank.index)
    link.open(digest, wait_s=wait_s)
    with silence_native_output():
        import jax
        import keras
    # A worker would write JAX's stack dump when process 0 is killed, before the thread can end it in one line.
    with nullcontext() if rank.is_coordinator else silence_native_output():
        try:
            _begin_together(rank, batch)
            yield
        except BaseException as error:
            final = _explained(error, link)
            # At its end JAX would wait for the others to end as well, and abort where they do not.
            atexit.register(os._exit, rendezvous.ending(final)[0])
            link.silence()
            if final is error:
                raise
            raise final from error
        keras.distribution.set_distribution(None)
        jax.distributed.shutdown()
        link.done()


def _explained(error: BaseException, link: WorkerLinks | CoordinatorLink) -> BaseException:
    """PeerLost where `error` is what JAX says of a lost process, else `error` itself."""
    import jax

    if isinstance(error, ToolchainError) or not isinstance(error, Exception):
        return error
    lost = link.lost()
    if not lost and not isinstance(error, jax.errors.JaxRuntimeError):
        return error
    # JAX names every call the error came through, the same one several times.
    reason = ": ".join(dict.fromkeys((str(error).splitlines() or [""])[0].split(": ")))
    return PeerLost(f"lost {f'process {lost}' if lost else 'another process'}; {rendezvous.GO_ON} ({one_line(reason)[:80]})")


def _begin_together(rank: Rank, batch: int) -> None:
    import jax
    import keras

    with silence_native_output():
        # Or JAX keeps SIGTERM for a use of its own, and `kill` ends nothing.
        jax.config.update("jax_enable_preemption_service", False)
        # This is keras.distribution.initialize, which does not pass on how long to wait, or where to listen.
        jax.distributed.initialize(
            rank.coordinator, rank.world_size, rank.index, initialization_timeout=60, shutdown_timeout_seconds=10,
            coordinator_bind_address=rank.coordinator if rendezvous.is_loopback(rank.coordinator) else None,
        )  # fmt: skip
        n_devices, n_local = jax.device_count(), jax.local_device_count()
    if n_devices != rank.world_size * n_local:
        raise UsageError(f"{n_devices} devices in {rank.world_size} processes; every process needs as many")
    _check_batch(batch, n_devices, "devices")
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))


def broadcast(rank: Rank, step: int, values: list[np.ndarray], *, like: list[Any]) -> tuple[int, list[np.ndarray]]:
    """`step` and `values` as process 0 has them; no values where its step is 0, else of the shapes and types of `like`."""
    if rank.alone:
        return step, values
    from jax.experimental.multihost_utils import broadcast_one_to_all

    step = int(broadcast_one_to_all(np.int32(step)))
    if not step:
        return 0, []
    return step, broadcast_one_to_all(values if rank.is_coordinator else [np.zeros(v.shape, v.dtype) for v in like])


def check_same(rank: Rank, model: "keras.Model") -> None:
    """Raises Refused, in every process, where the weights of `model` are not the same in all of them; else 0 says so."""
    if rank.alone:
        return
    from jax.experimental.multihost_utils import process_allgather

    digest = hashlib.sha256(b"".join(weight.tobytes() for weight in model.get_weights()))
    every = process_allgather(np.frombuffer(digest.digest(), np.uint8))
    if odd := [str(i) for i, other in enumerate(every) if not np.array_equal(other, every[0])]:
        raise Refused(f"the weights of process {', '.join(odd)} differ from those of process 0; nothing is written")
    if rank.is_coordinator:
        note(f"{rank.world_size} processes end with the same weights, SHA-256 {digest.hexdigest()}")


def _check_batch(batch: int, n: int, what: str) -> None:
    if batch % n:
        raise UsageError(f"--batch {batch} does not divide among {n} {what}")
