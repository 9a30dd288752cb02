"""A sheet of paper under way: ink, lines and light on it, and the finished picture, drawn or as a phone photographs it.

Everything random comes from the Generator of the sheet.
"""

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

BOX = 20  # pixels: how large a digit is in its 28


class DrawnSheet:
    """A sheet under way: `paper` float32 [height, width], 0 to 255, darkened by what is drawn on it."""

    def __init__(self, rng: np.random.Generator, *, photo: bool) -> None:
        self.rng, self.photo = rng, photo
        self.width, self.height = (640, 480) if photo else (int(rng.integers(200, 500)), int(rng.integers(180, 420)))
        self.paper = np.full((self.height, self.width), rng.uniform(190, 240) if photo else rng.integers(225, 256), np.float32)
        self.pen = float(rng.uniform(20, 80))
        self.inverted = False
        self.tint: tuple[float, float, float] | None = None  # of red, green, blue, where the ink is coloured
        self.ink = np.zeros_like(self.paper)
        self.light = np.ones_like(self.paper)

    @property
    def short(self) -> int:
        return min(self.width, self.height)

    def cover(self, mask: Image.Image, pen: float | None = None) -> None:
        """Ink where `mask` (mode L, of the sheet's size) is bright."""
        share = np.asarray(mask, np.float32) / 255
        self.paper = self.paper * (1 - share) + (self.pen if pen is None else pen) * share
        self.ink = np.maximum(self.ink, share)

    def digit(self, image: np.ndarray, *, height: float, centre: tuple[float, float], tilt: float = 0) -> None:
        """`image` as ink, `height` pixels high, its centre at `centre` (across, down) in pixels."""
        self.cover(self.mask(image, height=height, centre=centre, tilt=tilt))

    def mask(self, image: np.ndarray, *, height: float, centre: tuple[float, float], tilt: float = 0) -> Image.Image:
        side = round(height * 28 / BOX)
        large = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
        large = large.rotate(tilt, Image.Resampling.BICUBIC)
        mask = Image.new("L", (self.width, self.height))
        mask.paste(large, (round(centre[0] - side / 2), round(centre[1] - side / 2)))
        return mask

    def line(self, start: tuple[float, float], end: tuple[float, float], *, width: float, pen: float | None = None) -> None:
        times = 4
        mask = Image.new("L", (self.width * times, self.height * times))
        ends = [(x * times, y * times) for x, y in (start, end)]
        ImageDraw.Draw(mask).line(ends, fill=255, width=max(1, round(width * times)))
        self.cover(mask.resize((self.width, self.height), Image.Resampling.BOX), pen)

    def anywhere(self, height: float, *, left: float = 0.0, right: float = 1.0) -> tuple[float, float]:
        """A centre for a digit of `height` between these shares of the width, wholly on the sheet."""
        half = 0.55 * height + 4
        low, high = left * self.width + half, right * self.width - half
        x = self.rng.uniform(low, high) if low < high else (left + right) / 2 * self.width
        return float(x), float(self.rng.uniform(half, self.height - half))

    def picture(self) -> Image.Image:
        """The finished picture, mode RGB."""
        grey = self.paper
        if self.inverted:
            grey = 255 - grey
        if self.photo:
            light = self.light * _uneven_light(self.width, self.height, self.rng)
            sharp = Image.fromarray(grey.round().astype(np.uint8))
            grey = np.asarray(sharp.filter(ImageFilter.GaussianBlur(self.rng.uniform(0.4, 1.0))), np.float32)
            grey = grey * light + self.rng.normal(0, self.rng.uniform(1.5, 4), grey.shape)
        else:
            grey = grey * self.light
        channels = np.repeat(grey[..., None], 3, axis=2)
        if self.tint:
            share = self.ink[..., None]
            channels = channels * (1 - share) + np.array(self.tint, np.float32) * share
        image = Image.fromarray(np.clip(channels, 0, 255).round().astype(np.uint8))
        if not self.photo:
            return image
        jpeg = io.BytesIO()
        image.save(jpeg, "JPEG", quality=int(self.rng.integers(70, 95)))
        return Image.open(jpeg)


def _uneven_light(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    across = (np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5)) / 1.42 + 0.5
    return np.asarray(1 - rng.uniform(0.05, 0.35) * across, np.float32)
