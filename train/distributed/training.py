"""One training in several processes, on one machine or many: each computes the gradient of its rows of every batch.

JAX sums the gradients through `keras.distribution`, so every process holds the same weights after every step. Process 0
leads: it alone keeps the run folder and speaks; the others lend their hands, and end when it ends.
"""

import atexit
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.errors import Refused, UsageError, note, one_line
from edge.silence import silence_native_output
from train.distributed import rendezvous
from train.distributed.rendezvous import Parted

if TYPE_CHECKING:
    import keras

_called: set["Share"] = set()  # those for which process 0 has called the roll


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
    if ":" in host and not host.startswith("["):
        raise UsageError(one_line(f"--coordinator {coordinator}: an IPv6 address goes in brackets, [{host}]:{port}"))
    if n_processes < 2:
        raise UsageError(f"--processes {n_processes}: fewer than two; leave out all three flags to train in one")
    if not 0 <= index < n_processes:
        raise UsageError(f"--index {index}: {n_processes} processes are counted from 0 to {n_processes - 1}")
    if os.environ.get("KERAS_BACKEND") != "jax":
        raise UsageError("several processes train together on JAX alone; set KERAS_BACKEND=jax")
    _check_batch(batch, n_processes, "processes")
    return Share(index, n_processes, coordinator)


@contextmanager
def leading(share: Share) -> Iterator[None]:
    """Where process 0 looks at what there is to do, and does it: the others that wait are told where there is nothing."""
    try:
        yield
    except Exception as error:
        _turn_away(share, *rendezvous.outcome(error))
        raise
    _turn_away(share, 0, "the run is finished; there is nothing to train")


def _turn_away(share: Share, code: int, why: str) -> None:
    if not share.alone and share not in _called:
        rendezvous.turn_away(share.coordinator, code, why, n_processes=share.n_processes)


@contextmanager
def joined(share: Share, run: dict[str, Any], *, batch: int, wait_s: float = rendezvous.WAIT_S) -> Iterator[None]:
    """Where the processes of `share` train what `run` describes together; one that is alone is left alone.

    A network is built and fitted within it, and of no use outside. Raises Parted where a process does not come within
    `wait_s` or is lost later, UsageError where one was asked for another run, or the batch cannot be divided, and Ended
    where process 0 does not go on. Where it ends later, one of the others ends at once with one line on stderr.
    """
    if share.alone:
        yield
        return
    # JAX aborts the interpreter where its own wait for the others fails, so they are called together before it.
    digest = hashlib.sha256(json.dumps([run, share.n_processes], sort_keys=True).encode()).hexdigest()
    if share.leads:
        _called.add(share)
        line = rendezvous.call(share.coordinator, digest, n_processes=share.n_processes, wait_s=wait_s)
    else:
        line = rendezvous.answer(share.coordinator, digest, index=share.index, wait_s=wait_s)
    with silence_native_output():
        import jax
        import keras
    # What the others would write is JAX's dump where process 0 is killed; it comes before they can be ended in one line.
    with nullcontext() if share.leads else silence_native_output():
        try:
            _begin_together(share, batch)
            yield
        except BaseException as error:
            parted = None
            if isinstance(error, jax.errors.JaxRuntimeError):
                # JAX names every call it came through, the same one several times.
                why = ": ".join(dict.fromkeys(str(error).splitlines()[0].split(": ")))
                parted = Parted(f"lost another process; the same commands go on from the last save ({one_line(why)[:80]})")
            code, why = rendezvous.outcome(parted or error)
            # JAX would wait at the end for the others to end as well, and abort where they do not.
            atexit.register(os._exit, code)
            line.end(code, why)
            if parted:
                raise parted from error
            raise
        keras.distribution.set_distribution(None)
        jax.distributed.shutdown()
        line.done()


def _begin_together(share: Share, batch: int) -> None:
    import jax
    import keras

    with silence_native_output():
        # Or JAX keeps SIGTERM for a use of its own, and `kill` ends nothing.
        jax.config.update("jax_enable_preemption_service", False)
        # This is keras.distribution.initialize, which does not pass on how long to wait, or where to listen.
        jax.distributed.initialize(
            share.coordinator, share.n_processes, share.index, initialization_timeout=60, shutdown_timeout_seconds=10,
            coordinator_bind_address=share.coordinator if rendezvous.is_loopback(share.coordinator) else None,
        )  # fmt: skip
        n_devices, n_local = jax.device_count(), jax.local_device_count()
    if n_devices != share.n_processes * n_local:
        raise UsageError(f"{n_devices} devices in {share.n_processes} processes; every process needs as many")
    _check_batch(batch, n_devices, "devices")
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))


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
        note(f"{share.n_processes} processes end with the same weights, SHA-256 {digest.hexdigest()}")


def _check_batch(batch: int, n: int, what: str) -> None:
    if batch % n:
        raise UsageError(f"--batch {batch} does not divide among {n} {what}")
