"""MNIST: where its pictures come from, and under which name; and what a download does about mirrors that fail."""

import gzip
import hashlib
import http.client
import socket
import time

import numpy as np
import pytest

from edge.errors import InputError, InputMissing
from tests.train.datasets.test_idx import idx
from train.datasets import digits, download, mnist, published


@pytest.fixture
def mirror(own_mnist, serve, monkeypatch):
    """A server of own_mnist's files, the only mirror of what now counts as the published MNIST."""
    content = {path.name.removesuffix(".gz"): _content(path) for path in own_mnist.iterdir()}
    # Wrapped anew, as mirrors do: the .gz differs, the content does not.
    address = serve({f"{name}.gz": gzip.compress(data, 1) for name, data in content.items()})
    monkeypatch.setattr(mnist, "FILES", {n: (d, hashlib.sha256(content[n]).hexdigest()) for n, (d, _) in mnist.FILES.items()})
    monkeypatch.setattr(mnist, "MIRRORS", (address,))
    return address


def test_a_named_folder_is_read_directly_or_as_its_subfolder_mnist(own_mnist):
    for folder in (own_mnist, own_mnist.parent):
        data = mnist.load(str(folder))
        assert (data.train.images.shape, len(data.test)) == ((30, 28, 28, 1), 10)


def test_other_pictures_in_mnists_layout_are_called_custom(own_mnist, mirror, monkeypatch, capsys):
    assert mnist.load(str(own_mnist)).name == "mnist"
    assert capsys.readouterr().err == ""
    monkeypatch.undo()
    custom = mnist.load(str(own_mnist))
    assert custom.name == "custom"
    assert repr(custom.contract) == "28x28x1 exact any"  # noise: no digit fit would leave it as it is
    first, second = capsys.readouterr().err.splitlines()
    assert first == f"{own_mnist}: not the published MNIST; files and figures will say `custom`, not `mnist`."
    assert "the device will take pictures of 28x28 pixels as they are" in second


def test_what_the_digit_fit_made_keeps_its_contract_and_its_negative_does_not():
    scans = digits.load().train.images  # fitted as a device fits a picture
    assert mnist.are_digits(scans)
    assert not mnist.are_digits(255 - scans)
    moved = np.roll(scans, 3, axis=2)
    assert not mnist.are_digits(moved)
    assert mnist.are_digits(np.concatenate([scans[:996], moved[:4]])) and not mnist.are_digits(
        np.concatenate([scans[:990], moved[:10]])
    )


def test_the_environment_names_the_folder_too(own_mnist, monkeypatch):
    monkeypatch.setenv("EDGEPROOF_DATA", str(own_mnist))
    assert len(mnist.load().train) == 30


def test_a_named_folder_without_mnist_is_an_error_not_the_digits(own_mnist):
    (own_mnist / "t10k-images-idx3-ubyte").unlink()
    with pytest.raises(InputMissing, match="t10k-images-idx3-ubyte: no such file, nor"):
        mnist.load_or_digits(str(own_mnist))
    with pytest.raises(InputMissing, match="no such folder; name one that holds MNIST's four IDX files"):
        mnist.load_or_digits(str(own_mnist / "gone"))


def test_pictures_and_labels_must_be_as_many(own_mnist):
    (own_mnist / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.zeros(29, np.uint8))))
    with pytest.raises(InputError, match=r"not MNIST: \(30, 28, 28\) images with 29 labels"):
        mnist.load(str(own_mnist))


def test_names_with_a_dot_are_read_too(own_mnist):
    wanted = mnist.load(str(own_mnist)).digest
    for path in list(own_mnist.iterdir()):
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    assert mnist.load(str(own_mnist)).digest == wanted


def test_a_label_above_nine_is_named_with_what_to_do(own_mnist):
    letters = np.arange(30, dtype=np.uint8) % 26
    (own_mnist / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(letters)))
    with pytest.raises(InputError, match="holds a label 25; MNIST's classes are 0 to 9: leave the others out, or sort"):
        mnist.load(str(own_mnist))


def test_without_a_network_the_digits_stand_in_under_their_own_name(own_mnist, silent_mirror, monkeypatch, capsys):
    monkeypatch.setattr(mnist, "MIRRORS", (silent_mirror,))
    monkeypatch.setattr(download, "PATIENCE_S", 0.3)
    data = mnist.load_or_digits()
    assert data.name == "digits"
    message = capsys.readouterr().err
    assert "MNIST cannot be downloaded (" in message
    assert "files and figures will say `digits`, not `mnist`" in message


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
    assert len(mnist.load().train) == 30
    monkeypatch.setattr(mnist, "MIRRORS", ())
    data = mnist.load()  # from the cache now
    assert (data.name, len(data.test)) == ("mnist", 10)


def test_a_mirror_with_other_content_is_refused_and_nothing_cached(mirror, monkeypatch):
    monkeypatch.setitem(mnist.FILES, "train-images-idx3-ubyte", (3, 64 * "0"))
    with pytest.raises(download.NoNetwork, match=r"hashes to [0-9a-f]{12}, the published file to 000000000000"):
        mnist.load()
    assert not published.cache_folder().exists()


def test_what_comes_damaged_is_no_network_rather_than_a_crash():
    compressed = gzip.compress(bytes(1000))
    for damaged in (b"<html>", compressed[:-1], compressed[:10] + b"\xff" * 8 + compressed[18:]):
        with pytest.raises(download.NoNetwork, match="what came for images is not the file"):
            published.checked(damaged, name="images", digest="", unwrap=gzip.decompress)


@pytest.mark.parametrize("spoil", [lambda _: gzip.compress(b"another"), lambda body: body[:-9]])
def test_a_cached_file_that_is_not_the_published_one_is_fetched_again(spoil, mirror, monkeypatch):
    mnist.load()
    cached = published.cache_folder() / "mnist" / "train-images-idx3-ubyte.gz"
    cached_bytes = cached.read_bytes()
    cached.write_bytes(spoil(cached_bytes))
    assert len(mnist.load().train) == 30
    assert gzip.decompress(cached.read_bytes()) == gzip.decompress(cached_bytes)
    cached.write_bytes(spoil(cached_bytes))
    monkeypatch.setattr(mnist, "MIRRORS", ())
    with pytest.raises(download.NoNetwork):
        mnist.load()
    assert not cached.exists()


def test_a_cache_that_cannot_be_written_is_said_once_and_does_without(mirror, tmp_path, capsys):
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert len(mnist.load().train) == 30
    message = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("fetching")]
    assert len(message) == 1 and message[0].endswith("cannot be written: Not a directory; MNIST is used without being cached")


def test_without_a_home_nothing_is_cached(mirror, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(published.Path, "home", no_home)
    assert len(mnist.load().train) == 30


def _content(path):
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data
