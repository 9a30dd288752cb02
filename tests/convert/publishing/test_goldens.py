"""Which pictures a file carries for the device's self-test."""

import numpy as np
import pytest
from PIL import Image

from convert.publishing import goldens
from convert.publishing.goldens import golden_images
from edge.errors import InputMissing


def test_without_a_folder_they_are_the_first_test_picture_of_each_class(digits):
    every = golden_images(digits, None)
    labels = [digits.test.labels[[image.tobytes() for image in digits.test.images].index(each)] for each in every]
    assert labels == list(range(10))


def test_of_large_images_only_as_many_classes_as_two_mib_hold_are_carried(digits, monkeypatch):
    monkeypatch.setattr(goldens, "MAX_BYTES", 5 * 28 * 28 + 1)
    every = golden_images(digits, None)
    labels = [digits.test.labels[[image.tobytes() for image in digits.test.images].index(each)] for each in every]
    assert labels == [0, 2, 4, 6, 8]


def test_what_a_desktop_leaves_beside_pictures_is_no_golden(digits, tmp_path):
    for name in ("seven.png", "Five.PNG"):
        Image.fromarray(digits.test.images[len(name)].squeeze()).save(tmp_path / name)
    (tmp_path / "._seven.png").write_bytes(b"\0\5\x16\7")  # what macOS keeps of seven.png on a stick
    (tmp_path / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (tmp_path / "notes.txt").write_text("no picture")
    assert golden_images(digits, tmp_path) == [digits.test.images[i].tobytes() for i in (8, 9)]


def test_a_folder_with_nothing_but_hidden_pictures_holds_none(digits, tmp_path):
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(tmp_path / ".seven.png")
    endings = r"\.png, \.jpg, \.jpeg, \.bmp, \.webp, \.gif, \.tif, \.tiff, \.avif, \.ppm, \.pgm, \.pbm, \.pnm"
    with pytest.raises(InputMissing, match=f"holds no {endings} files"):
        golden_images(digits, tmp_path)
