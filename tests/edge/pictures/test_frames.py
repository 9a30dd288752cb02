"""A picture as a program has it gives the pixels that its file gives, or says what is wrong with it."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import run
from edge.contract import CIFAR, DIGIT
from edge.errors import InputError
from edge.pictures import frames, read_pixels
from edge.predictor import Predictor, load
from tests.promises.asking import EXAMPLES, SHIPPED

PAGE = Path(EXAMPLES, "seven-page.png")
ALPHA = Path(EXAMPLES, "three-alpha.png")
PHOTO = Path(EXAMPLES, "four-photo.jpg")


@pytest.fixture(scope="module")
def ready() -> Predictor:
    return load(SHIPPED)


@pytest.mark.parametrize("contract", [DIGIT, CIFAR], ids=["digit", "resize"])
@pytest.mark.parametrize("name", ["seven-page.png", "three-alpha.png", "seven.png", "two.bmp"])
def test_every_form_of_a_picture_gives_the_pixels_of_its_file(name, contract):
    path = Path(EXAMPLES, name)
    image = Image.open(path)
    rgb = np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))
    bgr = rgb[..., [2, 1, 0, 3][: rgb.shape[2]]]
    wanted = read_pixels(str(path), contract)
    content = path.read_bytes()
    for form in (str(path), path, content, bytearray(content), memoryview(content), io.BytesIO(content), image, rgb):
        assert frames.pixels(form, contract) == wanted, type(form)
    with path.open("rb", buffering=0) as file:
        assert frames.pixels(file, contract) == wanted
    assert frames.pixels(bgr, contract, color="bgr") == wanted


def test_grey_arrays_may_have_an_axis_for_it():
    grey = np.asarray(Image.open(PAGE).convert("L"))
    wanted = frames.pixels(Image.fromarray(grey), DIGIT)
    assert frames.pixels(grey, DIGIT) == frames.pixels(grey[..., None], DIGIT, color="bgr") == wanted


def test_a_view_is_as_good_as_a_copy():
    wide = np.asarray(Image.open(PAGE).convert("RGB"))
    for view in (wide[::-1, ::-1], wide[20:-20, 30:-30], wide[::2, ::2], wide[..., ::-1]):
        assert not view.flags.c_contiguous
        assert frames.pixels(view, CIFAR) == frames.pixels(view.copy(), CIFAR)


def test_an_image_is_turned_as_its_file_says():
    exif, upright = Image.Exif(), Image.open(PAGE).convert("RGB")
    exif[0x0112] = 6
    turned = io.BytesIO()
    upright.transpose(Image.Transpose.ROTATE_90).save(turned, "PNG", exif=exif)
    assert frames.pixels(Image.open(turned), CIFAR) == frames.pixels(upright, CIFAR)


def test_a_list_answers_a_list(ready):
    answers = ready.predict([PAGE, str(ALPHA), PHOTO.read_bytes()])
    assert [answer.label for answer in answers] == ["7", "3", "4"]
    assert ready.predict([]) == []


@pytest.mark.parametrize(
    ("picture", "says"),
    [
        (np.zeros((3, 32, 32), np.uint8), r"array: shape \(3, 32, 32\); .* channels last: give picture.transpose\(1, 2, 0\)"),
        (np.zeros((2, 32, 32, 3), np.uint8), "give a list of them"),
        (np.zeros(784, np.uint8), r"shape \(784,\); wanted H x W or H x W x C; .* picture.tobytes\(\)"),
        (np.zeros((9, 9, 2), np.uint8), "1, 3 or 4 channels"),
        (np.zeros((0, 9, 3), np.uint8), r"shape \(0, 9, 3\)"),
        (np.full((9, 9), 0.5), r"float64 values from 0.5 to 0.5; .* \(255 \* picture \+ 0.5\).astype\('uint8'\)"),
        (np.full((9, 9), 200.0, np.float32), r"float32 values from 200 to 200; .* .round\(\).astype\('uint8'\)"),
        (np.full((9, 9), 200), r"int64 values from 200 to 200; wanted uint8 from 0 to 255: .astype\('uint8'\)"),
        (np.full((9, 9), 4095, np.uint16), "uint16 values from .* scale them to 0 to 255"),
        (np.full((9, 9), np.nan), "float64 values from nan"),
        (np.zeros((9, 9), bool), "bool values"),
        (np.eye(9, dtype=np.uint8), "values of 0 and 1 alone"),
        (b"", "bytes: an empty file"),
        (b"GARBAGE!!", "bytes: not a picture"),
        (PAGE.read_bytes()[:-60], "bytes: a damaged or unfinished PNG"),
        (io.StringIO("text"), "its read.. gives str, wanted bytes; open it in binary mode"),
        (io.BytesIO(b"\x89PNG\r\n\x1a\n" + bytes(20 << 20)), "file: over 20 MiB"),
        (Image.new("RGB", (0, 5)), "image: 0x5 pixels"),
        (Image.new("F", (5, 5)), "image: its pixels are floats"),
        (Image.new("I", (5, 5), 200), "image: its pixels are 32-bit numbers"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_picture_is_said(picture, says):
    with pytest.raises(InputError, match=says):
        frames.pixels(picture, CIFAR)


@pytest.mark.parametrize("nothing", [None, 7, object(), {"path": "x.png"}])
def test_what_is_no_picture_is_a_type_error(ready, nothing):
    with pytest.raises(TypeError, match="is no picture; wanted a path"):
        ready.predict(nothing)


def test_an_order_of_colours_is_for_arrays(ready):
    with pytest.raises(ValueError, match="wanted 'rgb' or 'bgr'"):
        ready.predict(np.zeros((9, 9, 3), np.uint8), color="rbg")
    for picture in (str(PAGE), PAGE.read_bytes(), Image.open(PAGE)):
        with pytest.raises(ValueError, match="color='bgr' is for arrays"):
            ready.predict(picture, color="bgr")


def test_no_array_needs_numpy_from_us():
    code = "import sys; from edge.pictures import frames; print({'numpy', 'PIL'} & set(sys.modules))"
    assert run(sys.executable, "-c", code).stdout == "set()\n"
