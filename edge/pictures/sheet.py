"""Find the digits on a sheet, each as an MNIST digit: for the fit `digit2`, which takes exactly one, and for --many.

Ink is a digit, a part of one, or neither: a line, a speck, or what touches the picture's edge, such as a table. A sheet on
which that cannot be told is refused: a wrong answer would be as sure of itself as a right one. The limits were chosen on MNIST
training digits drawn by `benchmarks/studies/sheets/made.py`.
"""

from PIL import Image

from edge.errors import InputError
from edge.pictures import digit, ink
from edge.pictures.digit import SIDE, WORKING_SIDE, place
from edge.pictures.mark import Mark, around_others, is_dot, is_frame, is_minor, joined, n_within, straight

# Of one digit, and of a page. Parts of digits and what is none count as marks: each is compared with each. Runs are pieces of
# rows that are ink: a digit has hundreds, noise tens of thousands.
MAX_MARKS, MAX_RUNS = (100, 1_000), (30_000, 50_000)
SMALLEST_PART = 1 / 20, 1 / 100  # of the largest shape's ink: less is a speck
SMALLEST_SHARE = 1 / 2_000, 1 / 20_000  # of the picture's area

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def redraw(grey: Image.Image) -> bytes:
    """The one digit in `grey` (mode L, any size, light or dark ink) as uint8 [28, 28].

    Raises InputError if there is none, if there are several, or if a line runs through it. A drawing too small to be a sheet
    may be filled by its digit: it becomes what `digit` makes of it.
    """
    if max(grey.size) < ink.SMALLEST_PHOTO:
        return digit.redraw(grey)
    sheet = read(ink.at_most(WORKING_SIDE, grey))
    if len(sheet.digits) > 1:
        n = len(sheet.digits)
        raise InputError(f"{n} shapes of similar size: give one digit, or read them all with --many")
    found = sheet.cut_out(sheet.digits[0])
    if _is_filled(found):
        raise InputError("no digit found, only a filled shape, such as a stain: give it one digit in clear strokes")
    return found


def _is_filled(pixels: bytes) -> bool:
    """Whether twelve rows of these 28x28 have twelve bright pixels side by side, as 13 of 60,000 MNIST training digits do."""
    bright = pixels.translate(bytes(v >= 128 for v in range(256)))
    return sum(b"\1" * 12 in bright[start : start + SIDE] for start in range(0, len(bright), SIDE)) >= 12


def read(grey: Image.Image, *, is_page: bool = False) -> "Sheet":
    """The sheet in `grey`, with one digit at least. Raises InputError if there is none, or a line runs through it.

    Of a page, digits are read although something else runs to its edge.

    Beside a table or in a hard shadow, what is ink and what is ground can be mistaken: then other grounds are tried.
    """
    contrast, noise, is_dark = ink.separate(grey)
    first = Sheet(contrast, noise, is_page=is_page)
    is_usual = is_dark == _is_dark(grey)
    if first.digits and not first.others and is_usual:
        return first
    tried = []
    for sheet in _in_turn(grey, first, is_usual=is_usual, is_page=is_page):
        if sheet.digits and (is_page or not sheet.crossed) and not sheet.is_ground:
            return sheet
        tried.append(sheet)
        if is_page and sheet.is_crowded:
            break
    if any(sheet.is_crowded for sheet in tried):
        wanted = "digits" if is_page else "one digit"
        raise InputError(f"over {MAX_MARKS[is_page]:,} shapes: give {wanted} in clear ink on plain paper")
    if any(sheet.crossed for sheet in tried):
        raise _crossed()
    raise _only_others() if any(sheet.others for sheet in tried) else ink.no_digit()


def _in_turn(grey: Image.Image, first: "Sheet", *, is_usual: bool, is_page: bool) -> "Iterator[Sheet]":
    """`first`, and what the sheet is on other grounds; `first` last unless `is_usual`."""
    if is_usual:
        yield first
    for framed in (True, False):
        yield Sheet(*ink.on_uneven_ground(grey, is_dark=_is_dark(grey), framed=framed), is_page=is_page)
    if not is_usual:
        yield first


def _is_dark(grey: Image.Image) -> bool:
    """Whether the ink must be darker than its ground, as it is on paper: most of a picture is ground, and paper no darker
    in a shadow than three quarters from ink to light."""
    histogram = grey.histogram()
    low, middle, high = (ink.percentile(histogram, percent) for percent in (0.1, 50, 99.9))
    return 3 * (middle - low) >= high - middle


