"""Turn a picture of one digit into an MNIST digit: light on black, 20 pixels at most, centred by mass in 28x28.

The steps: separate the ink from its ground, keep the strokes that belong together, cut them out, place them as MNIST did.
The constants were chosen on MNIST training digits redrawn by `tests/redraw.py`.
"""

from PIL import Image, ImageChops

from edge.errors import InputError
from edge.pictures.geometry import in_two_calls

SIDE = 28
BOX = 20
SMALLEST_PHOTO = 32  # a picture with no side this long is a drawing: its ground is uniform
WORKING_SIDE = 512  # a digit a tenth as wide as the picture still has 51 pixels; a photo has 0.2 million
GROUND_SIDE = 64  # uneven light is smooth enough to be measured at this size


def redraw(grey: Image.Image) -> bytes:
    """The digit in `grey` (mode L, any size, light or dark ink) as uint8 [28, 28]. Raises InputError if there is none."""
    grey = _at_most(WORKING_SIDE, grey)
    ink, noise = _separate_ink(grey)
    strokes, floor, full = _keep_strokes(ink, noise)
    stretch = [min(255, max(0, 255 * (v - floor) // (full - floor))) for v in range(256)]
    return _place(strokes.point(stretch))


def _separate_ink(grey: Image.Image) -> tuple[Image.Image, int]:
    """The contrast of each pixel with its ground (mode L, ground near 0), and the noise: 0 for a drawing, else at least 1."""
    border = _border(grey)
    level = _median(border)
    if 2 * sum(border[max(0, level - 2) : level + 3]) >= sum(border) or max(grey.size) < SMALLEST_PHOTO:
        ground = Image.new("L", grey.size, level)
        dark, light = ImageChops.subtract(ground, grey), ImageChops.subtract(grey, ground)
        return (dark if _energy(dark) > _energy(light) else light), 0

    from PIL.ImageFilter import BoxBlur, MaxFilter, MinFilter

    small = _at_most(GROUND_SIDE, grey)
    n_steps = max(1, min(small.size) // 6)
    # Ink differs much from its surroundings: cubes show on which side the rare, large differences are.
    astray = ImageChops.subtract(small, small.filter(BoxBlur(2 * n_steps)), 1, 128).histogram()
    if sum(n * (v - 128) ** 3 for v, n in enumerate(astray)) > 0:
        grey, small = ImageChops.invert(grey), ImageChops.invert(small)
    # Grey closing: dark strokes up to a third of the short side vanish. The black frame does not change the maximum;
    # without it, a picture that darkens towards its edge would have ink there.
    width, height = small.size
    ground = Image.new("L", (width + 2 * n_steps, height + 2 * n_steps))
    ground.paste(small, (n_steps, n_steps))
    for size_filter in [MaxFilter(3)] * n_steps + [MinFilter(3)] * n_steps:
        ground = ground.filter(size_filter)
    ground = ground.crop((n_steps, n_steps, n_steps + width, n_steps + height)).filter(BoxBlur(1))
    return ImageChops.subtract(in_two_calls(ground, grey.size, Image.Resampling.BILINEAR), grey), max(1, _noise(grey))


def _keep_strokes(ink: Image.Image, noise: int) -> tuple[Image.Image, int, int]:
    """`ink` cropped to the digit, with all else black; the brightest ground; the brightness of a full stroke."""
    width, height = ink.size
    strong = _otsu(ink.histogram())
    if strong < max(6, 4 * noise):
        raise _no_digit()
    # Half as strong is the smooth edge of a stroke in a drawing; in a photo it may be a line ruled on the paper.
    weak = strong if noise else max(1, strong // 2)
    pixels = bytearray(ink.tobytes())
    shapes = _shapes(pixels, width, weak)
    largest = max(brightness for brightness, _, _ in shapes)
    kept = []
    for brightness, peak, runs in shapes:
        if peak >= strong and brightness * 20 >= largest:  # a five's bar may be separate; a speck is fainter
            kept += runs
        else:
            for start, end in runs:
                pixels[start:end] = bytes(end - start)
    left, right = min(start % width for start, _ in kept), max((end - 1) % width for _, end in kept) + 1
    top, bottom = min(start for start, _ in kept) // width, max(start for start, _ in kept) // width + 1
    if (right - left) * (bottom - top) * 2000 < width * height:
        raise _no_digit()
    cleaned = Image.frombytes("L", ink.size, bytes(pixels))
    strokes = cleaned.crop((left, top, right, bottom))
    inside = strokes.histogram()
    outside = [n_all - n for n_all, n in zip(cleaned.histogram(), inside, strict=True)]
    full = _percentile([0] * strong + inside[strong:], 75)
    return strokes, min(_percentile(outside, 95), full // 2), full


def _shapes(pixels: bytearray, width: int, weak: int) -> list[tuple[int, int, list[tuple[int, int]]]]:
    """Connected shapes of pixels at or above `weak`: (summed brightness, peak, runs as start and end offsets).

    `bytes.find` finds the runs, so that the cost grows with the number of strokes crossed, not of pixels.
    """
    mask = pixels.translate(bytes(v >= weak for v in range(256)))
    parents: list[int] = []
    runs: list[tuple[int, int]] = []

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = index = parents[parents[index]]
        return index

    above: range = range(0)
    for row_start in range(0, len(mask), width):
        row_end = row_start + width
        first = len(runs)
        candidate = above.start
        start = mask.find(1, row_start, row_end)
        while start >= 0:
            end = mask.find(0, start, row_end)
            end = row_end if end < 0 else end
            index = len(runs)
            runs.append((start, end))
            parents.append(index)
            # Runs that touch in the row above, corners included: two sorted lists are traversed together.
            while candidate < above.stop and runs[candidate][1] + width < start:
                candidate += 1
            other = candidate
            while other < above.stop and runs[other][0] + width <= end:
                parents[root(other)] = root(index)
                other += 1
            start = mask.find(1, end, row_end)
        above = range(first, len(runs))

    grouped: dict[int, list[tuple[int, int]]] = {}
    for index, run in enumerate(runs):
        grouped.setdefault(root(index), []).append(run)
    shapes = []
    for group in grouped.values():
        pieces = [pixels[start:end] for start, end in group]
        shapes.append((sum(map(sum, pieces)), max(map(max, pieces)), group))
    return shapes


def _place(strokes: Image.Image) -> bytes:
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


def _at_most(side: int, image: Image.Image) -> Image.Image:
    scale = side / max(image.size)
    if scale >= 1:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return in_two_calls(image, size, Image.Resampling.BOX)


def _border(grey: Image.Image) -> list[int]:
    """Histogram of the outermost pixels, a fiftieth of the picture wide."""
    width, height = grey.size
    n = max(1, min(width, height) // 50)
    counts = [0] * 256
    for box in ((0, 0, width, n), (0, height - n, width, height), (0, 0, n, height), (width - n, 0, width, height)):
        counts = [a + b for a, b in zip(counts, grey.crop(box).histogram(), strict=True)]
    return counts


def _noise(grey: Image.Image) -> int:
    """The median difference of neighbours: near the standard deviation of the noise, 0 in a drawing."""
    width, height = grey.size
    left, right = grey.crop((0, 0, width - 1, height)), grey.crop((1, 0, width, height))
    return _median(ImageChops.difference(left, right).histogram())


def _energy(image: Image.Image) -> int:
    return sum(n * v * v for v, n in enumerate(image.histogram()))


def _median(histogram: list[int]) -> int:
    return _percentile(histogram, 50)


def _percentile(histogram: list[int], percent: int) -> int:
    """The least value with `percent` % of the counts at or below it; 0 for none."""
    wanted, n_below = sum(histogram) * percent / 100, 0
    for value, n in enumerate(histogram):
        n_below += n
        if n_below >= wanted:
            return value
    return 0


def _otsu(histogram: list[int]) -> int:
    """Otsu's threshold: the least value of the upper class, or the middle of the gap between the classes."""
    n_all, sum_all = sum(histogram), sum(v * n for v, n in enumerate(histogram))
    best, low, high, n_low, sum_low, previous = 0.0, 0, 0, 0, 0, 0
    for value, n in enumerate(histogram):
        if n and n_low:
            between = (sum_low * n_all - sum_all * n_low) ** 2 / (n_low * (n_all - n_low))
            if between > best:
                best, low, high = between, previous, value
        if n:
            n_low, sum_low, previous = n_low + n, sum_low + n * value, value
    return (low + high + 1) // 2


def _no_digit() -> InputError:
    return InputError("no digit found: the picture is blank or the ink too faint; give it one digit in clear ink")
