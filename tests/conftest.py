"""Small data sets in the published layouts, and servers that stand in for their mirrors."""

import contextlib
import gzip
import hashlib
import http.server
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from conftest import ROOT, made_once
from tests.train.datasets.test_idx import idx
from tests.wheel import make_wheel, tracked


@pytest.fixture(scope="session")
def wheel(session_folder) -> Path:
    """edgeproof's wheel, built from the sources as they are now; shared as the workshop is."""
    sources = hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in tracked())).hexdigest()
    folder = Path(os.environ.get("EDGEPROOF_WORKSHOP") or session_folder) / f"wheel-{sources[:12]}"
    return next((made_once(folder, lambda folder: make_wheel(folder / "built")) / "built").glob("*.whl"))


@pytest.fixture
def nowhere_else(tmp_path, monkeypatch):
    """No folder in the environment, and an empty cache."""
    monkeypatch.delenv("EDGEPROOF_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def own_mnist(tmp_path, nowhere_else) -> Path:
    """A folder with forty pictures in MNIST's layout, and no other place to look in."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, n in (("train", 30), ("t10k", 10)):
        (folder / f"{name}-images-idx3-ubyte").write_bytes(idx(rng.integers(0, 256, (n, 28, 28), np.uint8)))
        (folder / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.arange(n, dtype=np.uint8) % 10)))
    return folder


@pytest.fixture
def silent_mirror() -> Iterator[str]:
    """The address of a server that takes a connection and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"


@pytest.fixture
def serve() -> Iterator[Callable[[dict[str, bytes]], str]]:
    """Start a server of these files, by name; returns its address."""
    with contextlib.ExitStack() as servers:

        def start(files: dict[str, bytes]) -> str:
            class Mirror(http.server.BaseHTTPRequestHandler):
                def do_GET(self):
                    self.send_response(200)
                    self.end_headers()
                    self.wfile.write(files[self.path.strip("/")])

                def log_message(self, *_):
                    pass

            server = servers.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            servers.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}/"

        yield start
