"""Find the ink in a picture: separate it from its ground, group its pixels into connected shapes, cut some of them out.

What the fits `digit` and `digit2` share. The constants were chosen on MNIST training digits redrawn by `tests/redraw.py`.
"""

from PIL import Image, ImageChops

from edge.errors import InputError
from edge.pictures.geometry import in_two_calls

SMALLEST_PHOTO = 32  # a picture with no side this long is a drawing: its ground is uniform
GROUND_SIDE = 64  # uneven light is smooth enough to be measured at this size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

Run = tuple[int, int]  # the start and end of pixels side by side, as offsets in the bytes of a picture


class Shape:
    """Connected pixels: their runs from top to bottom, their summed brightness, and the brightest."""

    __slots__ = ("brightness", "peak", "runs")

    def __init__(self, runs: list[Run], brightness: int, peak: int) -> None:
        self.runs, self.brightness, self.peak = runs, brightness, peak


def separate(grey: Image.Image) -> tuple[Image.Image, int, bool]:
    """The contrast of each pixel with its ground (mode L, ground near 0), the noise, 0 for a drawing, else at least 1, and
    whether the ink is darker than the ground."""
    border = _border(grey)
    level = _median(border)
    if 2 * sum(border[max(0, level - 2) : level + 3]) >= sum(border) or max(grey.size) < SMALLEST_PHOTO:
        ground = Image.new("L", grey.size, level)
        dark, light = ImageChops.subtract(ground, grey), ImageChops.subtract(grey, ground)
        is_dark = _energy(dark) > _energy(light)
        return (dark if is_dark else light), 0, is_dark

    from PIL.ImageFilter import BoxBlur

    small = at_most(GROUND_SIDE, grey)
    # Ink differs much from its surroundings: cubes show on which side the rare, large differences are.
    astray = ImageChops.subtract(small, small.filter(BoxBlur(2 * _n_steps(small))), 1, 128).histogram()
    is_dark = sum(n * (v - 128) ** 3 for v, n in enumerate(astray)) <= 0
    return (*on_uneven_ground(grey, is_dark=is_dark), is_dark)


def on_uneven_ground(grey: Image.Image, *, is_dark: bool, framed: bool = True) -> tuple[Image.Image, int]:
    """The contrast and noise of `separate` for a photograph with dark or light ink: its ground is what closing leaves.

    What is dark at the picture's edge is ground, however narrow, if `framed`.
    """
    from PIL.ImageFilter import BoxBlur

    small = at_most(GROUND_SIDE, grey)
    n_steps = _n_steps(small)
    if not is_dark:
        grey, small = ImageChops.invert(grey), ImageChops.invert(small)
    # Grey closing: dark strokes up to a third of the short side vanish. The black frame does not change the maximum;
    # without it, a picture that darkens towards its edge would have ink there.
    width, height = small.size
    frame = n_steps if framed else 0
    ground = Image.new("L", (width + 2 * frame, height + 2 * frame))
    ground.paste(small, (frame, frame))
    ground = eroded(dilated(ground, n_steps), n_steps)
    ground = ground.crop((frame, frame, frame + width, frame + height)).filter(BoxBlur(1))
    return ImageChops.subtract(in_two_calls(ground, grey.size, Image.Resampling.BILINEAR), grey), max(1, _noise(grey))


def dilated(image: Image.Image, reach: int) -> Image.Image:
    """`image` (mode L), of each pixel the greatest value at most `reach` away, across and down."""
    return _extreme(image, reach, ImageChops.lighter, outside=0)


def eroded(image: Image.Image, reach: int) -> Image.Image:
    """`image` (mode L), of each pixel the least value at most `reach` away, across and down."""
    return _extreme(image, reach, ImageChops.darker, outside=255)


