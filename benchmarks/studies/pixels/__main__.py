"""Compare the pixels of each preset, and of other ways a contract can state, with what the library itself makes of the files.

    python -m benchmarks.studies.pixels [--pictures N] [--seed S] [--libraries PYTHON] [--write docs/pixels.md]

`--libraries` is the Python of an environment with torchvision and OpenCV; without it, only what TensorFlow, Keras and Pillow
make is compared. Minutes for 300 pictures. Exit code 1: a value of a PNG or BMP is more than a step off.
"""

import argparse
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import pages
from benchmarks.studies.pixels import libraries, made
from convert.pictures.presets import PRESETS
from edge import errors
from edge.contract import InputContract
from edge.pictures import read_pixels
from edge.silence import silence_native_output
from train import markdown

SIZES = ((64, 64), (96, 48), (28, 112))  # height, width; each of every third picture
# What a library turns into something else than the picture: TensorFlow takes the numbers of a palette's colours for greys,
# and Pillow's conversion cuts 16 bits off at 255.
NOT_ITS_OWN = {"tensorflow": ("P.bmp",), "pillow": ("I16.png",), "opencv": ()}
TENSORFLOW = {"exif": "ignore", "alpha": "drop"}


@dataclass(frozen=True)
class Way:
    """One way from picture to pixels: how the page calls it, the library's loader, and what a contract says for it."""

    title: str
    loader: str
    reader: str  # a key of NOT_ITS_OWN
    preset: str = ""
    keys: tuple[tuple[str, str], ...] = ()
    elsewhere: bool = False  # in the environment of --libraries

    def contract(self, height: int, width: int) -> InputContract:
        """The contract for an input of this size."""
        keys = dict(self.keys)
        stated = PRESETS[self.preset].keys(height, width) | keys if self.preset else TENSORFLOW | keys
        shorter = stated.pop("shorter-side", 0)
        return InputContract(height=height, width=width, channels=3, fit="resize", shorter_side=shorter, **stated)


WAYS = (
    Way("`keras`, `tf-hub`", "keras_dataset", "tensorflow", preset="keras"),
    Way("`keras`, JPEG by the accurate decoder", "tensorflow_accurate", "tensorflow", preset="keras"),
    Way("`keras` with `crop_to_aspect_ratio`", "keras_crop", "tensorflow", preset="keras", keys=(("aspect", "crop"),)),
    Way("`keras` with `pad_to_aspect_ratio`", "keras_pad", "tensorflow", preset="keras", keys=(("aspect", "pad"),)),
    Way("`keras`, bicubic", "keras_bicubic", "tensorflow", preset="keras", keys=(("resize", "bicubic"),)),
    Way("`keras`, nearest", "keras_nearest", "tensorflow", preset="keras", keys=(("resize", "tf-nearest"),)),
    Way("`keras-load-img`", "load_img", "pillow", preset="keras-load-img"),
    Way("`torchvision`", "torchvision", "pillow", preset="torchvision", elsewhere=True),
    Way(
        "`torchvision`, bicubic", "torchvision_bicubic", "pillow", preset="torchvision",
        keys=(("resize", "bicubic-antialias"),), elsewhere=True,
    ),
    Way("`opencv`, `caffe`", "opencv", "opencv", preset="opencv", elsewhere=True),
    Way("Pillow in one call, bilinear", "pillow_bilinear", "pillow", keys=(("resize", "bilinear-antialias"),), elsewhere=True),
    Way("Pillow in one call, bicubic", "pillow_bicubic", "pillow", keys=(("resize", "bicubic-antialias"),), elsewhere=True),
)  # fmt: skip
# Reported, not held: Pillow 13 goes down first and then across where that is less work.
ONE_CALL = (
    Way("Pillow in one call, bilinear", "pillow_bilinear", "pillow", keys=(("resize", "bilinear-antialias"),)),
    Way("Pillow in one call, bicubic", "pillow_bicubic", "pillow", keys=(("resize", "bicubic-antialias"),)),
)


