"""Quantize trained networks, compare each with its float model picture by picture, publish only what passed."""

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from convert import flags
from convert.calibration.checks import MIN_IMAGES, N_IMAGES
from convert.calibration.images import CalibrationSet, draw_calibration_set, read_calibration_set
from convert.evaluation import Row, Trial, attempt, prepare
from convert.gate import gate_for
from convert.goldens import golden_pictures
from convert.interfaces import Trained, converter
from convert.plan import Plan
from convert.publish import publish
from convert.report import tables
from convert.report.tables import Result
from convert.signing import check_key, write_signed
from edge import errors
from edge.errors import Refused, ToolchainError
from edge.files import clear_partials, write_atomic
from edge.silence import silence_native_output
from edge.store.signature import ENDING
from train import checkpoint, datasets
from train.checkpoint import Checkpoint
from train.datasets import Dataset, Split


def main() -> int:
    settings = flags.parse()
    if settings.sign:
        check_key(str(settings.sign))  # what is signed takes minutes to come
    for folder in (settings.out, tables.lost_folder(Path(settings.out))):
        clear_partials(str(folder))
    results: list[Result] = []
    troubles: list[ToolchainError] = []
    for load in networks(settings, troubles):
        try:
            results.append(Result(on_trial(*load(), settings), []))
            for row in converted(results[-1].trial, settings):
                results[-1].rows.append(row)
        except ToolchainError as error:
            troubles.append(error)
    rows = [row for result in results for row in result.rows]
    if rows:
        tables.write(results, Path(settings.out), not_converted=list(map(str, troubles)))
        print(tables.table(rows))
    if rows and settings.diagnose:
        print(f"\n{tables.layers(results)}")
    _say(rows, troubles, Path(settings.out))
    failures = [row for row in rows if not row.verdict.passed and not (settings.all and _cannot_be_had(row))]
    return troubles[0].exit_code if troubles else Refused.exit_code if failures else 0


def _cannot_be_had(row: Row) -> bool:
    """What is no failure under --all. Without int8 there is none: the rest is measured by it."""
    return row.verdict.outcome == "refused" and row.judged is None and row.plan.precision != "int8"


def _say(rows: list[Row], troubles: list[ToolchainError], folder: Path) -> None:
    """On stderr: what broke and what was done about it, what was not published, and the networks that came to nothing."""
    for row in rows:
        if row.before or not row.verdict.passed:
            for finding in row.findings[:3]:
                errors.say("convert", f"{row.file_name}: {finding.in_words}")
            if row.repair:
                errors.say("convert", f"{row.file_name}: {row.repair.in_words(row.verdict)}")
    for row in rows:
        if not row.verdict.passed:
            older = "; the one published before stays" if (folder / row.file_name).exists() else ""
            why = "; ".join(row.verdict.reasons)
            errors.say("convert", f"{row.file_name}: {row.verdict.outcome}, not published: {why}{older}")
    for trouble in troubles:  # one network's are not the others'
        errors.say("convert", str(trouble))
    if not rows and (old := folder / tables.FILE).exists():
        errors.say("convert", f"{old}: of an earlier conversion: nothing was converted now")


def networks(settings: Namespace, troubles: list[ToolchainError]) -> Iterator[Callable[[], tuple[Trained, Dataset, Split]]]:
    """What loads each network to convert, with its data set and the part of it that it may be calibrated on.

    A run whose checkpoint cannot be read is passed over, and `troubles` gets what is wrong with it.
    """
    if settings.model:
        yield lambda: _foreign(settings)
        return
    whole = []
    for run in flags.runs(settings.checkpoint):
        try:
            whole.append(checkpoint.load(run))
        except ToolchainError as error:
            troubles.append(error)
    for saved in flags.distinct(whole):
        yield partial(_ours, saved, settings)


def _ours(saved: Checkpoint, settings: Namespace) -> tuple[Trained, Dataset, Split]:
    found = datasets.load_again(saved.data, settings.data_dir, digest=saved.data_digest, contract=saved.contract)
    return saved, found, found.train[: saved.recipe.n_training(len(found.train))]


def _foreign(settings: Namespace) -> tuple[Trained, Dataset, Split]:
    with silence_native_output():  # TensorFlow's first words
        from convert.sources import from_keras

    own = from_keras.load(settings.model, settings.data, contract_file=settings.contract, seed=settings.seed)
    return own, own.dataset, own.dataset.train[: own.dataset.n_training]


def on_trial(trained: Trained, dataset: Dataset, training: Split, settings: Namespace) -> Trial:
    """The trial of one network as `settings` have it."""
    return prepare(
        trained, dataset, training, calibration=_calibration(trained, dataset, training, settings),
        gate=gate_for(trained.data, settings.max_drop_points), require_int8=settings.require_int8,
    )  # fmt: skip


def converted(trial: Trial, settings: Namespace) -> Iterator[Row]:
    """The network on `trial` at every precision in every format, in the order of the work: convert, judge, mend, publish.

    A row that passed comes once its file is published.
    """
    with silence_native_output():  # TensorFlow's first words
        from convert.repair.diagnose import diagnosed
        from convert.repair.search import mendable, mended

    goldens = golden_pictures(trial.dataset, settings.goldens)
    for kind in settings.formats:
        source = converter(kind, trial.trained, trial.calibration)
        for precision in settings.precisions:
            row = attempt(trial, source, Plan(precision, settings.method))
            if settings.diagnose or row.verdict.outcome == "failed" or mendable(trial, row):
                row = diagnosed(trial, source, row)
            if not settings.no_repair and mendable(trial, row):
                row = mended(trial, source, row)
            if row.verdict.passed:
                path = str(Path(settings.out, row.file_name))
                sealed = publish(row, trial, goldens=goldens, report=tables.proof(row))
                if settings.sign:
                    write_signed(path, sealed, str(settings.sign))
                else:
                    Path(path + ENDING).unlink(missing_ok=True)  # the signature of another model
                    write_atomic(path, sealed)
            yield row


def _calibration(trained: Trained, dataset: Dataset, training: Split, settings: Namespace) -> CalibrationSet:
    judging = (dataset.train[len(training) :], dataset.test)  # repairs, and the gate
    if settings.calibration is None:
        # Of few pictures half are kept, to find and mend faults on.
        n = min(N_IMAGES, max(MIN_IMAGES, len(training) // 2))
        return draw_calibration_set(training, n=n, seed=settings.seed, apart_from=judging)
    return read_calibration_set(settings.calibration, trained.contract, training=training, apart_from=judging)


if __name__ == "__main__":
    sys.exit(errors.run(main, "convert"))
