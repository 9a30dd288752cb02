"""The formats beside PNG, JPEG and BMP that are read where Pillow has them: which they are, and what decoding them will cost.

The list is what Pillow decodes in this process; a format that would start a program, such as EPS, is none of them. What a
decoder takes is worked out before it starts, as for JPEG: a small file can be expensive. Bytes a pixel are measured peaks.
"""

import io
import sys

from edge.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from PIL.ImageFile import ImageFile

# The plugin and class of Pillow.
PLUGINS = {
    "WebP": ("WebPImagePlugin", "WebPImageFile"),
    "GIF": ("GifImagePlugin", "GifImageFile"),
    "TIFF": ("TiffImagePlugin", "TiffImageFile"),
    "AVIF": ("AvifImagePlugin", "AvifImageFile"),
    "PPM": ("PpmImagePlugin", "PpmImageFile"),
}
READ = "PNG, JPEG, BMP, WebP, GIF, TIFF, AVIF and PPM are read"
HEIC_HINT = "save it as JPEG (an iPhone takes JPEGs with Settings, Camera, Formats, Most Compatible)"
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

MAX_GIF_PREFACE_KIB = 512  # of comments before the first picture, which Pillow joins piece by piece
MAX_TIFF_TAG_MIB = 4
MAX_TIFF_VALUES = 65_536  # of one tag: a number each in Python
MAX_SLOW_VALUES = 1 << 19  # of a PPM that Pillow reads in Python, 0.8 µs each
# Uncompressed, CCITT, LZW, JPEG, Deflate, PackBits: what scanners and editors write.
_TIFF_COMPRESSIONS = {1, 2, 3, 4, 5, 7, 8, 32773, 32946}
_TIFF_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}  # by type


def kind_of(content: bytes) -> str:
    """The format of the file whose bytes are `content`, a key of PLUGINS. Raises InputError if it is none of them."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WebP"
    if content[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if content[:4] in (b"II*\0", b"MM\0*"):
        return "TIFF"
    if content[4:8] == b"ftyp":
        size = int.from_bytes(content[:4], "big")
        brands = [content[at : at + 4] for at in (8, *range(16, min(size, 256), 4))]
        if b"avif" in brands:
            return "AVIF"
        if any(brand in _HEIC for brand in brands):
            raise InputError(f"a HEIC picture, which is not read; {HEIC_HINT}")
    if content[:1] == b"P" and content[1:2] in b"123456" and content[2:3].isspace():
        return "PPM"
    raise InputError(f"not a picture (begins {content[:8]!r}); {READ}")


def check(kind: str, content: bytes, *, max_mib: int) -> None:
    """Refuse a file that would cost too much to open, by its headers. Raises InputError, or ValueError for a damaged one."""
    if kind == "WebP":
        # Two canvases, the decoder's own picture, its copy and Pillow's: 18 bytes a pixel, and the file three times.
        width, height = _webp_size(content)
        _check_cost(kind, 18 * width * height + 3 * len(content), max_mib, n_pixels=width * height)
    elif kind == "GIF":
        _check_gif(content)
    elif kind == "TIFF":
        _check_tiff_tags(content)
    elif kind == "AVIF":
        from edge.pictures.avif import most_pixels

        n_pixels = most_pixels(content)
        _check_cost(kind, 11 * n_pixels + 2 * len(content), max_mib, n_pixels=n_pixels)


def opened(kind: str, file: io.BytesIO) -> "ImageFile":
    """Read the header of `file`, a picture of this `kind`. Raises InputError if this Pillow cannot, and Pillow's errors."""
    module, name = PLUGINS[kind]
    try:
        __import__(f"PIL.{module}")
    except ImportError:
        raise _not_here(kind) from None
    plugin: Any = sys.modules[f"PIL.{module}"]
    if not getattr(plugin, "SUPPORTED", True):
        raise _not_here(kind)
    threads = getattr(plugin, "DEFAULT_MAX_THREADS", None)
    if threads is not None:
        plugin.DEFAULT_MAX_THREADS = 1  # each of AVIF's keeps rows of its own
    try:
        image: ImageFile = getattr(plugin, name)(file)
        return image
    finally:
        if threads is not None:
            plugin.DEFAULT_MAX_THREADS = threads


def check_opened(kind: str, image: "ImageFile", n_bytes: int, *, max_mib: int) -> None:
    """Refuse a picture of `n_bytes` whose header is read and that would cost too much to decode. Raises InputError."""
    n_pixels = image.width * image.height
    if kind == "AVIF":
        _check_cost(kind, (14 if image.mode == "RGBA" else 11) * n_pixels + 2 * n_bytes, max_mib, n_pixels=n_pixels)
    elif kind == "TIFF":
        _check_tiff(image, n_bytes, max_mib)
    elif kind == "PPM" and image.tile[0][0] != "raw":
        n_values = n_pixels * len(image.getbands())
        if n_values > MAX_SLOW_VALUES:
            held = f"a PPM of {n_values:,} numbers that are not bytes"
            raise InputError(f"{held}; at most {MAX_SLOW_VALUES:,} are read: save it as PNG")


