"""Opening pictures: what is read, what is refused, and in which words."""

import os
import random
import struct
import zlib

import pytest
from PIL import Image

from edge.contract import CIFAR, DIGIT, InputContract
from edge.errors import InputError, InputMissing
from edge.pictures import read_pixels
from edge.pictures.decode import fit
from tests.edge.pictures import png_files

EXACT = InputContract(height=2, width=3, channels=1, fit="exact")
EXACT_RGB = InputContract(height=2, width=3, channels=3, fit="exact")
SMALL_RGB = InputContract(height=16, width=8, channels=3, fit="resize")


def refusal(path, contract=EXACT, kind=InputError) -> str:
    with pytest.raises(kind) as caught:
        read_pixels(str(path), contract)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert message.startswith(str(path).replace("\n", "\\n"))
    return message.removeprefix(f"{path}: ")


def png(width: int, height: int, *chunks: tuple[bytes, bytes], bits: int = 8, colour: int = 0) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in ((b"IHDR", header), *chunks, (b"IEND", b""))
    )


def noise() -> Image.Image:
    return Image.frombytes("L", (24, 24), random.Random(0).randbytes(24 * 24))


# What is read.


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "no-ending"])
def test_grey_pixels_come_out_row_by_row_as_they_are_in_the_file(tmp_path, name):
    Image.frombytes("L", (3, 2), bytes([0, 50, 100, 150, 200, 255])).save(tmp_path / name, "BMP" if "bmp" in name else "PNG")
    assert read_pixels(str(tmp_path / name), EXACT) == bytes([0, 50, 100, 150, 200, 255])


def test_colour_pixels_come_out_as_red_green_blue(tmp_path):
    pixels = bytes(range(18))
    Image.frombytes("RGB", (3, 2), pixels).save(tmp_path / "a.png")
    assert read_pixels(str(tmp_path / "a.png"), EXACT_RGB) == pixels


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    # 257 v is the 16-bit value of the 8-bit v.
    wanted = bytes([0, 1, 77, 128, 254, 255])
    rows = b"".join(b"\0" + b"".join(struct.pack(">H", 257 * v) for v in wanted[i : i + 3]) for i in (0, 3))
    (tmp_path / "a.png").write_bytes(png(3, 2, (b"IDAT", zlib.compress(rows)), bits=16))
    assert read_pixels(str(tmp_path / "a.png"), EXACT) == wanted


def test_one_bit_pictures_are_black_and_white(tmp_path):
    Image.frombytes("1", (3, 2), bytes([0b10100000, 0b01000000])).save(tmp_path / "a.png")
    assert read_pixels(str(tmp_path / "a.png"), EXACT) == bytes([255, 0, 255, 0, 255, 0])


def test_palette_colours_are_looked_up(tmp_path):
    image = Image.frombytes("P", (3, 2), bytes([0, 1, 0, 1, 1, 0]))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.save(tmp_path / "a.png")
    zero, one = bytes([10, 20, 30]), bytes([200, 100, 50])
    assert read_pixels(str(tmp_path / "a.png"), EXACT_RGB) == zero + one + zero + one + one + zero


def test_cmyk_jpegs_keep_their_light_and_dark(tmp_path):
    Image.new("CMYK", (3, 2), (0, 0, 0, 0)).save(tmp_path / "white.jpg")
    Image.new("CMYK", (3, 2), (0, 0, 0, 255)).save(tmp_path / "black.jpg")
    assert min(read_pixels(str(tmp_path / "white.jpg"), EXACT)) > 250
    assert max(read_pixels(str(tmp_path / "black.jpg"), EXACT)) < 5


@pytest.mark.parametrize(("ink", "ground"), [(0, 255), (255, 0)])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_ground_contrasts_with_the_ink(tmp_path, mode, ink, ground):
    alpha = Image.frombytes("L", (3, 2), bytes([255, 0, 0, 0, 0, 0]))
    image = Image.merge("LA", (Image.new("L", (3, 2), ink), alpha)).convert("RGBA")
    image = image.quantize(4) if mode == "P" else image.convert(mode)
    image.save(tmp_path / "a.png")
    assert read_pixels(str(tmp_path / "a.png"), EXACT) == bytes([ink] + [ground] * 5)


def test_a_page_with_a_transparent_corner_gets_the_pages_shade_there():
    page = Image.new("LA", (3, 2), (240, 255))
    page.putpixel((0, 0), (0, 0))
    assert fit(page, EXACT) == bytes([255] + [240] * 5)


def test_a_colour_declared_transparent_is_transparent(tmp_path):
    Image.frombytes("L", (3, 2), bytes([0, 9, 9, 9, 9, 9])).save(tmp_path / "a.png", transparency=9)
    assert read_pixels(str(tmp_path / "a.png"), EXACT) == bytes([0] + [255] * 5)


def test_exif_orientation_is_applied(tmp_path):
    # 6: the camera was turned, so the picture's left column is its top row.
    image = Image.frombytes("L", (2, 3), bytes([0, 50, 100, 150, 200, 255]))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.png", exif=exif)
    assert read_pixels(str(tmp_path / "a.png"), EXACT) == bytes([200, 100, 0, 255, 150, 50])


