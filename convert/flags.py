"""The command line of `python -m convert`."""

import argparse
from functools import partial
from pathlib import Path

from convert.calibration.ranges import METHODS
from convert.confidence import REJECT_RATE
from convert.effort import MAX_MINUTES, MAX_TRIALS, TRIALS, TRIALS_TO_EXPLAIN
from convert.pictures.presets import PRESETS
from convert.plan import DEFAULT_METHOD, PRECISIONS
from edge.console import called
from edge.contract import KINDS
from edge.errors import InputMissing, UsageError
from edge.manifest import MAX_VERSION
from train.checkpoint import FILE, Checkpoint


def parse() -> argparse.Namespace:
    """The settings of a conversion. Raises UsageError where they contradict each other."""
    parser = argparse.ArgumentParser(
        prog=called("convert"),
        description="Quantize trained networks, compare each with its float model image by image, publish what passed.",
        epilog="Exit code 1: at least one model was not published, and a line on stderr says why, with numbers. With --all, a "
        "precision that a format does not have is no failure.",
    )
    for precision, what in PRECISIONS.items():
        parser.add_argument(f"--{precision}", action="append_const", dest="precisions", const=precision, help=what)
    parser.add_argument("--all", action="store_true", help="every precision above")
    parser.add_argument(
        "--formats", type=_formats, default=("tflite", "onnx"), metavar="F,F",
        help="of tflite, onnx and c: NAME-int8.c, made of the .tflite, which comes with it (default: tflite,onnx)",
    )  # fmt: skip
    parser.add_argument(
        "--checkpoint", nargs="+", type=Path, metavar="RUN", help="run folders to convert (default: all under runs/)"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("artifacts"), metavar="DIR", help="where published files go (default: artifacts)"
    )
    parser.add_argument("--data-dir", metavar="DIR", help="folder with the data set the network was trained on")
    parser.add_argument(
        "--max-drop-points", type=_points, metavar="P",
        help="the gate's limit in percentage points of top-1 (default: 0.5 for mnist, 2.0 for digits, 1.0 else)",
    )  # fmt: skip
    parser.add_argument(
        "--unlabelled", type=Path, metavar="FOLDER",
        help="pictures without labels that the gate counts beside the test images: where both models answer alike nothing is "
        "lost; where they differ, a copy is put into OUT/to-label for you to label. Take what the device will see, and not "
        "frames of one video: they are not independent",
    )  # fmt: skip
    parser.add_argument(
        "--label", type=Path, metavar="FOLDER",
        help="OUT/to-label/NAME, where you labelled: a sub-folder for each class and one named 'none of these'",
    )  # fmt: skip
    parser.add_argument(
        "--skip-bad", action="store_true",
        help="leave out files that cannot be used: unreadable, out of place, equal in two classes, or in test and elsewhere; "
        "the report and the manifest say how many",
    )  # fmt: skip
    parser.add_argument(
        "--require-int8", action="store_true", help="refuse an int8 model in which any operator computes in float"
    )
    parser.add_argument(
        "--method",
        choices=METHODS,
        default="",
        help=f"how images set activation ranges (default: {DEFAULT_METHOD['int8']}, {DEFAULT_METHOD['int16x8']} at int16x8)",
    )
    parser.add_argument(
        "--calibration", type=Path, metavar="PATH",
        help="your own images to set the ranges: a folder of pictures or a .npy (default: 512 training images)",
    )  # fmt: skip
    parser.add_argument("--seed", type=_seed, default=0, help="seed that draws the calibration images (default: 0)")
    parser.add_argument(
        "--diagnose", action="store_true", help="report what quantization costs each layer, and why, also of models that passed"
    )
    parser.add_argument(
        "--reject-rate", type=_rate, default=REJECT_RATE, metavar="R",
        help="at most this share of genuine pictures may be answered `none of these` (default: 0.01)",
    )  # fmt: skip
    parser.add_argument(
        "--no-reject", action="store_const", dest="reject_rate", const=None, help="name a class for every picture"
    )
    parser.add_argument(
        "--no-units", action="store_false", dest="units",
        help="write models with one output, for tools that refuse a second; far fewer pictures of no class are then recognized",
    )  # fmt: skip
    parser.add_argument("--no-repair", action="store_true", help="do not try to repair a model that did not pass")
    parser.add_argument(
        "--budget", type=_minutes, metavar="MINUTES",
        help="about how many minutes diagnosis and repair may take; converted to a number of trials, which is printed",
    )  # fmt: skip
    parser.add_argument(
        "--trials", type=_trials, metavar="N",
        help="how many conversions diagnosis and repair may try for each model, the most promising first; equal numbers give "
        f"equal files "
        f"(default: all there are; of images over 128x128 pixels {TRIALS}, {TRIALS_TO_EXPLAIN} with --no-repair)",
    )  # fmt: skip
    parser.add_argument(
        "--goldens", type=Path, metavar="DIR",
        help="pictures that the files carry for the device's self-test (default: a test image of each class)",
    )  # fmt: skip
    parser.add_argument(
        "--sign", type=_key, metavar="KEY",
        help="sign published files (FILE.sig beside FILE) with this elliptic-curve private key; needs model-signing",
    )  # fmt: skip
    parser.add_argument(
        "--model-version", type=_version, metavar="N",
        help="sealed into the files, from 1 up: a device refuses an older one of the same network; --sign needs it",
    )  # fmt: skip
    own = parser.add_argument_group("a network of your own")
    own.add_argument(
        "--model", type=Path, metavar="FILE.keras", help="a Keras image classifier to convert, instead of run folders"
    )
    own.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="its pictures: a sub-folder for each class, or train/ and test/ with such sub-folders",
    )
    own.add_argument(
        "--contract", type=Path, metavar="FILE.json",
        help="its input: height, width, channels, order, scale, offset, and how pictures become pixels (default: from the "
        "network's input shape)",
    )  # fmt: skip
    own.add_argument(
        "--pixels", choices=PRESETS, default="", metavar="PRESET",
        help=f"what made pixels of pictures where it was trained: {', '.join(PRESETS)} (default: edgeproof)",
    )  # fmt: skip
    own.add_argument(
        "--reference", type=Path, metavar="FILE",
        help="what your own code answered on picture files: a CSV (file,label or file,p0,p1,…) or .npz; the device must agree",
    )  # fmt: skip
    parser.add_argument(
        "--expect-top1", type=_share, metavar="F",
        help="the float top-1 that you measured, such as 0.916; refused when off by more than 1.0 point",
    )  # fmt: skip
    again = parser.add_argument_group("a C program, checked again")
    again.add_argument("--check", metavar="FILE.c", help="generate it again and compare every byte; nothing is converted")
    again.add_argument("--source", metavar="FILE.tflite", help="the published model that it was made of")
    settings = parser.parse_args()
    if bool(settings.check) != bool(settings.source):
        raise UsageError("--check and --source go together: a C program and the .tflite that it was made of")
    if settings.check:
        return settings
    settings.precisions = tuple(p for p in PRECISIONS if settings.all or p in (settings.precisions or ()))
    if not settings.precisions:
        raise UsageError(f"name a precision: --int8, another of {', '.join(PRECISIONS)}, or --all")
    if "c" in settings.formats and "int8" not in settings.precisions:
        raise UsageError("C programs are made of int8 models: --formats c goes with --int8")
    if settings.budget is not None and settings.trials is not None:
        raise UsageError("--budget and --trials say the same: minutes become a number of trials; name one of them")
    if settings.sign and settings.model_version is None:
        raise UsageError(
            "--sign needs --model-version N, higher than the last one, so that no device takes an older file for new"
        )
    if settings.label and not settings.unlabelled:
        raise UsageError("--label goes with --unlabelled: the pictures of which some were labelled")
    if bool(settings.model) != bool(settings.data):
        raise UsageError("--model and --data go together: a network and the pictures to judge it on")
    if settings.model and (settings.checkpoint or settings.data_dir):
        raise UsageError("--checkpoint and --data-dir are for networks trained here, --model and --data for one of your own")
    for flag in ("contract", "pixels", "reference"):
        if getattr(settings, flag) and not settings.model:
            raise UsageError(f"--{flag} is for a network of your own: name it with --model")
    return settings


