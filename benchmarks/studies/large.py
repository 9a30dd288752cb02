"""What a conversion of a large network takes: processor time and peak memory of `python -m convert`.

    python -m benchmarks.studies.large --photographs FOLDER [--side 224] [--train 80] [--test 100] [--write docs/large.md]

MobileNetV2 (alpha 1.0, drawn weights: there is no network here to load others from) with a head fitted to crops of the
photographs in FOLDER, a class each: scikit-image's own (skimage/data) will do. Of each photograph the left part gives training
crops, the right part test crops, so that the two overlap little. Each conversion is a process of its own.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from PIL import Image

from benchmarks import pages
from edge import errors
from edge.contract import InputContract
from edge.device import host
from edge.errors import InputMissing, UsageError
from train import markdown

PROGRAM = "benchmarks.studies.large"
N_CLASSES = 10
LEAST_SIDE = 300  # pixels of a photograph that crops are taken of
RUNS = {"no repair": ("--no-repair",), "diagnosis and repair": ("--diagnose",)}
HEAD = ("run", "verdict", "processor time, s", "elapsed, s", "peak memory, MiB")


def crops(photographs: Path, out: Path, *, n_train: int, n_test: int) -> None:
    """Plain crops of N_CLASSES photographs in out/train/NAME and out/test/NAME. Raises InputMissing where they are fewer."""
    paths = []
    for path in sorted(each for each in photographs.iterdir() if each.suffix in (".png", ".jpg")):
        with Image.open(path) as image:
            if image.mode == "RGB" and min(image.size) >= LEAST_SIDE:
                paths.append(path)
    if len(paths) < N_CLASSES:
        raise InputMissing(f"{photographs}: {len(paths)} colour photographs of {LEAST_SIDE} pixels; wanted {N_CLASSES}")
    rng = random.Random(4)
    for path in paths[:N_CLASSES]:
        with Image.open(path) as image:
            width, height = image.size
            for split, n, left, right in (("train", n_train, 0.0, 0.6), ("test", n_test, 0.4, 1.0)):
                folder = out / split / path.stem
                folder.mkdir(parents=True)
                for number in range(n):
                    w, h = rng.randint(110, 170), rng.randint(110, min(260, height))
                    x, y = rng.randint(int(width * left), int(width * right) - w), rng.randint(0, height - h)
                    image.crop((x, y, x + w, y + h)).save(folder / f"{number:04}.jpg", quality=92)


def network(pictures: Path, file: Path, *, side: int) -> None:
    """A MobileNetV2 whose head was fitted to the training pictures by ridge regression, saved as `file`."""
    import keras
    import numpy as np

    from train.datasets import folder

    keras.utils.set_random_seed(1)
    layers = keras.layers
    body = keras.applications.MobileNetV2((side, side, 3), weights=None, include_top=False, pooling="avg")
    rng = np.random.default_rng(1)
    for layer in body.layers:
        if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D)):  # as He et al. 2015: a signal keeps its size
            shape = layer.kernel.shape
            fan_in = shape[0] * shape[1] * (1 if isinstance(layer, layers.DepthwiseConv2D) else shape[2])
            layer.kernel.assign(rng.normal(0, np.sqrt(2 / fan_in), shape))
        elif isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0  # one batch sets the statistics
    split = folder.load(pictures, InputContract(height=side, width=side, channels=3, fit="resize"), scratch=pictures).train
    body(split.images[:32] / 127.5 - 1, training=True)
    features = np.concatenate([body.predict_on_batch(split.images[i : i + 32] / 127.5 - 1) for i in range(0, len(split), 32)])
    mean, deviation = features.mean(axis=0), features.std(axis=0) + 1e-3
    scaled, wanted = (features - mean) / deviation, 10 * np.eye(N_CLASSES)[split.labels] - 1
    ridge = scaled.T @ scaled + 300 * np.eye(scaled.shape[1])
    kernel = np.linalg.solve(ridge, scaled.T @ wanted) / deviation[:, None]
    entry = keras.Input((side, side, 3))
    head = layers.Dense(N_CLASSES, activation="softmax")
    model = keras.Model(entry, head(body(layers.Rescaling(1 / 127.5, -1)(entry))))
    head.set_weights([kernel, wanted.mean(axis=0) - mean @ kernel])
    model.save(file)


STORE = """
import resource, sys
from pathlib import Path
import numpy as np
from convert.calibration.checks import contents
from edge.contract import InputContract
from train.datasets import Dataset, Split, mapped
n, side, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
before, rng = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, np.random.default_rng(0)
file = mapped.PixelFile(folder, n, (side, side, 3))
for index in range(n):
    file.put(index, rng.bytes(side * side * 3))
