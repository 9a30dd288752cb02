"""Reading a plain PNG without Pillow: exactly Pillow's pixels or none at all, tried on thousands of files."""

import io
import tracemalloc
import zlib
from random import Random

import pytest
from PIL import Image

from edge.contract import DIGIT, InputContract, is_light_on_dark
from edge.errors import InputError
from edge.pictures import decode, read_pixels
from edge.pictures.png import MAX_PIXEL_BYTES, read_plain_png
from tests.edge.pictures import png_files
from tests.edge.pictures.png_files import assemble, header, picture

pytestmark = pytest.mark.filterwarnings("ignore")  # Pillow's, about odd files

CONTRACTS = {
    "digit": DIGIT,
    "exact": InputContract(height=28, width=28, channels=1, fit="exact"),
    "exact RGB": InputContract(height=28, width=28, channels=3, fit="exact"),
    "resize": InputContract(height=28, width=28, channels=1, fit="resize"),
}
ABOVE = [50, 20, 60, 60, 58, 57, 49, 49]


def png(width: int, rows: bytes, *, colour: int = 0) -> bytes:
    """A PNG of 8-bit `rows`, each of them behind its filter type."""
    height = len(rows) // (1 + width * (3 if colour else 1))
    return assemble(header(width, height, colour=colour), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))


def by_pillow(data: bytes) -> tuple[int, int, int, bytes] | None:
    """What Pillow makes of a file, or None where it refuses; 0 channels where the pixels are not all there is to it."""
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            if image.width * image.height > 1 << 20:  # a wrong header; Pillow would reserve the memory
                return None
            image.load()
            plain = not {"transparency", "exif"} & image.info.keys() and not image.is_animated
            channels = {"L": 1, "RGB": 3}.get(image.mode, 0) if plain else 0
            return image.width, image.height, channels, image.tobytes()
    except Exception:
        return None


@pytest.fixture(scope="module")
def generated() -> list[tuple[str, bytes]]:
    return list(png_files.files(5040, seed=1))


# Against Pillow.


def test_the_answer_is_pillows_to_the_byte_or_none(generated):
    for description, data in generated:
        found = read_plain_png(data)
        assert found is None or found == by_pillow(data), description


def test_every_plain_file_is_answered(generated):
    plain = [(description, data) for description, data in generated if description.startswith("plain:")]
    assert len(plain) == 360  # of 14 kinds
    assert [description for description, data in plain if read_plain_png(data) is None] == []


def test_pillow_reads_what_is_left_to_it_and_refuses_what_is_damaged(generated):
    """Were every odd file refused by Pillow, or none, agreeing with it would prove little."""
    left = [by_pillow(data) is not None for _, data in generated if read_plain_png(data) is None]
    assert sum(left) > 1000 and len(left) - sum(left) > 1000


# By hand.


def test_a_file_written_by_hand():
    # Two rows of two pixels, unfiltered, in one stored block. Adler-32 of 0 10 20 0 30 40: the sums run 1 11 31 31 61 101,
    # which add up to 236.
    stored = bytes.fromhex("78 01  01 0600 f9ff  00 0a 14  00 1e 28  00ec 0065")
    data = assemble(header(2, 2), (b"IDAT", stored), (b"IEND", b""))
    assert read_plain_png(data) == (2, 2, 1, bytes([10, 20, 30, 40]))


