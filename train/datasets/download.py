"""Fetch a file from the first mirror that delivers it, and give up soon without a network."""

import http.client
import threading
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from edge.errors import InputMissing, note, one_line

PATIENCE_S = 20.0
_CHUNK = 1 << 16


class NoNetwork(InputMissing):
    """No mirror delivered the file in time; the message has each mirror's error."""


def fetch(urls: list[str], *, patience_s: float | None = None) -> bytes:
    """The body that the first working URL returns, given `patience_s` for each megabyte. Raises NoNetwork."""
    patience_s = PATIENCE_S if patience_s is None else patience_s
    job = _Download(urls, silence_s=patience_s / (len(urls) + 1))
    # In a thread: a host name's look-up can hang for minutes, and takes no time-out.
    threading.Thread(target=job.run, daemon=True).start()
    started = time.monotonic()
    while not job.finished.wait(0.05):
        if time.monotonic() - started > patience_s * (1 + job.n_bytes // 1_000_000):
            raise NoNetwork(f"gave up after {time.monotonic() - started:.0f} s with {job.n_bytes} bytes received")
    if job.body is None:
        raise NoNetwork("; ".join(job.refusals))
    return job.body


class _Download:
    def __init__(self, urls: list[str], *, silence_s: float) -> None:
        self.urls, self.silence_s = urls, silence_s
        self.n_bytes = 0
        self.body: bytes | None = None
        self.refusals: list[str] = []
        self.finished = threading.Event()

    def run(self) -> None:
        for url in self.urls:
            try:
                self.body = self._read(url)
                break
            except (OSError, ValueError, http.client.HTTPException) as error:
                self.refusals.append(one_line(f"{urlsplit(url).hostname}: {_reason(error)}"))
        self.finished.set()

    def _read(self, url: str) -> bytes:
        note(f"fetching {url}")
        chunks = []
        with urllib.request.urlopen(url, timeout=self.silence_s) as answer:
            while chunk := answer.read(_CHUNK):
                chunks.append(chunk)
                self.n_bytes += len(chunk)
        return b"".join(chunks)


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):  # its `reason` lacks the status code
        return str(error)
    reason = getattr(error, "reason", error)
    return getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