def runs(named: list[Path] | None) -> list[Path]:
    """The run folders to convert: those named, else every one under runs/ that holds a checkpoint."""
    if named:
        return named
    folders = sorted(path.parent for path in Path("runs").glob(f"*/{FILE}"))
    if not folders:
        raise InputMissing("runs: holds no trained network; train one first: python -m train.mnist")
    return folders


def distinct(trained: list[Checkpoint]) -> list[Checkpoint]:
    """`trained`, unless two of them would be published under one name: then UsageError."""
    names = [network.name for network in trained]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{names.count(name)} runs would be published as {name}; name one with --checkpoint RUN")
    return trained


def kinds(formats: tuple[str, ...]) -> tuple[str, ...]:
    """The formats to convert to: a C program is made of the .tflite."""
    return tuple(dict.fromkeys("tflite" if kind == "c" else kind for kind in formats))


def _key(text: str) -> Path:
    if not text:  # as of `--sign "$UNSET"`
        raise argparse.ArgumentTypeError("empty; name the file of a key")
    return Path(text)


def _whole(text: str, *, least: int, most: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 10 or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"{text!r}: wanted a whole number from {least} to {most}")
    return int(text)


def _number(text: str, *, most: float, wanted: str) -> float:
    """A number above 0, at most `most`."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= most:
        raise argparse.ArgumentTypeError(f"{text!r}: wanted {wanted}")
    return value


def _formats(text: str) -> tuple[str, ...]:
    chosen = tuple(dict.fromkeys(text.split(",")))
    if not set(chosen) <= set(KINDS):
        raise argparse.ArgumentTypeError(f"{text!r}: formats are {', '.join(KINDS)}")
    return chosen


_version = partial(_whole, least=1, most=MAX_VERSION)
_seed = partial(_whole, least=0, most=999_999_999)
_trials = partial(_whole, least=1, most=MAX_TRIALS)
_minutes = partial(_number, most=MAX_MINUTES, wanted=f"minutes, such as 10 or 0.5, at most {MAX_MINUTES:,}")
_share = partial(_number, most=1, wanted="a share between 0 and 1, such as 0.916")
_rate = partial(_number, most=0.5, wanted="a share above 0 and up to 0.5, such as 0.01")
_points = partial(_number, most=99.9, wanted="percentage points above 0, up to 99.9")
