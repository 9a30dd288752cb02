"""What a JPEG will cost is told by its headers, and whoever asks too much is refused before the decoder is asked."""

import io
import struct

import pytest
from PIL import Image

from edge.contract import InputContract
from edge.errors import InputError
from edge.pictures import decode
from edge.pictures.jpeg import decode_cost

SMALL = InputContract(height=16, width=8, channels=3, fit="resize")


def saved(mode: str, width: int, height: int, kind: str, **settings: object) -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert(mode).save(buffer, kind, **settings)
    return buffer.getvalue()


def jpeg(mode: str = "RGB", width: int = 64, height: int = 48, **settings: object) -> bytes:
    return saved(mode, width, height, "JPEG", **settings)


def refusal(data: bytes) -> str:
    with pytest.raises(InputError) as caught:
        decode.decode(data, SMALL)
    return str(caught.value)


def test_a_plain_jpeg_is_held_row_by_row():
    assert decode_cost(jpeg()) == (0, 1)
    assert decode_cost(jpeg("CMYK")) == (0, 1)


@pytest.mark.parametrize(
    ("mode", "subsampling", "held"),
    # Two bytes a sample: of 4:2:0 the chroma planes are a quarter each, so 1.5 samples a pixel.
    [("L", 0, 2 * 64 * 48), ("RGB", 0, 6 * 64 * 48), ("RGB", 2, 3 * 64 * 48), ("CMYK", 0, 8 * 64 * 48)],
)
def test_a_progressive_jpeg_is_held_whole(mode, subsampling, held):
    data = jpeg(mode, progressive=True, subsampling=subsampling)
    assert decode_cost(data) == (held, data.count(b"\xff\xda"))


def test_a_jpeg_whose_scans_hold_one_component_each_is_held_whole_too():
    data = jpeg(subsampling=0)
    at = data.index(b"\xff\xda")
    # Its first scan says it holds one component of the three.
    parted = data[:at] + b"\xff\xda" + struct.pack(">H6B", 8, 1, 1, 0, 0, 63, 0) + data[at:]
    assert decode_cost(parted) == (6 * 64 * 48, 2)


def test_a_progressive_jpeg_too_large_to_hold_is_refused_and_says_so():
    data = jpeg("L", 16, 16, progressive=True)
    at = data.index(b"\xff\xc2")
    large = data[: at + 5] + struct.pack(">2H", 5000, 5000) + data[at + 9 :]
    assert refusal(large) == "a progressive JPEG that takes 47 MiB to decode; at most 38 are taken: make the picture smaller"


def test_thousands_of_scans_are_refused_and_said():
    data = jpeg("L", progressive=True)
    last = data.rindex(b"\xff\xda")
    many = data[:last] + data[last:-2] * 200 + data[-2:]
    assert "scans; at most 100 are read: save the picture again" in refusal(many)


@pytest.mark.parametrize(
    "front",
    [b"\xff\xfe\0\2" * 1001, b"\xff" * 70_000, bytes(70_000), b"\xff\xd0" * 1001],
    ids=["comments", "fill", "zeros", "marks"],
)
def test_a_picture_behind_endless_segments_is_refused(front):
    data = jpeg()
    assert "(no picture among its segments)" in refusal(data[:2] + front + data[2:])


def test_a_few_stray_bytes_between_segments_are_passed_over():
    data = jpeg()
    assert decode.decode(data[:2] + b"\xff\xff\xff" + data[2:], SMALL).tobytes() == decode.decode(data, SMALL).tobytes()


def test_a_jpeg_whose_rest_a_power_cut_left_as_zeros_is_refused():
    data = jpeg()
    cut = data[: len(data) - 40] + bytes(40)
    assert "a damaged or unfinished JPEG (its end is missing)" in refusal(cut)


def test_a_png_of_endless_chunks_and_a_long_run_length_bmp_are_refused():
    png = saved("L", 8, 8, "PNG")
    assert refusal(png[:33] + bytes(12) * 70_000 + png[33:]) == "a PNG of over 65536 chunks; save the picture again"
    head = struct.pack("<2sL4xL", b"BM", 0, 54 + 1024) + struct.pack("<L2l2H6L", 40, 8, 8, 1, 8, 1, 0, 1, 1, 256, 0)
    long = head + bytes(1024) + b"\1\0" * (3 << 20)
    assert refusal(long) == "a run-length coded BMP of over 4 MiB; save the picture as PNG"


def test_a_picture_of_one_endless_column_is_refused():
    assert refusal(saved("1", 1, 70_000, "PNG")) == "1x70000 pixels; at most 65535 a side are read: make the picture smaller"
