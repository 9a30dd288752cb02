"""Where the pictures come from, and under which name."""

import gzip
import hashlib
import http.client
import http.server
import socket
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
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"


@pytest.fixture
def mirror(own_mnist, monkeypatch):
    """A server of own_mnist's files, the only mirror of what now counts as the published MNIST."""
    content = {path.name.removesuffix(".gz"): _content(path) for path in own_mnist.iterdir()}
    published = {n: (d, hashlib.sha256(content[n]).hexdigest()) for n, (d, _) in datasets.MNIST_FILES.items()}

    class Mirror(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            # Wrapped anew, as mirrors do: the .gz differs, the content does not.
            body = gzip.compress(content[self.path.strip("/").removesuffix(".gz")], 1)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(datasets, "MNIST_FILES", published)
        monkeypatch.setattr(datasets, "MNIST_MIRRORS", (f"http://127.0.0.1:{server.server_port}/",))
        yield datasets.MNIST_MIRRORS[0]
        server.shutdown()


def test_a_named_folder_is_read_directly_or_as_its_subfolder_mnist(own_mnist):
    for folder in (own_mnist, own_mnist.parent):
        data = datasets.load_mnist(str(folder))
        assert (data.train.images.shape, len(data.test)) == ((30, 28, 28, 1), 10)


def test_other_pictures_in_mnists_layout_are_called_custom(own_mnist, mirror, monkeypatch, capsys):
    assert datasets.load_mnist(str(own_mnist)).name == "mnist"
    assert capsys.readouterr().err == ""
    monkeypatch.undo()
    assert datasets.load_mnist(str(own_mnist)).name == "custom"
    said = f"{own_mnist}: not the published MNIST; files and figures will say `custom`, not `mnist`.\n"
    assert capsys.readouterr().err == said


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
    assert datasets.load_again(data.name, str(own_mnist), digest=data.digest).digest == data.digest
    with pytest.raises(InputError, match="the network was trained on 000000000000; name their folder"):
        datasets.load_again(data.name, str(own_mnist), digest=64 * "0")


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


def test_a_silent_mirror_leaves_the_next_one_its_share_of_the_patience(silent_mirror, mirror):
    name = "t10k-labels-idx1-ubyte.gz"
    body = download.fetch([silent_mirror + name, mirror + name], patience_s=1.5)
    assert len(gzip.decompress(body)) == 8 + 10


def test_a_host_name_that_cannot_be_looked_up_in_time_is_given_up_on(monkeypatch):
    def looks_long(*_, **__):
        time.sleep(2)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", looks_long)
    started = time.monotonic()
    with pytest.raises(download.NoNetwork, match="with 0 bytes received"):
        download.fetch(["http://mirror.example/"], patience_s=0.2)
    assert time.monotonic() - started < 2


def test_each_mirrors_refusal_is_its_host_and_the_reason(silent_mirror, mirror, monkeypatch):
    with pytest.raises(download.NoNetwork) as refusal:
        download.fetch([silent_mirror, "http://localhost:1/mnist/", "file:///gone"], patience_s=2)
    assert str(refusal.value) == "127.0.0.1: timed out; localhost: Connection refused; None: No such file or directory"

    def cut_off(*_, **__):
        raise http.client.IncompleteRead(b"12", 3)

    monkeypatch.setattr(download.urllib.request, "urlopen", cut_off)
    with pytest.raises(download.NoNetwork, match=r"^127\.0\.0\.1: IncompleteRead\(2 bytes read, 3 more expected\)$"):
        download.fetch([mirror])


def test_a_download_is_checked_by_its_content_and_cached(mirror, monkeypatch):
    assert len(datasets.load_mnist().train) == 30
    monkeypatch.setattr(datasets, "MNIST_MIRRORS", ())
    data = datasets.load_mnist()  # from the cache now
    assert (data.name, len(data.test)) == ("mnist", 10)


def test_a_mirror_with_other_content_is_refused_and_nothing_cached(mirror, monkeypatch):
    monkeypatch.setitem(datasets.MNIST_FILES, "train-images-idx3-ubyte", (3, 64 * "0"))
    with pytest.raises(download.NoNetwork, match=r"hashes to [0-9a-f]{12}, the published file to 000000000000"):
        datasets.load_mnist()
    assert not datasets.cache_folder().exists()


def test_what_comes_damaged_is_no_network_rather_than_a_crash():
    whole = gzip.compress(bytes(1000))
    for damaged in (b"<html>", whole[:-1], whole[:10] + b"\xff" * 8 + whole[18:]):
        with pytest.raises(download.NoNetwork, match="what came for images is not the file"):
            datasets._published(damaged, name="images", digest="")


@pytest.mark.parametrize("spoil", [lambda _: gzip.compress(b"another"), lambda body: body[:-9]])
def test_a_cached_file_that_is_not_the_published_one_is_fetched_again(spoil, mirror, monkeypatch):
    datasets.load_mnist()
    cached = datasets.cache_folder() / "mnist" / "train-images-idx3-ubyte.gz"
    whole = cached.read_bytes()
    cached.write_bytes(spoil(whole))
    assert len(datasets.load_mnist().train) == 30
    assert gzip.decompress(cached.read_bytes()) == gzip.decompress(whole)
    cached.write_bytes(spoil(whole))
    monkeypatch.setattr(datasets, "MNIST_MIRRORS", ())
    with pytest.raises(download.NoNetwork):
        datasets.load_mnist()
    assert not cached.exists()


def test_a_cache_that_cannot_be_written_is_said_once_and_does_without(mirror, tmp_path, capsys):
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert len(datasets.load_mnist().train) == 30
    said = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("fetching")]
    assert len(said) == 1 and said[0].endswith("cannot be written: Not a directory; MNIST is used and not kept")


def test_without_a_home_nothing_is_cached(mirror, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(datasets.Path, "home", no_home)
    assert len(datasets.load_mnist().train) == 30


def _content(path):
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data
