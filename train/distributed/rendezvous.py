"""How the processes of one training find each other, and how the others hear that process 0 has ended.

Each of the others keeps its connection to process 0 for as long as they train. Where process 0 ends, it says down the line
why; where it is killed, the line breaks. JAX, left to find out for itself, would abort the interpreter with a stack dump.
"""

import ipaddress
import os
import socket
import sys
import threading
import time
from contextlib import suppress

from edge.errors import ToolchainError, UsageError, note, one_line

WAIT_S = 60.0  # for the other processes to come
_GRACE_S = 2.0  # for those that wait already
_RETRY_S = 0.2
_GREETING = "edgeproof-training"
_GO, _DONE = "go", "done"


class Parted(ToolchainError):
    """The other processes cannot be reached, or are gone."""

    exit_code = 74


class Ended(ToolchainError):
    """Process 0 said that it ends: `exit_code` is its own."""

    def __init__(self, said: str, coordinator: str) -> None:
        code, _, why = said.partition(" ")
        super().__init__(f"process 0 at {coordinator} ended: {one_line(why)}")
        self.exit_code = int(code) if code.isdecimal() else Parted.exit_code


def outcome(error: BaseException) -> tuple[int, str]:
    """What a process that raises `error` ends with, as edge.errors.run gives it, and why."""
    if isinstance(error, ToolchainError):
        return error.exit_code, str(error)
    if isinstance(error, KeyboardInterrupt):
        return 130, "interrupted"
    return 74 if isinstance(error, OSError) else 70, str(error) or type(error).__name__


class Others:
    """At process 0: the line to each of the others."""

    def __init__(self) -> None:
        self._lines: list[socket.socket] = []

    def go(self) -> None:
        """Say that the training begins."""
        self._say(_GO)

    def done(self) -> None:
        """Say that the training is over; process 0 may end from here on."""
        self._say(_DONE)
        self._hang_up()

    def end(self, code: int, why: str) -> None:
        """Say that process 0 ends, with exit code `code`, and wait a moment until the others have."""
        self._say(f"{code} {one_line(why)[:400]}")
        self._hang_up()

    def add(self, line: socket.socket) -> None:
        """One more has come."""
        self._lines.append(line)

    def _say(self, word: str) -> None:
        for line in self._lines:
            with suppress(OSError):
                line.sendall(f"{word}\n".encode())

    def _hang_up(self) -> None:
        until = time.monotonic() + _GRACE_S
        for line in self._lines:
            with line, suppress(OSError):
                line.settimeout(_left(until))
                line.recv(1)  # nothing, when the other end is closed


class First:
    """At another: the line to process 0, and a thread that ends this process in one line when process 0 ends."""

    def __init__(self, line: socket.socket, coordinator: str) -> None:
        self._line, self._coordinator = line, coordinator
        self._speaking = threading.Lock()
        with suppress(OSError):
            self._stderr = os.dup(2)  # the descriptor itself is at times sent to nowhere, by edge.silence
        self._watch = threading.Thread(target=self._listen, daemon=True)
        self._watch.start()

    def done(self) -> None:
        """Wait until process 0 says that the training is over."""
        self._watch.join()

    def end(self, code: int, why: str) -> None:
        """This process ends by itself, and the thread is silent; where another is gone, process 0 has the word first."""
        if code == Parted.exit_code:
            self._watch.join(_GRACE_S)
        self._speaking.acquire()  # for good: the second to come here waits until the first has ended the process

    def _listen(self) -> None:
        said = _line(self._line)
        self._line.close()
        if said == _DONE:
            return
        self._speaking.acquire()
        error = Ended(said, self._coordinator) if said else _lost(self._coordinator)
        with suppress(OSError, AttributeError):
            os.write(self._stderr, f"{_program()}: {error}\n".encode())
        os._exit(error.exit_code)


