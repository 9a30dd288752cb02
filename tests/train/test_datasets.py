"""Where the pictures come from, and under which name."""

import gzip
import hashlib
import http.server
import threading
import time

import numpy as np
import pytest

from edge.errors import InputError, InputMissing
from tests.train.test_idx import idx
from train import datasets, download


@pytest.fixture
def own_mnist(tmp_path, monkeypatch):
    """A folder with forty pictures in MNIST's layout, and no other place to look in."""
    monkeypatch.delenv("EDGEPROOF_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "mnist"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, n in (("train", 30), ("t10k", 10)):
        (folder / f"{name}-images-idx3-ubyte").write_bytes(idx(rng.integers(0, 256, (n, 28, 28), np.uint8)))
        (folder / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.arange(n, dtype=np.uint8) % 10)))
    return folder


@pytest.fixture
def silent_mirror():
    """The address of a server that takes a connection and never answers."""
    import socket

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"


def test_a_named_folder_is_read_directly_or_as_its_subfolder_mnist(own_mnist):
    for folder in (own_mnist, own_mnist.parent):
        data = datasets.load_mnist(str(folder))
        assert data.name == "mnist"
        assert (data.train.images.shape, len(data.test)) == ((30, 28, 28, 1), 10)


def test_the_environment_names_the_folder_too(own_mnist, monkeypatch):
    monkeypatch.setenv("EDGEPROOF_DATA", str(own_mnist))
    assert len(datasets.load_mnist().train) == 30


def test_a_named_folder_without_mnist_is_an_error_not_the_digits(own_mnist):
    (own_mnist / "t10k-images-idx3-ubyte").unlink()
    with pytest.raises(InputMissing, match="t10k-images-idx3-ubyte: no such file, nor"):
        datasets.mnist_or_digits(str(own_mnist))
    with pytest.raises(InputMissing, match="no such folder; name one that holds MNIST's four IDX files"):
        datasets.mnist_or_digits(str(own_mnist / "gone"))


def test_pictures_and_labels_must_be_as_many(own_mnist):
    (own_mnist / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.zeros(29, np.uint8))))
    with pytest.raises(InputError, match=r"not MNIST: \(30, 28, 28\) pictures with 29 labels"):
        datasets.load_mnist(str(own_mnist))


def test_the_same_network_finds_the_same_data_again_or_says_so(own_mnist):
    data = datasets.load_mnist(str(own_mnist))
    assert datasets.load_again("mnist", str(own_mnist), digest=data.digest).digest == data.digest
    with pytest.raises(InputError, match="the network was trained on 000000000000; name their folder"):
        datasets.load_again("mnist", str(own_mnist), digest=64 * "0")


def test_the_digits_are_1797_in_a_fixed_split_with_600_to_test():
    first, second = datasets.load_digits(), datasets.load_digits()
    assert (len(first.train), len(first.test)) == (1197, 600)
    assert first.digest == second.digest
    assert first.train.images.shape[1:] == (28, 28, 1)
    # Light on dark, and within the 20x20 box that MNIST's digits fill: the corners are black.
    assert first.test.images[:, :3, :3].max() == 0 and first.test.images.max() == 255


def test_without_a_network_the_digits_stand_in_under_their_own_name(own_mnist, silent_mirror, monkeypatch, capsys):
    monkeypatch.setattr(datasets, "MNIST_MIRRORS", (silent_mirror,))
    monkeypatch.setattr(download, "PATIENCE_S", 0.3)
    data = datasets.mnist_or_digits()
    assert data.name == "digits"
    said = capsys.readouterr().err
    assert "MNIST cannot be downloaded (" in said
    assert "files and figures will say `digits`, not `mnist`" in said


def test_a_mirror_that_never_answers_is_given_up_on(silent_mirror):
    started = time.monotonic()
    with pytest.raises(download.NoNetwork, match="with 0 bytes received"):
        download.fetch([silent_mirror], patience_s=0.5)
    assert time.monotonic() - started < download.PATIENCE_S


def test_a_download_is_checked_by_its_content_and_cached(own_mnist, monkeypatch):
    content = {path.name.removesuffix(".gz"): _content(path) for path in own_mnist.iterdir()}

    class Mirror(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            # Wrapped anew, as mirrors do: the .gz differs, the content does not.
            body = gzip.compress(content[self.path.strip("/").removesuffix(".gz")], 1)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(datasets, "MNIST_MIRRORS", (f"http://127.0.0.1:{server.server_port}/",))
    with pytest.raises(download.NoNetwork, match=r"hashes to [0-9a-f]{12}, the published file to"):
        datasets.load_mnist()
    wanted = {n: (d, hashlib.sha256(content[n]).hexdigest()) for n, (d, _) in datasets.MNIST_FILES.items()}
    monkeypatch.setattr(datasets, "MNIST_FILES", wanted)
    assert len(datasets.load_mnist().train) == 30
    server.shutdown()
    server.server_close()
    assert len(datasets.load_mnist().test) == 10  # from the cache now


def _content(path):
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data