def _extreme(
    image: Image.Image, reach: int, choose: "Callable[[Image.Image, Image.Image], Image.Image]", *, outside: int
) -> Image.Image:
    """What Pillow's rank filters of that reach give, which sort the square about every pixel. Here a span of pixels, first
    across, then down, is the extreme of two that are half as long.
    """
    width, height = image.size
    found = Image.new("L", (width + 2 * reach, height + 2 * reach), outside)
    found.paste(image, (reach, reach))
    for across, down in ((1, 0), (0, 1)):
        span = 1
        while span <= 2 * reach:
            step = min(span, 2 * reach + 1 - span)
            x, y = step * across, step * down
            width, height = found.width - x, found.height - y
            found = choose(found.crop((0, 0, width, height)), found.crop((x, y, x + width, y + height)))
            span += step
    return found


def _n_steps(small: Image.Image) -> int:
    return max(1, min(small.size) // 6)


def shapes(pixels: bytes | bytearray, width: int, weak: int, *, most_runs: int = 0) -> list[Shape]:
    """The connected shapes of pixels at or above `weak`; InputError for over `most_runs` runs, where that is not 0.

    `bytes.find` finds the runs, so that the cost grows with the number of strokes crossed, not of pixels.
    """
    mask = pixels.translate(bytes(v >= weak for v in range(256)))
    parents: list[int] = []
    runs: list[Run] = []

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
        if 0 < most_runs < len(runs):
            raise InputError("no digit found: a texture or too many marks; give digits in clear ink on plain paper")

    grouped: dict[int, list[Run]] = {}
    for index, run in enumerate(runs):
        grouped.setdefault(root(index), []).append(run)
    found = []
    for group in grouped.values():
        pieces = [pixels[start:end] for start, end in group]
        found.append(Shape(group, sum(map(sum, pieces)), max(map(max, pieces))))
    return found


def box(runs: list[Run], width: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of `runs` in a picture of this width; the last two are just outside."""
    left, right = min(start % width for start, _ in runs), max((end - 1) % width for _, end in runs) + 1
    return left, min(start for start, _ in runs) // width, right, max(start for start, _ in runs) // width + 1


def threshold(ink: Image.Image, noise: int) -> tuple[int, int]:
    """From which brightness a pixel is ink, and from which it belongs to ink beside it. Raises InputError if all is faint."""
    strong = _otsu(ink.histogram())
    if strong < max(6, 4 * noise):
        raise no_digit()
    # Half as strong is the smooth edge of a stroke in a drawing; in a photo it may be a line ruled on the paper.
    return strong, strong if noise else max(1, strong // 2)


def blanked(pixels: bytes | bytearray, found: list[Shape], size: tuple[int, int]) -> Image.Image:
    """The picture of these pixels, mode L, black where the shapes are."""
    ground = bytearray(pixels)
    for shape in found:
        for start, end in shape.runs:
            ground[start:end] = bytes(end - start)
    return Image.frombytes("L", size, bytes(ground))


def cut_out(pixels: bytes | bytearray, ground: Image.Image, runs: list[Run], strong: int) -> Image.Image:
    """The strokes made of `runs`, mode L, cropped to them and stretched so that the ground is black and a full stroke white.

    `ground` is the picture without any shape.
    """
    left, top, right, bottom = box(runs, ground.width)
    around = ground.crop((left, top, right, bottom))
    outside = [n_all - n for n_all, n in zip(ground.histogram(), around.histogram(), strict=True)]
    cut, width = bytearray(around.tobytes()), right - left
    for start, end in runs:
        row, column = divmod(start, ground.width)
        at = (row - top) * width + column - left
        cut[at : at + end - start] = pixels[start:end]
    strokes = Image.frombytes("L", around.size, bytes(cut))
    full = percentile([0] * strong + strokes.histogram()[strong:], 75)
    floor = min(percentile(outside, 95), full // 2)
    return strokes.point([min(255, max(0, 255 * (v - floor) // (full - floor))) for v in range(256)])


def at_most(side: int, image: Image.Image) -> Image.Image:
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
    return percentile(histogram, 50)


def percentile(histogram: list[int], percent: float) -> int:
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


def no_digit() -> InputError:
    return InputError("no digit found: the picture is blank or the ink too faint; give it one digit in clear ink")
