"""Quantize trained networks, compare each with its float model image by image, and publish only what passed the gate."""

import logging
import os
import sys
import time
from argparse import Namespace
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from convert import effort, flags
from convert.calibration.checks import LEAST_IMAGES, MIN_IMAGES, N_IMAGES, contents
from convert.calibration.images import CalibrationSet, draw_calibration_set, read_calibration_set
from convert.confidence.rejection import MIN_PICTURES
from convert.effort import Trials
from convert.evaluation import LEAST_SCREENING, convert_and_judge, logits_of, prepare
from convert.interfaces import Converter, make_converter
from convert.judging import labelling, unlabelled
from convert.judging.gate import Verdict, gate_for
from convert.judging.unlabelled import UnlabelledPictures
from convert.pictures import reference, trials
from convert.pictures.reference import Agreement
from convert.plan import QUANTIZED, Plan
from convert.publishing.goldens import golden_images
from convert.publishing.programs import check, write_program
from convert.publishing.publish import check_folder, publish, seal
from convert.publishing.signing import check_key
from convert.report import few, tables
from convert.results import ConversionResult, Finding, NetworkOutcomes, Outcome, Trial
from convert.unknown import with_units
from edge import compiler, errors
from edge.errors import Refused, ToolchainError
from edge.files import clear_partials
from edge.silence import silence_native_output
from train import checkpoint, datasets
from train.checkpoint import Checkpoint
from train.datasets import Dataset, Split
from train.datasets.folder import content

if TYPE_CHECKING:
    from convert.sources.from_keras import Foreign

    Network = Checkpoint | Foreign


def main() -> int:
    os.environ["KERAS_BACKEND"] = "tensorflow"  # before Keras: both converters start from a TensorFlow graph
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of networks made again and again, as a repair does
    settings = flags.parse()
    if settings.check:
        errors.need_stdout()
        print(check(settings.check, settings.source))
        return 0
    # What would stop it after minutes of work stops it now.
    check_folder(settings.out)
    if settings.sign:
        check_key(str(settings.sign))
    if "c" in settings.formats:
        compiler.find()
    for folder in (settings.out, tables.lost_folder(settings.out)):
        clear_partials(str(folder))
    networks, failures = load_networks(settings)
    results: list[NetworkOutcomes] = []
    for network in networks:
        try:
            dataset, training = load_data(network, settings)
            calibration = calibrate(network, dataset, training, settings)
            drawing = settings.out / "pixels" / f"{network.name}.png"
            with suppress(OSError):
                drawing.unlink()  # of an earlier conversion
            agreement = check_pixels(network, calibration, settings, drawing)
            gate = gate_for(network.data, settings.max_drop_points)
            rejecting = settings.units and settings.reject_rate is not None and len(dataset.test) >= 2 * MIN_PICTURES
            wider = with_units(network, training, seed=settings.seed, wanted=rejecting)
            trial = prepare(
                wider, dataset, training, calibration=calibration, gate=gate, require_int8=settings.require_int8,
                agreement=agreement, drawing=drawing, reject_rate=settings.reject_rate,
                unlabelled=read_unlabelled(network, dataset, calibration, agreement, settings),
            )  # fmt: skip
            check_top1(trial, settings)
            if trial.unlabelled:
                rule = trial.unlabelled.rule_in_words(trial.gate, len(trial.dataset.test))
                errors.say("convert", f"{network.name}: {rule}")
            results.append(NetworkOutcomes(trial, []))
            convert_all(trial, settings, results[-1].outcomes)
        except ToolchainError as error:
            failures.append(error)
    return report(results, failures, settings)


