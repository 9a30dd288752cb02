"""Pictures to build on: an example in every mode, form and size that Pillow writes, and bombs, which are small and unfold.

    python -m tests.promises.corpus FOLDER [BOMBS]

A command of its own, so that those who ask stay small. `whole-*` are good pictures; `bomb-*` are what a reader chokes on:
pictures at the very limits that edge/pictures/decode.py sets or beyond, in every form that costs memory or time.
"""

import io
import struct
import sys
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random

from PIL import AvifImagePlugin, Image

from tests.edge.pictures.png_files import SIGNATURE, Chunk, assemble, header
from tests.promises.asking import EXAMPLES

MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16", "CMYK")
FORMS: dict[str, list[dict[str, object]]] = {
    "PNG": [{}, {"compress_level": 0}],
    "JPEG": [{"quality": 90}, {"progressive": True}, {"subsampling": 0, "quality": 99}, {"restart_marker_blocks": 1}],
    "BMP": [{}],
    "WEBP": [{"method": 0}, {"lossless": True, "method": 0}],
    "GIF": [{}],
    "TIFF": [{}, {"compression": "tiff_lzw"}, {"compression": "tiff_deflate"}, {"compression": "jpeg"}],
    "AVIF": [{"speed": 10}],
    "PPM": [{}],
}
TURNED = {"PNG", "JPEG", "WEBP", "TIFF", "AVIF"}  # what can say how it lies
SIDE = 2048  # of a picture of 4 mebipixels, the most that is read but for JPEG
LIMIT = 1 << 20


def wholes() -> Iterator[tuple[str, bytes]]:
    """Good pictures: every mode that a format can hold, small, page-sized, and a digit."""
    page = Image.open(f"{EXAMPLES}/seven-page.png").convert("L")
    digit = Image.open(f"{EXAMPLES}/four.png").convert("L")
    for size, image in {"page": page, "digit": digit, "dot": digit.resize((1, 1)), "row": page.resize((3000, 2))}.items():
        for mode in MODES:
            converted = in_mode(image, mode)
            for form, settings in FORMS.items():
                for number, setting in enumerate(settings):
                    if setting.get("compression") == "jpeg" and mode not in ("L", "RGB", "CMYK"):
                        continue  # libtiff would say on stderr that it cannot
                    for turned in (1, 6) if form in TURNED else (1,):
                        exif = Image.Exif()
                        exif[0x0112] = turned
                        more = {"exif": exif} if turned > 1 else {}
                        buffer = io.BytesIO()
                        try:
                            converted.save(buffer, form, **setting, **more)
                        except (OSError, KeyError, ValueError):  # no such mode in this format
                            continue
                        yield f"{size}-{mode.replace(';', '')}-{number}-{turned}.{form.lower()}", buffer.getvalue()


def in_mode(image: Image.Image, mode: str) -> Image.Image:
    """`image` (L) in another mode; with alpha, its light parts transparent."""
    if mode == "I;16":
        return Image.frombytes("I;16", image.size, b"".join(struct.pack("<H", 257 * v) for v in image.tobytes()))
    if mode in ("LA", "RGBA"):
        return Image.merge("LA", (image, image.point(lambda v: 255 if v < 200 else 0))).convert(mode)
    if mode == "PA":
        return in_mode(image, "RGBA").quantize(16)
    return image.convert(mode)


