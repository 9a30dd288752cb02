"""Test pictures as files: what the device reads is what is judged, and where it is not the gate stops and draws."""

import dataclasses
import os

import numpy as np
import pytest
from PIL import Image

from convert.judging import verify
from convert.pictures import files
from edge import predictor
from edge.errors import Refused
from train.datasets import Split, mnist


def class_of(images):
    """Stand-in for a network: which quarter of the picture is brightest."""
    quarters = [images[:, y : y + 14, x : x + 14].mean(axis=(1, 2, 3)) for y in (0, 14) for x in (0, 14)]
    return np.argmax(quarters, axis=0)


def test_digits_as_files_give_the_same_pixels_and_their_folder_goes(digits, tmp_path):
    made = files.as_files(digits, class_of, drawing=tmp_path / "drawn.png")
    assert len(made.paths) == 600 and (made.n_changed, made.n_answers_changed) == (0, 0)
    with Image.open(made.paths[7]) as picture:
        np.testing.assert_array_equal(np.asarray(picture), digits.test.images[7, :, :, 0])
    folder = os.path.dirname(made.paths[0])
    del made
    assert not os.path.exists(folder) and not (tmp_path / "drawn.png").exists()


def test_dark_digits_under_a_digit_contract_stop_the_gate_with_a_drawing(digits, tmp_path):
    dark = dataclasses.replace(digits, name="custom", test=Split(255 - digits.test.images, digits.test.labels))
    with pytest.raises(Refused, match=r"custom: as files, 600 of 600 test pictures.*\(at most 3 may\).*'digit2'"):
        files.as_files(dark, class_of, drawing=tmp_path / "pixels" / "drawn.png")
    with Image.open(tmp_path / "pixels" / "drawn.png") as sheet:
        assert sheet.width < sheet.height  # three pairs under each other
    suits = dataclasses.replace(dark, contract=mnist.EXACT)
    assert files.as_files(suits, class_of, drawing=tmp_path / "no.png").n_changed == 0


def test_the_gate_reads_the_files_and_times_from_pixels(tflite, digits, tmp_path):
    ready = predictor.load(str(tflite))
    images = digits.test.images[:150]
    plain = verify.predict_all(ready, images).logits
    made = files.as_files(digits, class_of, drawing=tmp_path / "no.png")
    read = verify.predict_all(ready, images, made.paths[:120])
    np.testing.assert_array_equal(read.logits, plain)
    assert read.logits.shape == (150, 10) and read.extra.shape == (150, ready.contract.n_outputs - 10) and read.median_us > 0
    # Another file in the first one's place is another answer: the files are what is judged.
    swapped = verify.predict_all(ready, images, (made.paths[1], *made.paths[1:120]))
    np.testing.assert_array_equal(swapped.logits[0], plain[1])