def load(kind: str, image: "ImageFile") -> None:
    """Decode `image`; libtiff tells its troubles on stderr, past Pillow, which raises them too."""
    if kind != "TIFF":
        image.load()
        return
    from edge.silence import silence_native_output

    with silence_native_output():
        image.load()


def _not_here(kind: str) -> InputError:
    from PIL import __version__

    return InputError(f"{_a(kind)}, which Pillow {__version__} on this device does not read; save it as PNG or JPEG")


def _a(kind: str) -> str:
    return f"an {kind}" if kind == "AVIF" else f"a {kind}"


def _check_cost(kind: str, n_bytes: int, max_mib: int, *, n_pixels: int) -> None:
    """Refuse a picture of `n_pixels` that takes `n_bytes` to decode, if that is more than `max_mib`."""
    if n_bytes > max_mib << 20:
        needed = f"{_a(kind)} picture that takes {n_bytes >> 20} MiB to decode"
        most = n_pixels * (max_mib << 20) / n_bytes / 1e6  # if the rest of it shrinks with the pixels
        size = f", as about {most:.1f} megapixels do" if most >= 0.1 else ""
        raise InputError(f"{needed}; at most {max_mib} are taken{size}: make the picture smaller, or save it as JPEG")


def _webp_size(content: bytes) -> tuple[int, int]:
    """Width and height (Google's "WebP Container Specification"; RFC 6386, 9.1; RFC 9649, 3.4)."""
    form = content[12:16]
    if form == b"VP8X":
        return 1 + int.from_bytes(content[24:27], "little"), 1 + int.from_bytes(content[27:30], "little")
    if form == b"VP8L":
        bits = int.from_bytes(content[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if form == b"VP8 ":
        return int.from_bytes(content[26:28], "little") & 0x3FFF, int.from_bytes(content[28:30], "little") & 0x3FFF
    raise ValueError(f"it holds {form!r}, no picture")


def _check_gif(content: bytes) -> None:
    """Refuse megabytes of comments before the first picture (GIF89a specification, 23 and 24)."""
    at = 13 + (3 << (content[10] & 7) + 1 if content[10:11] and content[10] & 0x80 else 0)
    start = at
    while content[at : at + 1] == b"!":
        at += 2
        while at < len(content) and content[at]:
            at += 1 + content[at]
            if at - start > MAX_GIF_PREFACE_KIB << 10:
                raise InputError(f"a GIF with over {MAX_GIF_PREFACE_KIB} KiB before its picture; save the picture again")
        at += 1


def _check_tiff_tags(content: bytes) -> None:
    """Refuse tags that hold more than any picture's (TIFF 6.0, section 2)."""
    order = "little" if content[:2] == b"II" else "big"

    def number(at: int, size: int) -> int:
        return int.from_bytes(content[at : at + size], order)  # type: ignore[arg-type]

    start, total = number(4, 4), 0
    for at in range(start + 2, start + 2 + 12 * number(start, 2), 12):
        kind, count = number(at + 2, 2), number(at + 4, 4)
        size = count * _TIFF_BYTES.get(kind, 1)
        total += size if size > 4 else 0
        if (kind not in (1, 2, 6, 7) and count > MAX_TIFF_VALUES) or total > MAX_TIFF_TAG_MIB << 20:
            raise InputError(f"a TIFF whose tag {number(at, 2)} holds {count:,} values; save the picture as PNG")


def _check_tiff(image: "Any", n_bytes: int, max_mib: int) -> None:
    tags, n_pixels = image.tag_v2, image.width * image.height
    compression = int(tags.get(259, 1))
    if compression not in _TIFF_COMPRESSIONS:
        raise InputError(f"a TIFF compressed by method {compression}; save it uncompressed, by LZW or Deflate, or as PNG")
    if image.mode == "I":
        raise InputError("a TIFF of 32-bit numbers, and nothing says which is white; save it with 8 bits a channel")
    # libtiff decodes a strip or tile at a time, with the bits it is stored in; of a JPEG it may keep the coefficients too.
    n_held = int(tags.get(322, image.width)) * int(tags.get(323, min(int(tags.get(278, image.height)), image.height)))
    bits = max(tags.get(258, (1,))) * int(tags.get(277, 1)) + (48 if compression == 7 else 0)
    held = 0 if compression == 1 else n_held * bits // 8
    _check_cost("TIFF", n_bytes + 5 * n_pixels + held, max_mib, n_pixels=n_pixels)
