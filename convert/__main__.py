"""Quantize trained networks, compare each with its float model picture by picture, publish only what passed."""

import sys
from argparse import Namespace
from pathlib import Path

import numpy as np

from convert import flags, report
from convert.calibration import draw_calibration_set
from convert.candidate import convert, draft, publish
from convert.gate import gate_for
from convert.goldens import golden_pictures
from convert.report import Row
from convert.verify import verify
from edge import errors
from edge.errors import Refused
from edge.files import clear_partials, write_whole
from train import checkpoint, datasets, evaluate
from train.checkpoint import Checkpoint


def main() -> int:
    settings = flags.parse()
    clear_partials(settings.out)
    trained = flags.distinct([checkpoint.load(run) for run in flags.runs(settings.checkpoint)])
    rows = [row for network in trained for row in convert_one(network, settings)]
    report.write(rows, Path(settings.out))
    print(report.table(rows))
    refused = [row for row in rows if not row.verdict.passed]
    for row in refused:
        older = "; the one published before stays" if Path(settings.out, row.candidate.file_name).exists() else ""
        why = "; ".join(row.verdict.reasons)
        errors.say("convert", f"{row.candidate.file_name}: {row.verdict.outcome}, not published: {why}{older}")
    return Refused.exit_code if refused else 0


def convert_one(trained: Checkpoint, settings: Namespace) -> list[Row]:
    """Each format of one checkpoint, in the order of the work: load, calibrate, convert, draft, verify, judge, publish."""
    dataset = datasets.load_again(trained.data, settings.data_dir, digest=trained.data_digest, contract=trained.contract)
    reference = evaluate.logits(trained.build(), dataset.test.images)
    if not np.isfinite(reference).all():
        raise Refused(f"{trained.network} on {trained.data}: the float model's own answers are not numbers; train it again")
    training = dataset.train[: trained.recipe.n_training(len(dataset.train))]
    calibration = draw_calibration_set(training, seed=settings.seed)
    gate = gate_for(trained.data, settings.max_drop_points)
    pictures = golden_pictures(dataset, settings.goldens)
    rows = []
    for kind in settings.formats:
        print(f"{trained.network} on {trained.data} to int8 {kind}, {len(dataset.test):,} pictures to compare", file=sys.stderr)
        candidate = convert(trained, calibration, kind=kind, precision="int8")
        predictor = draft(candidate, trained)
        verification = verify(predictor, dataset.test, reference)
        verdict = gate.judge(verification)
        row = Row(candidate, verification, verdict)
        rows.append(row)
        if verdict.passed:
            proof = report.markdown([row])
            sealed = publish(
                candidate, predictor, trained, calibration, verification, gate=gate, goldens=pictures, report=proof
            )
            write_whole(str(Path(settings.out, candidate.file_name)), sealed)
    return rows


if __name__ == "__main__":
    sys.exit(errors.run(main, "convert"))
