"""Read a picture file into the pixels a model expects.

Nothing about the file is believed: its kind is read from its first bytes, its size from its header before any
pixel is decoded, and whatever Pillow raises on it becomes one line. No numpy: this is the device's cold path.
"""

import io
import os
import stat
import warnings

from PIL import Image, ImageChops, ImageFile

from edge.contract import InputContract
from edge.errors import InputError, InputMissing, StorageError, missing, one_line

MAX_FILE_MIB = 64
MAX_MEGAPIXELS = 4
# A JPEG can be decoded at up to 1/8 of its size, so a phone's photo costs no more than a small picture. A
# progressive one is held whole as coefficients meanwhile, up to 6 bytes a pixel.
MAX_JPEG_MEGAPIXELS = 64
MAX_PROGRESSIVE_MEGAPIXELS = 16
PHOTO_SIDE = 800  # the longer side of a photo is decoded at no less than this

Transpose = Image.Transpose
_UPRIGHT = {  # EXIF orientation → what undoes it
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}


def read_pixels(path: str, contract: InputContract) -> bytes:
    """The picture in the file `path` as `contract` expects it: uint8 [height, width, channels].

    InputMissing where there is no such file or it may not be read; InputError where it is no picture we read.
    """
    try:
        return fit(_decode(_read(path), contract), contract)
    except InputError as error:
        raise InputError(one_line(f"{path}: {error}")) from None


def fit(image: Image.Image, contract: InputContract) -> bytes:
    """An open picture as `contract` expects it: uint8 [height, width, channels]. InputError where it cannot be."""
    size, mode = (contract.width, contract.height), "L" if contract.channels == 1 else "RGB"
    if contract.fit == "exact" and image.size != size:
        found, wanted = f"{image.width}x{image.height}", f"{contract.width}x{contract.height}"
        raise InputError(f"{found} pixels (width x height); this model takes exactly {wanted}: resize the picture")
    opaque = _opaque(image, mode)
    if contract.fit != "digit":
        return (opaque if opaque.size == size else opaque.resize(size, Image.Resampling.BICUBIC)).tobytes()
    if opaque.size == size and _is_grey(_opaque(image, "RGB")) and _is_light_on_dark(opaque):
        return opaque.tobytes()
    from edge.digit import redraw

    return redraw(opaque)


def _read(path: str) -> bytes:
    """The bytes of a regular file that begins like a picture."""
    try:
        # Non-blocking, or a named pipe would make us wait for its other end; it is refused below.
        file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0)))  # noqa: SIM115 (closed below)
    except IsADirectoryError:
        raise InputMissing(one_line(f"{path}: is a directory; name the pictures in it")) from None
    except OSError as error:
        raise missing(path, error) from None
    except ValueError:  # a NUL in the name
        raise InputMissing(one_line(f"{path}: no file can have this name")) from None
    with file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise InputError("a pipe, socket or device; save the picture as a file and name that")
        if status.st_size > MAX_FILE_MIB << 20:
            raise InputError(f"{status.st_size >> 20} MiB; at most {MAX_FILE_MIB} are read: make the picture smaller")
        try:
            head = file.read(8)
            if not head:
                raise InputError("an empty file; copy or export the picture again")
            if not head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM")):
                raise InputError(f"not a picture (begins {head!r}); PNG, JPEG and BMP are read")
            return head + file.read(MAX_FILE_MIB << 20)
        except OSError as error:
            raise StorageError(one_line(f"{path}: {error.strerror or error}")) from None