def test_broken_exif_does_not_spoil_the_picture(tmp_path):
    Image.new("L", (3, 2), 7).save(tmp_path / "a.png", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert read_pixels(str(tmp_path / "a.png"), EXACT) == bytes([7] * 6)


def test_resize_scales_to_the_contract_and_antialiases(tmp_path):
    stripes = Image.frombytes("L", (64, 64), bytes([0, 255] * 32 * 64))
    stripes.save(tmp_path / "a.png")
    pixels = read_pixels(str(tmp_path / "a.png"), SMALL_RGB)
    assert len(pixels) == 16 * 8 * 3
    assert all(120 <= value <= 135 for value in pixels[3:21])  # a mean of black and white, not a sample; edges apart


def test_a_cifar_contract_takes_its_own_size_untouched_and_any_other_resized(tmp_path):
    noise = random.Random(0).randbytes(32 * 32 * 3)
    Image.frombytes("RGB", (32, 32), noise).save(tmp_path / "own.png")
    assert read_pixels(str(tmp_path / "own.png"), CIFAR) == noise
    # Left half red, right half blue; far from the seam the colours stay what they were.
    halves = Image.new("RGB", (64, 48), (255, 0, 0))
    halves.paste((0, 0, 255), (32, 0, 64, 48))
    halves.save(tmp_path / "halves.png")
    pixels = read_pixels(str(tmp_path / "halves.png"), CIFAR)
    assert len(pixels) == 32 * 32 * 3
    assert {pixels[i : i + 36] for i in range(0, len(pixels), 96)} == {bytes([255, 0, 0] * 12)}
    assert {pixels[i + 60 : i + 96] for i in range(0, len(pixels), 96)} == {bytes([0, 0, 255] * 12)}


def test_a_grey_picture_has_three_equal_channels_for_a_colour_contract(tmp_path):
    Image.frombytes("L", (3, 2), bytes([0, 50, 100, 150, 200, 255])).save(tmp_path / "a.png")
    wanted = bytes(value for grey in (0, 50, 100, 150, 200, 255) for value in (grey, grey, grey))
    assert read_pixels(str(tmp_path / "a.png"), EXACT_RGB) == wanted


def test_a_photo_of_twelve_megapixels_is_read_decoded_smaller(tmp_path):
    Image.new("RGB", (4000, 3000), (200, 100, 50)).save(tmp_path / "a.jpg")
    pixels = read_pixels(str(tmp_path / "a.jpg"), SMALL_RGB)
    assert all(abs(found - wanted) <= 2 for found, wanted in zip(pixels, [200, 100, 50] * 128, strict=True))


# What is refused.


def test_a_missing_file_is_66(tmp_path):
    assert refusal(tmp_path / "none.png", kind=InputMissing) == "No such file or directory"


def test_a_directory_is_66_and_says_what_to_name(tmp_path):
    assert refusal(tmp_path, kind=InputMissing) == "is a directory; name the pictures in it"


def test_a_name_with_a_nul_is_66():
    with pytest.raises(InputMissing, match=r"a\\x00b: no file can have this name"):
        read_pixels("a\0b", EXACT)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    assert refusal(tmp_path / "pipe.png") == "a pipe, socket or device; save the picture as a file and name that"


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no /dev/zero here")
def test_a_device_without_end_is_refused():
    assert "device" in refusal("/dev/zero")


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "a.png").touch()
    assert refusal(tmp_path / "a.png") == "an empty file; copy or export the picture again"


@pytest.mark.parametrize("content", [b"%PDF-1.7 and so on", b"GIF89a\x01\0\x01\0"])
def test_other_kinds_of_file_are_refused_by_their_first_bytes(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    assert refusal(tmp_path / "a.png") == f"not a picture (begins {content[:8]!r}); PNG, JPEG and BMP are read"


def test_a_line_break_in_a_name_stays_in_its_line(tmp_path):
    (tmp_path / "a\nok.png").touch()
    assert "a\\nok.png" in refusal(tmp_path / "a\nok.png")


def test_the_size_is_checked_before_decoding(tmp_path):
    (tmp_path / "a.png").write_bytes(png(60000, 60000, (b"IDAT", zlib.compress(b""))))
    wanted = "60000x60000 is 3600.0 megapixels; at most 4 are read: make the picture smaller"
    assert refusal(tmp_path / "a.png", DIGIT) == wanted


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


def test_running_out_of_memory_is_not_called_damage(tmp_path, monkeypatch):
    def exhausted(self):
        raise MemoryError

    Image.new("LA", (3, 2)).save(tmp_path / "a.png")
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", exhausted)
    with pytest.raises(MemoryError):
        read_pixels(str(tmp_path / "a.png"), EXACT)


def test_an_exact_contract_takes_no_other_size_and_says_both(tmp_path):
    Image.new("L", (5, 4)).save(tmp_path / "a.png")
    wanted = "5x4 pixels (width x height); this model takes exactly 3x2: resize the picture"
    assert refusal(tmp_path / "a.png") == wanted


def test_an_indexed_png_without_its_palette_is_refused(tmp_path):
    rows = zlib.compress(bytes(28 * 29))
    data = png_files.assemble(png_files.header(28, 28, colour=3), (b"IDAT", rows), (b"IEND", b""))
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(
        InputError, match="a damaged or unfinished PNG \\(its palette is missing\\); copy or export the picture again"
    ):
        read_pixels(str(tmp_path / "a.png"), DIGIT)
