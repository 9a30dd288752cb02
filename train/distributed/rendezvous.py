"""How the processes of one training find each other, and learn that one of them has ended.

Each worker connects to the coordinator, process 0, and keeps the connection while they train. A coordinator that ends sends
its exit code and the reason. Where a process is killed or its host cannot be reached, the connection breaks. JAX's own
coordination service would abort the interpreter in these cases (docs/decisions/0010-rendezvous.md).
"""

import ipaddress
import os
import select
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import BinaryIO

from edge.errors import ToolchainError, UsageError, note, one_line

WAIT_S = 60.0  # for every process to come
_GRACE_S = 2.0  # for what is already on its way: a worker, a message, the end of a connection
_GREETING_S = 5.0  # for whatever connects to say what it is
_RETRY_S = 0.2
GO_ON = "the same commands go on from the last save"
_GREETING = "edgeproof-training"
_BEGIN, _DONE = "begin", "done"


class PeerLost(ToolchainError):
    """Another process cannot be reached, or is gone."""

    exit_code = 74


class CoordinatorEnded(ToolchainError):
    """The coordinator sent word that it ends; `exit_code` is the one it sent."""


def ending(error: BaseException) -> tuple[int, str]:
    """The exit code that edge.errors.run gives a process that raises `error`, and the reason."""
    if isinstance(error, ToolchainError):
        return error.exit_code, str(error)
    if isinstance(error, KeyboardInterrupt):
        return 130, "interrupted"
    return 74 if isinstance(error, OSError) else 70, str(error) or type(error).__name__


class _Watch:
    """A thread that ends this process in one line when a connection breaks, unless the process ends by itself.

    The main thread may hang in a sum meanwhile: where a host is gone without a word, it would until JAX aborts.
    """

    def __init__(self) -> None:
        self._speaking = threading.Lock()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def silence(self) -> None:
        """This process ends, or goes on, by itself. Where the thread was first, it ends the process meanwhile."""
        self._speaking.acquire()  # never released

    def _start(self) -> None:
        self._stderr = os.dup(2)  # edge.silence redirects descriptor 2 at times
        self._thread.start()

    def _listen(self) -> None:
        raise NotImplementedError

    def _exit(self, error: ToolchainError) -> None:
        self._speaking.acquire()
        with suppress(OSError):
            os.write(self._stderr, f"{_program()}: {error}\n".encode())
        os._exit(error.exit_code)


class WorkerLinks(_Watch):
    """At the coordinator: the port that workers come to, a connection to each that came, and a watch over them."""

    def __init__(self, coordinator: str, *, n_workers: int) -> None:
        super().__init__()
        self._coordinator, self._n_workers = coordinator, n_workers
        self._port = _listen(coordinator)
        self._links: dict[socket.socket, str] = {}  # with the worker's index

    def open(self, digest: str, *, wait_s: float) -> None:
        """Wait until every worker has come for the run of this `digest`, and let them begin.

        Raises PeerLost where one does not come within `wait_s`, UsageError where two have one index or one another run.
        """
        note(f"waiting at {self._coordinator} for {self._n_workers} of {self._n_workers + 1} processes")
        missing = {str(i) for i in range(1, self._n_workers + 1)}
        deadline = time.monotonic() + wait_s
        while missing:
            try:
                index, theirs = self._accept(deadline)
            except TimeoutError:
                absent = ", ".join(sorted(missing, key=int))
                raise PeerLost(f"process {absent} did not come to {self._coordinator} within {wait_s:g} s") from None
            if index not in missing:
                raise UsageError(f"there are two processes with --index {index}")
            if theirs != digest:
                raise UsageError(f"process {index} was asked for another run; give all of them the same flags and data")
            missing.remove(index)
        self._port.close()
        self._send(_BEGIN)
        self._start()

    def lost(self) -> str:
        """The indices of the workers whose connection is broken, or breaks within a moment; "" where none is."""
        # Workers send nothing after their greeting: what can be read is the end of the connection.
        broken, _, _ = select.select(self._links, [], [], _GRACE_S)
        return ", ".join(self._links[link] for link in broken)

    def done(self) -> None:
        """Say that the training is over, after which either side may end."""
        self.silence()
        self._send(_DONE)
        self._hang_up()

    def end(self, code: int, reason: str) -> None:
        """Tell the workers, those included that come within a moment, that the coordinator ends with exit code `code`."""
        deadline = time.monotonic() + _GRACE_S
        with suppress(OSError):  # nobody comes, or the port is closed by now
            while len(self._links) < self._n_workers:
                self._accept(deadline)
        self._port.close()
        self._send(f"{code} {one_line(reason)[:400]}")
        self._hang_up()

    def _listen(self) -> None:
        links = self._links
        broken, _, _ = select.select(links, [], [])
        time.sleep(2 * _GRACE_S)  # JAX may notice as well, and say more
        self._exit(PeerLost(f"lost process {', '.join(links[link] for link in broken)}; {GO_ON}"))

    def _accept(self, deadline: float) -> tuple[str, str]:
        """The index and the digest of the next worker. Raises TimeoutError where none comes."""
        while True:
            self._port.settimeout(_left(deadline))
            link, _ = self._port.accept()
            link.settimeout(_GREETING_S)
            greeting, *words = _line(link.makefile("rb")).split(" ")
            if greeting == _GREETING and len(words) == 2:
                _keep_alive(link)
                self._links[link] = words[0]
                return words[0], words[1]
            link.close()  # not one of ours

    def _send(self, message: str) -> None:
        for link in self._links:
            with suppress(OSError):
                link.sendall(f"{message}\n".encode())

    def _hang_up(self) -> None:
        for link in self._links:
            with link, suppress(OSError):
                link.settimeout(_GRACE_S)
                link.recv(1)  # returns when the worker has hung up
        self._links = {}


