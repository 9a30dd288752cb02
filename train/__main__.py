"""List the networks, their parameters, and the accuracy of each recipe."""

import argparse
import sys

from edge import errors
from edge.console import called
from edge.contract import DIGIT
from train import check_backend
from train.architectures import ARCHITECTURES
from train.recipe_book import MEASURED, RECIPES, REPORTED


def main() -> int:
    argparse.ArgumentParser(prog=called("train"), description=__doc__).parse_args()
    errors.need_stdout()
    check_backend()
    head = ("network", "trained by", "parameters", "top-1 %: reported", "documented, ours", "modern, ours")
    rows = [head, *(_row(name) for name in ARCHITECTURES)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print("Ours: the mean over one to ten seeds (docs/results.md lists each).")
    print("CIFAR-10: the documents report on the original images; ours is measured on a JPEG copy, a few points below.")
    return 0


def _row(name: str) -> tuple[str, ...]:
    network = ARCHITECTURES[name]
    command = "train.mnist" if network.contract == DIGIT else "train.cifar10"
    ours = (_measured(name, recipe) for recipe in ("documented", "modern"))
    return (name, f"python -m {command} --arch {name}", f"{network.build().count_params():,}", REPORTED.get(name, "-"), *ours)


def _measured(name: str, recipe: str) -> str:
    if recipe not in RECIPES[name]:
        return "no recipe"
    return f"{MEASURED[name, recipe]:.2f}" if (name, recipe) in MEASURED else "not measured"


if __name__ == "__main__":
    sys.exit(errors.run(main, "train"))