def call(coordinator: str, digest: str, *, n_processes: int, wait_s: float) -> Others:
    """As process 0: wait until all the others have come for the run of this `digest`, and tell them to go on.

    Where it raises, Parted or UsageError, those that came have been told why.
    """
    until = time.monotonic() + wait_s
    others, present = Others(), set()
    try:
        with _door(coordinator) as door:
            note(f"waiting at {coordinator} for {n_processes - 1} of {n_processes} processes")
            while len(present) < n_processes - 1:
                try:
                    index, theirs = _welcome(door, others, until=until)
                except TimeoutError:
                    absent = ", ".join(str(i) for i in range(1, n_processes) if str(i) not in present)
                    raise Parted(f"process {absent} did not come to {coordinator} within {wait_s:g} s") from None
                if index in present:
                    raise UsageError(f"there are two processes with --index {index}")
                if theirs != digest:
                    raise UsageError(f"process {index} was asked for another run; give all of them the same flags and data")
                present.add(index)
    except BaseException as error:
        others.end(*outcome(error))
        raise
    others.go()
    return others


def turn_away(coordinator: str, code: int, why: str, *, n_processes: int) -> None:
    """As process 0, which ends without a training: tell those of the others that wait already."""
    until = time.monotonic() + _GRACE_S
    others = Others()
    with suppress(Parted, OSError), _door(coordinator) as door:
        for _ in range(n_processes - 1):
            _welcome(door, others, until=until)
    others.end(code, why)


def answer(coordinator: str, digest: str, *, index: int, wait_s: float) -> First:
    """As another: find process 0, and wait until it says to go on. Raises Parted, and Ended where it does not go on."""
    until = time.monotonic() + wait_s
    while True:
        try:
            line = socket.create_connection(_address(coordinator), timeout=_left(until))
            break
        except OSError as error:
            if time.monotonic() >= until:
                why = one_line(str(error.strerror or error))
                raise Parted(
                    f"process 0 was not found at {coordinator} within {wait_s:g} s ({why}); "
                    "it was not started, listens elsewhere, or has ended already"
                ) from None
            time.sleep(_RETRY_S)
    _keep_alive(line)
    with suppress(OSError):
        line.sendall(f"{_GREETING} {index} {digest}\n".encode())
    said = _line(line, until=time.monotonic() + wait_s + 5)  # 5: it counts its own seconds, and is to speak first
    if said == _GO:
        return First(line, coordinator)
    line.close()
    raise Ended(said, coordinator) if said else _lost(coordinator)


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


def _door(coordinator: str) -> socket.socket:
    host, port = _address(coordinator)
    try:
        if is_loopback(coordinator):
            family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            return socket.create_server(address, family=family)
        if socket.has_dualstack_ipv6():
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        return socket.create_server(("", port))
    except OSError as error:
        raise Parted(f"port {port} cannot be listened on: {error.strerror}; choose another --coordinator") from None


def _welcome(door: socket.socket, others: Others, *, until: float) -> tuple[str, str]:
    """The index and the digest of the next to come, who is added to `others`. Raises TimeoutError where nobody does."""
    while True:
        door.settimeout(_left(until))
        line, _ = door.accept()
        greeting, _, said = _line(line, until=min(until, time.monotonic() + 5)).partition(" ")
        if greeting == _GREETING:
            others.add(line)
            index, _, digest = said.partition(" ")
            return index, digest
        line.close()  # not one of ours


def _keep_alive(line: socket.socket) -> None:
    """Have the line break within 40 s where the other machine is gone without a word; JAX aborts after 100 s."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        for option, value in ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3)):
            line.setsockopt(socket.IPPROTO_TCP, option, value)


def _line(line: socket.socket, *, until: float | None = None) -> str:
    """What is said, up to the end of a line of 2,000 bytes at most; less where the other falls silent or hangs up."""
    said = b""
    with suppress(OSError):
        while not said.endswith(b"\n") and len(said) < 2000:
            line.settimeout(None if until is None else _left(until))
            if not (more := line.recv(2000 - len(said))):
                break
            said += more
    return said.decode(errors="replace").strip()


def _lost(coordinator: str) -> Parted:
    return Parted(f"lost process 0 at {coordinator}; the same commands go on from the last save")


def _program() -> str:
    """As edge.errors.run was given it: the module that was started."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec.name if spec else "train"


def _left(until: float) -> float:
    return max(until - time.monotonic(), 0.01)