def _decode(content: bytes, contract: InputContract) -> Image.Image:
    """Decode a picture, upright, a large JPEG no larger than needed."""
    kind = "PNG" if content.startswith(b"\x89") else "JPEG" if content.startswith(b"\xff") else "BMP"
    try:
        # Pillow's warnings are about oddities in the file; what matters of them fails below.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = _opened(kind, io.BytesIO(content))
            may_shrink = kind == "JPEG" and contract.fit != "exact"
            progressive = may_shrink and image.info.get("progressive")
            limit = MAX_JPEG_MEGAPIXELS if may_shrink else MAX_MEGAPIXELS
            _check_size(image, MAX_PROGRESSIVE_MEGAPIXELS if progressive else limit)
            if may_shrink:
                times = max(1, max(image.size) // PHOTO_SIDE)
                width, height = max(contract.width, image.width // times), max(contract.height, image.height // times)
                image.draft("L" if contract.channels == 1 else None, (width, height))
                _check_size(image, MAX_MEGAPIXELS)
            image.load()
            turn = _UPRIGHT.get(_orientation(image))
            return image.transpose(turn) if turn is not None else image
    except (InputError, MemoryError):
        raise
    except Exception as error:  # Pillow raises a dozen kinds, struct.error and zlib.error among them
        reason = str(error) or type(error).__name__
        raise InputError(f"a damaged or unfinished {kind} ({reason}); copy or export the picture again") from None


def _opened(kind: str, file: io.BytesIO) -> ImageFile.ImageFile:
    """Read the header. One plugin is imported, where `Image.open` imports five."""
    if kind == "PNG":
        from PIL.PngImagePlugin import PngImageFile

        return PngImageFile(file)
    if kind == "JPEG":
        from PIL.JpegImagePlugin import JpegImageFile

        return JpegImageFile(file)
    from PIL.BmpImagePlugin import BmpImageFile

    return BmpImageFile(file)


def _check_size(image: Image.Image, max_megapixels: int) -> None:
    n_pixels = image.width * image.height
    if n_pixels > max_megapixels << 20:
        found = f"{image.width}x{image.height} is {n_pixels / 1e6:.1f} megapixels"
        raise InputError(f"{found}; at most {max_megapixels} are read: make the picture smaller")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 for upright or unknown: a photo with odd metadata is still a photo."""
    try:
        return int(image.getexif().get(0x0112, 1))
    except MemoryError:
        raise
    except Exception:
        return 1


def _opaque(image: Image.Image, mode: str) -> Image.Image:
    """`image` in `mode`, L or RGB; what is transparent becomes black or white."""
    if image.mode.startswith("I"):
        # 16 bits: 65535 becomes 255. Pillow's own conversion would clip at 255.
        image = image.point(lambda value: value * (1 / 257) + 0.5).convert("L")
    elif image.has_transparency_data:
        return _laid_on_ground(image if image.mode == "RGBA" else image.convert("RGBA"), mode)
    return image if image.mode == mode else image.convert(mode)


def _laid_on_ground(image: Image.Image, mode: str) -> Image.Image:
    """`image` (RGBA) in `mode` over the ground it was meant for.

    Ink on nothing needs a ground that contrasts with it; a page with holes or soft corners, one like the page.
    """
    alpha, colours = image.getchannel("A"), image.convert(mode)
    visible, whole = _sum(alpha), 255 * image.width * image.height
    is_light = 255 * _sum(ImageChops.multiply(colours.convert("L"), alpha)) > 128 * visible
    is_page = 2 * visible > whole
    return Image.composite(colours, Image.new(mode, image.size, "white" if is_light == is_page else "black"), alpha)


def _is_grey(image: Image.Image) -> bool:
    """Whether red, green and blue are equal in every pixel of `image` (RGB)."""
    red, green, blue = image.split()
    return red.tobytes() == green.tobytes() == blue.tobytes()


def _is_light_on_dark(grey: Image.Image) -> bool:
    """Whether the outermost pixels of `grey` are nearer its darkest than its lightest."""
    pixels, width = grey.tobytes(), grey.width
    border = sorted(pixels[:width] + pixels[-width:] + pixels[::width] + pixels[width - 1 :: width])
    return 2 * border[len(border) // 2] < min(pixels) + max(pixels)


def _sum(image: Image.Image) -> int:
    return sum(value * n for value, n in enumerate(image.histogram()))
