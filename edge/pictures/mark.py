"""A mark on a sheet: its form, and which marks are strokes of one digit."""

from math import atan2, degrees, sqrt

from PIL import Image

from edge.pictures import ink
from edge.pictures.geometry import in_two_calls

Box = tuple[int, int, int, int]  # left, top, right, bottom; the last two just outside


class Mark:
    """Shapes that make one mark on the sheet."""

    __slots__ = ("box", "brightness", "peak", "runs")

    def __init__(self, runs: list[ink.Run], box: Box, brightness: int, peak: int) -> None:
        self.runs, self.box, self.brightness, self.peak = runs, box, brightness, peak

    @property
    def width(self) -> int:
        return self.box[2] - self.box[0]

    @property
    def height(self) -> int:
        return self.box[3] - self.box[1]

    @property
    def size(self) -> int:
        return max(self.width, self.height)

    @property
    def n_pixels(self) -> int:
        return sum(end - start for start, end in self.runs)

    def with_part(self, part: "Mark") -> "Mark":
        a, b = self.box, part.box
        box = min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])
        return Mark(self.runs + part.runs, box, self.brightness + part.brightness, max(self.peak, part.peak))


def straight(mark: Mark, width: int, *, times: int = 8) -> float:
    """How many degrees from upright `mark` lies, at least 1, if it is a straight line `times` as long as thick; else 0."""
    n = x = y = xx = yy = xy = 0
    for start, end in mark.runs:
        row, left = divmod(start, width)
        k = end - start
        across = k * (2 * left + k - 1) // 2
        n, x, y = n + k, x + across, y + k * row
        xx += k * left * left + left * k * (k - 1) + (k - 1) * k * (2 * k - 1) // 6
        yy, xy = yy + k * row * row, xy + row * across
    a, b, c = xx / n - (x / n) ** 2, yy / n - (y / n) ** 2, xy / n - x * y / n**2
    spread = sqrt((a - b) ** 2 + 4 * c * c)
    along, thick = (a + b + spread) / 2, max(1 / 12, (a + b - spread) / 2)
    if along < times**2 * thick:
        return 0
    tilt = degrees(atan2(2 * c, b - a) / 2)  # of the long axis from upright, -90 to 90
    return max(1, abs(tilt))


def n_within(mark: Mark, mask: bytes) -> int:
    """How many pixels of `mark` are white in `mask`."""
    return sum(mask.count(255, start, end) for start, end in mark.runs)


def is_dot(mark: Mark, *, least: float) -> bool:
    """Whether `mark` is about as wide as high, and ink fills `least` of its box: a disc fills 0.79."""
    longer, shorter = max(mark.width, mark.height), min(mark.width, mark.height)
    return longer < 2 * shorter and mark.n_pixels > least * mark.width * mark.height


def is_minor(mark: Mark, usual: Mark) -> bool:
    """Whether `mark` is too small or too faint beside `usual` to be a digit of its own."""
    size = mark.size / usual.size
    is_faint = mark.brightness * usual.n_pixels < 0.4 * usual.brightness * mark.n_pixels
    return is_faint or (size < 0.35 and mark.brightness < 0.25 * usual.brightness)


def joined(marks: list[Mark], width: int, *, most: float = 0) -> list[Mark]:
    """`marks` with those joined that are strokes of one digit, the nearest first; unless 0, to a size of `most`, or little more
    than that of one."""
    marks = sorted(marks, key=lambda mark: -mark.brightness)
    for reach in (0.03, 0.06, 0.09, 0.16):  # of the size of both together
        n_before = 0
        while len(marks) != n_before:  # a joined mark may reach others
            n_before, at = len(marks), 1
            while at < len(marks):
                part = marks[at]
                left, top, right, bottom = part.box
                near = 2 * reach * part.size
                for before in range(at):
                    box = marks[before].box
                    gap = max(left - box[2], box[0] - right, top - box[3], box[1] - bottom)
                    if gap > near + 2 * reach * max(box[2] - box[0], box[3] - box[1]):
                        continue  # said in short of what follows
                    if most and _size(box, part.box) > max(most, 1.25 * marks[before].size, 1.25 * part.size):
                        continue
                    if _are_one(marks[before], part, reach=reach, width=width):
                        marks[before] = marks[before].with_part(part)
                        del marks[at]
                        break
                else:
                    at += 1
    return marks


