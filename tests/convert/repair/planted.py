"""Plant faults in trained networks, see whether they are found and repaired, and write the score in docs/diagnosis.md.

    python -m tests.convert.repair.planted [NUMBER...] [--data-dir DIR]

NUMBER is a fault's, from 1; the page is written where all are tried. The networks are trained on scikit-learn's digits, on
MNIST where --data-dir names it, into runs/planted, once: a few minutes each.
"""

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks import pages
from convert.calibration.images import draw_calibration_set
from convert.evaluation import logits_of, prepare
from convert.interfaces import Converter, make_converter
from convert.judging.gate import gate_for
from convert.judging.verify import Verification, compare
from convert.plan import Plan
from convert.repair.diagnose import diagnose
from convert.repair.search import repair
from convert.results import Trial
from edge import errors
from edge.device import host
from tests.convert.repair.faults import FAULTS, Fault, Planted
from train import checkpoint, datasets, recipe_book, run
from train.checkpoint import Checkpoint
from train.datasets import Dataset

PAGE = Path(__file__).resolve().parents[3] / "docs" / "diagnosis.md"
FOLDER = Path("runs", "planted")
_HEADER = ("", "fault", "network", "drop before", "first finding", "right?", "repaired by", "left in float", "drop after")


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of one fault."""

    fault: Fault
    before: Verification
    layer: str
    cause: str
    evidence: str
    right: bool
    remedies: tuple[str, ...]
    left: tuple[str, ...]
    after: Verification | None
    passed: bool

    @property
    def repaired(self) -> bool:
        return self.passed and len(self.left) <= 2

    @property
    def cells(self) -> tuple[str, ...]:
        """Its row of the table."""
        after = "-" if self.after is None else f"{self.after.drop_points:.2f}"
        return (
            self.fault.cause, self.fault.network, f"{self.before.drop_points:.2f}",
            f"{self.layer}: {self.cause}: {self.evidence}", "yes" if self.right else "no",
            "; ".join(self.remedies) if self.passed else "not repaired", ", ".join(self.left) or "none", after,
        )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.convert.repair.planted")
    parser.add_argument("numbers", nargs="*", type=int, help="of faults, from 1 (default: all)")
    parser.add_argument("--data-dir", help="a folder with MNIST (default: scikit-learn's digits)")
    flags = parser.parse_args()
    dataset = datasets.mnist.load(flags.data_dir) if flags.data_dir else datasets.digits.load()
    outcomes = []
    for number in flags.numbers or range(1, len(FAULTS) + 1):
        outcome = tried(FAULTS[number - 1], trained(FAULTS[number - 1].network, dataset), dataset)
        outcomes.append(outcome)
        print(f"{number}: " + " | ".join(outcome.cells), flush=True)
    text = page(outcomes, dataset)
    if not flags.numbers:
        pages.write(PAGE, text)
    print(text)
    return 0


def trained(network: str, dataset: Dataset) -> Checkpoint:
    """`network`, trained by its modern recipe the first time it is asked for."""
    folder = FOLDER / f"{network}-{dataset.name}"
    if not (folder / checkpoint.FILE).exists():
        run.train(network, dataset, recipe_book.recipe(network, "modern", data=dataset.name), folder)
    return checkpoint.load(folder)


def tried(fault: Fault, saved: Checkpoint, dataset: Dataset) -> Outcome:
    """Plant `fault`, convert to TFLite, diagnose, repair, and judge the result once on the test split."""
    training = dataset.train[: saved.recipe.n_training(len(dataset.train))]
    planted = fault.plant(saved, replace(dataset, train=training))
    trial = prepare(
        planted.trained, dataset, training,
        calibration=planted.calibration, gate=gate_for(dataset.name, None), require_int8=False,
    )  # fmt: skip
    converter = make_converter("tflite", planted.trained, planted.calibration)
    before = _verified(trial, converter, planted.plan)
    first = diagnose(trial, converter, planted.plan)[0]
    places = planted.layers or (_most_hurt(trial, converter, planted),)
    result = repair(trial, converter, planted.plan, verification=before)
    after = _verified(trial, result.converter, result.plan) if result.passed else None
    return Outcome(
        fault, before, first.layer, first.cause, first.evidence,
        right=first.layer in places and first.cause == fault.cause and before.drop_points >= 5,
        remedies=result.remedies, left=result.layers, after=after,
        passed=after is not None and trial.gate.judge(after).passed,
    )  # fmt: skip


def page(outcomes: list[Outcome], dataset: Dataset) -> str:
    """The score and the table."""
    rows = [_HEADER, tuple("---" for _ in _HEADER), *((str(i), *o.cells) for i, o in enumerate(outcomes, 1))]
    machine, n_networks = host.read(), len({outcome.fault.network for outcome in outcomes})
    return (
        f"{sum(o.right for o in outcomes)} of {len(outcomes)} faults over {n_networks} networks are found, the right layer and "
        f"the right cause first; {sum(o.repaired for o in outcomes)} are repaired with at most two layers left in float.\n\n"
        + "\n".join("| " + " | ".join(row) + " |" for row in rows)
        + f"\n\nDrops are points of top-1 against the float model on the {dataset.name} test split "
        f"(n = {len(dataset.test):,}); int8 TFLite, {machine.machine}, {machine.cpu_model}. "
        "`python -m tests.convert.repair.planted`\n"
    )


def _verified(trial: Trial, converter: Converter, plan: Plan) -> Verification:
    test = trial.dataset.test
    return compare(logits_of(trial, converter, plan, test.images), test.labels, trial.reference)


def _most_hurt(trial: Trial, converter: Converter, planted: Planted) -> str:
    """The layer whose planted range alone, every other being sound, moves the logits most."""
    sound = make_converter("tflite", planted.trained, draw_calibration_set(trial.dataset.train))
    good, bad = (each._ranges(planted.plan.method) for each in (sound, converter))
    images = trial.validation.images[:128]
    reference = logits_of(trial, sound, planted.plan, images)
    worst, most = "", -1.0
    for layer in sound.layers:
        theirs = {operator.output for operator in sound._operators if operator.layer == layer}
        mixed = {name: bad[name] if name in theirs else good[name] for name in good}
        sound._ranges = lambda method, mixed=mixed: mixed
        error = float(np.mean((logits_of(trial, sound, planted.plan, images) - reference) ** 2))
        worst, most = (layer, error) if error > most else (worst, most)
    return worst


if __name__ == "__main__":
    sys.exit(errors.run(main, "planted"))
