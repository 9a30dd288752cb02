"""Have the model in the wheel read sheets with one digit, with one beside something, and with none or several, by both fits.

    EDGEPROOF_DATA=DIR python -m benchmarks.studies.sheets [--pictures N] [--seed S] [--processes N] [--write docs/sheets.md]

MNIST test digits, drawn by `made.py`. Refused is also what the model itself rejects as none of its classes. Ten minutes.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

import PIL

from benchmarks import pages
from benchmarks.studies.sheets import counted, made
from benchmarks.studies.sheets.counted import FITS
from edge import errors, predictor
from edge.locate import shipped_model
from train import markdown

WANTED = {
    "clean": "One digit and nothing else: right",
    "beside": "One digit beside something: right or refused at least 97 %, right at least 80 %",
    "none": "Not one digit, or crossed by a line: refused (or right, where there is a digit) at least 97 %",
}


def row(kind: made.Kind, counts: dict[str, Counter[str]]) -> tuple[str, ...]:
    return kind.name, *(str(counts[name][end]) for name in FITS for end in ("right", "wrong", "refused"))


def table(group: str, rows: Sequence[tuple[str, ...]]) -> str:
    head = ("sheet", *(f"`{name}`: {end}" for name in FITS for end in ("right", "wrong", "refused")))
    return f"{WANTED[group]}.\n\n{markdown.table(head, rows, align='r')}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies.sheets", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", type=int, default=150, metavar="N", help="of each kind (default: 150)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the pictures (default: 0)")
    pages.add_write(parser)
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="that share the work (default: 1)")
    given = parser.parse_args()
    if min(given.pictures, given.processes) < 1:
        raise errors.UsageError("--pictures and --processes want 1 or more")
    rows: dict[str, list[tuple[str, ...]]] = {group: [] for group in WANTED}
    ready = predictor.load(shipped_model(), trusted=True)
    with ProcessPoolExecutor(given.processes, mp_context=get_context("spawn")) as processes:
        names = [kind.name for kind in made.KINDS]
        for kind, counts in zip(
            made.KINDS, processes.map(partial(counted.measure, n=given.pictures, seed=given.seed), names), strict=True
        ):
            rows[kind.group].append(row(kind, counts))
            print("  ".join(rows[kind.group][-1]), file=sys.stderr)
    circumstances = (
        f"{given.pictures} sheets of each kind, every second one a photograph; seed {given.seed}; MNIST test digits; "
    )
    circumstances += f"{ready.contract.name}, {ready.engine.name}; Pillow {PIL.__version__}."
    return pages.show("\n".join([circumstances + "\n", *(table(group, rows[group]) + "\n" for group in WANTED)]), given.write)


if __name__ == "__main__":
    sys.exit(errors.run(main, "sheets"))
