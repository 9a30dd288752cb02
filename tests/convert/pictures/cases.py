"""Networks trained in other people's usual ways, given to `convert` without a word and then told how.

`python -m tests.convert.pictures.cases [CASE …] [--folder FOLDER]` prints the table of docs/pixel-faults.md, in minutes. Needs
EDGEPROOF_DATA (mnist/ and cifar10/); `photo` needs scikit-image's photographs, `fashion` Debian's dataset-fashion-mnist, or its
files in fashion-mnist/ there. What is not there is said and left out.
"""

import argparse
import gzip
import importlib.util
import io
import json
import os
import random
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from conftest import call, run
from train.datasets import cifar10

DIGITS = ("1", "2", "10", "20"), (1, 2, 5, 7)  # class names, and the MNIST digits under them
FASHION = (Path(os.environ.get("EDGEPROOF_DATA", "")) / "fashion-mnist", Path("/usr/share/datasets/fashion-mnist"))
MEAN, DEVIATION = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
IMAGENET = {"scale": list(map(float, 1 / (255 * DEVIATION))), "offset": list(map(float, -MEAN / DEVIATION))}


def mnist(part: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    data = Path(os.environ["EDGEPROOF_DATA"]) / "mnist"
    images, labels = (
        gzip.decompress((data / f"{part}-{kind}-ubyte.gz").read_bytes()) for kind in ("images-idx3", "labels-idx1")
    )
    return np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28)[:n], np.frombuffer(labels, np.uint8, offset=8)[:n]


def cifar(out: Path, counts: dict[str, int], classes: tuple[int, ...]) -> None:
    """The first pictures of some classes of CIFAR-10: OUT/split/class/number.png."""
    for name, images, labels in cifar10_splits():
        for k in classes:
            folder = out / name / cifar10.CLASS_NAMES[k]
            folder.mkdir(parents=True)
            for i in np.flatnonzero(labels == k)[: counts[name]]:
                Image.fromarray(images(i)).save(folder / f"{i:05}.png")


def cifar10_splits() -> Iterator[tuple[str, Callable[[int], np.ndarray], np.ndarray]]:
    """Name, image by index and labels of each split; of the JPEG copy where that is all there is."""
    copy = Path(os.environ["EDGEPROOF_DATA"]) / "cifar10/cifar10_jpeg.npz"
    if not copy.exists():
        data = cifar10.load()
        for name, split in (("train", data.train), ("test", data.test)):
            yield name, split.images.__getitem__, split.labels
        return
    packed = np.load(copy)
    for name in ("train", "test"):
        stream, offset, label = (packed[f"{name}_{key}"] for key in ("jpeg", "offset", "label"))

        def image(i: int, stream=stream, offset=offset) -> np.ndarray:
            return np.asarray(Image.open(io.BytesIO(stream[offset[i] : offset[i + 1]].tobytes())).convert("RGB"))

        yield name, image, label


def photographs(out: Path) -> None:
    """Crops of 130 to 260 pixels of ten photographs; the left part to train, the right part to test."""
    a, b = (Path(importlib.util.find_spec(m).submodule_search_locations[0]) for m in ("skimage", "sklearn"))
    names = ("astronaut", "chelsea", "coffee", "grass", "gravel", "brick", "motorcycle_left", "ihc")
    files = [a / f"data/{n}.png" for n in names] + [b / f"datasets/images/{n}.jpg" for n in ("china", "flower")]
    rng = random.Random(4)
    for file in files:
        image = Image.open(file).convert("RGB")
        width, height = image.size
        for split, n in (("train", 80), ("test", 45)):
            (out / split / file.stem).mkdir(parents=True)
            x0, x1 = (0, int(width * 0.6)) if split == "train" else (int(width * 0.4), width)
            for i in range(n):
                w = rng.randint(130, 260)
                h = min(int(w * rng.uniform(0.6, 1.6)), int(height * 0.9))
                w = min(w, x1 - x0)
                x, y = rng.randint(x0, x1 - w), rng.randint(0, height - h)
                image.crop((x, y, x + w, y + h)).save(out / split / file.stem / f"{i:03}.jpg", quality=92)