class Sheet:
    """What is on a sheet by its contrast, as `ink.separate` gives it: `digits` in no order, and `others` that are none.

    `crossed` where a line runs into what may be a digit; `is_ground` where what is taken for ink is much of the picture,
    `is_crowded` where it is more pieces than are looked at.
    """

    def __init__(self, contrast: Image.Image, noise: int, *, is_page: bool = False) -> None:
        self.is_page = is_page
        self.size = self.width, self.height = contrast.size
        self.digits: list[Mark] = []
        self.others: list[Mark] = []
        self.crossed = self.is_ground = self.is_crowded = False
        self.erased = Image.new("L", self.size)
        only_strong = False
        while True:
            try:
                self.strong, weak = ink.threshold(contrast, noise)
            except InputError:
                return
            weak = self.strong if only_strong else weak
            self.pixels = contrast.tobytes()
            found = ink.shapes(self.pixels, self.width, weak, most_runs=MAX_RUNS[is_page])
            marks = self._marks(found)
            if len(marks) > MAX_MARKS[is_page]:
                self.is_crowded = True
                return
            at_edge = [mark for mark in marks if self._touches_edge(mark)]
            odd = [mark for mark in at_edge if not self._is_plain(mark)]
            if odd and weak < self.strong and self._is_joined(odd):
                only_strong = True
                continue
            if len(odd) == 1 and self._may_touch(odd[0]):
                at_edge.remove(odd.pop())
            if not at_edge:
                break
            self.others += at_edge
            self.crossed |= bool(odd)
            self.is_ground |= sum(mark.n_pixels for mark in at_edge) > 0.3 * self.width * self.height
            contrast = self._without(contrast, at_edge)
        self.ground = ink.blanked(self.pixels, found, self.size)
        self.digits = self._digits(marks)

    def cut_out(self, mark: Mark) -> bytes:
        """`mark` as MNIST has a digit: uint8 [28, 28]."""
        return place(ink.cut_out(self.pixels, self.ground, mark.runs, self.strong))

    def _marks(self, found: list[ink.Shape]) -> list[Mark]:
        """The shapes with a pixel as strong as ink, without specks; one too many where there are more."""
        strong = [shape for shape in found if shape.peak >= self.strong]
        least = SMALLEST_PART[self.is_page] * max(shape.brightness for shape in strong)
        kept = [shape for shape in strong if shape.brightness >= least][: MAX_MARKS[self.is_page] + 1]
        return [Mark(shape.runs, ink.box(shape.runs, self.width), shape.brightness, shape.peak) for shape in kept]

    def _touches_edge(self, mark: Mark) -> bool:
        left, top, right, bottom = mark.box
        return left <= 1 or top <= 1 or right >= self.width - 1 or bottom >= self.height - 1

    def _is_joined(self, odd: list[Mark]) -> bool:
        """Whether marks that touch the edge fall apart, or shrink, without pixels weaker than ink, such as a grid's."""
        alone = self._marks(ink.shapes(self.pixels, self.width, self.strong))
        near = 0.04 * max(self.size)  # the smooth edge of an enlarged stroke
        return not all(
            any(max(abs(a - b) for a, b in zip(mark.box, other.box, strict=True)) < near for other in alone) for mark in odd
        )

    def _contacts(self, mark: Mark) -> list[int]:
        """How many pixels of `mark` are at the left, top, right and bottom edge."""
        contacts = [0] * 4
        for start, end in mark.runs:
            row, left = divmod(start, self.width)
            contacts[0] += left <= 1
            contacts[2] += left + end - start >= self.width - 1
            if row in (0, self.height - 1):
                contacts[1 if row == 0 else 3] += end - start
        return contacts

    def _may_touch(self, mark: Mark) -> bool:
        """Whether `mark` may be a digit although it touches the edge: with the end of a stroke, or cut out tightly."""
        contacts, extents = self._contacts(mark), (mark.height, mark.width, mark.height, mark.width)
        if straight(mark, self.width) or any(n > 0.4 * extent for n, extent in zip(contacts, extents, strict=True)):
            return False
        if mark.width >= 0.8 * self.width and mark.height >= 0.8 * self.height:
            return True
        return sum(n > 0 for n in contacts) <= 1 and not self._is_cut(mark)

    def _is_cut(self, mark: Mark) -> bool:
        """Whether the picture's edge runs through `mark`: it is as wide there as further in. What only touches is narrower."""
        left, top, right, bottom = mark.box
        further = max(2, mark.size // 12)
        runs = [(*divmod(start, self.width), end - start) for start, end in mark.runs]
        if left <= 1 or right >= self.width - 1:
            columns = (left, left + further) if left <= 1 else (right - 1, right - 1 - further)
            spans = [[row for row, first, n in runs if first <= column < first + n] for column in columns]
        else:
            rows = (top, top + further) if top <= 1 else (bottom - 1, bottom - 1 - further)
            spans = [[at for row, first, n in runs if row == line for at in (first, first + n - 1)] for line in rows]
        at_edge, inside = (max(span) - min(span) + 1 if span else 0 for span in spans)
        return at_edge > 0.85 * inside

    def _is_plain(self, mark: Mark) -> bool:
        """Whether `mark`, which touches the edge, is a line, the edge of something, or small: no digit is in it."""
        if straight(mark, self.width) or mark.size < 0.1 * min(self.size):
            return True
        return sum(self._contacts(mark)) >= 0.25 * (mark.width + mark.height)

    def _without(self, contrast: Image.Image, marks: list[Mark]) -> Image.Image:
        """`contrast` with black for `marks` and two pixels around; and `erased` with white."""
        mask = bytearray(self.width * self.height)
        for mark in marks:
            for start, end in mark.runs:
                mask[start:end] = b"\xff" * (end - start)
        white = ink.dilated(Image.frombytes("L", self.size, bytes(mask)), 2)
        self.erased.paste(255, mask=white)
        left = contrast.copy()
        left.paste(0, mask=white)
        return left

    def _digits(self, marks: list[Mark]) -> list[Mark]:
        """The marks that are digits, their parts joined; those that are not join `others`."""
        near = ink.dilated(self.erased, 4).tobytes() if self.erased.getbbox() else b""  # most sheets have no lines
        around = around_others(marks)
        usual = self._usual([mark for mark in marks if mark not in around]) if self.is_page else None
        size = usual.size if usual else 0
        lines = [
            mark for mark in marks
            if self._is_line(mark, size)
            or 2 * n_within(mark, near) > mark.n_pixels
            or (mark in around and is_frame(mark, self.width, usual=size))
        ]  # fmt: skip
        most = 1.4 * size if len(marks) > 3 else 0  # else digits of several lines become one
        marks = joined([mark for mark in marks if mark not in lines], self.width, most=most)
        kept = [mark for mark in marks if not self._is_other(mark)]
        usual = self._usual(kept)
        digits = [mark for mark in kept if mark is usual or (usual and not is_minor(mark, usual))]
        if len(digits) == 1 and digits[0].size * 4 < min(self.size) and is_dot(digits[0], least=0.75):
            digits = []  # a speck alone
        self.others += lines + [mark for mark in marks if mark not in digits]
        return digits

    def _usual(self, marks: list[Mark]) -> Mark | None:
        """The mark that tells how large a digit is here: the brightest; of a page the one in the middle, by size."""
        if not self.is_page:
            return max(marks, key=lambda mark: mark.brightness, default=None)
        left = sum(mark.size for mark in marks) / 2
        for mark in sorted(marks, key=lambda mark: -mark.size):
            left -= mark.size
            if left <= 0:
                return mark
        return None

    def _is_line(self, mark: Mark, usual: int) -> bool:
        """Whether `mark` is straight and too long, or lies, so that it is no 1. `usual`: the size of a page's digits, or 0."""
        line, most = straight(mark, self.width), 0.5 * self.width
        if line > 45:
            return mark.width > (min(most, 1.5 * usual) if usual else most)
        return bool(line) and mark.height > 0.85 * self.height

    def _is_other(self, mark: Mark) -> bool:
        """Whether `mark` cannot be a digit: a line, a dot, or next to nothing."""
        if mark.width * mark.height < SMALLEST_SHARE[self.is_page] * self.width * self.height:
            return True
        if self.is_page and straight(mark, self.width, times=3) > 60:
            return True  # a dash
        is_small = mark.size * 12 < min(self.size) and not self.is_page
        return straight(mark, self.width) > 45 or (is_small and is_dot(mark, least=0.6))


def _crossed() -> InputError:
    return InputError("a line or the picture's edge runs into the digit; give it one digit with plain paper around it")


def _only_others() -> InputError:
    found = "only lines, specks or what touches the picture's edge"
    return InputError(f"no digit found, {found}: give it one digit with plain paper around it")
