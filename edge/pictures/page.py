"""Read every separate digit of a page, in the order in which a person reads them: for `edge-predict --many`."""

from typing import Any

from PIL import Image

from edge.contract import InputContract
from edge.errors import InputError
from edge.pictures import decode, ink, sheet
from edge.pictures.mark import Box, Mark

MAX_DIGITS = 500
DECODED_SIDE = 1024  # a JPEG is decoded with its longer side at least this long
WORKING_SIDE = 1600  # a digit 5 mm high on a sheet 297 mm long still has 27 pixels


class Digit:
    """One digit of a page: its pixels, uint8 [28, 28]; its box, left, top, right and bottom in pixels of the upright picture,
    the last two just outside; its line of text and its word in that, both from 1; and what the model says of it."""

    __slots__ = ("box", "line", "pixels", "prediction", "word")

    def __init__(self, pixels: bytes, box: Box, line: int, word: int) -> None:
        self.pixels, self.box, self.line, self.word = pixels, box, line, word
        self.prediction: Any = None  # a Prediction, from `Predictor.predict_many`

    def __repr__(self) -> str:
        return f"<{self.prediction!r} at {self.box}, line {self.line}>"


def of_content(content: bytes, contract: InputContract) -> list[Digit]:
    """The digits in the picture file whose bytes are `content`. Raises InputError."""
    return of_image(*decode.decode_sized(content, contract, side=DECODED_SIDE), contract)


def of_image(image: Image.Image, size: tuple[int, int], contract: InputContract) -> list[Digit]:
    """The digits in a decoded, upright picture whose file has `size`. Raises InputError if there are none, or too many."""
    grey = ink.at_most(WORKING_SIDE, decode.opaque(image, "L", contract.alpha))
    page = sheet.read(grey, is_page=True)
    if len(page.digits) > MAX_DIGITS:
        raise InputError(f"{len(page.digits)} digits; at most {MAX_DIGITS} are read: give the page in parts")
    across, down = size[0] / grey.width, size[1] / grey.height
    found = []
    for number, line in enumerate(in_lines(page.digits), start=1):
        word, space = 1, sorted(mark.height for mark in line)[len(line) // 2]
        for before, mark in zip([line[0], *line], line, strict=False):
            word += mark.box[0] - before.box[2] > space
            left, top, right, bottom = mark.box
            box = int(left * across), int(top * down), -int(-right * across // 1), -int(-bottom * down // 1)
            found.append(Digit(page.cut_out(mark), box, number, word))
    return found


def in_lines(marks: list[Mark]) -> list[list[Mark]]:
    """`marks` as lines of text, from the top, each from the left.

    A mark stands in the line whose last one it overlaps most, at least by half the height of the lower: lines may slope.
    """
    lines: list[list[Mark]] = []
    for mark in sorted(marks, key=lambda mark: mark.box[0] + mark.box[2]):
        overlaps = [_overlap(line[-1], mark) for line in lines]
        if overlaps and (most := max(overlaps)) >= 0.5:
            lines[overlaps.index(most)].append(mark)
        else:
            lines.append([mark])
    return sorted(lines, key=lambda line: line[0].box[1] + line[0].box[3])


def _overlap(one: Mark, other: Mark) -> float:
    """How far they overlap from top to bottom, as a share of the lower one's height."""
    return (min(one.box[3], other.box[3]) - max(one.box[1], other.box[1])) / min(one.height, other.height)
