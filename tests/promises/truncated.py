"""Cut every example picture short, and dress it in every form: refused or read as it is, and never another class.

    python -m tests.promises.truncated --count 20000

Cuts: of each example, of its progressive and interlaced kin and of the JPEG as a card leaves it that lost power (the rest
zeros; a BMP's zeros are black pixels, nothing tells), every length where `--count` allows, else as many as it allows, spread
evenly, with the last 64 bytes always among them. Each is refused, or gives the whole picture's pixels to the byte (bytes
behind the image were missing). In this process, through the reader that `edge-predict` uses: a class could be right by luck,
pixels cannot.
Forms: EXIF rotations, 16 bits, CMYK, palettes, alpha: each must get its example's class from the model in the wheel.
"""

import io
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

from PIL import AvifImagePlugin, Image

from edge import predictor
from edge.contract import InputContract
from edge.errors import InputError
from edge.pictures import read_pixels
from tests.edge.pictures import png_files
from tests.promises import corpus
from tests.promises.asking import SHIPPED, Tally, examples, flags

# EXIF orientation → how the sensor's picture lies, which is what undoing it must turn back.
LYING = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
}  # fmt: skip


def main() -> int:
    given = flags("truncated", __doc__, count=20_000, seed=None).parse_args()
    tally = Tally()
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "picture")
        pictures = [(name, data) for name, data in _to_cut()]
        n_cuts = n_refused = 0
        for name, data in pictures:
            shape = Image.open(io.BytesIO(data))
            own = InputContract(height=shape.height, width=shape.width, channels=1 if shape.mode == "L" else 3, fit="exact")
            whole = _pixels(path, data, own)
            if whole is None:
                tally.broken.append(f"{name}: refused though whole")
            for length in _lengths(len(data), given.count // len(pictures)):
                for rest in ("", "zeros") if data[:2] == b"\xff\xd8" else ("",):
                    cut = data[:length] + (bytes(len(data) - length) if rest else b"")
                    found = _pixels(path, cut, own)
                    n_cuts, n_refused = n_cuts + 1, n_refused + (found is None)
                    if found not in (None, whole):
                        tally.broken.append(f"{name} cut to {length} of {len(data)} bytes, {rest or 'nothing'} behind: guessed")
        ready = predictor.load(SHIPPED, trusted=True)
        n_forms = 0
        for form, data, wanted in _forms():
            Path(path).write_bytes(data)
            n_forms += 1
            try:
                found = ready.predict(path).label
            except InputError as error:
                found = str(error)
            if found != wanted:
                tally.broken.append(f"{form}: {found}, wanted {wanted}")
    read = f"{n_refused:,} refused, the others read to the last pixel"
    return tally.tell(f"{n_cuts:,} cuts of {len(pictures)} pictures, {read}; {n_forms} forms, all asked for their class")


def _to_cut() -> Iterator[tuple[str, bytes]]:
    for path, _ in examples():
        yield os.path.basename(path), Path(path).read_bytes()
    page = next(Image.open(path) for path, _ in examples() if "page" in path).convert("RGB")
    for name, form, settings in (
        ("page, progressive", "JPEG", {"progressive": True}),
        ("page, restarts", "JPEG", {"restart_marker_blocks": 2}),
        ("page, CMYK", "JPEG", {}),
        ("page, 16 bits", "PNG", {}),
        ("page, two pictures", "MPO", {"save_all": True, "append_images": [page]}),
        ("page, WebP", "WEBP", {}),
        ("page, GIF", "GIF", {}),
        ("page, TIFF by LZW", "TIFF", {"compression": "tiff_lzw"}),
        ("page, TIFF by JPEG", "TIFF", {"compression": "jpeg"}),
        ("page, PPM", "PPM", {}),
        *([("page, AVIF", "AVIF", {})] if AvifImagePlugin.SUPPORTED else []),
    ):
        buffer = io.BytesIO()
        mode = {"page, CMYK": "CMYK", "page, 16 bits": "I;16"}.get(name)
        (corpus.in_mode(page.convert("L"), mode) if mode else page).save(buffer, form, **settings)
        yield name, buffer.getvalue()
    for name, form in (("interlaced", (0, 8)), ("interlaced, 16 bits", (0, 16)), ("interlaced RGB", (2, 8))):
        yield name, png_files.assemble(*png_files.picture(Random(0), size=(28, 28), form=form, interlaced=1))


def _lengths(size: int, n: int) -> list[int]:
    last = range(max(0, size - 64), size)
    return sorted({*last, *(range(size) if size <= n else (size * i // n for i in range(n)))})


def _forms() -> Iterator[tuple[str, bytes, str]]:
    """Every example in every form: its name, the file, and the class."""
    for path, wanted in examples():
        image = Image.open(path)
        upright = image.convert("RGBA" if image.has_transparency_data else "L")
        for name, picture, form, settings in _dressed(upright):
            buffer = io.BytesIO()
            picture.save(buffer, form, **settings)
            yield f"{os.path.basename(path)}, {name}", buffer.getvalue(), wanted


def _dressed(image: Image.Image) -> Iterator[tuple[str, Image.Image, str, dict[str, object]]]:
    flat = image.convert("L")
    forms = [("PNG", {}), ("JPEG", {"quality": 92})] if image.mode == "L" else [("PNG", {})]
    for orientation, lying in LYING.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        for form, settings in forms:
            yield f"EXIF {orientation} {form}", image.transpose(lying), form, {"exif": exif, **settings}
    if image.mode == "RGBA":
        yield "palette and alpha", image.quantize(16), "PNG", {}
        yield "grey and alpha", image.convert("LA"), "PNG", {}
        return
    yield "16 bits", corpus.in_mode(flat, "I;16"), "PNG", {}
    for name, mode, form, settings in (
        ("CMYK", "CMYK", "JPEG", {"quality": 92}),
        ("progressive", "RGB", "JPEG", {"progressive": True, "quality": 92}),
        ("RGB", "RGB", "PNG", {}),
        ("palette", "P", "PNG", {}),
        ("opaque", "RGBA", "PNG", {}),
        ("BMP", "RGB", "BMP", {}),
        ("WebP", "RGB", "WEBP", {"quality": 92}),
        ("GIF", "L", "GIF", {}),
        ("TIFF", "RGB", "TIFF", {"compression": "tiff_lzw"}),
        ("PPM", "RGB", "PPM", {}),
    ):
        yield name, flat.convert(mode), form, settings
    yield "palette and alpha", flat.convert("RGBA").quantize(16), "PNG", {}


def _pixels(path: str, data: bytes, own: InputContract) -> bytes | None:
    """Every pixel of the picture `data`, of the size and channels of `own`; None where it is refused."""
    Path(path).write_bytes(data)
    try:
        return read_pixels(path, own)
    except InputError:
        return None


if __name__ == "__main__":
    sys.exit(main())