def bombs() -> Iterator[tuple[str, bytes]]:
    """Pictures as large as can be read, and larger, in few bytes."""
    for colour, depth in ((0, 1), (0, 8), (0, 16), (2, 8), (2, 16), (3, 8), (4, 8), (4, 16), (6, 8), (6, 16)):
        for interlaced in (0, 1):
            yield f"png-{colour}-{depth}-{interlaced}", black_png(SIDE, SIDE, depth=depth, colour=colour, interlaced=interlaced)
    for mode in ("P", "RGB", "RGBA"):
        yield f"png-unpacked-{mode}", saved(mode, SIDE, SIDE, "PNG", compress_level=0)
    yield "png-transparent", black_png(SIDE, SIDE, before=((b"tRNS", b"\0\7"),))
    yield "png-transparent-palette", black_png(SIDE, SIDE, colour=3, before=((b"tRNS", b"\0\7"),))
    for width, height in ((30_000, 30_000), (2**31 - 1, 2**31 - 1), (1, 2**31 - 1), (4 << 20, 1), (1, 4 << 20), (0, 0)):
        yield f"png-{width}x{height}", assemble(header(width, height), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    # 64 bytes of picture and gigabytes behind them, in the rows and in the chunks that hold compressed text and profiles.
    surplus = zlib.compress(bytes(64 << 20), 9)
    yield "png-endless-rows", assemble(header(8, 8), (b"IDAT", surplus), (b"IEND", b""))
    for kind in (b"zTXt", b"iCCP", b"iTXt"):
        body = b"k\0\1\0\0\0" + surplus if kind == b"iTXt" else b"k\0\0" + surplus
        yield f"png-{kind.decode()}", black_png(8, 8, before=((kind, body),) * 50)
    chunk = assemble((b"tEXt", b"a\0b"))[len(SIGNATURE) :]
    plain = assemble(header(300, 300), (b"IDAT", zlib.compress(bytes(301 * 300))), (b"IEND", b""))
    for chunks in (100_000, (15 << 20) // len(chunk)):
        yield f"png-chunks-{chunks}", plain[:33] + chunk * chunks + plain[33:]
    yield "png-tiny-idat", plain[:33] + assemble((b"IDAT", b""))[8:] * 1_200_000 + plain[33:]
    for mode, size in (("L", 8000), ("RGB", 8000), ("CMYK", 8000), ("RGB", 5000)):
        yield f"jpeg-{mode}-{size}", saved(mode, size, size, "JPEG", quality=12)
    for mode, size, subsampling in (("L", 4000, 0), ("RGB", 4000, 2), ("RGB", 4000, 0), ("CMYK", 4000, 0), ("RGB", 2500, 0)):
        yield (
            f"jpeg-progressive-{mode}-{size}-{subsampling}",
            saved(mode, size, size, "JPEG", progressive=True, subsampling=subsampling),
        )
    yield "jpeg-progressive-phone", saved("RGB", 4000, 3000, "JPEG", progressive=True, subsampling=2, quality=30)
    for side in (1000, 2500, 3400):
        for scans in (30, 200, 5000):
            yield f"jpeg-scans-{side}-{scans}", many_scans(side, scans)
    yield "jpeg-comments", saved("L", 300, 300, "JPEG")[:2] + b"\xff\xfe\0\2" * (15 << 18) + saved("L", 300, 300, "JPEG")[2:]
    yield "jpeg-fill", b"\xff\xd8" + b"\xff" * (15 << 20) + saved("L", 300, 300, "JPEG")[2:]
    for width, height in ((65_500, 65_500), (65_500, 1), (1, 65_500)):
        good = saved("L", 16, 16, "JPEG")
        at = good.index(b"\xff\xc0")
        yield f"jpeg-{width}x{height}", good[: at + 5] + struct.pack(">2H", height, width) + good[at + 9 :]
    for mode in ("1", "L", "RGB", "RGBA"):
        yield f"bmp-{mode}", saved(mode, SIDE, SIDE, "BMP")
    for name, run in (("long", b"\xff\0"), ("short", b"\1\0"), ("still", b"\0\2\0\0"), ("raw", b"\0\3abc\0")):
        yield f"bmp-rle-{name}", rle_bmp(SIDE, run)
    for width, height in ((2**31 - 1, 2**31 - 1), (-5, 7), (1, -(2**31)), (4 << 20, 1)):
        good = saved("L", 16, 16, "BMP")
        yield f"bmp-{width}x{height}", good[:18] + struct.pack("<2l", width, height) + good[26:]
    yield from more_bombs()
    for front in (SIGNATURE, b"\xff\xd8\xff", b"BM", SIGNATURE + b"\0\0\0\x0dIHDR"):
        for size in (LIMIT, 20 * LIMIT, 21 * LIMIT):
            yield f"zeros-{front[:3].hex()}-{len(front)}-{size}", front + bytes(size - len(front))


def more_bombs() -> Iterator[tuple[str, bytes]]:
    """Those of the formats that Pillow alone reads."""
    for side in (1450, SIDE, 3000):
        for name, settings in (("lossy", {"method": 0}), ("lossless", {"lossless": True, "method": 0})):
            yield f"webp-{name}-{side}", saved("RGBA" if side < SIDE else "RGB", side, side, "WEBP", **settings)
    yield "gif", saved("P", SIDE, SIDE, "GIF")
    small = saved("P", 64, 64, "GIF")
    at = 13 + (3 << (small[10] & 7) + 1)
    for kind in (b"\xfe", b"\xff"):
        yield f"gif-words-{kind[0]}", small[:at] + b"!" + kind + (b"\xff" + bytes(255)) * 70_000 + b"\0" + small[at:]
    for mode, method in (("RGB", None), ("L", "tiff_deflate"), ("RGBA", "tiff_deflate"), ("RGB", "tiff_lzw"), ("RGB", "jpeg")):
        for rows in (64, SIDE):
            data = saved(mode, SIDE, SIDE, "TIFF", compression=method, tiffinfo={278: rows})
            yield f"tiff-{mode}-{method}-{rows}", data
    yield "tiff-many-strips", saved("L", 64, 60_000, "TIFF", compression="tiff_lzw", tiffinfo={278: 1})
    yield "tiff-tile", tiff(side=16, tile=65_536, n_tiles=1)
    yield "tiff-tags", tiff(side=16, tile=16, n_tiles=4 << 20)
    yield "tiff-size", tiff(side=2**31, tile=16, n_tiles=1)
    if AvifImagePlugin.SUPPORTED:
        for mode, side in (("RGB", 1800), ("RGBA", 1600), ("RGB", 4000)):
            data = saved(mode, side, side, "AVIF", speed=10, quality=20)
            yield f"avif-{mode}-{side}", data
            at = data.index(b"ispe") + 8
            yield f"avif-lies-{mode}-{side}", data[:at] + struct.pack(">2L", 64, 64) + data[at + 8 :]
    yield "ppm", saved("RGB", SIDE, SIDE, "PPM")
    yield "ppm-16", b"P5 2048 2048 65535\n" + bytes(2 * SIDE * SIDE)
    yield "ppm-text-small", b"P3 400 400 255\n" + b"7 " * 480_000
    yield "ppm-text", b"P3 2048 2048 255\n" + b"7 " * (9 << 20)
    yield "ppm-bits", b"P1 4000 1000\n" + b"1 " * 4_000_000
    yield "ppm-99", b"P6 418 418 99\n" + b"7" * 524_172


def tiff(*, side: int, tile: int, n_tiles: int) -> bytes:
    """A TIFF of 8 grey bits, by Deflate, in tiles that may be larger or more than the picture needs."""
    tags = [(256, 1, side), (257, 1, side), (258, 1, 8), (259, 1, 8), (262, 1, 1), (277, 1, 1), (322, 1, tile), (323, 1, tile)]
    tags += [(324, n_tiles, 134), (325, n_tiles, 134)]
    packed = b"".join(struct.pack("<2H2L", tag, 4, count, value) for tag, count, value in tags)
    head = b"II*\0" + struct.pack("<LH", 8, len(tags)) + packed + bytes(4)
    return head + zlib.compress(bytes(9 << 20)) + bytes(16 << 20)


def black_png(
    width: int, height: int, *, depth: int = 8, colour: int = 0, interlaced: int = 0, before: tuple[Chunk, ...] = ()
) -> bytes:
    """A PNG of zeros, which shrink to a thousandth."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    # Interlaced rows are shorter and more; a surplus of zeros is skipped by every reader.
    rows = (1 + (width * depth * channels + 7) // 8) * height * (2 if interlaced else 1)
    palette = [(b"PLTE", bytes(768))] if colour == 3 else []
    head = header(width, height, depth=depth, colour=colour, interlaced=interlaced)
    return assemble(head, *palette, *before, (b"IDAT", zlib.compress(bytes(rows), 1)), (b"IEND", b""))


def saved(mode: str, width: int, height: int, form: str, **settings: object) -> bytes:
    """A patterned picture: noise of 64x64 pixels, tiled, so that no reader has it easy."""
    tile = Image.frombytes("RGB", (64, 64), Random(0).randbytes(3 * 64 * 64)).convert(mode)
    image = Image.new(mode, (width, height))
    for y in range(0, height, 64):
        for x in range(0, width, 64):
            image.paste(tile, (x, y))
    buffer = io.BytesIO()
    image.save(buffer, form, **settings)
    return buffer.getvalue()


def many_scans(side: int, scans: int) -> bytes:
    """A progressive JPEG of `side` x `side` whose last scan stands there `scans` times; each goes through the whole."""
    whole = io.BytesIO()
    Image.new("L", (side, side), 90).save(whole, "JPEG", progressive=True)
    data = whole.getvalue()
    last = data.rindex(b"\xff\xda")
    # The tables that the last scan needs stand before it and stay in force.
    return data[:last] + data[last:-2] * scans + data[-2:]


def rle_bmp(side: int, run: bytes) -> bytes:
    """A BMP of 8-bit run-length codes, as many as a picture of `side` x `side` can need."""
    body = run * min(side * side, (15 << 20) // len(run))
    head = struct.pack("<2sL4xL", b"BM", 54 + 1024 + len(body), 54 + 1024)
    return head + struct.pack("<L2l2H6L", 40, side, side, 1, 8, 1, len(body), 2835, 2835, 256, 0) + bytes(1024) + body


def write(folder: Path, n_bombs: int | None = None) -> None:
    """Every picture into `folder`, by kind and name; of the bombs, which take longest to draw, the first `n_bombs`."""
    for kind, pictures in (("whole", wholes()), ("bomb", islice(bombs(), n_bombs))):
        for name, data in pictures:
            with (folder / f"{kind}-{name}").open("wb") as file:
                file.write(data.rstrip(b"\0"))
                file.truncate(len(data))  # zeros take no room


if __name__ == "__main__":
    write(Path(sys.argv[1]), *map(int, sys.argv[2:]))
