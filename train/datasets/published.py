"""The files a data set is published as: kept in the user's cache, else fetched into it, each known by its SHA-256."""

import contextlib
import hashlib
import os
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

from edge.errors import StorageError, note
from edge.files import write_atomic
from train.datasets import download


def files(
    title: str,
    digests: dict[str, str],
    *,
    folder: str,
    mirrors: Iterable[str],
    wanted: str,
    unwrap: Callable[[bytes], bytes] = bytes,
) -> dict[Path, bytes]:
    """The content of each file of `digests` (name → SHA-256 of the content), in that order, by its path in the cache.

    `unwrap` makes the content from the file's bytes; `folder` is the cache's folder for this data set. Raises NoNetwork,
    which says to name a folder that holds `wanted`.
    """
    cache = cache_folder()
    contents, unkept = {}, None
    for name, digest in digests.items():
        path = (cache or Path()) / folder / name
        content = _kept(path, digest=digest, unwrap=unwrap) if cache else None
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
                unkept = error
        contents[path] = content
    if unkept:
        note(f"{unkept}; {title} is used and not kept")
    return contents


def checked(body: bytes, *, name: str, digest: str, unwrap: Callable[[bytes], bytes]) -> bytes:
    """The content of a file that was fetched. Raises NoNetwork where it is not the published one."""
    try:
        content = unwrap(body)
    except (EOFError, OSError, zlib.error) as error:
        raise download.NoNetwork(f"what came for {name} is not the file ({error})") from None
    if (received := sha256(content)) != digest:
        raise download.NoNetwork(f"what came for {name} hashes to {received[:12]}, the published file to {digest[:12]}")
    return content


def cache_folder() -> Path | None:
    """Where downloads are kept: `$XDG_CACHE_HOME/edgeproof`, usually `~/.cache/edgeproof`; None without a home."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgeproof"
    except RuntimeError:
        return None


def sha256(content: bytes | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()


def _kept(path: Path, *, digest: str, unwrap: Callable[[bytes], bytes]) -> bytes | None:
    """The content of a cached file; one that is damaged or another is deleted."""
    try:
        body = path.read_bytes()
    except OSError:
        return None
    with contextlib.suppress(EOFError, OSError, zlib.error):
        content = unwrap(body)
        if sha256(content) == digest:
            return content
    with contextlib.suppress(OSError):
        path.unlink()
    return None
