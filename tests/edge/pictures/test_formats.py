"""WebP, GIF, TIFF, AVIF and PPM: read as the same picture in PNG, at a bounded cost, or refused in words."""

import io
import struct

import numpy as np
import pytest
from PIL import AvifImagePlugin, Image, WebPImagePlugin

from edge.contract import InputContract
from edge.errors import InputError
from edge.pictures import avif, check_begins, formats, in_folder, pixels_of

RGB = Image.open("examples/seven-page.png").convert("RGB")
AVIF = pytest.mark.skipif(not AvifImagePlugin.SUPPORTED, reason="this Pillow reads no AVIF")


def saved(image, form, **settings) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **settings)
    return buffer.getvalue()


def read(content: bytes, width: int = RGB.width, height: int = RGB.height) -> np.ndarray:
    """int64 [H, W, 3]"""
    check_begins(content)
    pixels = pixels_of(content, InputContract(height=height, width=width, channels=3, fit="exact"))
    return np.frombuffer(pixels, np.uint8).reshape(height, width, 3).astype(int)


@pytest.mark.parametrize(
    ("mode", "form", "settings"),
    [
        ("RGB", "WEBP", {"lossless": True}),
        ("L", "GIF", {}),
        ("P", "GIF", {"transparency": 300 % 256}),
        ("RGB", "TIFF", {}),
        ("RGB", "TIFF", {"compression": "tiff_lzw"}),
        ("RGBA", "TIFF", {"compression": "tiff_deflate"}),
        ("CMYK", "TIFF", {"compression": "packbits"}),
        ("I;16", "TIFF", {}),
        ("1", "TIFF", {"compression": "group4"}),
        ("RGB", "PPM", {}),
        ("L", "PPM", {}),
        ("1", "PPM", {}),
    ],
)
def test_what_is_stored_without_loss_is_read_as_from_a_png(mode, form, settings):
    if mode == "I;16":
        grey = np.asarray(RGB.convert("L")).astype(np.uint16)
        image, plain = Image.fromarray(257 * grey), RGB.convert("L")
    else:
        image = RGB.convert(mode)
        plain = image if mode != "CMYK" else image.convert("RGB")
    assert (read(saved(image, form, **settings)) == read(saved(plain, "PNG"))).all()


@pytest.mark.parametrize(
    ("form", "settings", "levels"),
    [
        ("WEBP", {"quality": 95}, 8),
        ("TIFF", {"compression": "jpeg", "quality": 95}, 4),
        pytest.param("AVIF", {"quality": 95, "speed": 9}, 8, marks=AVIF),
    ],
)
def test_what_is_stored_with_loss_is_read_nearly_so(form, settings, levels):
    assert np.abs(read(saved(RGB, form, **settings)) - np.asarray(RGB)).mean() < levels


@pytest.mark.parametrize("form", ["WEBP", "TIFF", pytest.param("AVIF", marks=AVIF)])
def test_a_turned_picture_is_turned_back(form):
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = RGB.transpose(Image.Transpose.ROTATE_90)
    settings = {"lossless": True} if form == "WEBP" else {"quality": 100} if form == "AVIF" else {}
    assert np.abs(read(saved(lying, form, exif=exif, **settings)) - np.asarray(RGB)).mean() < 2


def test_of_a_moving_gif_the_first_picture_counts():
    others = [Image.new("L", RGB.size, 7), Image.new("L", RGB.size, 200)]
    moving = saved(RGB.convert("L"), "GIF", save_all=True, append_images=others)
    assert (read(moving) == read(saved(RGB.convert("L"), "PNG"))).all()


def test_plain_numbers_are_read_too():
    text = b"P3 # a comment\n2 1 255\n255 0 0  0 0 255\n"
    assert read(text, 2, 1).tolist() == [[[255, 0, 0], [0, 0, 255]]]


