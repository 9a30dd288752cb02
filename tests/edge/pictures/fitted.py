"""Fit made pictures with whichever Pillow is imported, and print the SHA-256 of each result by contract.

    python -m tests.edge.pictures.fitted

Imports nothing of the tests, so that it also runs where only the wheel is installed. The pictures are made of bytes alone, so
that they are the same under every version.
"""

import hashlib
import json
import random

import PIL
from PIL import Image

from edge.contract import DIGIT, DIGIT2, InputContract
from edge.errors import InputError
from edge.pictures.decode import fit

N_PICTURES = 20
SQUARE = {"height": 32, "width": 32, "channels": 3, "fit": "resize"}
CONTRACTS = {
    "digit": DIGIT,
    "digit2": DIGIT2,
    "edgeproof": InputContract(**SQUARE),
    "bilinear-antialias": InputContract(**SQUARE, resize="bilinear-antialias", aspect="resize-crop", shorter_side=37),
    "bicubic-antialias": InputContract(**SQUARE, resize="bicubic-antialias", aspect="crop"),
    "nearest": InputContract(**SQUARE, resize="nearest"),
    "tf-nearest": InputContract(**SQUARE, resize="tf-nearest"),
    "bilinear": InputContract(**SQUARE, resize="bilinear", aspect="pad"),
    "bicubic": InputContract(**SQUARE, resize="bicubic"),
}


def scribble(rng: random.Random) -> Image.Image:
    """Mode L, 30 to 300 pixels a side: a thick line that wanders, dark on light or light on dark."""
    width, height = rng.randint(30, 300), rng.randint(30, 300)
    pixels = bytearray(width * height)
    thick = max(2, min(width, height) // 12)
    x, y = width // 2, height // 2
    for _ in range(40):
        x = min(max(x + rng.randint(-thick, thick), thick), width - 2 * thick)
        y = min(max(y + rng.randint(-thick, thick), thick), height - 2 * thick)
        for row in range(y, y + thick):
            pixels[row * width + x : row * width + x + thick] = bytes([rng.randint(160, 255)]) * thick
    inverted = rng.random() < 0.5
    return Image.frombytes(
        "L", (width, height), bytes(pixels.translate(bytes(range(255, -1, -1)))) if inverted else bytes(pixels)
    )


def noise(rng: random.Random) -> Image.Image:
    """Mode RGB, up to 300 pixels a side."""
    size = rng.randint(1, 300), rng.randint(1, 300)
    return Image.frombytes("RGB", size, rng.randbytes(3 * size[0] * size[1]))


def digests(n: int = N_PICTURES) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, contract in CONTRACTS.items():
        rng = random.Random(0)
        pictures = (scribble(rng) if contract.is_digit else noise(rng) for _ in range(n))
        found[name] = [_digest(picture, contract) for picture in pictures]
    return found


def _digest(picture: Image.Image, contract: InputContract) -> str:
    try:
        return hashlib.sha256(fit(picture, contract)).hexdigest()
    except InputError as error:  # `digit2` refuses what is not one digit
        return str(error)


if __name__ == "__main__":
    print(json.dumps({"Pillow": PIL.__version__, **digests()}))
