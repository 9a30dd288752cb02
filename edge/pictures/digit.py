"""Turn a picture of one digit into an MNIST digit: light on black, 20 pixels at most, centred by mass in 28x28.

The steps: separate the ink from its ground, keep the strokes that belong together, cut them out, place them as MNIST did.
The constants were chosen on MNIST training digits redrawn by `tests/redraw.py`. The fit `digit2` (sheet.py) asks more.
"""

from PIL import Image

from edge.pictures import ink
from edge.pictures.geometry import in_two_calls

SIDE = 28
BOX = 20
WORKING_SIDE = 512  # a digit a tenth as wide as the picture still has 51 pixels; a photo has 0.2 million


def redraw(grey: Image.Image) -> bytes:
    """The digit in `grey` (mode L, any size, light or dark ink) as uint8 [28, 28]. Raises InputError if there is none."""
    contrast, noise, _ = ink.separate(ink.at_most(WORKING_SIDE, grey))
    strong, weak = ink.threshold(contrast, noise)
    pixels, (width, height) = contrast.tobytes(), contrast.size
    shapes = ink.shapes(pixels, width, weak)
    largest = max(shape.brightness for shape in shapes)
    # A five's bar may be separate; a speck is fainter.
    kept = [run for shape in shapes if shape.peak >= strong and shape.brightness * 20 >= largest for run in shape.runs]
    left, top, right, bottom = ink.box(kept, width)
    if (right - left) * (bottom - top) * 2000 < width * height:
        raise ink.no_digit()
    return place(ink.cut_out(pixels, ink.blanked(pixels, shapes, contrast.size), kept, strong))


def place(strokes: Image.Image) -> bytes:
    """`strokes` scaled to fit 20x20, with the centre of mass on pixel (14, 14), as in MNIST."""
    scale = BOX / max(strokes.size)
    width, height = (max(1, round(n * scale)) for n in strokes.size)
    small = in_two_calls(strokes, (width, height), Image.Resampling.BICUBIC)
    # A thin line would be faint at this size; an MNIST digit contains white.
    peak = max(1, max(small.tobytes()))
    small = small.point([min(255, v * 255 // peak) for v in range(256)])
    pixels = small.tobytes()
    total = max(1, sum(pixels))
    x = sum(i * sum(pixels[i::width]) for i in range(width)) / total
    y = sum(i * sum(pixels[i * width : (i + 1) * width]) for i in range(height)) / total
    left = min(max(0, round(SIDE / 2 - x)), SIDE - width)
    top = min(max(0, round(SIDE / 2 - y)), SIDE - height)
    placed = Image.new("L", (SIDE, SIDE))
    placed.paste(small, (left, top))
    return placed.tobytes()