def trained(folder: Path, size: int, n_classes: int, *, epochs: int, as_fed=None, filters=(16, 32), rescale=True) -> None:
    """Train as a tutorial does; keep the network, and the owner's own answers to the test pictures."""
    import keras

    layers = keras.layers

    keras.utils.set_random_seed(1)
    pixels = keras.Input((size, size, 3))
    x = layers.Rescaling(1 / 255)(pixels) if rescale else pixels
    for n in filters:
        x = layers.BatchNormalization(momentum=0.8)(layers.Conv2D(n, 3, padding="same")(x))
        x = layers.MaxPooling2D()(layers.Activation("relu")(x))
    model = keras.Model(pixels, layers.Dense(n_classes, activation="softmax")(layers.GlobalAveragePooling2D()(x)))
    read = keras.utils.image_dataset_from_directory
    train = read(folder / "pictures/train", image_size=(size, size), seed=1, verbose=False)
    test = read(folder / "pictures/test", image_size=(size, size), shuffle=False, verbose=False)
    fed = [data.map(lambda x, y: (as_fed(x), y)) if as_fed else data for data in (train, test)]
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
    if epochs:
        model.fit(fed[0], epochs=epochs, verbose=0)
    model.save(folder / "model.keras")
    files = [os.path.relpath(path, folder / "pictures") for path in test.file_paths]
    np.savez(folder / "answers.npz", files=files, probabilities=model.predict(fed[1], verbose=0))


def photo(folder: Path) -> None:
    photographs(folder / "pictures")
    trained(folder, 64, 10, epochs=12, filters=(16, 32, 64))


def bgr(folder: Path) -> None:
    cifar(folder / "pictures", {"train": 300, "test": 200}, (6, 8))
    trained(folder, 32, 2, epochs=6, as_fed=lambda x: x[..., ::-1])


def meanstd(folder: Path) -> None:
    cifar(folder / "pictures", {"train": 300, "test": 60}, tuple(range(10)))
    trained(folder, 32, 10, epochs=6, rescale=False, as_fed=lambda x: (x / 255.0 - MEAN) / DEVIATION)


def chance(folder: Path) -> None:
    cifar(folder / "pictures", {"train": 300, "test": 200}, (6, 8))
    trained(folder, 32, 2, epochs=0)


def class_order(folder: Path) -> None:
    """Trained as 1, 2, 10, 20; as text the folders are 1, 10, 2, 20."""
    import keras

    layers = keras.layers

    names, digits = DIGITS
    for split, part, n in (("train", "train", 12_000), ("test", "t10k", 2_000)):
        x, y = mnist(part, n)
        for name, digit in zip(names, digits, strict=True):
            (folder / "pictures" / split / name).mkdir(parents=True)
            for i in np.flatnonzero(y == digit)[:150]:
                Image.fromarray(x[i]).save(folder / "pictures" / split / name / f"{i}.png")
    x, y = mnist("train", 12_000)
    keep = np.isin(y, digits)
    model = keras.Sequential(
        [keras.Input((28, 28, 1)), layers.Rescaling(1 / 255), layers.Conv2D(16, 3, strides=2, activation="relu"),
         layers.Conv2D(24, 3, strides=2, activation="relu"), layers.Flatten(), layers.Dense(4, activation="softmax")]
    )  # fmt: skip
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x[keep][..., None], np.array([digits.index(v) for v in y[keep]]), epochs=4, verbose=0)
    model.save(folder / "model.keras")
    files = sorted((folder / "pictures/test").glob("*/*"))
    answers = model.predict(np.stack([np.asarray(Image.open(f)) for f in files])[..., None], verbose=0).argmax(axis=1)
    relative = [str(f.relative_to(folder / "pictures")) for f in files]
    np.savez(folder / "answers.npz", files=relative, answers=np.array([names[k] for k in answers]))


