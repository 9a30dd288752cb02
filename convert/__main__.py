"""Quantize trained networks, compare each with its float model image by image, and publish only what passed the gate."""

import logging
import os
import sys
import time
from argparse import Namespace
from dataclasses import replace

from convert import effort, flags, inputs
from convert.effort import Trials
from convert.evaluation import LEAST_SCREENING, convert_and_judge, logits_of
from convert.interfaces import Converter, make_converter
from convert.judging.gate import Verdict
from convert.plan import QUANTIZED, Plan
from convert.publishing.goldens import golden_images
from convert.publishing.programs import check, write_program
from convert.publishing.publish import check_folder, publish, seal
from convert.publishing.signing import check_key
from convert.report import few, tables
from convert.results import ConversionResult, NetworkOutcomes, Outcome, Trial
from edge import compiler, errors
from edge.errors import Refused, ToolchainError
from edge.files import clear_partials
from edge.silence import silence_native_output


def main() -> int:
    os.environ["KERAS_BACKEND"] = "tensorflow"  # before Keras: both converters start from a TensorFlow graph
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of networks made again and again, as a repair does
    settings = flags.parse()
    if settings.check:
        errors.need_stdout()
        print(check(settings.check, settings.source))
        return 0
    check_before_the_work(settings)
    networks, failures = inputs.load_networks(settings)
    results: list[NetworkOutcomes] = []
    for network in networks:
        try:
            results.append(NetworkOutcomes(inputs.trial_of(network, settings), []))
            convert_all(results[-1].trial, settings, results[-1].outcomes)
        except ToolchainError as error:
            failures.append(error)
    return report(results, failures, settings)


def convert_all(trial: Trial, settings: Namespace, outcomes: list[Outcome]) -> None:
    """Convert the network at every precision in every format; append each to `outcomes` once its file, if any, is published."""
    goldens = golden_images(trial.dataset, settings.goldens)
    if settings.budget is None:
        usual = effort.usual_trials(trial.dataset.contract, repairs=not settings.no_repair)
        trial = replace(trial, max_trials=settings.trials or usual)
    for kind in flags.kinds(settings.formats):
        try:
            converter = make_converter(kind, trial.network, trial.calibration)
        except Refused as refused:  # by this format alone
            outcomes += [_refused(trial, kind, Plan(precision, settings.method), refused) for precision in settings.precisions]
            continue
        for precision in settings.precisions:
            first = convert_and_judge(trial, converter, Plan(precision, settings.method))
            is_timed = settings.budget and trial.max_trials is None
            if is_timed and precision in QUANTIZED and first.evaluation and trial.can_explain:
                trial = replace(trial, max_trials=affordable(trial, converter, first.plan, settings))
            outcome = explain_and_repair(trial, converter, first, settings)
            if outcome.final.verdict.passed:
                proof, number = tables.proof(outcome, trial), settings.model_version
                sealed = seal(outcome, trial, goldens=goldens, report=proof, model_version=number)
                publish(settings.out / outcome.final.file_name, sealed, key=settings.sign)
            outcomes.append(outcome)
            if "c" in settings.formats and (kind, precision) == ("tflite", "int8"):
                outcomes.append(write_program(outcome, trial, folder=settings.out, key=settings.sign))


def explain_and_repair(trial: Trial, converter: Converter, first: ConversionResult, settings: Namespace) -> Outcome:
    """What came of `first`: diagnosed if it failed or --diagnose asks, and repaired if a repair may help."""
    with silence_native_output():  # TensorFlow announces itself
        from convert.repair.diagnose import diagnose
        from convert.repair.search import repair, repairable

    can_repair = repairable(trial, first)
    repairs = can_repair and not settings.no_repair
    explain = settings.diagnose or can_repair or first.verdict.decision == "failed"
    if not first.evaluation or not explain:
        return Outcome(first, first)
    trials = Trials(trial.max_trials)
    leave = (trials.left or 0) // 2 if repairs else 0  # a repair needs the other half of the trials
    findings = diagnose(trial, converter, first.plan, trials=trials, leave=leave)
    if not repairs:
        return Outcome(first, first, findings)
    print(f"{first.file_name}: {first.verdict.decision}, trying to repair it", file=sys.stderr)
    compared = first.evaluation.grounds.verification
    best = repair(trial, converter, first.plan, verification=compared, trials=trials, findings=findings)
    final = convert_and_judge(trial, best.converter, best.plan, repaired=True) if best.passed else first
    return Outcome(first, final, findings, best)


def check_before_the_work(settings: Namespace) -> None:
    """What would stop it after minutes of work stops it now."""
    check_folder(settings.out)
    if settings.sign:
        check_key(str(settings.sign))
    if "c" in settings.formats:
        compiler.find()
    for folder in (settings.out, tables.lost_folder(settings.out)):
        clear_partials(str(folder))


def _refused(trial: Trial, kind: str, plan: Plan, refused: Refused) -> Outcome:
    verdict = Verdict("refused", (str(refused),))
    result = ConversionResult(f"{trial.network.name}-{plan.precision}", kind, plan, verdict)
    return Outcome(result, result)


def affordable(trial: Trial, converter: Converter, plan: Plan, settings: Namespace) -> int:
    """How many trials each model gets of the minutes asked for, by what one takes here; said, so that it can be repeated."""
    start = time.perf_counter()
    logits_of(trial, converter, plan, trial.validation.images[:LEAST_SCREENING])
    seconds = time.perf_counter() - start
    n_models = len(flags.kinds(settings.formats)) * len(set(settings.precisions) & set(QUANTIZED))
    n = effort.trials_in(settings.budget, seconds_each=seconds, n_models=n_models)
    errors.say("convert", f"--budget {settings.budget:g}: {n:,} trials for each model; --trials {n} gives the same files")
    return n


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