@dataclass(frozen=True)
class PixelAgreement:
    """Values within one step, of all, in the files the library reads itself; those it does not read or turns into others."""

    within: dict[str, int]  # by the file's ending
    values: dict[str, int]
    n_files: int
    n_left_out: int
    pictures_off: int  # with any value more than a step off
    versions: str

    def percent(self, *endings: str) -> str:
        total = sum(self.values.get(ending, 0) for ending in endings)
        return f"{100 * sum(self.within.get(e, 0) for e in endings) / total:.2f} %" if total else "–"

    @property
    def exact(self) -> bool:
        """Whether every value of every PNG and BMP is within one step."""
        return all(self.within[ending] == self.values[ending] for ending in self.values if ending != ".jpg")


def compare(way: Way, files: Sequence[Path], python: str | None = None) -> PixelAgreement:
    """The pixels of `files` by `way`'s contract, against its loader here, or in the environment of `python`."""
    within: dict[str, int] = {}
    values: dict[str, int] = {}
    counted = left_out = off = 0
    used = ""
    for offset, (height, width) in enumerate(SIZES):
        part = files[offset :: len(SIZES)]
        theirs, used = _loaded(way.loader, part, height, width, python)
        for number, file in enumerate(part):
            if number not in theirs or file.name.split("-", 1)[1] in NOT_ITS_OWN[way.reader]:
                left_out += 1
                continue
            wanted = np.rint(np.clip(theirs[number], 0, 255)).reshape(-1).astype(int)
            ours = np.frombuffer(read_pixels(str(file), way.contract(height, width)), np.uint8).astype(int)
            near = int((abs(ours - wanted) <= 1).sum())
            within[file.suffix] = within.get(file.suffix, 0) + near
            values[file.suffix] = values.get(file.suffix, 0) + len(ours)
            off += near < len(ours)
            counted += 1
    return PixelAgreement(within, values, counted, left_out, off, used)


def _loaded(
    loader: str, files: Sequence[Path], height: int, width: int, python: str | None
) -> tuple[dict[int, np.ndarray], str]:
    """What the library makes of the files it reads, by their number, and its version."""
    names = [str(file) for file in files]
    if python is None:
        with silence_native_output(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, about palettes
            images = libraries.LOADERS[loader](names, height, width)
        return {number: image for number, image in enumerate(images) if image is not None}, libraries.versions()
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/out.npz"
        command = [python, libraries.__file__, loader, out, str(height), str(width), *names]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise errors.EngineMissing(f"{python}: {loader}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
        with np.load(out) as found:
            return {int(name): found[name] for name in found.files if name != "versions"}, str(found["versions"])


def row(way: Way, result: PixelAgreement) -> tuple[str, ...]:
    return (
        way.title,
        result.percent(".png", ".bmp"),
        result.percent(".jpg"),
        f"{result.pictures_off} of {result.n_files}",
        str(result.n_left_out),
        result.versions,
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies.pixels", description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=300, metavar="N", help="made pictures (default: 300)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the pictures (default: 0)")
    parser.add_argument("--libraries", metavar="PYTHON", help="of an environment with torchvision and OpenCV")
    pages.add_write(parser)
    given = parser.parse_args()
    rows, exact = [], True
    with tempfile.TemporaryDirectory() as folder:
        files = made.draw(Path(folder), n=given.pictures, seed=given.seed)
        for way in WAYS + ONE_CALL:
            if way.elsewhere and not given.libraries:
                continue
            result = compare(way, files, given.libraries if way.elsewhere else None)
            rows.append(row(way, result))
            exact &= result.exact or way in ONE_CALL
    head = ("way", "PNG, BMP within a step", "JPEG within a step", "pictures with a value further off", "left out", "against")
    text = f"{given.pictures} made pictures, seed {given.seed}.\n\n{markdown.table(head, rows)}"
    pages.show(text, given.write)
    return 0 if exact else 1


if __name__ == "__main__":
    sys.exit(errors.run(main, "pixels"))
