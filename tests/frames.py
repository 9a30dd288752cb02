"""Photographed digits, asked for in every form that a program may have them in: the figures of docs/api.md.

    EDGEPROOF_DATA=DIR python -m tests.frames [--count N] [--megapixels M]

The model in the wheel, MNIST test digits photographed by tests/redraw.py. The last row is what the page advised before: the
frame scaled to the model's size and handed over unfitted.
"""

import argparse
import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, __version__

import edge
from edge.errors import InputError
from edge.locate import shipped_model
from tests.redraw import as_photo
from train import datasets

FIRST = "a path"


def forms(ready, content: bytes, path: Path) -> dict[str, Callable[[], object]]:
    """How to ask about one photograph, by the form that it has."""
    path.write_bytes(content)
    rgb = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    scaled = Image.fromarray(rgb).convert("L").resize((28, 28), Image.Resampling.BICUBIC)
    return {
        FIRST: lambda: ready.predict(path),
        "bytes": lambda: ready.predict(content),
        "an open file": lambda: ready.predict(io.BytesIO(content)),
        "a PIL image": lambda: ready.predict(Image.open(io.BytesIO(content))),
        "an RGB array": lambda: ready.predict(rgb),
        'a BGR array, `color="bgr"`': lambda: ready.predict(rgb[..., ::-1], color="bgr"),
        "scaled by hand, unfitted": lambda: ready.answer(scaled.tobytes()),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.frames", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200, metavar="N", help="photographs (default: %(default)s)")
    parser.add_argument("--megapixels", type=float, default=0.8, metavar="M", help="of each (default: %(default)s)")
    flags = parser.parse_args()
    ready, rng, test = edge.load(shipped_model(), trust=True), np.random.default_rng(2), datasets.mnist.load().test
    chosen = test[np.random.default_rng(0).permutation(len(test))[: flags.count]]
    right: dict[str, int] = {}
    alike: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        for image, label in zip(chosen.images, chosen.labels, strict=True):
            content = as_photo(image[..., 0], rng, flags.megapixels).fp.getvalue()
            answers = {}
            for form, ask in forms(ready, content, Path(folder, "photo.jpg")).items():
                try:
                    answers[form] = ask().index
                except InputError:
                    answers[form] = None
                right[form] = right.get(form, 0) + (answers[form] == label)
                alike[form] = alike.get(form, 0) + (answers[form] == answers[FIRST])
    print("| asked with | right | as with a path |\n|---|--:|--:|")
    for form in right:
        print(f"| {form} | {100 * right[form] / len(chosen):.1f} % | {alike[form]} of {len(chosen)} |")
    print(f"n = {len(chosen)}, {flags.megapixels} megapixels, seeds 0 and 2, Pillow {__version__}, {ready.contract.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