def _size(a: Box, b: Box) -> int:
    """Of both together, the longer side."""
    return max(max(a[2], b[2]) - min(a[0], b[0]), max(a[3], b[3]) - min(a[1], b[1]))


def _are_one(mark: Mark, part: Mark, *, reach: float, width: int) -> bool:
    """Whether `part`, the fainter, is a stroke of the same digit as `mark`, at most `reach` away."""
    a, b = mark.box, part.box
    wide, high = max(a[2], b[2]) - min(a[0], b[0]), max(a[3], b[3]) - min(a[1], b[1])
    size = max(wide, high)
    across, down = max(a[0], b[0]) - min(a[2], b[2]), max(a[1], b[1]) - min(a[3], b[3])  # gaps; negative: they overlap
    if max(across, down) > reach * size or (
        reach > 0.1 and (part.brightness > 0.35 * mark.brightness or is_dot(part, least=0.7))
    ):
        return False
    lower = min(mark.height, part.height)
    if across > -0.1 * size and lower > 0.65 * high and wide > 0.4 * high:
        return False  # side by side, and as high as each other: two digits
    if across > 0 and part.height > 0.3 * high and not straight(part, width, times=3):
        middle = (a[1] + a[3]) / 2
        if b[3] < middle or b[1] > middle or not straight(mark, width, times=5):
            return False  # beside it, and too large and curved for a stroke, and not the left half of a 4: an exponent
    is_below = down > -0.05 * size and lower > 0.6 * max(mark.height, part.height) and wide < 0.6 * high
    if is_below and not (down < 0.05 * size and straight(mark.with_part(part), width, times=5)):
        return False  # the one below the other, and no broken 1
    if b[1] - a[3] > 0.075 * size and straight(part, width, times=4) > 45:
        return False  # an underline
    return _are_near(mark, part, reach=reach * size, width=width)


def around_others(marks: list[Mark]) -> list[Mark]:
    """Those with another wholly in their box."""
    boxes = [mark.box for mark in marks]
    return [
        mark for mark, (left, top, right, bottom) in zip(marks, boxes, strict=True)
        if any(left < box[0] and top < box[1] and box[2] < right and box[3] < bottom for box in boxes)
    ]  # fmt: skip


def is_frame(mark: Mark, width: int, *, usual: int) -> bool:
    """Whether `mark`, with another in its box, is a form's box: nine tenths of it lie within a twelfth of its box's sides; or a
    table of cells: more than twice the size `usual`, unless that is 0."""
    left, top, right, bottom = mark.box
    near = mark.size // 12
    inside = 0
    for start, end in mark.runs:
        row, first = divmod(start, width)
        if top + near <= row < bottom - near:
            inside += max(0, min(first + end - start, right - near) - max(first, left + near))
    return inside < 0.1 * mark.n_pixels or 0 < 2 * usual < mark.size


def _are_near(mark: Mark, part: Mark, *, reach: float, width: int) -> bool:
    """Whether a pixel of one is at most `reach` from one of the other, across and down."""
    a, b = mark.box, part.box
    left, top = min(a[0], b[0]), min(a[1], b[1])
    size = max(a[2], b[2]) - left, max(a[3], b[3]) - top
    side = 64
    scale = min(1, side / max(size))
    small = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    masks = []
    for each in (mark, part):
        mask = bytearray(size[0] * size[1])
        for start, end in each.runs:
            row, column = divmod(start, width)
            at = (row - top) * size[0] + column - left
            mask[at : at + end - start] = b"\xff" * (end - start)
        image = in_two_calls(Image.frombytes("L", size, bytes(mask)), small, Image.Resampling.BOX)
        masks.append(image.point([0] + [255] * 255))
    grown = ink.dilated(masks[0], max(1, round(reach * scale)))
    return bool({a & b for a, b in zip(grown.tobytes(), masks[1].tobytes(), strict=True)} - {0})
