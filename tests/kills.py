"""Kill a small training at random moments, saves included; each time the same command must end with the same weights.

`make check-full` runs it: `python -m tests.kills --kills 200 --backend jax`. A kill falls anywhere from the first save to
the end of the run: into steps, saves, and the writing of the results. With `--save-every 0` every step is saved.
"""

import argparse
import concurrent.futures
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from conftest import ROOT
from tests.train.datasets.test_idx import idx
from train.datasets import digits

# A dropout, whose random state must come along, and a moving average: all that a training's state is made of.
RECIPE = (
    "--arch", "keras-cnn", "--batch", "16", "--steps", "12", "--log-every", "5", "--averaging", "0.5", "--deterministic",
    "--save-every", "0",
)  # fmt: skip


@dataclass(frozen=True)
class Ending:
    """What became of one killed training."""

    inside_a_save: bool
    resumed: bool
    equal: bool
    said: str


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, metavar="N", help="default: %(default)s")
    parser.add_argument("--backend", choices=("jax", "tensorflow"), default="jax", help="default: %(default)s")
    parser.add_argument("--lanes", type=int, default=2, metavar="N", help="trainings side by side (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: %(default)s)")
    flags = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, concurrent.futures.ThreadPoolExecutor(flags.lanes) as lanes:
        prepare(Path(scratch), flags.backend)
        undisturbed = Path(scratch, "undisturbed")
        process = begun(undisturbed)
        first_save = time.monotonic()
        if process.wait():
            print(f"the undisturbed run ended with {process.returncode}:\n{log(undisturbed)}", file=sys.stderr)
            return 1
        span = time.monotonic() - first_save
        numbers = itertools.count()
        rng = random.Random(flags.seed)
        # A kill that comes too late is no kill; another moment is drawn for it.
        moments = [rng.uniform(0, span) for _ in range(flags.kills)]
        endings = list(lanes.map(lambda at: ending(Path(scratch), numbers, at, weights(undisturbed)), moments))
    failed = [e for e in endings if not (e.resumed and e.equal)]
    print(
        f"{flags.backend}: {len(endings)} kills, {sum(e.inside_a_save for e in endings)} of them inside a save: "
        f"{sum(not e.resumed for e in endings)} failed resumes, {sum(e.equal for e in endings)} equal endings; "
        f"{time.monotonic() - started:.0f} s, seed {flags.seed}"
    )
    for e in failed:
        print(e.said, file=sys.stderr)
    return 1 if failed else 0


def prepare(scratch: Path, backend: str) -> None:
    """The environment of every training: the backend, the digits as IDX files, and a cache of what JAX compiles."""
    data = digits.load()
    (scratch / "data").mkdir()
    for name, split in (("train", data.train), ("t10k", data.test)):
        (scratch / "data" / f"{name}-images-idx3-ubyte").write_bytes(idx(split.images[..., 0]))
        (scratch / "data" / f"{name}-labels-idx1-ubyte").write_bytes(idx(split.labels))
    os.environ |= {
        "KERAS_BACKEND": backend,
        "EDGEPROOF_DATA": str(scratch / "data"),
        "JAX_COMPILATION_CACHE_DIR": str(scratch / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
    }


def ending(scratch: Path, numbers: "itertools.count[int]", moment: float, wanted: dict[str, bytes]) -> Ending:
    """Train, kill `moment` seconds after the first save, run the same command again, and compare."""
    while True:
        folder = scratch / str(next(numbers))
        process = begun(folder)
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        code = process.wait()
        if code == -signal.SIGKILL:
            break
        if code:
            return Ending(False, False, False, log(folder))
        moment *= 0.9
    inside = any(folder.glob(".*.partial"))
    resumed = started(folder).wait() == 0
    return Ending(inside, resumed, resumed and weights(folder) == wanted, log(folder))


def begun(folder: Path) -> "subprocess.Popen[bytes]":
    """The training, begun and once saved."""
    process = started(folder)
    while not (folder / "training.npz").exists() and process.poll() is None:
        time.sleep(0.001)
    return process


def started(folder: Path) -> "subprocess.Popen[bytes]":
    with folder.with_suffix(".log").open("ab") as output:
        command = [sys.executable, "-m", "train.mnist", *RECIPE, "--out", str(folder)]
        return subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)


def weights(folder: Path) -> dict[str, bytes]:
    """Every weight of the finished run, by name."""
    with np.load(folder / "checkpoint.npz") as arrays:
        return {name: arrays[name].tobytes() for name in arrays.files if name != "about.json"}


def log(folder: Path) -> str:
    return folder.with_suffix(".log").read_text()


if __name__ == "__main__":
    sys.exit(main())
