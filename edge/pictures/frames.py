"""A picture as a program has it: bytes, an open file, a Pillow image, an array; fitted exactly as `edge-predict` fits a file.

numpy is not imported here: an array brings its own methods.
"""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edge.contract import InputContract
from edge.errors import InputError, StorageError, one_line
from edge.pictures import MAX_FILE_MIB, check_begins, pixels_of, read_file

if TYPE_CHECKING:
    import PIL.Image

    from edge.pictures import page

COLORS = ("rgb", "bgr")
_REST = {"rgb": [0, 1, 2], "bgr": [2, 1, 0]}  # where an array's channel has red, green and blue


def pixels(picture: Any, contract: InputContract, *, color: str = "rgb") -> bytes:
    """`picture` as `contract` describes: uint8 [height, width, channels].

    It is a path, the bytes of a picture file, a binary file, a Pillow image or a uint8 array [H, W], [H, W, 1], [H, W, 3] or
    [H, W, 4] whose channels are in the order of `color`. Raises InputMissing, InputError for a picture that is not valid,
    TypeError for what is none, and ValueError for another color.
    """

    def fitted(image: "PIL.Image.Image") -> bytes:
        from edge.pictures import decode

        return decode.fit(decode.upright(image, contract), contract)

    return bytes(_taken(picture, color, lambda content: pixels_of(content, contract), fitted))


def digits(picture: Any, contract: InputContract, *, color: str = "rgb") -> "list[page.Digit]":
    """Every separate digit of `picture`, which is as `pixels` takes it, by line and from the left. Raises as `pixels` does."""
    from edge.pictures import decode, page

    def found(image: "PIL.Image.Image") -> "list[page.Digit]":
        whole = decode.upright(image, contract)
        return page.of_image(whole, whole.size, contract)

    return list(_taken(picture, color, lambda content: page.of_content(content, contract), found))


def _taken(picture: Any, color: str, of_content: Callable[[bytes], Any], of_image: "Callable[[PIL.Image.Image], Any]") -> Any:
    """What `of_content` makes of the bytes of a picture file, or `of_image` of an image."""
    if color not in COLORS:
        raise ValueError(f"color={color!r}: wanted {' or '.join(map(repr, COLORS))}")
    is_image = _is_image(picture)
    if hasattr(picture, "__array_interface__") and not is_image:
        return _named("array", lambda array: _of_image(_from_array(array, color), of_image), picture)
    if color != "rgb":
        raise ValueError(f"color={color!r} is for arrays; a {type(picture).__name__} says itself which channel is which")
    if is_image:
        return _named("image", lambda image: _of_image(image, of_image), picture)
    if isinstance(picture, str | os.PathLike):
        path = os.fsdecode(picture)
        return _named(path, lambda path: of_content(read_file(path)), path)
    if isinstance(picture, bytes | bytearray | memoryview):
        return _named("bytes", lambda content: _of_bytes(content, of_content), bytes(picture))
    if hasattr(picture, "read"):
        name = str(getattr(picture, "name", "file"))
        return _named(name, lambda file: _of_bytes(_content(file, name), of_content), picture)
    wanted = "a path, the bytes of a picture file, a binary file, a PIL image, a uint8 numpy array, or a list of these"
    remedy = "; give its .numpy()" if hasattr(picture, "numpy") else ""
    raise TypeError(f"an object of type {type(picture).__name__} is no picture; wanted {wanted}{remedy}")


def _named(name: str, read: Callable[[Any], Any], picture: Any) -> Any:
    try:
        return read(picture)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def _is_image(picture: object) -> bool:
    pillow = sys.modules.get("PIL.Image")  # if Pillow was not imported, this is not an image of it
    return pillow is not None and isinstance(picture, pillow.Image)


def _of_bytes(content: bytes, of_content: Callable[[bytes], Any]) -> Any:
    check_begins(content)
    return of_content(content)


def _content(file: Any, name: str) -> bytes:
    """What is left in the open `file`. Raises InputError if that is too much, or text."""
    parts, left = [], (MAX_FILE_MIB << 20) + 1
    try:
        while left > 0 and (part := file.read(left)):
            if not isinstance(part, bytes):
                raise InputError(f"its read() gives {type(part).__name__}, wanted bytes; open it in binary mode, 'rb'")
            parts.append(part)
            left -= len(part)
    except OSError as error:
        raise StorageError(f"{name}: {error.strerror or error}") from None
    if left <= 0:
        raise InputError(f"over {MAX_FILE_MIB} MiB; at most {MAX_FILE_MIB} are read: make the picture smaller")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _of_image(image: Any, of_image: "Callable[[PIL.Image.Image], Any]") -> Any:
    if not (image.width and image.height):
        raise InputError(f"{image.width}x{image.height} pixels; a picture has at least one")
    if image.mode == "I" and image.format not in ("PNG", "PPM"):  # in these, Pillow gives 16 bits
        raise InputError("its pixels are 32-bit numbers, and nothing says which is white; give 8 bits a channel")
    try:
        image.load()
        return of_image(image)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # whatever format it comes from, Pillow reads it only now
        reason = one_line(str(error) or type(error).__name__)
        raise InputError(f"mode {image.mode} cannot be read ({reason}); give image.convert('RGB')") from None


def _from_array(array: Any, color: str) -> "PIL.Image.Image":
    _check_form(array)
    from PIL import Image

    if array.ndim == 3:
        array = array[:, :, 0] if array.shape[2] == 1 else array[:, :, [*_REST[color], 3][: array.shape[2]]]
    return Image.fromarray(array)


def _check_form(array: Any) -> None:
    """Raises InputError unless `array` is uint8 [H, W] or [H, W, C], and spans more than 0 and 1."""
    shape, dtype = tuple(array.shape), str(array.dtype)
    said = f"shape {shape}"
    if len(shape) == 4:
        raise InputError(f"{said}; wanted one picture, H x W or H x W x C: give a list of them, list(pictures)")
    if len(shape) == 3 and shape[2] not in (1, 3, 4) and shape[0] in (1, 3, 4):
        raise InputError(f"{said}; wanted H x W x C, channels last: give picture.transpose(1, 2, 0)")
    if len(shape) == 1:
        raise InputError(f"{said}; wanted H x W or H x W x C; the bytes of a picture file are given as picture.tobytes()")
    if len(shape) not in (2, 3) or shape[2:] not in ((), (1,), (3,), (4,)) or not all(shape):
        raise InputError(f"{said}; wanted H x W or H x W x C, with 1, 3 or 4 channels")
    if array.dtype.kind not in "iuf":
        raise InputError(f"{dtype} values; wanted uint8 from 0 to 255")
    low, high = array.min(), array.max()
    if dtype != "uint8":
        remedy = "scale them to 0 to 255, then .astype('uint8')"
        if low >= 0 and high <= 1:
            remedy = "(255 * picture + 0.5).astype('uint8')"
        elif low >= 0 and high <= 255:
            remedy = ".round().astype('uint8')" if array.dtype.kind == "f" else ".astype('uint8')"
        raise InputError(f"{dtype} values from {low:.3g} to {high:.3g}; wanted uint8 from 0 to 255: {remedy}")
    if high == 1:
        raise InputError("values of 0 and 1 alone; wanted 0 to 255: they were divided by 255, or are a mask; multiply by 255")
