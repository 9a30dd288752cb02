"""What the JPEG decoder changes: a Keras network's answers to photographs, by TensorFlow's pixels and by ours.

    python -m benchmarks.studies.pixels.answers --network my.keras --photos FOLDER [--photographs N]

TensorFlow decodes JPEGs by libjpeg's fast inverse transform unless told otherwise, Pillow by the accurate one. FOLDER is
searched with its sub-folders; the network takes pictures as the preset `keras` makes them.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from benchmarks.studies.pixels.libraries import keras_dataset, tensorflow_accurate, versions
from convert.pictures.presets import PRESETS
from edge import errors
from edge.errors import InputMissing
from edge.pictures import read_pixels
from edge.silence import silence_native_output

BATCH = 250  # pictures in memory at a time


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies.pixels.answers", description=__doc__.splitlines()[0])
    parser.add_argument("--network", type=Path, required=True, metavar="FILE.keras", help="a classifier of RGB pictures")
    parser.add_argument("--photos", type=Path, required=True, metavar="FOLDER", help="JPEG files, also in sub-folders")
    parser.add_argument("--photographs", type=int, default=2000, metavar="N", help="how many (default: 2000)")
    given = parser.parse_args()
    files = [str(path) for path in sorted(given.photos.rglob("*.jpg"))[: given.photographs]]
    if not files:
        raise InputMissing(f"{given.photos}: holds no .jpg")
    with silence_native_output():
        import keras
    network = keras.saving.load_model(given.network)
    height, width = network.input_shape[1:3]
    contract = PRESETS["keras"].contract(height, width, 3)
    answers: dict[str, list[np.ndarray]] = {"accurate": [], "default": [], "ours": []}
    near, total = {"accurate": 0, "default": 0}, 0
    for start in range(0, len(files), BATCH):
        part = files[start : start + BATCH]
        pixels = {
            "accurate": np.stack(tensorflow_accurate(part, height, width)),
            "default": np.stack(keras_dataset(part, height, width)),
            "ours": np.stack(
                [np.frombuffer(read_pixels(file, contract), np.uint8).reshape(height, width, 3) for file in part]
            ).astype(np.float32),
        }
        for way, images in pixels.items():
            answers[way].append(network.predict(images, verbose=0).argmax(axis=1))
        for way in near:
            near[way] += int((abs(np.rint(pixels[way]) - pixels["ours"]) <= 1).sum())
        total += pixels["ours"].size
    chosen = {way: np.concatenate(parts) for way, parts in answers.items()}
    print(f"{len(files):,} photographs, {versions()}")
    for way in near:
        equal = int((chosen[way] == chosen["ours"]).sum())
        share = f"{100 * near[way] / total:.2f} % of values within one step"
        print(f"TensorFlow's {way} decoder and ours: {share}, {equal:,} of {len(files):,} answers equal")
    equal = int((chosen["default"] == chosen["accurate"]).sum())
    print(f"TensorFlow's default and its accurate decoder: {equal:,} of {len(files):,} answers equal")
    return 0


if __name__ == "__main__":
    sys.exit(errors.run(main, "answers"))
