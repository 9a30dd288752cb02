"""The command line of `python -m convert`."""

import argparse
from pathlib import Path

from convert.candidate import published_name
from edge.errors import InputMissing, UsageError
from train.checkpoint import FILE, Checkpoint

FORMATS = ("tflite", "onnx")


def parse() -> argparse.Namespace:
    """The settings of a conversion. Raises UsageError where they do not go together."""
    parser = argparse.ArgumentParser(
        prog="python -m convert",
        description="Quantize trained networks, compare each with its float model picture by picture, publish what passed.",
        epilog="Exit code 1: at least one was not published, and the line on stderr says why in numbers.",
    )
    parser.add_argument("--int8", action="store_true", help="8-bit integers throughout: what small CPUs run fastest")
    parser.add_argument("--formats", type=_formats, default=FORMATS, metavar="F,F", help="default: tflite,onnx")
    parser.add_argument(
        "--checkpoint", nargs="+", type=Path, metavar="RUN", help="run folders to convert (default: all under runs/)"
    )
    parser.add_argument("--out", default="artifacts", metavar="DIR", help="where published files go (default: artifacts)")
    parser.add_argument("--data-dir", metavar="DIR", help="folder with the data set the network was trained on")
    parser.add_argument(
        "--max-drop-points", type=_points, metavar="P",
        help="the gate's limit in percentage points of top-1 (default: 0.5 for mnist, 2.0 for digits, 1.0 else)",
    )  # fmt: skip
    parser.add_argument("--seed", type=_seed, default=0, help="draws the calibration images (default: 0)")
    parser.add_argument(
        "--goldens", type=Path, metavar="DIR",
        help="pictures the files carry for the device's self-test (default: a test picture of each class)",
    )  # fmt: skip
    settings = parser.parse_args()
    if not settings.int8:
        raise UsageError("name a precision: --int8")
    return settings


def runs(named: list[Path] | None) -> list[Path]:
    """The run folders to convert: those named, else every one under runs/ that holds a checkpoint."""
    if named:
        return named
    found = sorted(path.parent for path in Path("runs").glob(f"*/{FILE}"))
    if not found:
        raise InputMissing("runs: holds no trained network; train one first: python -m train.mnist")
    return found


def distinct(trained: list[Checkpoint]) -> list[Checkpoint]:
    """`trained`, unless two of them would be published under one name: then UsageError."""
    names = [published_name(checkpoint, "int8") for checkpoint in trained]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{names.count(name)} runs would be published as {name}; name one with --checkpoint RUN")
    return trained


def _seed(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r}: wanted a whole number from 0 to 999999999")
    return int(text)


def _formats(text: str) -> tuple[str, ...]:
    chosen = tuple(dict.fromkeys(text.split(",")))
    if not set(chosen) <= set(FORMATS):
        raise argparse.ArgumentTypeError(f"{text!r}: formats are {', '.join(FORMATS)}")
    return chosen


def _points(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 100:
        raise argparse.ArgumentTypeError(f"{text!r}: wanted percentage points between 0 and 100")
    return value
