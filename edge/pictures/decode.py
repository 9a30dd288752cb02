"""Decode a picture with Pillow, and fit it to a model's input. Without numpy, which would delay every start."""

import io
import warnings

from PIL import Image, ImageChops, ImageFile

from edge.contract import InputContract, is_light_on_dark
from edge.errors import InputError
from edge.pictures import formats, geometry

KINDS = {b"\x89": "PNG", b"\xff": "JPEG", b"B": "BMP"}  # by the first byte
MAX_MEGAPIXELS = 4
MAX_SIDE = 65_535  # each row of pixels takes a pointer, however short
# A JPEG can be decoded at up to 1/8 of its size, so a phone's photo costs no more than a small picture. Of a progressive
# one, all coefficients and the file are in memory meanwhile: 3 bytes per pixel as phones save it, 8 at worst.
MAX_JPEG_MEGAPIXELS = 64
MAX_DECODE_MIB = 38
MAX_WHOLE_DECODE_MIB = 120  # where it is decoded in full, as other libraries do: 6 bytes per pixel, and the file
# The next limits are for crafted files: each part costs the decoder time, or a pass over the picture.
MAX_SCANS = 100
MAX_PNG_CHUNKS = 65_536
MAX_RUN_LENGTH_MIB = 4
PHOTO_SIDE = 800  # a photo is decoded with its longer side at least this long

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


def fit(image: Image.Image, contract: InputContract) -> bytes:
    """A decoded picture as the image that `contract` describes: uint8 [height, width, channels]. Raises InputError."""
    size, mode = (contract.width, contract.height), "L" if contract.channels == 1 else "RGB"
    if contract.fit == "exact" and image.size != size:
        actual, wanted = f"{image.width}x{image.height}", f"{contract.width}x{contract.height}"
        raise InputError(f"{actual} pixels (width x height); this model takes exactly {wanted}: resize the picture")
    whole = opaque(image, mode, contract.alpha)
    if not contract.is_digit:
        return geometry.scale(whole, contract)
    grey = whole.size == size and _is_grey(opaque(image, "RGB", contract.alpha))
    if grey and is_light_on_dark(whole.tobytes(), whole.width):
        return whole.tobytes()
    if contract.fit == "digit":
        from edge.pictures.digit import redraw
    else:
        from edge.pictures.sheet import redraw
    return redraw(whole)


def decode(content: bytes, contract: InputContract) -> Image.Image:
    """Decode a picture and turn it upright; a large JPEG is decoded no larger than needed."""
    return decode_sized(content, contract, side=PHOTO_SIDE)[0]


