"""The installed models: the files of the store, and how they change atomically.

    STORE/current                         one line per model, newest first: its seal, file name, digest of the labels
    STORE/models/<seal>/<file name>       the models those lines name; `install` and `start` remove any other
    STORE/versions                        the highest version installed of each network, so that no older one comes back
    STORE/failures                        how many starts in a row found the current model failing
    STORE/lock                            locked by the command that changes any of this

The first line of `current` is the model that answers, the others are those to roll back to; after the last comes the model
that came with edgeproof. `current` is a small file replaced by rename rather than a symlink, because FAT has no symlinks,
and because the model and its predecessors then change together, in one sector.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from typing import NamedTuple

from edge import artifact, errors, files, locate
from edge.artifact import Artifact
from edge.errors import ModelError, StorageError

MAX_MODELS = 3  # the current one and two to roll back to, so that updates do not fill the card

_MOST_BYTES = 1 << 20
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


class Entry(NamedTuple):
    """An installed model: its seal, its file name, and the digest of its labels."""

    digest: str
    file_name: str
    labels: str

    @classmethod
    def of(cls, model: Artifact) -> "Entry":
        """The entry of a sealed model, named by its contract: its file name may hold what FAT or a line cannot."""
        assert model.contract
        name = "".join(c if c in _PLAIN else "_" for c in model.contract.name)[:100]
        labels = hashlib.sha256(model.members["labels.txt"]).hexdigest()[:16]
        return cls(model.digest, f"{name}.{model.contract.kind}", labels)

    def path(self, store: str) -> str:
        return locate.model_path(store, self.digest, self.file_name)

    def read(self, store: str) -> Artifact:
        """The model, its seal checked. Raises as `locate.read_installed` does."""
        return locate.read_installed(self.path(store), self.digest)

    def __str__(self) -> str:
        return f"{self.file_name} ({self.digest[:12]})"


def history(store: str) -> list[Entry]:
    """The models that `current` names, newest first; none if nothing is installed. Raises as `locate.read_current` does."""
    return [Entry(*row) for row in locate.read_current(store)]


def known_models(store: str) -> list[Entry]:
    """The models that `current` names and that exist, newest first: those to roll back to.

    If `current` is damaged, or its first model is gone, every other intact model in the store comes before them. Raises
    InputMissing if `current` may not be read.
    """
    try:
        named = history(store)
    except ModelError:
        return rollback_candidates(store, [])
    existing = [entry for entry in named if not _is_absent(entry.path(store))]
    return existing if existing[:1] == named[:1] else [*rollback_candidates(store, named), *existing]


def rollback_candidates(store: str, named: list[Entry]) -> list[Entry]:
    """The intact models in the store that are not among `named`, newest first."""
    dated = []
    for digest in set(_digests(store)) - {entry.digest for entry in named}:
        folder = os.path.join(store, "models", digest)
        with contextlib.suppress(errors.ToolchainError, OSError):
            for name in os.listdir(folder):
                entry = Entry.of(locate.read_installed(os.path.join(folder, name), digest))
                dated.append((os.stat(entry.path(store)).st_mtime, entry))
    return [entry for _, entry in sorted(dated, reverse=True)]


@contextlib.contextmanager
def locked(store: str) -> Iterator[None]:
    """Lock the store, waiting for another process that changes it. Raises StorageError if it cannot be written."""
    try:
        os.makedirs(store, exist_ok=True)
        lock = os.open(os.path.join(store, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise errors.unwritable(store, error) from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            errors.say("edge", f"{store}: in use by another edge command; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:  # a network disk without locks
            raise errors.unwritable(os.path.join(store, "lock"), error) from None
        yield
    finally:
        with contextlib.suppress(OSError):  # nothing was written through it
            os.close(lock)  # releases the lock, as the end of a killed process does


def put(store: str, entry: Entry, data: bytes) -> None:
    """Write the file of `entry`, flushed to the disk with all folders above it. Raises StorageError."""
    files.write_atomic(entry.path(store), data)
    try:
        for folder in (os.path.join(store, "models"), store, os.path.dirname(os.path.abspath(store))):
            files.sync_folder(folder)
    except OSError as error:
        raise errors.unwritable(store, error) from None


def set_current(store: str, entries: list[Entry]) -> None:
    """Make the first of `entries` current, with none the shipped model; if it raises StorageError, the one before stays."""
    with contextlib.suppress(errors.StorageError):  # the next good start tries again
        set_failures(store, 0)
    path = locate.current_file(store)
    before = _content(path)
    try:
        _replace(path, "".join(f"{' '.join(entry)}\n" for entry in entries[:MAX_MODELS]).encode("ascii"))
    except errors.StorageError:
        # The rename may have succeeded and only its flush failed. What could not be read cannot be restored.
        if before is not None and _content(path) != before:
            with contextlib.suppress(errors.StorageError):
                _replace(path, before)
        raise


def collect_garbage(store: str) -> None:
    """Remove what killed commands left, and the models that `current` does not name. The store must be locked."""
    _remove_partials(store, of=(".current.", ".failures."))
    for digest in _digests(store):
        _remove_partials(os.path.join(store, "models", digest), of=(".",))
    try:
        named = history(store)
    except errors.ToolchainError:  # unread, it names nobody to spare
        return
    # Where `current` itself was damaged, the model it meant may be among those it does not name.
    if named and _is_absent(named[0].path(store)):
        return
    for digest in set(_digests(store)) - {entry.digest for entry in named}:
        shutil.rmtree(os.path.join(store, "models", digest), ignore_errors=True)


def highest_version(store: str, network: str, labels: str) -> int:
    """The highest version of `network` with these labels (their digest) that was ever installed; 0 if none was.

    Raises ModelError if the record is damaged, StorageError if it cannot be read: neither may be mistaken for an empty one.
    """
    return _versions(store).get((labels, network), 0)


def keep_version(store: str, network: str, labels: str, version: int) -> None:
    """Record that `version` is installed, unless a higher one is on record. Raises StorageError."""
    try:
        kept = _versions(store)
        damaged = False
    except ModelError:
        kept, damaged = {}, True
    if damaged or version > kept.get((labels, network), 0):
        kept[labels, network] = version
        lines = [f"{labels} {number} {name}\n" for (labels, name), number in kept.items()]
        files.write_atomic(os.path.join(store, "versions"), "".join(lines).encode())


def _versions(store: str) -> dict[tuple[str, str], int]:
    path = os.path.join(store, "versions")
    try:
        rows = [line.split(" ", 2) for line in _read(path).decode().splitlines()]
        if not rows:  # it is written with a line, and kept
            raise ValueError
        return {(labels, network): int(version) for labels, version, network in rows}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno not in (errno.EINVAL, errno.EISDIR):  # the disk's fault, not the record's
            raise StorageError(f"{path}: {error.strerror or error}") from None
        raise ModelError(f"{path}: cannot be read, so no model is known to be new; install with --allow-downgrade") from None


def failures(store: str) -> int:
    """How many starts in a row found the current model failing; 0 if that cannot be read."""
    try:
        return int(_read(os.path.join(store, "failures"))[:10])
    except (OSError, ValueError):
        return 0


def set_failures(store: str, count: int) -> None:
    """Remember `count`. Raises StorageError."""
    path = os.path.join(store, "failures")
    if count or os.path.lexists(path):
        _replace(path, b"%d\n" % count if count else b"")


def shipped() -> Artifact:
    """The model that came with edgeproof."""
    return artifact.read(locate.shipped_model())


def _read(path: str) -> bytes:
    """The content of a small file. Raises OSError, also for a FIFO, which would wait for its other end."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a file", path)
        return file.read(_MOST_BYTES)