def convert_all(trial: Trial, settings: Namespace, outcomes: list[Outcome]) -> None:
    """Convert the network at every precision in every format; append each to `outcomes` once its file, if any, is published."""
    with silence_native_output():  # TensorFlow announces itself
        from convert.repair.diagnose import diagnose
        from convert.repair.search import repair, repairable

    goldens = golden_images(trial.dataset, settings.goldens)
    if settings.budget is None:
        usual = effort.usual_trials(trial.dataset.contract, repairs=not settings.no_repair)
        trial = replace(trial, max_trials=settings.trials or usual)
    for kind in flags.kinds(settings.formats):
        try:
            converter = make_converter(kind, trial.network, trial.calibration)
        except Refused as refused:  # by this format alone
            verdict = Verdict("refused", (str(refused),))
            for precision in settings.precisions:
                plan = Plan(precision, settings.method)
                result = ConversionResult(f"{trial.network.name}-{precision}", kind, plan, verdict)
                outcomes.append(Outcome(result, result))
            continue
        for precision in settings.precisions:
            first = convert_and_judge(trial, converter, Plan(precision, settings.method))
            is_timed = settings.budget and trial.max_trials is None
            if is_timed and precision in QUANTIZED and first.evaluation and trial.can_explain:
                trial = replace(trial, max_trials=affordable(trial, converter, first.plan, settings))
            can_repair = repairable(trial, first)
            explain = settings.diagnose or can_repair or first.verdict.decision == "failed"
            trials, repairs = Trials(trial.max_trials), can_repair and not settings.no_repair
            findings: tuple[Finding, ...] = ()
            if explain and first.evaluation:  # a repair needs the other half of the trials
                leave = (trials.left or 0) // 2 if repairs else 0
                findings = diagnose(trial, converter, first.plan, trials=trials, leave=leave)
            outcome = Outcome(first, first, findings)
            if repairs and first.evaluation:
                print(f"{first.file_name}: {first.verdict.decision}, trying to repair it", file=sys.stderr)
                compared = first.evaluation.grounds.verification
                best = repair(trial, converter, first.plan, verification=compared, trials=trials, findings=findings)
                final = convert_and_judge(trial, best.converter, best.plan, repaired=True) if best.passed else first
                outcome = Outcome(first, final, findings, best)
            if outcome.final.verdict.passed:
                proof, number = tables.proof(outcome, trial), settings.model_version
                sealed = seal(outcome, trial, goldens=goldens, report=proof, model_version=number)
                publish(settings.out / outcome.final.file_name, sealed, key=settings.sign)
            outcomes.append(outcome)
            if "c" in settings.formats and (kind, precision) == ("tflite", "int8"):
                outcomes.append(write_program(outcome, trial, folder=settings.out, key=settings.sign))


def affordable(trial: Trial, converter: Converter, plan: Plan, settings: Namespace) -> int:
    """How many trials each model gets of the minutes asked for, by what one takes here; said, so that it can be repeated."""
    start = time.perf_counter()
    logits_of(trial, converter, plan, trial.validation.images[:LEAST_SCREENING])
    seconds = time.perf_counter() - start
    n_models = len(flags.kinds(settings.formats)) * len(set(settings.precisions) & set(QUANTIZED))
    n = effort.trials_in(settings.budget, seconds_each=seconds, n_models=n_models)
    errors.say("convert", f"--budget {settings.budget:g}: {n:,} trials for each model; --trials {n} gives the same files")
    return n


def load_networks(settings: Namespace) -> "tuple[list[Network], list[ToolchainError]]":
    """The networks to convert, and what is wrong with the runs whose checkpoint cannot be read."""
    if settings.model:
        with silence_native_output():  # TensorFlow announces itself
            from convert.sources import from_keras
        try:
            network = from_keras.load(
                settings.model, settings.data, contract_file=settings.contract, preset=settings.pixels, seed=settings.seed,
                skip_bad=settings.skip_bad, scratch=settings.out,
            )  # fmt: skip
            return [network], []
        except ToolchainError as error:
            return [], [error]
    loaded, failures = [], []
    for run in flags.runs(settings.checkpoint):
        try:
            loaded.append(checkpoint.load(run))
        except ToolchainError as error:
            failures.append(error)
    return list(flags.distinct(loaded)), failures


def load_data(network: "Network", settings: Namespace) -> tuple[Dataset, Split]:
    """The network's data set, and the images of it that it may be calibrated on."""
    if isinstance(network, Checkpoint):
        dataset = datasets.load_again(network.data, settings.data_dir, digest=network.data_digest, contract=network.contract)
        return dataset, dataset.train[: network.recipe.n_training(len(dataset.train))]
    return network.dataset, network.dataset.train[: network.dataset.n_training]


