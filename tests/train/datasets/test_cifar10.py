"""CIFAR-10: both of its forms, unpacked or not, and under which name its pictures go."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from edge.contract import CIFAR
from tests.train.datasets.cifar10_files import (
    BATCHES,
    BINARY,
    FORMS,
    N_TEST,
    N_TRAIN,
    PYTHON,
    batch_of,
    binary_files,
    packed,
    write,
    write_binary,
)
from train.datasets import cifar10, download, pickled


def digests(batches) -> dict[str, str]:
    return {name: hashlib.sha256(rows.tobytes()).hexdigest() for name, rows in batches.items()}


# What is read.


@pytest.mark.parametrize("below", ["", "cifar10"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_pictures_in_the_same_order(form, below, folder, monkeypatch):
    FORMS[form](folder / below)
    data = cifar10.load(str(folder))
    assert (len(data.train), len(data.test)) == (N_TRAIN, N_TEST)
    assert data.train.images.shape[1:] == (32, 32, 3) and data.train.images.flags.c_contiguous
    assert data.train.images.dtype == data.train.labels.dtype == np.uint8
    np.testing.assert_array_equal(data.train.labels, [*range(3), *range(4), *range(5), *range(6), *range(7)])
    # Worked from the layout: pixel y, x of plane c is byte 1 + 1024 c + 32 y + x.
    assert data.test.images[5, 7, 9, 2] == BATCHES["test_batch"][5, 1 + 1024 * 2 + 32 * 7 + 9]
    monkeypatch.setattr(cifar10, "BATCHES", digests(BATCHES))
    assert cifar10.load(str(folder)).digest == data.digest == _digest_of_every_form()


def test_the_planes_are_red_green_and_blue_and_rows_run_from_the_top(folder):
    # The top-left pixel red, the one to its right green, the one below it blue.
    picture = np.zeros(3073, np.uint8)
    picture[[0, 1, 1 + 1024 + 1, 1 + 2048 + 32]] = 3, 255, 255, 255
    write_binary(folder, dict.fromkeys(BATCHES, picture[None]))
    test = cifar10.load(str(folder)).test
    assert test.images[0, :2, :2].tolist() == [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [0, 0, 0]]]
    assert test.labels.tolist() == [3]


def test_the_binary_form_is_read_where_there_are_both(folder):
    write_binary(folder / BINARY, BATCHES)
    write(folder / PYTHON, {})
    assert len(cifar10.load(str(folder)).test) == N_TEST


def test_the_environment_names_the_folder_too(folder, monkeypatch):
    FORMS["binary"](folder)
    monkeypatch.setenv("EDGEPROOF_DATA", str(folder))
    assert len(cifar10.load().train) == N_TRAIN


def test_columns_first_or_rows_first_a_pickled_array_is_the_same(folder):
    rows = BATCHES["test_batch"]
    pixels, labels = pickled.parse_batch(batch_of(rows, data=np.asfortranarray(rows[:, 1:])), name="")
    np.testing.assert_array_equal(pixels, rows[:, 1:])
    assert labels == list(range(8))


# Under which name.


@pytest.mark.parametrize("form", FORMS)
def test_the_published_pictures_are_cifar10_in_every_form(form, folder, monkeypatch, capsys):
    FORMS[form](folder)
    monkeypatch.setattr(cifar10, "BATCHES", digests(BATCHES))
    data = cifar10.load(str(folder))
    assert (data.name, data.contract, data.class_names[3]) == ("cifar10", CIFAR, "cat")
    assert capsys.readouterr().err == ""


def test_other_pictures_in_cifar10s_layout_are_called_custom(folder, capsys):
    FORMS["binary"](folder)
    assert cifar10.load(str(folder)).name == "custom"
    message = f"{folder}: not the published CIFAR-10; files and figures will say `custom`, not `cifar10`.\n"
    assert capsys.readouterr().err == message


def test_the_jpeg_copy_has_a_name_of_its_own(folder, monkeypatch, capsys):
    FORMS["python"](folder)
    monkeypatch.setattr(cifar10, "JPEG_COPY_DIGEST", _digest_of_every_form())
    assert cifar10.load(str(folder)).name == "cifar10-jpeg"
    message = (
        f"{folder}: a JPEG copy of CIFAR-10: figures on it are a few points below the original's; files say `cifar10-jpeg`"
    )
    assert capsys.readouterr().err == message + ", not `cifar10`.\n"


@pytest.mark.realdata
@pytest.mark.skipif(
    not any(Path(os.environ.get("EDGEPROOF_DATA") or "/none", below, BINARY).is_dir() for below in ("", "cifar10")),
    reason="EDGEPROOF_DATA names no folder with cifar-10-batches-bin",
)
def test_the_real_thing_is_60000_pictures_and_known_by_name():
    data = cifar10.load()
    assert data.name in ("cifar10", "cifar10-jpeg")
    for split, n_each in ((data.train, 5000), (data.test, 1000)):
        assert np.bincount(split.labels).tolist() == 10 * [n_each]
    # Mean of each channel of the training pictures, as often published: 0.4914, 0.4822, 0.4465; JPEG keeps it to 0.002.
    means = data.train.images.mean(axis=(0, 1, 2)) / 255
    np.testing.assert_allclose(means, [0.4914, 0.4822, 0.4465], atol=0.002)


# The published archive.


@pytest.fixture
def mirror(folder, serve, monkeypatch):
    """A server of what now counts as the published CIFAR-10."""
    ((name, _),) = cifar10.ARCHIVES.items()
    content = packed(BINARY, binary_files(BATCHES))
    monkeypatch.setattr(cifar10, "BATCHES", digests(BATCHES))
    monkeypatch.setattr(cifar10, "ARCHIVES", {name: hashlib.sha256(content).hexdigest()})
    monkeypatch.setattr(cifar10, "MIRRORS", (serve({name: content}),))


def test_a_download_is_checked_cached_as_published_and_read_again(mirror, tmp_path, monkeypatch):
    assert cifar10.load().name == "cifar10"
    monkeypatch.setattr(cifar10, "MIRRORS", ())
    assert (cifar10.load().name, len(cifar10.load().test)) == ("cifar10", N_TEST)
    cached = tmp_path / "cache" / "edgeproof" / "cifar10" / "cifar-10-binary.tar.gz"
    cached.write_bytes(b"another")
    with pytest.raises(download.NoNetwork):
        cifar10.load()
    assert not cached.exists()


def test_without_a_network_nothing_stands_in_and_the_message_says_what_to_name(mirror, silent_mirror, monkeypatch):
    monkeypatch.setattr(cifar10, "MIRRORS", (silent_mirror,))
    monkeypatch.setattr(download, "PATIENCE_S", 0.3)
    with pytest.raises(download.NoNetwork) as refusal:
        cifar10.load()
    message = str(refusal.value)
    assert message.startswith("CIFAR-10 cannot be downloaded (") and "\n" not in message
    wanted = "name a folder that holds cifar-10-batches-bin or cifar-10-binary.tar.gz: --data-dir DIR, or EDGEPROOF_DATA=DIR"
    assert message.endswith(f"; {wanted}")


def _digest_of_every_form() -> str:
    """The digest of BATCHES as a data set, worked from their records alone."""
    *train, test = BATCHES.values()
    sha = hashlib.sha256()
    for rows in (np.concatenate(train), test):
        sha.update(np.stack([rows[:, 1 + 1024 * plane :][:, :1024] for plane in range(3)], axis=-1).tobytes())
        sha.update(rows[:, 0].tobytes())
    return sha.hexdigest()