@pytest.mark.parametrize(
    ("width", "rows", "wanted"),
    [
        (2, [2, 7, 8, 2, 1, 250], [7, 8, 8, 2]),  # above; nothing in the first row
        # The mean, rounded down, of a sum that may pass 255:
        # 1 + (0 + 10)/2 = 6; 2 + (6 + 21)/2 = 15; 130 + (15 + 255)/2 = 265, which is 9
        (3, [0, 10, 21, 255, 3, 1, 2, 130], [10, 21, 255, 6, 15, 9]),
        # Paeth: left, above, corner → left + above - corner; distances of the three; what is added to
        #  0 50  0 → 50;  50  0 50; above     51 20 50 → 21;  30  1 29; above     21 60 20 → 61;  40  1 41; above
        # 61 60 60 → 61;   0  1  1; left      62 58 60 → 60;   2  2  0; corner    60 57 58 → 59;   1  2  1; left
        # 61 49 57 → 53;   8  4  4; above     50 49 49 → 50;   0  1  1; left, and 250 + 50 is 44
        (8, [0, *ABOVE, 4, 1, 1, 1, 1, 0, 1, 1, 250], [*ABOVE, 51, 21, 61, 62, 60, 61, 50, 44]),
    ],
    ids=["above", "mean", "paeth"],
)
def test_each_filter_adds_what_the_specification_says_of_the_neighbours(width, rows, wanted):
    assert read_plain_png(png(width, bytes(rows))) == (width, 2, 1, bytes(wanted))


def test_left_adds_the_pixel_before_channel_by_channel():
    assert read_plain_png(png(2, bytes([1, 1, 2, 3, 1, 1, 255]), colour=2)) == (2, 1, 3, bytes([1, 2, 3, 2, 3, 2]))


# The size limit.


@pytest.mark.parametrize(("width", "height"), [(256, 256), (1, 65_536), (65_536, 1)])
def test_a_picture_at_the_limit_is_read_and_one_row_more_is_left_to_pillow(width, height):
    row = bytes(1 + width)
    assert read_plain_png(png(width, height * row)) == (width, height, 1, bytes(MAX_PIXEL_BYTES))
    assert read_plain_png(png(width, (height + 1) * row)) is None


@pytest.mark.parametrize(("width", "rows"), [(0, b"\0\0"), (2, b"")])
def test_a_picture_of_no_pixels_is_left_to_pillow(width, rows):
    assert read_plain_png(png(width, rows)) is None


def test_a_bomb_does_not_go_off():
    bomb = assemble(header(28, 28), (b"IDAT", zlib.compress(bytes(64 << 20))), (b"IEND", b""))
    tracemalloc.start()
    try:
        assert read_plain_png(bomb) is None
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The 64 KiB of the compressed data are held three times over, zlib's window is 32 KiB.
    assert peak_bytes < 512 << 10


# Through read_pixels.


def test_a_plain_light_digit_never_comes_near_pillow(tmp_path, monkeypatch):
    random = Random(2)
    pictures = [assemble(*picture(random, size=(28, 28), form=(0, 8))) for _ in range(300)]
    light = [data for data in pictures if is_light_on_dark(by_pillow(data)[3], 28)]
    wanted = [decode.fit(decode.decode(data, DIGIT), DIGIT) for data in light]
    monkeypatch.setattr(decode, "decode", lambda *_: pytest.fail("Pillow was asked"))
    for data, pixels in zip(light, wanted, strict=True):
        (tmp_path / "a.png").write_bytes(data)
        assert read_pixels(str(tmp_path / "a.png"), DIGIT) == pixels
    assert len(light) > 50


@pytest.mark.parametrize("name", CONTRACTS)
def test_with_and_without_pillow_the_pixels_or_the_refusal_are_the_same(tmp_path, name):
    contract, path, random = CONTRACTS[name], tmp_path / "a.png", Random(3)
    others = [data for _, data in png_files.files(140, seed=4) if data.startswith(png_files.SIGNATURE)]
    for data in [assemble(*picture(random, size=(28, 28))) for _ in range(100)] + others:
        path.write_bytes(data)
        assert outcome(lambda: read_pixels(str(path), contract)) == outcome(
            lambda data=data: decode.fit(decode.decode(data, contract), contract)
        )


def outcome(read) -> bytes | str:
    """The pixels, or the refusal without the file's name."""
    try:
        return read()
    except InputError as error:
        return str(error).split("a.png: ", 1)[-1]