def calibrate(network: "Network", dataset: Dataset, training: Split, settings: Namespace) -> CalibrationSet:
    """The calibration images: the user's own, or drawn from `training`."""
    judging = (dataset.train[len(training) :], dataset.test)  # repairs, and the gate
    if settings.calibration is None:
        # Of few images half are left, to diagnose and repair on.
        usual = effort.n_images(N_IMAGES, dataset.contract, least=LEAST_IMAGES, side=112)
        n = min(usual, max(MIN_IMAGES, len(training) // 2))
        least = MIN_IMAGES if any(Plan(precision).calibrated for precision in settings.precisions) else 1
        if not set(settings.precisions) & set(QUANTIZED):  # nothing to calibrate, diagnose or repair
            n = least = 0
        return draw_calibration_set(training, n=n, seed=settings.seed, apart_from=judging, least=least)
    return read_calibration_set(
        settings.calibration, network.contract, training=training, apart_from=judging, skip_bad=settings.skip_bad
    )


def check_pixels(network: "Network", calibration: CalibrationSet, settings: Namespace, drawing: Path) -> Agreement | None:
    """The agreement with the owner's own answers; without them, training pictures must not speak for other pixels.

    `drawing` is a file for pictures that differ.
    """
    if isinstance(network, Checkpoint):
        return None
    if settings.reference is None:
        trials.check(settings.model, network)
        return None
    try:
        agreement = reference.check(network, settings.reference, settings.data, calibration, drawing=drawing)
    except Refused:
        trials.check_order(settings.model, network)  # answers by name differ where the folders' order is another
        raise
    trials.check_order(settings.model, network)  # answers by number agree in any order
    return agreement


def read_unlabelled(
    network: "Network", dataset: Dataset, calibration: CalibrationSet, agreement: Agreement | None, settings: Namespace
) -> UnlabelledPictures | None:
    """The pictures without labels that count in the gate, with what the owner says of them; None where none are named."""
    if settings.unlabelled is None:
        return None
    labels = None
    if settings.label:
        labels = labelling.read(settings.label, dataset.class_names, network.contract, skip_bad=settings.skip_bad)
    seen = {
        "in training": contents([dataset.train]),
        "in calibration": {content(image) for image in calibration.images},
        "in the test": contents([dataset.test, *([agreement.judging] if agreement else [])]),
    }
    return unlabelled.read(
        settings.unlabelled, network.contract, seen=seen, labels=labels, skip_bad=settings.skip_bad, scratch=settings.out
    )


def check_top1(trial: Trial, settings: Namespace) -> None:
    """Refuse a float model at chance; hold its top-1 against what the owner measured; ask for that where nothing was said."""
    labels, n = trial.dataset.test.labels, len(trial.dataset.test)
    trials.check_chance(f"{trial.network.network} on {trial.network.data}", trial.float_answers, labels)
    top1 = float((trial.float_answers == labels).mean())
    if settings.expect_top1 is not None:
        trials.check_top1(trial.network.name, top1, n, expected=settings.expect_top1)
    elif settings.model and trial.end_to_end is None:
        errors.say("convert", trials.question(top1, n))


def report(results: list[NetworkOutcomes], failures: list[ToolchainError], settings: Namespace) -> int:
    """Write the report files, print the tables and what went wrong; the exit code."""
    outcomes = [outcome for result in results for outcome in result.outcomes]
    if outcomes:
        tables.write(results, settings.out, not_converted=list(map(str, failures)))
        print(tables.table(outcomes))
        if settings.diagnose:
            print(f"\n{tables.layers(results)}")
    for line in tables.remarks(outcomes, settings.out):
        errors.say("convert", line)
    for line in [line for result in results for line in few.ways_on(result, settings.out / "to-label")]:
        errors.say("convert", line)
    for failure in failures:  # one network's are not the others'
        errors.say("convert", str(failure))
    if not outcomes and (old := settings.out / tables.FILE).exists():
        errors.say("convert", f"{old}: of an earlier conversion: nothing was converted now")
    unpublished = [o for o in outcomes if not o.final.verdict.passed and not (settings.all and _unavailable(o))]
    return failures[0].exit_code if failures else Refused.exit_code if unpublished else 0


def _unavailable(outcome: Outcome) -> bool:
    """Whether the format does not have this precision. For int8 that is a failure even under --all."""
    result = outcome.final
    return result.verdict.decision == "refused" and result.evaluation is None and result.plan.precision != "int8"


if __name__ == "__main__":
    sys.exit(errors.run(main, "convert"))
