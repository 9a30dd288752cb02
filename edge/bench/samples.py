"""Real pictures to measure with: those a model carries, as pixels and as the PNG files a program would meet."""

import os
from dataclasses import dataclass

from edge.artifact import Artifact
from edge.errors import EngineMissing, ModelError

PAGE_TIMES = 10  # a page's side, in sides of the model's input


@dataclass(frozen=True)
class Samples:
    """The same pictures three times: uint8 [H, W, C] as bytes, PNG files of that size, and PNG files to be fitted.

    `pages` is empty for a model that takes one size only.
    """

    pixels: list[bytes]
    files: list[str]
    pages: list[str]


def write(model: Artifact, folder: str) -> Samples:
    """The pictures of `model`, their files in `folder`. Raises ModelError where it carries none.

    A page is the picture enlarged; a digit is drawn dark on light as well, so that fitting has all of its work to do.
    """
    if not model.contract or not (goldens := model.goldens()):
        raise ModelError(f"{model.path}: carries no pictures to measure with; zeros would flatter it")
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise EngineMissing(f"the pictures are written with Pillow ({error}): pip install 'pillow>=10.3'") from None
    takes = model.contract.input
    pixels, files, pages = [picture for picture, _ in goldens], [], []
    for number, picture in enumerate(pixels):
        image = Image.frombytes("L" if takes.channels == 1 else "RGB", (takes.width, takes.height), picture)
        files.append(os.path.join(folder, f"{number}.png"))
        image.save(files[-1])
        if takes.fit != "exact":
            page = image.resize((PAGE_TIMES * takes.width, PAGE_TIMES * takes.height), Image.Resampling.BICUBIC)
            pages.append(os.path.join(folder, f"{number}-page.png"))
            (ImageOps.invert(page) if takes.fit == "digit" else page).save(pages[-1])
    return Samples(pixels, files, pages)
