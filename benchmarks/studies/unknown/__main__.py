"""Convert trained networks at int8 and count the pictures of no class that each rejects.

    python -m benchmarks.studies.unknown NETWORK... [--data-dir DIR] [--write docs/unknown-pictures.md]

NETWORK is a run folder of MNIST or CIFAR-10. Nothing is repaired; the threshold is fitted on one half of the test split, of
digits on redrawn ones too, and the genuine pictures counted on the other, as `convert` does.
"""

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import special, stats

from benchmarks import pages
from benchmarks.studies.unknown import pictures
from convert.calibration.images import draw_calibration_set
from convert.confidence import Judged, halves, judge
from convert.evaluation import outputs, redrawn_halves
from convert.interfaces import as_predictor, convert, make_converter
from convert.judging.verify import Answers, predict_all
from convert.plan import Plan
from convert.unknown import with_units
from edge import errors
from edge.confidence import KINDS
from train import checkpoint, datasets, markdown
from train.checkpoint import Checkpoint

HEAD = ("network", "trained on outliers", "genuine rejected, % (95 %)", "of redrawn ones", "(a) letters", "(b) other pictures",
        "(c) uniform noise", "binary", "smooth", "(d) pieces", "mixtures", "AUROC (b) to (d)", "of max. softmax")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Rejections:
    """What one network's int8 .tflite rejects, share by name of set, and the areas under its ROC curves, each in percent."""

    network: Checkpoint
    judged: Judged
    rejected: dict[str, float]
    areas: dict[str, float]
    areas_of_softmax: dict[str, float]


def study(network: Checkpoint, data_dir: str | None) -> Rejections:
    """`network` converted, judged and shown pictures of no class. Raises what loading its data raises."""
    dataset = datasets.load_again(network.data, data_dir, digest=network.data_digest, contract=network.contract)
    training = dataset.train[: network.recipe.n_training(len(dataset.train))]
    calibration = draw_calibration_set(training, apart_from=(dataset.test,))
    wider = with_units(network, training)
    candidate = convert(make_converter("tflite", wider, calibration), Plan("int8"), name=network.name)
    predictor = as_predictor(candidate, wider)
    answers = predict_all(predictor, dataset.test.images)
    redrawn = redrawn_halves(dataset)
    again = (outputs(predictor, redrawn[0]), outputs(predictor, redrawn[1])) if redrawn else None
    judged = judge(answers.logits, dataset.test.labels, answers.extra, told=predictor.contract.confidence, redrawn=again)
    assert judged.confidence.reject is not None
    kind, threshold = judged.confidence.reject
    _, judging = halves(len(dataset.test))
    genuine = scores(kind, answers)[judging], uncertainty(answers)[judging]
    rejected, areas, areas_of_softmax = {}, {}, {}
    for name, images in pictures.sets(dataset, network.contract, data_dir, seed=0).items():
        shown = predict_all(predictor, images)
        unlikeness = scores(kind, shown)
        rejected[name] = 100 * float(np.mean(unlikeness > threshold))
        areas[name], areas_of_softmax[name] = area(genuine[0], unlikeness), area(genuine[1], uncertainty(shown))
    return Rejections(network, judged, rejected, areas, areas_of_softmax)


def scores(kind: str, answers: Answers) -> np.ndarray:
    """The device's score of each answer: float64 [N]."""
    return np.array([KINDS[kind](*row) for row in zip(answers.logits.tolist(), answers.extra.tolist(), strict=True)])


def uncertainty(answers: Answers) -> np.ndarray:
    """Minus the logarithm of the greatest softmax probability: float64 [N]."""
    exact = answers.logits.astype(np.float64)
    return np.asarray(special.logsumexp(exact, axis=1) - exact.max(axis=1))


def area(inside: np.ndarray, outside: np.ndarray) -> float:
    """The area under the ROC curve in percent: how often a score of `outside` is above one of `inside`; ties count half."""
    return float(100 * stats.mannwhitneyu(outside, inside).statistic / (len(outside) * len(inside)))


def row(found: Rejections) -> tuple[str, ...]:
    """The figures under HEAD."""
    rejection, redrawn, shares = found.judged.rejection, found.judged.redrawn, found.rejected
    assert rejection is not None
    low, high = rejection.interval
    b_to_d = [name for name in shares if name[0] in "bcd"]
    return (
        found.network.network,
        "yes" if found.network.recipe.background else "no",
        f"{100 * rejection.n_rejected / rejection.n_images:.2f} ({100 * low:.2f} to {100 * high:.2f})",
        f"{100 * redrawn.n_rejected / redrawn.n_images:.1f}" if redrawn else "–",
        f"{shares['a letters']:.1f}",
        " / ".join(f"{share:.1f}" for name, share in shares.items() if name[0] == "b"),
        *(f"{share:.1f}" for name, share in shares.items() if name[0] in "cd"),
        f"{np.mean([found.areas[name] for name in b_to_d]):.1f}",
        f"{np.mean([found.areas_of_softmax[name] for name in b_to_d]):.1f}",
    )


def main() -> int:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies.unknown", description="Pictures of no class, rejected.")
    parser.add_argument("networks", nargs="+", type=Path, metavar="NETWORK", help="a run folder of MNIST or CIFAR-10")
    parser.add_argument("--data-dir", metavar="DIR", help="folder with the data sets (default: $EDGEPROOF_DATA)")
    pages.add_write(parser)
    flags = parser.parse_args()
    rows = []
    for folder in flags.networks:
        print(f"{folder.name}: converting it, and answering", file=sys.stderr)
        rows.append(row(study(checkpoint.load(folder), flags.data_dir)))
        print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    return pages.show(markdown.table(HEAD, rows, align="ll" + "r" * (len(HEAD) - 2)), flags.write)


if __name__ == "__main__":
    sys.exit(errors.run(main, "benchmarks.studies.unknown"))
