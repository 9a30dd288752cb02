"""Opening pictures: what is read, what is refused, and in which words."""

import os
import random
import struct
import sys
import zlib

import pytest
from PIL import Image

from edge.contract import CIFAR, DIGIT, InputContract
from edge.errors import InputError, InputMissing
from edge.pictures import read_pixels
from edge.pictures.decode import fit
from edge.pictures.formats import READ
from tests.edge.pictures.png_files import assemble, header

EXACT = InputContract(height=2, width=3, channels=1, fit="exact")
EXACT_RGB = InputContract(height=2, width=3, channels=3, fit="exact")
GREYS = bytes([0, 50, 100, 150, 200, 255])
SMALL_RGB = InputContract(height=16, width=8, channels=3, fit="resize")


def refusal(path, contract=EXACT, kind=InputError) -> str:
    with pytest.raises(kind) as caught:
        read_pixels(str(path), contract)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.startswith(str(path).replace("\n", "\\n"))
    return message.removeprefix(f"{path}: ")


@pytest.fixture
def read(tmp_path):
    """Saves an image, as PNG unless `name` ends otherwise, and reads it as a model of this contract does."""

    def pixels(image: Image.Image, contract: InputContract = EXACT, *, name: str = "a.png", **settings: object) -> bytes:
        image.save(tmp_path / name, None if "." in name else "PNG", **settings)
        return read_pixels(str(tmp_path / name), contract)

    return pixels


def noise() -> Image.Image:
    return Image.frombytes("L", (24, 24), random.Random(0).randbytes(24 * 24))


# What is read.


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "no-ending"])
def test_grey_pixels_come_out_row_by_row_as_they_are_in_the_file(read, name):
    assert read(Image.frombytes("L", (3, 2), GREYS), name=name) == GREYS


def test_colour_pixels_come_out_as_red_green_blue(read):
    assert read(Image.frombytes("RGB", (3, 2), bytes(range(18))), EXACT_RGB) == bytes(range(18))


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    # 257 v is the 16-bit value of the 8-bit v.
    wanted = bytes([0, 1, 77, 128, 254, 255])
    rows = b"".join(b"\0" + b"".join(struct.pack(">H", 257 * v) for v in wanted[i : i + 3]) for i in (0, 3))
    data = assemble(header(3, 2, depth=16), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    (tmp_path / "a.png").write_bytes(data)
    assert read_pixels(str(tmp_path / "a.png"), EXACT) == wanted


def test_one_bit_pictures_are_black_and_white(read):
    image = Image.frombytes("1", (3, 2), bytes([0b10100000, 0b01000000]))
    assert read(image) == bytes([255, 0, 255, 0, 255, 0])


def test_palette_colours_are_looked_up(read):
    image = Image.frombytes("P", (3, 2), bytes([0, 1, 0, 1, 1, 0]))
    zero, one = bytes([10, 20, 30]), bytes([200, 100, 50])
    image.putpalette(zero + one)
    assert read(image, EXACT_RGB) == zero + one + zero + one + one + zero


def test_cmyk_jpegs_keep_their_light_and_dark(read):
    assert min(read(Image.new("CMYK", (3, 2), (0, 0, 0, 0)), name="white.jpg")) > 250
    assert max(read(Image.new("CMYK", (3, 2), (0, 0, 0, 255)), name="black.jpg")) < 5


@pytest.mark.parametrize(("ink", "ground"), [(0, 255), (255, 0)])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_ground_contrasts_with_the_ink(read, mode, ink, ground):
    alpha = Image.frombytes("L", (3, 2), bytes([255, 0, 0, 0, 0, 0]))
    image = Image.merge("LA", (Image.new("L", (3, 2), ink), alpha)).convert("RGBA")
    image = image.quantize(4) if mode == "P" else image.convert(mode)
    assert read(image) == bytes([ink] + [ground] * 5)


def test_a_page_with_a_transparent_corner_gets_the_pages_shade_there():
    page = Image.new("LA", (3, 2), (240, 255))
    page.putpixel((0, 0), (0, 0))
    assert fit(page, EXACT) == bytes([255] + [240] * 5)


def test_a_colour_declared_transparent_is_transparent(read):
    image = Image.frombytes("L", (3, 2), bytes([0, 9, 9, 9, 9, 9]))
    assert read(image, transparency=9) == bytes([0] + [255] * 5)


def test_exif_orientation_is_applied_and_broken_exif_does_not_spoil_the_picture(read):
    # 6: the camera was turned, so the picture's left column is its top row.
    image = Image.frombytes("L", (2, 3), GREYS)
    exif = image.getexif()
    exif[0x0112] = 6
    assert read(image, exif=exif) == bytes([200, 100, 0, 255, 150, 50])
    assert read(Image.new("L", (3, 2), 7), exif=b"Exif\0\0MM\0*\xff\xff\xff\xff") == bytes([7] * 6)


def test_resize_scales_to_the_contract_and_antialiases(read):
    pixels = read(Image.frombytes("L", (64, 64), bytes([0, 255] * 32 * 64)), SMALL_RGB)
    assert len(pixels) == 16 * 8 * 3
    assert all(120 <= value <= 135 for value in pixels[3:21])  # a mean of black and white, not a sample; edges apart


def test_a_cifar_contract_takes_its_own_size_untouched_and_any_other_resized(read):
    pixels = random.Random(0).randbytes(32 * 32 * 3)
    assert read(Image.frombytes("RGB", (32, 32), pixels), CIFAR) == pixels
    # Left half red, right half blue; far from the seam the colours stay what they were.
    halves = Image.new("RGB", (64, 48), (255, 0, 0))
    halves.paste((0, 0, 255), (32, 0, 64, 48))
    pixels = read(halves, CIFAR)
    assert len(pixels) == 32 * 32 * 3
    assert {pixels[i : i + 36] for i in range(0, len(pixels), 96)} == {bytes([255, 0, 0] * 12)}
    assert {pixels[i + 60 : i + 96] for i in range(0, len(pixels), 96)} == {bytes([0, 0, 255] * 12)}


def test_a_grey_picture_has_three_equal_channels_for_a_colour_contract(read):
    wanted = bytes(value for grey in GREYS for value in (grey, grey, grey))
    assert read(Image.frombytes("L", (3, 2), GREYS), EXACT_RGB) == wanted


def test_a_photo_of_twelve_megapixels_is_read_decoded_smaller(read):
    pixels = read(Image.new("RGB", (4000, 3000), (200, 100, 50)), SMALL_RGB, name="a.jpg")
    assert all(abs(found - wanted) <= 2 for found, wanted in zip(pixels, [200, 100, 50] * 128, strict=True))


# What is refused.


def test_a_missing_file_and_a_directory_are_66(tmp_path):
    assert refusal(tmp_path / "none.png", kind=InputMissing) == "No such file or directory"
    assert refusal(tmp_path, kind=InputMissing) == "is a directory; name the pictures in it"


def test_a_name_with_a_nul_is_66():
    with pytest.raises(InputMissing, match=r"a\\x00b: no file can have this name"):
        read_pixels("a\0b", EXACT)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has both")
def test_a_named_pipe_and_a_device_without_end_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", "/dev/zero"):
        assert refusal(path) == "a pipe, socket or device; save the picture as a file and name that"


def blank(width: int, height: int, *, colour: int = 0) -> bytes:
    rows = zlib.compress(bytes(28 * 29))
    return assemble(header(width, height, colour=colour), (b"IDAT", rows), (b"IEND", b""))


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"", "an empty file; copy or export the picture again"),
        (b"%PDF-1.7 and so on", f"not a picture (begins b'%PDF-1.7'); {READ}"),
        (b"GIF89a\1\0\1\0", "a damaged or unfinished GIF (index out of range); copy or export the picture again"),
        (blank(60000, 60000), "60000x60000 is 3600.0 megapixels; at most 4 are read: make the picture smaller"),
        (blank(28, 28, colour=3), "a damaged or unfinished PNG (its palette is missing); copy or export the picture again"),
    ],
)
def test_what_is_no_picture_of_ours_is_refused_by_its_first_bytes(tmp_path, content, wanted):
    (tmp_path / "a.png").write_bytes(content)
    assert refusal(tmp_path / "a.png", DIGIT) == wanted


