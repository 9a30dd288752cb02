"""Redraw a 28x28 digit as other people's pictures: on a page, or photographed from paper.

The digit is light on dark, as in MNIST. A test reads what comes back through `edge.pictures` and asks the same
network about both. Everything random comes from the Generator given, so a seed names a picture.

    EDGEPROOF_DATA=DIR python -m tests.redraw        prints what redrawing costs the shipped model
"""

import argparse
import io

import numpy as np
from PIL import Image, ImageFilter

from edge import predictor
from edge.errors import InputError
from edge.locate import shipped_model
from edge.pictures.decode import fit
from edge.predictor import Predictor
from train import datasets
from train.datasets import Split

PAGE_MODES = ("RGB", "RGBA", "P", "L")


def on_page(digit: np.ndarray, rng: np.random.Generator, mode: str = "RGB") -> Image.Image:
    """`digit` (uint8 [28, 28]) in dark ink on a light page of 300x200, anywhere, 60 to 190 pixels high.

    In mode RGBA the page is transparent. In P it has a palette of at most 64 colours.
    """
    side = int(rng.integers(60, 191))
    left, top = int(rng.integers(0, 301 - side)), int(rng.integers(0, 201 - side))
    ink = Image.new("L", (300, 200))
    ink.paste(Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC), (left, top))
    pen = tuple(int(v) for v in rng.integers(0, 91, 3))
    paper = tuple(int(v) for v in rng.integers(215, 256, 3))
    if mode == "RGBA":
        page = Image.new("RGBA", ink.size, (*pen, 0))
        page.putalpha(ink)
        return page
    page = Image.composite(Image.new("RGB", ink.size, pen), Image.new("RGB", ink.size, paper), ink)
    return page.quantize(64) if mode == "P" else page.convert(mode)


def as_photo(digit: np.ndarray, rng: np.random.Generator, megapixels: float = 0.8) -> Image.Image:
    """`digit` (uint8 [28, 28]) in pen on paper as a phone sees it, decoded from a JPEG, mode RGB.

    Tilted up to 8 degrees, 25 to 60 % of the picture's height; light falling off by up to half across the picture,
    a soft shadow from one side, uneven paper, sensor noise, slight blur.
    """
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    width = height * 4 // 3
    side = int(height * rng.uniform(0.25, 0.6) * 28 / 20)
    tilted = Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)
    tilted = tilted.rotate(rng.uniform(-8, 8), Image.Resampling.BICUBIC)
    cover = Image.new("L", (width, height))
    cover.paste(tilted, (int(rng.integers(0, width - side + 1)), int(rng.integers(0, height - side + 1))))
    cover = cover.filter(ImageFilter.GaussianBlur(height / 700 * rng.uniform(0.5, 1.5)))

    light = _light(width, height, rng)
    grain = _smooth_noise(width, height, cells=90, rng=rng) * rng.uniform(0.5, 1.5)
    paper = rng.uniform(170, 235) + grain
    pen = rng.uniform(25, 80)
    ink = np.asarray(cover, np.float32) / 255
    grey = (paper * (1 - ink) + pen * ink) * light + rng.normal(0, rng.uniform(2, 6), ink.shape)
    tint = rng.uniform(0.92, 1.0, 3)
    rgb = np.clip(grey[..., None] * tint, 0, 255).astype(np.uint8)
    jpeg = io.BytesIO()
    Image.fromarray(rgb).save(jpeg, "JPEG", quality=int(rng.integers(60, 93)))
    return Image.open(jpeg)


def right(ready: Predictor, pixels: bytes, label: int) -> bool:
    """Whether `ready` gives uint8 [H, W, C] `pixels` the class `label`."""
    return bool(ready.answer(pixels).index == label)


def drop_points(ready: Predictor, split: Split, redrawn) -> float:
    """Points of top-1 lost when each digit of `split` is redrawn; a redrawn one that is refused counts as lost."""
    return costs(ready, split, redrawn)[0]


def costs(ready: Predictor, split: Split, redrawn) -> tuple[float, int]:
    """The same, and how many redrawn digits `ready` rejects as none of its classes."""
    lost = rejected = 0
    for number, (image, label) in enumerate(zip(split.images, split.labels, strict=True)):
        try:
            answer = ready.answer(fit(redrawn(number, image[..., 0]), ready.contract.input))
        except InputError:
            answered = False
        else:
            answered, rejected = bool(answer.index == label), rejected + answer.rejected
        lost += right(ready, image.tobytes(), label) - answered
    return 100 * lost / len(split), rejected


def pages(seed: int):
    """Draws number k of a split on a page, the modes in turn."""
    rng = np.random.default_rng(seed)
    return lambda number, digit: on_page(digit, rng, PAGE_MODES[number % len(PAGE_MODES)])


def photos(seed: int):
    """Photographs number k of a split."""
    rng = np.random.default_rng(seed)
    return lambda _, digit: as_photo(digit, rng)


def _light(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """How much light falls on each pixel: float32 [height, width], at most 1."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    across = (np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5)) / 1.42 + 0.5
    falloff = 1 - rng.uniform(0.1, 0.5) * across ** rng.uniform(0.7, 2)
    angle, edge, softness = rng.uniform(0, 2 * np.pi), rng.uniform(-0.1, 0.45), rng.uniform(0.03, 0.15)
    beyond = np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5) - edge
    return np.asarray(falloff * (1 - rng.uniform(0.0, 0.4) / (1 + np.exp(-beyond / softness))), np.float32)


def _smooth_noise(width: int, height: int, *, cells: int, rng: np.random.Generator) -> np.ndarray:
    """Unevenness with about `cells` bumps along the width: float32 [height, width], standard deviation near 1."""
    small = rng.normal(0, 1.6, (cells * height // width + 1, cells)).astype(np.float32)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def main() -> None:
    """Print what redrawing costs, in points of top-1, and how many are rejected: for docs/results.md and docs/unknown.md."""
    parser = argparse.ArgumentParser(prog="python -m tests.redraw", description=main.__doc__)
    parser.add_argument("--model", default=shipped_model(), metavar="FILE", help="default: the one in the wheel")
    parser.add_argument("--n", type=int, default=1_000, metavar="N", help="MNIST digits (default: 1,000)")
    flags = parser.parse_args()
    ready, digits = predictor.load(flags.model, trusted=True), datasets.digits.load()
    print("| model | pictures | redrawn | points lost | rejected | n |\n|---|---|---|--:|--:|--:|")
    for data, n in ((datasets.mnist.load(), flags.n), (digits, min(flags.n, len(digits.test)))):
        chosen = data.test[np.random.default_rng(0).permutation(len(data.test))[:n]]
        for kind, draw in (("page of 300x200", pages(1)), ("photo", photos(2))):
            points, rejected = costs(ready, chosen, draw)
            print(f"| {ready.contract.name} | {data.name} | {kind} | {points:.2f} | {rejected:,} | {n:,} |", flush=True)


if __name__ == "__main__":
    main()
