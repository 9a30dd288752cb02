"""Make the picture files that an artifact carries, so that a device can test how it reads pictures, not only its engine.

Made of a test image, as pictures come: a JPEG photograph, a PNG with transparency, a photograph turned by its EXIF tag.
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from edge.artifact import MAX_PIXEL_STEPS
from edge.contract import InputContract
from edge.pictures import decode, pixels_of

# Another libjpeg may round each value of a JPEG otherwise, by one step. How far that moves the fitted pixels is measured on
# this many roundings; a fit that scales can only lessen it, while `digit` and `digit2` place the ink by where its weight is.
N_ROUNDINGS = 8
N_TRIED = 8
_TURN_LEFT = 6  # EXIF: the picture's left column is its top row
_QUALITY = 85
_COLOURS = 16  # of a PNG, which would else take tens of kilobytes for a photograph
_LONGEST = 64  # of a PNG that is scaled anyway


@dataclass(frozen=True)
class GoldenFile:
    """A picture file, the pixels expected of it, uint8 [H, W, C], and by how many steps a value may be off elsewhere."""

    name: str
    content: bytes
    pixels: bytes
    tolerance: int


def golden_files(images: np.ndarray, contract: InputContract) -> list[GoldenFile]:
    """Three files made of the first `images`, uint8 [N, H, W, C]: of each kind the least sensitive to rounding."""
    files = []
    for name, make in (("alpha.png", _with_alpha), ("photo.jpg", _photograph), ("turned.jpg", _turned)):
        tried = [_golden(name, make(_picture(image, contract), contract), contract) for image in images[:N_TRIED]]
        files.append(min(tried, key=lambda file: file.tolerance))
    return files


def _picture(image: np.ndarray, contract: InputContract) -> Image.Image:
    """`image` as a picture of it would come: a digit larger, dark on light; others as they are, in L or RGB."""
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    if not contract.is_digit:
        return picture
    return Image.eval(picture, lambda value: 255 - value).resize((4 * picture.width, 4 * picture.height))


def _photograph(picture: Image.Image, contract: InputContract) -> bytes:
    if contract.fit == "resize":
        picture = picture.resize((contract.width * 3 // 2 + 1, contract.height * 4 // 3 + 1), Image.Resampling.BICUBIC)
    return _saved(picture, "JPEG", quality=_QUALITY)


def _turned(picture: Image.Image, contract: InputContract) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = _TURN_LEFT
    if contract.exif == "apply":  # as a camera saves it: the sensor's rows are the picture's columns
        picture = picture.transpose(Image.Transpose.ROTATE_90)
    return _saved(picture, "JPEG", quality=_QUALITY, exif=exif)


def _with_alpha(picture: Image.Image, contract: InputContract) -> bytes:
    """A PNG with ink on nothing where a digit is wanted; else with a slope from opaque to transparent."""
    if contract.is_digit:
        ink = Image.merge("LA", (Image.new("L", picture.size), Image.eval(picture, lambda value: 255 - value)))
        return _saved(ink, "PNG")
    if contract.fit == "resize":
        picture.thumbnail((_LONGEST, _LONGEST))
    few = picture.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).convert("RGB")
    few.putalpha(Image.linear_gradient("L").resize(few.size))
    return _saved(few, "PNG")


def _saved(picture: Image.Image, form: str, **settings: object) -> bytes:
    with io.BytesIO() as file:
        picture.save(file, form, **settings)
        return file.getvalue()


def _golden(name: str, content: bytes, contract: InputContract) -> GoldenFile:
    pixels = pixels_of(content, contract)
    return GoldenFile(name, content, pixels, _tolerance(content, pixels, contract) if name.endswith(".jpg") else 0)


def _tolerance(content: bytes, pixels: bytes, contract: InputContract) -> int:
    """The largest difference of a pixel's value, over N_ROUNDINGS, if each value of the decoded JPEG is a step off or not."""
    decoded, expected = decode.decode(content, contract), np.frombuffer(pixels, np.uint8).astype(int)
    rng, largest = np.random.default_rng(0), 1
    for _ in range(N_ROUNDINGS):
        values = np.asarray(decoded).astype(int)
        rounded = np.clip(values + rng.integers(-1, 2, values.shape), 0, 255).astype(np.uint8)
        found = np.frombuffer(decode.fit(Image.fromarray(rounded), contract), np.uint8)
        largest = max(largest, int(abs(found - expected).max()))
    return min(largest, MAX_PIXEL_STEPS)
