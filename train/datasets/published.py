"""Where a published data set is: a named folder, or files from the user's cache or a download, verified by SHA-256."""

import contextlib
import hashlib
import os
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

from edge.errors import InputMissing, StorageError, note
from edge.files import write_atomic
from train.datasets import download


def named_folder(data_dir: str | None, name: str, *, wanted: str) -> Path | None:
    """The folder of data set `name` that `data_dir`, else EDGEPROOF_DATA, names; None if neither does. Raises InputMissing."""
    if not (named := data_dir or os.environ.get("EDGEPROOF_DATA")):
        return None
    if not (folder := Path(named)).is_dir():
        raise InputMissing(f"{named}: no such folder; name one that holds {wanted}")
    return folder / name if (folder / name).is_dir() else folder


def files(
    title: str,
    digests: dict[str, str],
    *,
    folder: str,
    mirrors: Iterable[str],
    wanted: str,
    unwrap: Callable[[bytes], bytes] = bytes,
) -> dict[Path, bytes]:
    """The content, by `unwrap`, of each file in `digests` (name → SHA-256 of its content), in that order, by path in the cache.

    Raises NoNetwork; the message asks for a folder that holds `wanted`.
    """
    cache = cache_folder()
    contents, uncached = {}, None
    for name, digest in digests.items():
        path = (cache or Path()) / folder / name
        content = _cached(path, digest=digest, unwrap=unwrap) if cache else None
        if content is None:
            try:
                body = download.fetch([mirror + name for mirror in mirrors])
                content = checked(body, name=name, digest=digest, unwrap=unwrap)
            except download.NoNetwork as error:
                raise download.NoNetwork(
                    f"{title} cannot be downloaded ({error}); name a folder that holds {wanted}: "
                    "--data-dir DIR, or EDGEPROOF_DATA=DIR"
                ) from None
            try:
                if cache:
                    write_atomic(str(path), body)
            except StorageError as error:
                uncached = error
        contents[path] = content
    if uncached:
        note(f"{uncached}; {title} is used without being cached")
    return contents


def checked(body: bytes, *, name: str, digest: str, unwrap: Callable[[bytes], bytes]) -> bytes:
    """The content of a file with the bytes `body`. Raises NoNetwork if it is not the published content."""
    try:
        content = unwrap(body)
    except (EOFError, OSError, zlib.error) as error:
        raise download.NoNetwork(f"what came for {name} is not the file ({error})") from None
    if (received := sha256(content)) != digest:
        raise download.NoNetwork(f"what came for {name} hashes to {received[:12]}, the published file to {digest[:12]}")
    return content


def cache_folder() -> Path | None:
    """Where downloads are cached: `$XDG_CACHE_HOME/edgeproof`, by default `~/.cache/edgeproof`; None without a home folder."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgeproof"
    except RuntimeError:
        return None


def sha256(content: bytes | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()


def _cached(path: Path, *, digest: str, unwrap: Callable[[bytes], bytes]) -> bytes | None:
    """The content of the cached file, or None; a file that is damaged, or another, is deleted."""
    try:
        return checked(path.read_bytes(), name=path.name, digest=digest, unwrap=unwrap)
    except OSError:
        return None
    except download.NoNetwork:
        with contextlib.suppress(OSError):
            path.unlink()
        return None
