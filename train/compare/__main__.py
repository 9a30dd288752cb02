"""Make one of the documents' comparisons: train its variants, print the table, write a Markdown page and a plot."""

import argparse
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

from edge import errors
from edge.console import called
from edge.errors import Refused, note
from edge.files import write_atomic
from train import check_backend, markdown
from train.compare import activations, optimizers, variants, widths
from train.compare.variants import VariantOutcome
from train.datasets import Dataset, mnist

# Each is a module: TITLE, ABOUT and CURVE (the column of history.csv that is drawn), `add_flags`, `variants`, `measured` (a
# finished variant's cells by column, the same columns for all) and `finding` (what the outcomes show, in sentences).
COMPARISONS = {"optimizers": optimizers, "activations": activations, "widths": widths}


def main() -> int:
    flags = _parser().parse_args()
    check_backend()
    comparison = COMPARISONS[flags.comparison]
    planned = comparison.variants(flags)  # refuses bad flags before a download
    dataset = mnist.named(flags.data, flags.data_dir)
    out = Path(flags.out or f"runs/compare/{flags.comparison}")
    outcomes = []
    for i, variant in enumerate(planned, 1):
        note(f"variant {i} of {len(planned)}: {variant.name} ({variant.network} on {dataset.name}) -> {out / variant.name}")
        outcomes.append(variants.train(variant, dataset, out / variant.name))
    if not any(outcome.finished for outcome in outcomes):
        raise Refused("every variant diverged; there is nothing to compare")
    rows = table(comparison, outcomes, dataset)
    write_atomic(str(out / f"{flags.comparison}.md"), page(comparison, outcomes, dataset, rows).encode())
    write_atomic(str(out / f"{flags.comparison}.png"), _plot(comparison, outcomes, dataset))
    print(rows)
    return 0


def table(comparison: ModuleType, outcomes: list[VariantOutcome], dataset: Dataset) -> str:
    """A Markdown table with a row per variant; one that diverged has dashes for its measurements."""
    measurements = [comparison.measured(outcome, dataset) if outcome.finished else {} for outcome in outcomes]
    columns = next(cells for cells in measurements if cells)
    rows = [
        [*_variant_cells(outcome), *(cells.get(column, "–") for column in columns)]
        for outcome, cells in zip(outcomes, measurements, strict=True)
    ]
    return markdown.table(["variant", "learning rate", "steps", *columns], rows, align="lr")


def page(comparison: ModuleType, outcomes: list[VariantOutcome], dataset: Dataset, rows: str) -> str:
    """The comparison as a Markdown page: its question, its finding, the table `rows`, the circumstances."""
    recipe = outcomes[0].variant.recipe
    n_training = recipe.n_training(len(dataset.train))
    n_held_out = len(dataset.train) - n_training
    held_out = f" and {n_held_out:,} held out for the accuracy, the last of the training split" if n_held_out else ""
    # More than one if the command was resumed on another machine.
    places = dict.fromkeys(_place(outcome.figures) for outcome in outcomes if outcome.finished)
    circumstances = (
        f"Machine: {'; or '.join(places)}. Data: {dataset.name}, {n_training:,} training images{held_out}; the test split is "
        f"not used. One run each, seed {recipe.seed}."
    )
    text = f"{comparison.ABOUT} {comparison.finding(outcomes, dataset)}"
    return f"# {comparison.TITLE}\n\n{_wrapped(text)}\n\n{rows}\n\n{_wrapped(circumstances)}\n"


def _wrapped(text: str) -> str:
    # A number and its % stay on one line.
    joined = text.replace(" %", "\u00a0%")
    return textwrap.fill(joined, width=128, break_on_hyphens=False, break_long_words=False).replace("\u00a0", " ")


def _place(figures: dict[str, Any]) -> str:
    return ", ".join([figures["machine"], *(f"{name} {version}" for name, version in figures["versions"].items())])


def _variant_cells(outcome: VariantOutcome) -> list[str]:
    steps = f"{outcome.figures['steps']:,}" if outcome.finished else f"diverged at step {outcome.diverged_at:,}"
    return [outcome.variant.name, f"{outcome.variant.recipe.rate:g}", steps]


def _plot(comparison: ModuleType, outcomes: list[VariantOutcome], dataset: Dataset) -> bytes:
    from train import plots

    lines = {o.variant.name if o.finished else f"{o.variant.name} (diverged)": o.rows for o in outcomes}
    return plots.compared(lines, of=comparison.CURVE, title=f"{comparison.TITLE}, on {dataset.name}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=called("train.compare"), description=__doc__)
    names = parser.add_subparsers(dest="comparison", required=True)
    for name, comparison in COMPARISONS.items():
        flags = names.add_parser(name, help=comparison.TITLE, description=comparison.ABOUT)
        comparison.add_flags(flags)
        flags.add_argument("--seed", type=int, metavar="N", help="of every variant (default: 0)")
        flags.add_argument("--data", choices=("mnist", "digits"), default="mnist", help="default: %(default)s")
        flags.add_argument("--data-dir", metavar="DIR", help="folder with the data set; else $EDGEPROOF_DATA, cache, download")
        flags.add_argument(
            "--out", metavar="DIR", help=f"the variants' run folders, table, plot (default: runs/compare/{name})"
        )
    return parser


if __name__ == "__main__":
    sys.exit(errors.run(main, "train.compare"))