def decode_sized(content: bytes, contract: InputContract, *, side: int) -> tuple[Image.Image, tuple[int, int]]:
    """As `decode`, of a JPEG's longer side at least `side` pixels, if it has so many; and the whole, upright picture's size."""
    kind = KINDS.get(content[:1]) or formats.kind_of(content)
    try:
        # Pillow warns about oddities in the file; those that matter fail below. An open PNG would keep the whole file.
        with warnings.catch_warnings(), io.BytesIO(content) as file:
            warnings.simplefilter("ignore")
            whole = contract.resize != "edgeproof"  # other libraries' pixels come from every pixel of the picture
            max_mib = MAX_WHOLE_DECODE_MIB if whole else MAX_DECODE_MIB
            _check_parts(kind, content, max_mib)
            image = _opened(kind, file)
            most = geometry.MAX_MEGAPIXELS if whole else MAX_MEGAPIXELS
            may_shrink = kind == "JPEG" and contract.fit != "exact" and not whole
            _check_size(image, MAX_JPEG_MEGAPIXELS if may_shrink else most)
            size = image.size
            formats.check_opened(kind, image, len(content), max_mib=max_mib)
            if kind == "BMP" and image.info.get("compression") in (1, 2) and len(content) > MAX_RUN_LENGTH_MIB << 20:
                raise InputError(f"a run-length coded BMP of over {MAX_RUN_LENGTH_MIB} MiB; save the picture as PNG")
            if may_shrink:
                times = max(1, max(image.size) // side)
                width, height = max(contract.width, image.width // times), max(contract.height, image.height // times)
                image.draft("L" if contract.channels == 1 else None, (width, height))
                _check_size(image, MAX_MEGAPIXELS)
            formats.load(kind, image)
            if image.mode in ("P", "PA") and image.palette is None:
                raise InputError(f"a damaged or unfinished {kind} (its palette is missing); copy or export the picture again")
            # Without the file's decoder, which may keep pictures of its own.
            turned = upright(image._new(image.im) if kind in formats.PLUGINS else image, contract)
            lies = contract.exif == "apply" and _orientation(image) in (5, 6, 7, 8)
            return turned, (size[1], size[0]) if lies else size
    except (InputError, MemoryError):
        raise
    except Exception as error:  # Pillow raises a dozen kinds, such as struct.error and zlib.error
        reason = str(error) or type(error).__name__
        raise InputError(f"a damaged or unfinished {kind} ({reason}); copy or export the picture again") from None


def upright(image: Image.Image, contract: InputContract) -> Image.Image:
    """`image` turned as its EXIF orientation says, unless `contract` ignores that."""
    turn = _UPRIGHT.get(_orientation(image)) if contract.exif == "apply" else None
    return image.transpose(turn) if turn is not None else image


def _opened(kind: str, file: io.BytesIO) -> ImageFile.ImageFile:
    """Read the header. One plugin is imported, where `Image.open` imports five."""
    if kind == "PNG":
        from PIL.PngImagePlugin import PngImageFile

        return PngImageFile(file)
    if kind == "JPEG":
        from PIL.JpegImagePlugin import JpegImageFile

        return JpegImageFile(file)
    if kind == "BMP":
        from PIL.BmpImagePlugin import BmpImageFile

        return BmpImageFile(file)
    return formats.opened(kind, file)


def _check_parts(kind: str, content: bytes, max_decode_mib: int) -> None:
    """Refuse a file with so many parts, or so much to hold at once, that decoding it takes excessive time or memory."""
    if kind == "PNG":
        at = 8
        for _ in range(MAX_PNG_CHUNKS):
            if at >= len(content):
                return
            at += 12 + int.from_bytes(content[at : at + 4], "big")
        raise InputError(f"a PNG of over {MAX_PNG_CHUNKS} chunks; save the picture again")
    formats.check(kind, content, max_mib=max_decode_mib)
    if kind == "JPEG":
        from edge.pictures.jpeg import decode_cost

        coefficient_bytes, n_scans = decode_cost(content)
        if coefficient_bytes and coefficient_bytes + len(content) > max_decode_mib << 20:
            needed = f"a progressive JPEG that takes {coefficient_bytes + len(content) >> 20} MiB to decode"
            raise InputError(f"{needed}; at most {max_decode_mib} are taken: make the picture smaller")
        if n_scans > MAX_SCANS:
            raise InputError(f"a JPEG of {n_scans} scans; at most {MAX_SCANS} are read: save the picture again")


def _check_size(image: Image.Image, max_megapixels: int) -> None:
    n_pixels = image.width * image.height
    if max(image.size) > MAX_SIDE:
        raise InputError(f"{image.width}x{image.height} pixels; at most {MAX_SIDE} a side are read: make the picture smaller")
    if n_pixels > max_megapixels << 20:
        size = f"{image.width}x{image.height} is {n_pixels / 1e6:.1f} megapixels"
        raise InputError(f"{size}; at most {max_megapixels} are read: make the picture smaller")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 for upright or unknown: a photo with odd metadata is still a photo."""
    try:
        return int(image.getexif().get(0x0112, 1))
    except MemoryError:
        raise
    except Exception:
        return 1


def opaque(image: Image.Image, mode: str, alpha: str) -> Image.Image:
    """`image` in `mode`, L or RGB; `alpha` says what transparent parts become: auto, for black or white, or as the key says."""
    if image.mode == "F":
        raise InputError("its pixels are floats, and nothing says which is white; save it with 8 bits a channel")
    if image.mode.startswith("I"):
        # 16 bits: 65535 becomes 255. Pillow's own conversion would clip at 255.
        image = image.point(lambda value: value * (1 / 257) + 0.5).convert("L")
    elif image.has_transparency_data and alpha != "drop":
        return _laid_on_ground(image if image.mode in ("LA", "RGBA") else image.convert("RGBA"), mode, alpha)
    return image if image.mode == mode else image.convert(mode)


def _laid_on_ground(image: Image.Image, mode: str, ground: str) -> Image.Image:
    """`image` (LA or RGBA) in `mode` on a black or white ground; `auto` is whichever its transparency was meant for.

    Ink on transparency needs a ground that contrasts with it; a page with transparent corners, one like the page.
    """
    alpha, colours = image.getchannel("A"), image.convert(mode)
    if ground == "auto":
        visible, opaque = _sum(alpha), 255 * image.width * image.height
        is_light = 255 * _sum(ImageChops.multiply(colours if mode == "L" else colours.convert("L"), alpha)) > 128 * visible
        is_page = 2 * visible > opaque
        ground = "white" if is_light == is_page else "black"
    # Pasting the ground over the transparent parts, rather than the picture over a ground, takes one copy less.
    colours.paste(ground, mask=ImageChops.invert(alpha))
    return colours


def _is_grey(image: Image.Image) -> bool:
    red, green, blue = image.split()
    return red.tobytes() == green.tobytes() == blue.tobytes()


def _sum(image: Image.Image) -> int:
    return sum(value * n for value, n in enumerate(image.histogram()))