def tiff(*tags: tuple[int, int, int, int], data: bytes = bytes(256)) -> bytes:
    """A TIFF of these tags: number, type (3: 16 bits, 4: 32), count, value."""
    packed = b"".join(struct.pack("<2H2L", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<LH", 8, len(tags)) + packed + bytes(4) + data


GREY16 = ((256, 3, 1, 16), (257, 3, 1, 16), (258, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1))
HUGE_TILE = ((322, 4, 1, 65536), (323, 4, 1, 65536), (324, 4, 1, 8))
STRIP = ((273, 4, 1, 8), (279, 4, 1, 256))


def gif_with_comments(n_bytes: int) -> bytes:
    plain = saved(Image.new("L", (9, 9)), "GIF")
    at = 13 + (3 << (plain[10] & 7) + 1)
    return plain[:at] + b"!\xfe" + (b"\xff" + bytes(255)) * (n_bytes // 256) + b"\0" + plain[at:]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (saved(Image.new("L", (4000, 3000)), "WEBP", method=0), "a WebP picture that takes 206 MiB to decode; at most 38 "
            "are taken, as about 2.2 megapixels do: make the picture smaller, or save it as JPEG"),
        (saved(Image.new("L", (4000, 3000)), "WEBP", lossless=True, method=0), "a WebP picture that takes 205 MiB"),
        (gif_with_comments(1 << 20), "a GIF with over 512 KiB before its picture"),
        (saved(Image.new("L", (3000, 2000)), "GIF"), "6.0 megapixels; at most 4"),
        (tiff(*GREY16, (259, 3, 1, 50000), *STRIP), "a TIFF compressed by method 50000"),
        (tiff(*GREY16, (259, 3, 1, 8), *HUGE_TILE), "a TIFF picture that takes 4096 MiB"),
        (tiff(*GREY16, (273, 4, 4_000_000, 8)), "a TIFF whose tag 273 holds 4,000,000 values"),
        (tiff(*GREY16, *[(700, 1, 1 << 20, 8)] * 5), "a TIFF whose tag 700 holds"),
        (saved(Image.new("I", (9, 9), 70_000), "TIFF"), "a TIFF of 32-bit numbers"),
        (saved(Image.new("F", (9, 9), 0.5), "TIFF"), "its pixels are floats"),
        (b"P6 900 900 100\n" + bytes(2_430_000), "a PPM of 2,430,000 numbers that are not bytes"),
        (b"RIFF\x10\0\0\0WEBPVP9 " + bytes(20), "a damaged or unfinished WebP"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99), "a HEIC picture, which is not read; save it as JPEG"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif" + bytes(99), "a damaged or unfinished AVIF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not a picture"),
        (b"P7\nWIDTH 2\n", "not a picture"),
        (b"II+\0\x08\0\0\0", "not a picture"),
    ],
)  # fmt: skip
def test_what_costs_too_much_or_is_not_read_is_refused_by_its_header(content, says, monkeypatch):
    def decoded(*_):
        raise AssertionError("it was decoded")

    monkeypatch.setattr(formats, "load", decoded) if "floats" not in says else None
    with pytest.raises(InputError, match=says):
        read(content, 9, 9)


@AVIF
@pytest.mark.parametrize("size", [(64, 64), (641, 33), (3000, 2001)])
def test_how_large_an_avif_is_is_read_from_what_its_decoder_gets(size):
    assert avif.most_pixels(saved(Image.new("RGBA", size), "AVIF", speed=10)) == size[0] * size[1]


@AVIF
def test_an_avif_that_lies_about_its_size_is_refused_before_it_is_decoded():
    large = bytearray(saved(Image.new("RGB", (4000, 3000)), "AVIF", speed=10))
    at = large.index(b"ispe") + 8
    large[at : at + 8] = struct.pack(">2L", 64, 64)
    with pytest.raises(InputError, match="an AVIF picture that takes 125 MiB to decode; at most 38"):
        read(bytes(large), 64, 64)


def test_an_avif_in_more_pieces_than_can_be_counted_is_refused_at_once():
    def box(kind: bytes, inside: bytes) -> bytes:
        return struct.pack(">L", 8 + len(inside)) + kind + inside

    def located(n_items: int, n_extents: int, at: int, length: int) -> bytes:
        items = struct.pack(">HHQH", 1, 0, at, n_extents) + struct.pack(">L", length) * (n_extents if length else 0)
        sizes = b"\x04\x80" if length else b"\0\x80"
        return box(b"meta", bytes(4) + box(b"iloc", bytes(4) + sizes + struct.pack(">H", n_items) + items * n_items))

    obus = b"\x12\0" * 20_000  # temporal delimiters
    for content, says in (
        (located(200, 65_535, 1 << 40, 0), "its items are in over 16,384 pieces"),
        (located(1, 1, len(located(1, 1, 0, 1)) + 8, len(obus)) + box(b"mdat", obus), "over 16,384 OBUs"),
        (box(b"free", b"") * 300 + box(b"moov", b""), "over 256 boxes"),
    ):
        with pytest.raises(ValueError, match=says):
            avif.most_pixels(content)


@AVIF
def test_a_moving_avif_is_refused():
    moving = saved(RGB, "AVIF", save_all=True, append_images=[Image.new("RGB", RGB.size)], speed=10)
    with pytest.raises(InputError, match="it holds moving pictures"):
        read(moving)


def test_an_avif_cut_anywhere_is_refused_in_words():
    if not AvifImagePlugin.SUPPORTED:
        pytest.skip("this Pillow reads no AVIF")
    whole = saved(RGB.resize((40, 30)), "AVIF", speed=10)
    for length in range(13, len(whole), 7):
        with pytest.raises(InputError):
            read(whole[:length], 40, 30)


@pytest.mark.parametrize(("form", "plugin"), [("WEBP", WebPImagePlugin), pytest.param("AVIF", AvifImagePlugin, marks=AVIF)])
def test_a_pillow_without_the_format_is_named(form, plugin, monkeypatch):
    content = saved(RGB, form)
    monkeypatch.setattr(plugin, "SUPPORTED", False)
    with pytest.raises(InputError, match=r"an? \w+, which Pillow [\d.]+ on this device does not read; save it as PNG or JPEG"):
        read(content)


def test_nothing_that_libtiff_says_reaches_the_terminal(capfd):
    cut = saved(RGB, "TIFF", compression="jpeg")[:-2000]
    with pytest.raises(InputError):
        read(cut)
    assert capfd.readouterr() == ("", "")


def test_a_folder_holds_pictures_of_every_format(tmp_path):
    for name in ("a.WEBP", "b.gif", "c.tif", "d.tiff", "e.avif", "f.ppm", "g.heic", "h.eps"):
        (tmp_path / name).write_bytes(b"x")
    pictures, skipped = in_folder(str(tmp_path))
    assert len(pictures) == 6 and skipped == ["g.heic", "h.eps"]
