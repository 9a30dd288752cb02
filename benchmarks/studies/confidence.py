"""What the answers of published models are worth: fitted on one half of their test split, judged on the other.

    python -m benchmarks.studies.confidence FILE... [--data-dir DIR] [--write docs/unknown.md] [--draw FILE.png]

FILE is a published model of MNIST or CIFAR-10, of any format: what it states of itself already is not used.
"""

import argparse
import sys
from pathlib import Path

from benchmarks import pages
from convert.confidence import Judged, judge
from convert.judging.verify import predict_all
from convert.report import confidence
from edge import errors, predictor
from edge.files import write_atomic
from train import datasets, markdown

HEAD = ("model", "format", "temperature", "calibration error before, points (raw)", "after (raw)", "genuine rejected (95 %)",
        "bound fitted, %", "right answers withheld", "top-1 of all, %", "of those answered",
        "99 % sets hold the true class (95 %)", "classes in one")  # fmt: skip


def judged(file: Path, data_dir: str | None) -> Judged:
    """The model in `file` on the test split that it was judged on. Raises what loading the two raises."""
    ready = predictor.load(str(file), trusted=True)
    made_of = ready.artifact.manifest()["provenance"]
    name, digest = (str(made_of[key]) for key in ("data", "data_sha256"))
    test = datasets.load_again(name, data_dir, digest=digest, contract=ready.contract.input).test
    answers = predict_all(ready, test.images)
    return judge(answers.logits, test.labels, answers.extra)


def row(file: Path, found: Judged) -> tuple[str, ...]:
    """The figures under HEAD."""
    before, after, rejected = found.before, found.after, found.rejection
    at_99 = next((each for each in found.coverages if each.level == 0.99), None)
    share = ("-",) * 4
    if rejected:
        low, high = rejected.interval
        answered = "-" if rejected.top1_answered is None else f"{100 * rejected.top1_answered:.2f}"
        counted = f"{100 * rejected.n_rejected / rejected.n_images:.2f} % ({100 * low:.2f} to {100 * high:.2f})"
        share = (counted, f"{100 * rejected.fitted.bound:.2f}", f"{rejected.n_withheld:,}", answered)
    covered = "-" if at_99 is None else f"{100 * at_99.coverage:.2f} % ({100 * at_99.interval[0]:.2f} to "
    return (
        file.name.rpartition("-")[0],
        file.suffix[1:],
        f"{found.confidence.temperature:g}",
        f"{before.excess_points:.2f} ({before.error_points:.2f})",
        f"{after.excess_points:.2f} ({after.error_points:.2f})",
        *share[:3],
        f"{100 * found.top1:.2f}",
        share[3],
        "-" if at_99 is None else f"{covered}{100 * at_99.interval[1]:.2f})",
        "-" if at_99 is None else f"{at_99.mean_size:.3f}",
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies.confidence", description="What answers are worth.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a published model of MNIST or CIFAR-10")
    parser.add_argument("--data-dir", metavar="DIR", help="folder with its data (default: $EDGEPROOF_DATA)")
    pages.add_write(parser)
    parser.add_argument("--draw", type=Path, metavar="FILE.png", help="draw the first model's reliability diagram")
    flags = parser.parse_args()
    rows = []
    for file in flags.files:
        print(f"{file.name}: answering its test split", file=sys.stderr)
        rows.append((row(file, found := judged(file, flags.data_dir)), found.n_judged))
        if flags.draw and len(rows) == 1:
            write_atomic(str(flags.draw), confidence.diagram(found, title=file.name))
    halves = " or ".join(f"{n:,}" for n in sorted({n for _, n in rows}))
    table = markdown.table(HEAD, [cells for cells, _ in rows], align="ll" + "r" * (len(HEAD) - 2))
    return pages.show(f"{table}\n\nJudged on {halves} test pictures each, fitted on the other half.", flags.write)


if __name__ == "__main__":
    sys.exit(errors.run(main, "benchmarks.studies.confidence"))
