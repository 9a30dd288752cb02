"""Train a network on MNIST, or on scikit-learn's digits where MNIST cannot be had."""

import sys
from pathlib import Path

from edge import errors
from train import datasets, recipes, run

NETWORKS = ("deep-mnist", "lenet5-relu")


def main() -> int:
    parser = run.parser("python -m train.mnist", networks=NETWORKS, description=__doc__)
    parser.add_argument("--data", choices=("mnist", "digits"), default="mnist", help="default: %(default)s")
    flags = parser.parse_args()
    recipes.from_flags(flags.arch, flags.data, flags)  # before a download, what makes no sense on any data
    dataset = datasets.load_digits() if flags.data == "digits" else datasets.mnist_or_digits(flags.data_dir)
    recipe = recipes.from_flags(flags.arch, dataset.name, flags)
    out = Path(flags.out or f"runs/{flags.arch}-{dataset.name}-{recipe.name}")
    print(f"{flags.arch} on {dataset.name} ({len(dataset.train):,} pictures), {recipe.name} recipe -> {out}", file=sys.stderr)
    figures = run.train(flags.arch, dataset, recipe, out)
    print(run.sentence(figures))
    return 0


if __name__ == "__main__":
    sys.exit(errors.run(main, "train.mnist"))
