"""The user's own pictures as the calibration set: read as the device reads them, and nothing in them is run."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convert.calibration.images import read_calibration_set
from edge.contract import DIGIT, InputContract
from edge.errors import InputError, InputMissing
from tests.convert.landscapes import COLOURS, landscapes
from train.datasets import Split


def save(images: np.ndarray, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for place, image in enumerate(images):
        Image.fromarray(image.squeeze()).save(folder / f"{place:03}.png")
    return folder


def read(path: Path, contract: InputContract, training: Split, *judging: Split):
    return read_calibration_set(path, contract, training=training, apart_from=judging)


def test_a_folder_and_an_array_of_the_same_pictures_are_the_same_set(digits, tmp_path):
    folder = save(digits.train.images[:120], tmp_path / "own")
    np.save(tmp_path / "own.npy", digits.train.images[:120])
    pictures, array = (read(path, DIGIT, digits.train, digits.test) for path in (folder, tmp_path / "own.npy"))
    np.testing.assert_array_equal(pictures.images, array.images)
    assert pictures.images.dtype == np.uint8 and pictures.indices == array.indices == ()
    assert (pictures.source, array.source) == ("own", "own.npy")


def test_pictures_are_read_from_sub_folders_and_fitted_as_the_device_does(tmp_path):
    taught = landscapes(600, seed=0)
    for half in (0, 1):
        save(landscapes(60, seed=5 + half).images.repeat(2, axis=1).repeat(2, axis=2), tmp_path / "own" / str(half))
    (tmp_path / "own" / "notes.txt").write_text("no picture")
    assert read(tmp_path / "own", COLOURS, taught).images.shape == (120, 16, 20, 3)


def test_a_refused_picture_is_called_by_its_name(digits, tmp_path):
    save(digits.train.images[:120], tmp_path / "own")
    save(digits.test.images[5:6], tmp_path / "own" / "more")
    with pytest.raises(InputError, match=r"/own: 1 of 121 images \(the first: more/000\.png\) are also validation or test "):
        read(tmp_path / "own", DIGIT, digits.train, digits.test)


def test_what_is_not_there_is_missing(digits, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputMissing, match="nowhere: No such file or directory"):
        read(tmp_path / "nowhere", DIGIT, digits.train)
    endings = r"\.png, \.jpg, \.jpeg, \.bmp, \.webp, \.gif, \.tif, \.tiff, \.avif, \.ppm, \.pgm, \.pbm, \.pnm"
    with pytest.raises(InputMissing, match=f"empty: holds no {endings} files"):
        read(tmp_path / "empty", DIGIT, digits.train)


def test_a_damaged_picture_among_them_is_named(digits, tmp_path):
    folder = save(digits.train.images[:120], tmp_path / "own")
    (folder / "007.png").write_bytes(b"\x89PNG\r\n\x1a\n cut off")
    with pytest.raises(InputError, match=r"own/007\.png: "):
        read(folder, DIGIT, digits.train)
    left = read_calibration_set(folder, DIGIT, training=digits.train, apart_from=[], skip_bad=True)
    assert len(left.images) == 119


class Payload:
    def __reduce__(self):
        return Path.touch, (Path("payload-ran"),)


def test_hostile_and_damaged_arrays_are_one_line_and_nothing_runs(digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("pickled.npy", np.array([Payload()] * 200, dtype=object), allow_pickle=True)
    np.save("whole.npy", digits.train.images[:120])
    whole = Path("whole.npy").read_bytes()
    Path("cut.npy").write_bytes(whole[:5000])
    promising = whole.replace(b"(120, 28, 28, 1)", b"(9999999999,28,28,1)", 1)
    Path("promising.npy").write_bytes(promising.replace(b"    \n", b"\n", 1))
    Path("header.npy").write_bytes(whole.replace(b"'descr'", b"'desc\xff'", 1))
    Path("picture.npy").write_bytes(b"\x89PNG\r\n\x1a\n")
    Path("nothing.npy").touch()
    os.mkfifo("pipe.npy")
    damaged = dict.fromkeys(("pickled", "cut", "promising", "header"), "damaged, or not plain numbers")
    others = {"picture": "not a .npy file", "nothing": "not a .npy file", "pipe": "a pipe, socket or device"}
    for name, found in (damaged | others).items():
        with pytest.raises(InputError) as refused:
            read(Path(f"{name}.npy"), DIGIT, digits.train)
        assert str(refused.value).startswith(f"{name}.npy: {found}") and "\n" not in str(refused.value)
    assert not Path("payload-ran").exists()


def test_an_array_too_large_is_refused_before_it_is_read(digits, tmp_path):
    np.lib.format.open_memmap(tmp_path / "large.npy", mode="w+", dtype=np.uint8, shape=(400_000, 28, 28, 1)).flush()
    with pytest.raises(InputError, match="299 MiB of pixels; at most 256 are read: name fewer images"):
        read(tmp_path / "large.npy", DIGIT, digits.train)
