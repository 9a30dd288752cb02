"""Read a picture file into the pixels a model expects.

No file is trusted: its kind is read from its first bytes, its size from its header before any pixel is decoded, and every
failure becomes one line. A small plain PNG that needs no fitting is read here; everything else goes to Pillow, whose import
alone takes longer than that (docs/cold-start.md).
"""

import os
import stat

from edge.contract import InputContract, is_light_on_dark
from edge.errors import InputError, InputMissing, StorageError, missing
from edge.pictures.png import read_plain_png

ENDINGS = (
    ".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".avif", ".ppm", ".pgm", ".pbm", ".pnm"
)  # fmt: skip # of the picture files in a folder, in lower case
MAX_FILE_MIB = 20  # an uncompressed picture of 4 megapixels has 16


def read_pixels(path: str, contract: InputContract) -> bytes:
    """The picture in `path` as `contract` describes: uint8 [height, width, channels]. Raises InputMissing or InputError."""
    try:
        return pixels_of(read_file(path), contract)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def pixels_of(content: bytes, contract: InputContract) -> bytes:
    """The picture file whose bytes are `content` as `contract` describes it. Raises InputError."""
    pixels = _unchanged(content, contract)
    if pixels is None:
        from edge.pictures import decode

        image = decode.decode(content, contract)
        del content  # may be as large as the picture, and is no longer needed
        pixels = decode.fit(image, contract)
    return pixels


def in_folder(folder: str) -> tuple[list[str], list[str]]:
    """The pictures in `folder` by their endings, and the names of what else is there, both sorted by name.

    Hidden files are neither; sub-folders are not looked into. Raises InputMissing if there are no pictures.
    """
    try:
        names = sorted(name for name in os.listdir(folder) if name[0] != ".")
    except OSError as error:
        raise missing(folder, error) from None
    pictures = [os.path.join(folder, name) for name in names if name.lower().endswith(ENDINGS)]
    if not pictures:
        raise InputMissing(f"{folder}: holds no {', '.join(ENDINGS)} files")
    return pictures, [name for name in names if not name.lower().endswith(ENDINGS)]


def _unchanged(content: bytes, contract: InputContract) -> bytes | None:
    """The pixels of a plain PNG that already is what the model takes, equal to Pillow's byte for byte; else None.

    A plain PNG has neither transparency nor an orientation, and no kernel or aspect changes a picture of the right size, but
    `resize-crop` may enlarge it first.
    """
    if contract.shorter_side not in (0, min(contract.height, contract.width)):
        return None
    picture = read_plain_png(content, (contract.width, contract.height, contract.channels))
    if picture is None:
        return None
    pixels = picture[3]
    return pixels if not contract.is_digit or is_light_on_dark(pixels, contract.width) else None


def read_file(path: str) -> bytes:
    """The bytes of a regular file that starts like a picture."""
    try:
        # Non-blocking, because a named pipe would wait for its other end; it is refused below.
        file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0)))  # noqa: SIM115 (closed below)
    except IsADirectoryError:
        raise InputMissing(f"{path}: is a directory; name the pictures in it") from None
    except OSError as error:
        raise missing(path, error) from None
    except ValueError:  # a NUL in the name
        raise InputMissing(f"{path}: no file can have this name") from None
    with file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise InputError("a pipe, socket or device; save the picture as a file and name that")
        if status.st_size > MAX_FILE_MIB << 20:
            raise InputError(f"{status.st_size >> 20} MiB; at most {MAX_FILE_MIB} are read: make the picture smaller")
        try:
            # One read: joining two would take twice the memory. If the file grows meanwhile, its end is missing.
            content = file.read(status.st_size)
        except OSError as error:
            raise StorageError(f"{path}: {error.strerror or error}") from None
    check_begins(content)
    return content


def check_begins(content: bytes) -> None:
    """Raises InputError unless the file whose bytes are `content` starts like a picture."""
    if not content:
        raise InputError("an empty file; copy or export the picture again")
    if not content.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM")):
        from edge.pictures import formats

        formats.kind_of(content)
