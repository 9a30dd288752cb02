"""Train a network on MNIST, or on scikit-learn's digits where MNIST cannot be had."""

import sys
from pathlib import Path

from edge import errors
from train import datasets, recipes, run

NETWORKS = ("deep-mnist", "lenet5-relu")


def main() -> int:
    flags = run.parser("python -m train.mnist", networks=NETWORKS, description=__doc__).parse_args()
    recipe = recipes.from_flags(flags.arch, flags)
    dataset = datasets.mnist_or_digits(flags.data_dir)
    out = Path(flags.out or f"runs/{flags.arch}-{dataset.name}-{recipe.name}")
    print(f"{flags.arch} on {dataset.name} ({len(dataset.train):,} pictures), {recipe.name} recipe -> {out}", file=sys.stderr)
    figures = run.train(flags.arch, dataset, recipe, out)
    print(run.sentence(figures))
    return 0


if __name__ == "__main__":
    sys.exit(errors.run(main, "train.mnist"))