class CoordinatorLink(_Watch):
    """At a worker: the connection to the coordinator, and a watch over it, which ends this process when that ends."""

    def __init__(self, coordinator: str, *, index: int) -> None:
        super().__init__()
        self._coordinator, self._index = coordinator, index

    def open(self, digest: str, *, wait_s: float) -> None:
        """Find the coordinator within `wait_s`, and wait until it lets the run of this `digest` begin.

        Raises PeerLost, and CoordinatorEnded where it does not begin.
        """
        link = _connect(self._coordinator, wait_s=wait_s)
        _keep_alive(link)
        link.settimeout(wait_s + 5)  # the coordinator waits as long, and should speak first
        self._messages = link.makefile("rb")
        with suppress(OSError):
            link.sendall(f"{_GREETING} {self._index} {digest}\n".encode())
        message = _line(self._messages)
        if message != _BEGIN:
            raise self._error(message)
        link.settimeout(None)
        self._start()

    def lost(self) -> str:
        """ "" after a moment, in which the thread ends this process if the coordinator has ended."""
        self._thread.join(_GRACE_S)
        return ""

    def done(self) -> None:
        """Wait until the coordinator says that the training is over."""
        self._thread.join()

    def _listen(self) -> None:
        message = _line(self._messages)
        self._messages.close()
        if message != _DONE:
            self._exit(self._error(message))

    def _error(self, message: str) -> ToolchainError:
        code, _, reason = message.partition(" ")
        if not code.isdecimal():
            return PeerLost(f"lost process 0 at {self._coordinator}; {GO_ON}")
        error = CoordinatorEnded(f"process 0 at {self._coordinator} ended: {one_line(reason)}")
        error.exit_code = int(code)
        return error


def is_loopback(coordinator: str) -> bool:
    """Whether only processes of this machine can come there: by what is written, as a name may mean another one elsewhere."""
    host = _address(coordinator)[0]
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _address(coordinator: str) -> tuple[str, int]:
    host, _, port = coordinator.rpartition(":")
    return host.strip("[]"), int(port)


def _listen(coordinator: str) -> socket.socket:
    host, port = _address(coordinator)
    try:
        if is_loopback(coordinator):
            family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            return socket.create_server(address, family=family)
        both = socket.has_dualstack_ipv6()
        return socket.create_server(("", port), family=socket.AF_INET6 if both else socket.AF_INET, dualstack_ipv6=both)
    except OSError as error:
        raise PeerLost(f"port {port} cannot be listened on: {error.strerror}; choose another --coordinator") from None


def _connect(coordinator: str, *, wait_s: float) -> socket.socket:
    deadline = time.monotonic() + wait_s
    reason = ""
    while time.monotonic() < deadline:
        try:
            return socket.create_connection(_address(coordinator), timeout=_left(deadline))
        except OSError as error:
            reason = one_line(str(error.strerror or error))
            time.sleep(_RETRY_S)
    raise PeerLost(
        f"process 0 was not found at {coordinator} within {wait_s:g} s ({reason}); "
        "it was not started, listens elsewhere, or has ended already"
    )


def _keep_alive(link: socket.socket) -> None:
    """Have the connection break within 20 s where the other host is gone; JAX aborts after 100 s."""
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        for option, value in ((socket.TCP_KEEPIDLE, 5), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3)):
            link.setsockopt(socket.IPPROTO_TCP, option, value)


def _line(messages: BinaryIO) -> str:
    """The next message; "" or less than was sent where the other falls silent or hangs up."""
    with suppress(OSError):
        return messages.readline(2000).decode(errors="replace").strip()
    return ""


def _program() -> str:
    """The module that was started, which is the name that edge.errors.run begins a line with."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec.name if spec else "train"


def _left(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.01)