def test_a_line_break_in_a_name_stays_in_its_line(tmp_path):
    (tmp_path / "a\nok.png").touch()
    assert "a\\nok.png" in refusal(tmp_path / "a\nok.png")


def test_a_file_too_large_to_be_a_picture_is_refused_unread(tmp_path):
    with open(tmp_path / "a.png", "wb") as file:
        file.truncate(1 << 40)
    assert refusal(tmp_path / "a.png") == "1048576 MiB; at most 20 are read: make the picture smaller"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
def test_a_picture_cut_short_anywhere_is_refused_in_one_line(tmp_path, kind):
    noise().convert("RGB").save(tmp_path / "whole", kind)
    content = (tmp_path / "whole").read_bytes()
    whole = InputContract(height=24, width=24, channels=3, fit="exact")
    for length in range(8, len(content) // 2, 7):
        (tmp_path / "cut").write_bytes(content[:length])
        assert refusal(tmp_path / "cut", whole).startswith(f"a damaged or unfinished {kind} (")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP"])
def test_a_damaged_picture_is_read_or_refused_but_never_a_crash(tmp_path, kind):
    noise().save(tmp_path / "whole", kind)
    content = (tmp_path / "whole").read_bytes()
    for position in range(min(200, len(content))):
        for flip in (0x01, 0x80, 0xFF):
            damaged = bytearray(content)
            damaged[position] ^= flip
            (tmp_path / "damaged").write_bytes(damaged)
            try:
                read_pixels(str(tmp_path / "damaged"), SMALL_RGB)
            except InputError as error:
                assert len(str(error).splitlines()) == 1


def test_running_out_of_memory_is_not_called_damage(read, monkeypatch):
    def exhausted(self):
        raise MemoryError

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", exhausted)
    with pytest.raises(MemoryError):
        read(Image.new("LA", (3, 2)))


def test_an_exact_contract_takes_no_other_size_and_says_both(tmp_path):
    Image.new("L", (5, 4)).save(tmp_path / "a.png")
    wanted = "5x4 pixels (width x height); this model takes exactly 3x2: resize the picture"
    assert refusal(tmp_path / "a.png") == wanted