def idx_polarity(folder: Path) -> None:
    """MNIST's digits, dark on white, in its layout."""
    for part, n in (("train", 12_000), ("t10k", 2_000)):
        x, y = mnist(part, n)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, n, 28, 28) + (255 - x).tobytes())
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, n) + y.tobytes())


def fashion(folder: Path) -> None:
    for file in next(place for place in FASHION if place.is_dir()).iterdir():
        (folder / file.name).symlink_to(file)


@dataclass(frozen=True)
class Case:
    """`told`: what `convert` is told the second time; a contract file's keys, or flags. None: there is nothing to tell."""

    way: str
    make: Callable[[Path], None]
    told: dict[str, object] | tuple[str, ...] | None = None


CASES = {
    "photo": Case("Keras bilinear resize of photographs", photo, ("--pixels", "keras")),
    "bgr": Case("channels in BGR", bgr, {"order": "bgr"}),
    "meanstd": Case("ImageNet's mean and deviation outside the model", meanstd, IMAGENET),
    "class_order": Case("classes 1, 2, 10, 20, folders sorted as text", class_order, ("renamed",)),
    "chance": Case("a network at chance", chance),
    "idx_polarity": Case("dark digits on white in MNIST's layout", idx_polarity),
    "fashion": Case("things (Fashion-MNIST) in MNIST's layout", fashion),
}


def missing(name: str) -> str:
    """Why the case cannot be made here; "" where it can."""
    if not os.environ.get("EDGEPROOF_DATA"):
        return "EDGEPROOF_DATA names no folder"
    if name == "photo" and importlib.util.find_spec("skimage") is None:
        return "scikit-image's photographs are not installed"
    return "no dataset-fashion-mnist (Debian)" if name == "fashion" and not any(place.is_dir() for place in FASHION) else ""


def device_top1(model: Path, files: list[Path], labels: list[str]) -> float:
    """The share that the published `model` answers right through `predict(path)`."""
    from edge import predictor

    ready = predictor.load(str(model))
    return float(np.mean([ready.predict(str(file)).label == label for file, label in zip(files, labels, strict=True)]))


def row(name: str, folder: Path) -> tuple[str, ...]:
    """The case's line: way, owner's top-1, what comes without a word, what comes when told, the device's top-1."""
    case, home = CASES[name], folder / name
    if not (home / "made").exists():
        home.mkdir(parents=True, exist_ok=True)
        case.make(home)
        (home / "made").touch()
    return idx_row(case, home) if name in ("idx_polarity", "fashion") else own_row(case, home)


def idx_row(case: Case, home: Path) -> tuple[str, ...]:
    from train.datasets import mnist as layout

    data = layout.load(str(home))
    run_folder = home / "run"
    if not run_folder.exists():
        settings = ("--data-dir", home, "--arch", "mnist-tiny", "--steps", "400", "--out", run_folder)
        done = run(sys.executable, "-m", "train.mnist", *settings)
        assert done.returncode == 0, done.stderr
    flags = ("--int8", "--formats", "tflite", "--no-repair", "--max-drop-points", "5", "--checkpoint", run_folder)
    done = call("convert", *flags, "--data-dir", home, "--out", home / "art", cwd=home)
    assert done.returncode == 0, done.stderr
    report = json.loads((home / "art/report.json").read_text())["rows"][0]
    shown = home / "shown"
    shown.mkdir(exist_ok=True)
    files = [shown / f"{i}.png" for i in range(1_000)]
    for file, image in zip(files, data.test.images, strict=False):
        Image.fromarray(image[:, :, 0]).save(file)
    (model,) = (home / "art").glob("*.tflite")
    top1 = device_top1(model, files, list(map(str, data.test.labels[:1_000])))
    assert abs(top1 - report["float_top1"]) <= 0.03, "files give otherwise than the gate says"
    owners = f"{100 * report['float_top1']:.1f} % (n = {report['n_images']:,})"
    return case.way, owners, f"contract `{data.contract}`, published", "–", f"{100 * top1:.1f} % (n = 1,000)"


