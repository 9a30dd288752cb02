"""Have the model in the wheel read sheets with one digit, with one beside something, and with none or several, by both fits.

    EDGEPROOF_DATA=DIR python -m benchmarks.studies.sheets [--pictures N] [--seed S] [--write docs/sheets.md]

MNIST test digits, drawn by `made.py`. Refused is also what the model itself rejects as none of its classes. Ten minutes.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL

from benchmarks import pages
from benchmarks.studies.sheets import made
from edge import errors, predictor
from edge.contract import DIGIT, DIGIT2, InputContract
from edge.errors import InputError
from edge.locate import shipped_model
from edge.pictures.decode import fit
from edge.predictor import Predictor
from train import markdown
from train.datasets import mnist

FITS = {"digit": DIGIT, "digit2": DIGIT2}
WANTED = {
    "clean": "One digit and nothing else: right",
    "beside": "One digit beside something: right or refused at least 97 %, right at least 80 %",
    "none": "Not one digit, or crossed by a line: refused (or right, where there is a digit) at least 97 %",
}


def outcome(ready: Predictor, picture: made.Image.Image, label: int | None, contract: InputContract) -> str:
    """`right`, `wrong` or `refused`; an answer where there is no digit is wrong."""
    try:
        answer = ready.answer(fit(picture, contract))
    except InputError:
        return "refused"
    if answer.rejected:
        return "refused"
    return "right" if answer.label == str(label) else "wrong"


def measure(
    ready: Predictor, kind: made.Kind, digits: tuple[np.ndarray, np.ndarray], *, n: int, seed: int
) -> dict[str, Counter[str]]:
    """By fit, how many of `n` sheets of `kind` end how."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in FITS}
    for number in range(n):
        picture, label = made.draw(kind, number, digits, seed=seed)
        for name, contract in FITS.items():
            counts[name][outcome(ready, picture, label, contract)] += 1
    return counts


def row(kind: made.Kind, counts: dict[str, Counter[str]]) -> tuple[str, ...]:
    return kind.name, *(str(counts[name][end]) for name in FITS for end in ("right", "wrong", "refused"))


def table(group: str, rows: Sequence[tuple[str, ...]]) -> str:
    head = ("sheet", *(f"`{name}`: {end}" for name in FITS for end in ("right", "wrong", "refused")))
    return f"{WANTED[group]}.\n\n{markdown.table(head, rows, align='r')}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies.sheets", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", type=int, default=150, metavar="N", help="of each kind (default: 150)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the pictures (default: 0)")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the tables into this page")
    given = parser.parse_args()
    if given.pictures < 1:
        raise errors.UsageError("--pictures wants 1 or more")
    ready, test = predictor.load(shipped_model(), trusted=True), mnist.load().test
    digits = (test.images[..., 0], test.labels)
    rows: dict[str, list[tuple[str, ...]]] = {group: [] for group in WANTED}
    for kind in made.KINDS:
        rows[kind.group].append(row(kind, measure(ready, kind, digits, n=given.pictures, seed=given.seed)))
        print("  ".join(rows[kind.group][-1]), file=sys.stderr)
    said = f"{given.pictures} sheets of each kind, every second one a photograph; seed {given.seed}; MNIST test digits; "
    said += f"{ready.contract.name}, {ready.engine.name}; Pillow {PIL.__version__}."
    return pages.show("\n".join([said + "\n", *(table(group, rows[group]) for group in WANTED)]), given.write)


if __name__ == "__main__":
    sys.exit(errors.run(main, "sheets"))