def _content(path: str) -> bytes | None:
    """The content of the file; empty if there is none, None if it cannot be read."""
    try:
        return _read(path)
    except FileNotFoundError:
        return b""
    except OSError:
        return None


def _is_absent(path: str) -> bool:
    """Whether there is no such file. One that cannot be examined is not absent."""
    try:
        os.stat(path)
    except OSError as error:
        return isinstance(error, (FileNotFoundError, NotADirectoryError))
    return False


def _replace(path: str, content: bytes) -> None:
    if content:
        files.write_atomic(path, content)
        return
    try:
        os.unlink(path)
        files.sync_folder(os.path.dirname(path))
    except OSError as error:
        raise errors.unwritable(path, error) from None


def _digests(store: str) -> list[str]:
    """The folders in `models` named by a digest. Nothing else there is ours, whatever $EDGEPROOF_STORE was set to, nor
    anything behind a symbolic link: we make none."""
    folder = os.path.join(store, "models")
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return [name for name in names if locate.is_digest(name) and not os.path.islink(os.path.join(folder, name))]


def _remove_partials(folder: str, *, of: tuple[str, ...]) -> None:
    # Not files.clear_partials, which spares the files of living processes: the store is locked, so the process that wrote
    # these has ended, even if a living process has its id by now.
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if name.startswith(of) and name.endswith(".partial"):
                os.unlink(os.path.join(folder, name))