every = Split(file.arranged(rng.permutation(n)), np.zeros(n, np.uint16))
contract = InputContract(height=side, width=side, channels=3, fit="resize")
data = Dataset("large", ("a", "b"), contract, every[: n * 9 // 10], every[n * 9 // 10 :])
assert data.digest and len(contents([data.train, data.test])) == n
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before >> 10)
"""


def stored(n: int, side: int, folder: Path) -> str:
    """How far memory grows while the pixels of `n` pictures are stored, put in order and hashed twice, in words."""
    command = (sys.executable, "-c", STORE, str(n), str(side), str(folder))
    grown = int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    size = n * side * side * 3 >> 20
    return f"{n:,} images of {side}x{side}x3 ({size:,} MiB) stored, put in order and hashed: memory grows by {grown:,} MiB."


def measured(name: str, folder: Path, flags: tuple[str, ...]) -> tuple[str, ...]:
    """A row of the table: one conversion in a process of its own."""
    out, start = folder / name.replace(" ", "-"), time.perf_counter()
    command = (sys.executable, "-P", "-m", "convert", "--int8", "--formats", "tflite", "--out", str(out))
    own = ("--model", str(folder / "mobilenetv2.keras"), "--data", str(folder / "pictures"))
    with subprocess.Popen((*command, *own, *flags), stdout=subprocess.PIPE, text=True) as process:
        told = process.stdout.read() if process.stdout else ""
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise UsageError(f"the conversion ended with {process.returncode}")
    row = next(line for line in told.splitlines() if line.startswith("mobilenetv2-pictures"))  # findings follow it
    verdict = row.rsplit("  ", 1)[-1]
    seconds = used.ru_utime + used.ru_stime
    return name, verdict, f"{seconds:.0f}", f"{time.perf_counter() - start:.0f}", f"{used.ru_maxrss / 1024:,.0f}"


def main() -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {PROGRAM}", description=__doc__.split("\n")[0])
    parser.add_argument("--photographs", type=Path, required=True, metavar="DIR", help="ten colour photographs or more")
    parser.add_argument("--side", type=int, default=224, metavar="N", help="of the network's input (default: 224)")
    parser.add_argument("--train", type=int, default=80, metavar="N", help="training crops a photograph (default: 80)")
    parser.add_argument("--test", type=int, default=100, metavar="N", help="test crops a photograph (default: 100)")
    parser.add_argument("--store", type=int, default=10_000, metavar="N", help="images to store (default: 10,000)")
    parser.add_argument("--only", choices=RUNS, help="one of the runs (default: all)")
    parser.add_argument("--prepare", type=Path, metavar="DIR", help=argparse.SUPPRESS)  # the child that makes the network
    pages.add_write(parser)
    flags = parser.parse_args()
    if flags.prepare:
        network(flags.prepare / "pictures", flags.prepare / "mobilenetv2.keras", side=flags.side)
        return 0
    Path("reports").mkdir(exist_ok=True)  # on this disk: a system's /tmp may be memory
    with tempfile.TemporaryDirectory(dir="reports") as name:
        folder = Path(name)
        crops(flags.photographs, folder / "pictures", n_train=flags.train, n_test=flags.test)
        # In a process of its own: what a child's peak memory counts begins with its parent's.
        subprocess.run((sys.executable, "-m", PROGRAM, *sys.argv[1:], "--prepare", folder), check=True)
        rows = [measured(run, folder, RUNS[run]) for run in ([flags.only] if flags.only else RUNS)]
        store = stored(flags.store, flags.side, folder)
    machine, tools = host.read(), ", ".join(f"{tool} {version(tool)}" for tool in ("tensorflow", "litert-quantizer", "pillow"))
    return pages.show(
        f"{markdown.table(HEAD, rows, align='llrrr')}\n\nMobileNetV2 1.0 of {flags.side} pixels, "
        f"{N_CLASSES * flags.train:,} training and {N_CLASSES * flags.test:,} test pictures, seed 0; {machine.cpu_model}, "
        f"{machine.n_cpus} cores, Python {machine.python}, {tools}.\n\n{store}",
        flags.write,
    )


if __name__ == "__main__":
    sys.exit(errors.run(main, PROGRAM))
