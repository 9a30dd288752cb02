"""Pictures to compare readers on: many sizes, proportions, modes and formats, the same for the same seed."""

import random
from pathlib import Path

import numpy as np
from PIL import Image

# What a PNG, BMP or JPEG of each kind is saved from. `L;16` has 16 bits a value; a name with `+t` has transparency.
KINDS = {
    "png": ("RGB", "L", "RGBA+t", "LA+t", "P", "P+t", "1", "I;16"),
    "bmp": ("RGB", "L", "P", "1"),
    "jpg": ("RGB", "L", "RGB turned", "CMYK"),
}
LONGEST = 700


def draw(folder: Path, *, n: int, seed: int = 0) -> list[Path]:
    """`n` pictures in `folder`, named `NNN-kind.ending`: of ten, six are PNG, two BMP and two JPEG files."""
    rng = random.Random(seed)
    paths = []
    for number in range(n):
        ending = ("png", "png", "png", "bmp", "jpg", "png", "png", "png", "bmp", "jpg")[number % 10]
        kind = KINDS[ending][number // 10 % len(KINDS[ending])]
        # Half are photographs in size, the others anything, down to a line.
        low = 60 if number % 2 else 1
        size = tuple(max(low, round(LONGEST ** rng.random())) for _ in range(2))
        path = folder / f"{number:03}-{kind.replace(' ', '-').replace(';', '').replace('+', '-')}.{ending}"
        _save(_content(size, rng.randrange(1 << 30)), kind, path, rng)
        paths.append(path)
    return paths


def _content(size: tuple[int, int], seed: int) -> Image.Image:
    """Slopes, hard edges and noise in RGBA, as photographs and drawings have them."""
    rng = np.random.default_rng(seed)
    width, height = size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    image = np.zeros((height, width, 4), np.float32)
    for channel in range(4):
        a, b, c, d = rng.uniform(0.01, 0.4, 4)
        image[..., channel] = 128 + 70 * np.sin(a * x + b * y) + 50 * np.sign(np.sin(c * x - d * y))
    image += rng.normal(0, rng.choice([0, 4, 25]), image.shape)
    return Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))


def _save(image: Image.Image, kind: str, path: Path, rng: random.Random) -> None:
    mode = kind.split("+")[0].split()[0]
    settings: dict[str, object] = {"quality": rng.choice([60, 85, 95])} if path.suffix == ".jpg" else {}
    if path.suffix == ".jpg":
        settings["subsampling"] = rng.choice([0, 2])
    if mode == "I;16":
        wide = np.asarray(image.convert("L")).astype(np.uint16) * 257
        image = Image.fromarray(wide)
    elif mode == "P":
        image = image.convert("RGB").quantize(32)
        if kind.endswith("+t"):
            settings["transparency"] = 3
    elif mode != "RGBA":
        image = image.convert("RGB").convert(mode) if mode != "LA" else image.convert("LA")
    if "turned" in kind:
        exif = image.getexif()
        exif[0x0112] = rng.randrange(2, 9)
        settings["exif"] = exif
    image.save(path, **settings)  # type: ignore[arg-type]