def own_row(case: Case, home: Path) -> tuple[str, ...]:
    answers = dict(np.load(home / "answers.npz"))
    names = sorted(path.name for path in (home / "pictures/test").iterdir())
    files = [Path(home / "pictures" / file) for file in answers["files"]]
    answered = truth = [file.parent.name for file in files]
    given = answers["answers"] if "answers" in answers else np.array(names)[answers["probabilities"].argmax(axis=1)]
    owners = f"{100 * np.mean(given == truth):.1f} % (n = {len(truth):,})"
    flags = ["--int8", "--formats", "tflite", "--no-repair", "--max-drop-points", "5", "--model", home / "model.keras"]

    def convert(out: str, pictures: Path, *more: object):
        return call("convert", *flags, "--data", pictures, "--out", home / out, *more, cwd=home)

    silent = convert("silent", home / "pictures")
    assert silent.returncode != 0, silent.stdout
    if case.told is None:
        return case.way, owners, said(silent, home), "–", "not published"
    pictures, told = home / "pictures", case.told
    words = " ".join(map(str, told))
    if isinstance(told, dict):
        (home / "contract.json").write_text(json.dumps(told))
        told, words = ("--contract", home / "contract.json"), "--contract"
    elif told == ("renamed",):
        pictures, told, words = renamed(home), (), "folders renamed as it says"
        files = [pictures / "test" / numbered(file.parent.name) / file.name for file in files]
        truth = list(map(numbered, truth))
    reference = () if words.startswith("folders") else ("--reference", home / "answers.npz")
    done = convert("told", pictures, *told, *reference)
    assert done.returncode == 0, done.stderr
    end = next(iter(json.loads((home / "told/report.json").read_text())["end_to_end"].values()))
    agrees = f"; end to end {end['agreeing']} of {end['n_images']}" if isinstance(end, dict) else ""
    (model,) = (home / "told").glob("*.tflite")
    top1 = device_top1(model, files, truth)
    assert abs(top1 - np.mean(given == answered)) <= 0.02, "the device answers otherwise than the owner"
    return case.way, owners, said(silent, home), f"{words}: published{agrees}", f"{100 * top1:.1f} % (n = {len(truth):,})"


def numbered(name: str) -> str:
    return f"{DIGITS[0].index(name):02}-{name}"


def renamed(home: Path) -> Path:
    """The pictures in folders that sort as the network was trained."""
    out = home / "renamed"
    for path in (home / "pictures").glob("*/*"):
        (out / path.parent.name).mkdir(parents=True, exist_ok=True)
        link = out / path.parent.name / numbered(path.name)
        if not link.exists():
            link.symlink_to(path.resolve())
    return out


def said(done, home: Path) -> str:
    """What `convert` said at its end, without the folder's name."""
    last = done.stderr.strip().splitlines()[-1].removeprefix("convert: ")
    return f"refused ({done.returncode}): {last.replace(f'{home}/', '')}"


def main() -> None:
    from train import markdown

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)} (default: all)")
    parser.add_argument("--folder", type=Path, help="keep pictures and networks here, and use those that lie here already")
    settings = parser.parse_args()
    if unknown := [name for name in settings.cases if name not in CASES]:
        parser.error(f"no case {unknown[0]}; there are {', '.join(CASES)}")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with tempfile.TemporaryDirectory() as scratch:
        rows = []
        for name in settings.cases or CASES:
            if why := missing(name):
                print(f"{name}: left out: {why}", file=sys.stderr)
                continue
            rows.append(row(name, settings.folder.resolve() if settings.folder else Path(scratch)))
            print(" | ".join(rows[-1]), file=sys.stderr)
    head = ("the owner's way", "the owner's top-1", "without a word", "told", "through the published file")
    print(markdown.table(head, rows))


if __name__ == "__main__":
    main()
