"""Real images to measure with: the goldens of a model, as pixels and as PNG files."""

import os
from dataclasses import dataclass

from edge.artifact import Artifact
from edge.errors import EngineMissing, ModelError

PAGE_TIMES = 10  # the side of a page as a multiple of the side of the model's input


@dataclass(frozen=True)
class Samples:
    """The same images as uint8 [H, W, C], as PNG files, and as larger PNG files unless the model takes one size only."""

    pixels: list[bytes]
    files: list[str]
    pages: list[str]


def write(model: Artifact, folder: str) -> Samples:
    """The goldens of `model` as PNG files in `folder`, also enlarged, digits dark on light. Raises ModelError without any."""
    if not model.contract or not (goldens := model.goldens()):
        raise ModelError(f"{model.path}: carries no goldens to measure with; zeros would flatter it")
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise EngineMissing(f"Pillow is needed to write pictures ({error}): pip install 'pillow>=10.3'") from None
    takes = model.contract.input
    pixels, files, pages = [image for image, _ in goldens], [], []
    for number, raw in enumerate(pixels):
        image = Image.frombytes("L" if takes.channels == 1 else "RGB", (takes.width, takes.height), raw)
        files.append(os.path.join(folder, f"{number}.png"))
        image.save(files[-1])
        if takes.fit != "exact":
            page = image.resize((PAGE_TIMES * takes.width, PAGE_TIMES * takes.height), Image.Resampling.BICUBIC)
            pages.append(os.path.join(folder, f"{number}-page.png"))
            (ImageOps.invert(page) if takes.is_digit else page).save(pages[-1])
    return Samples(pixels, files, pages)
