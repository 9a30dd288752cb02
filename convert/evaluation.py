"""Judge one network's candidates: convert each, run it over the test split, and compare it with the float model."""

import math
import sys
from pathlib import Path

import numpy as np

from convert import effort
from convert.calibration.images import CalibrationSet, draw_validation_images, second_set
from convert.confidence import N_REDRAWN_HALF, REJECT_RATE, Outputs, halves, judge
from convert.interfaces import Converter, TrainedNetwork, as_predictor, convert
from convert.judging.gate import Gate, UnlabelledCounts, Verdict
from convert.judging.unlabelled import UnlabelledPictures
from convert.judging.verify import compare, predict_all
from convert.operators import inventory
from convert.pictures.files import as_files
from convert.pictures.reference import Agreement
from convert.plan import Plan
from convert.results import ConversionResult, Evaluation, Trial
from edge.errors import Refused, say
from edge.predictor import Predictor
from train import evaluate
from train.datasets import Dataset, Split, mapped
from train.redrawn import redrawn

N_VALIDATION, N_COMPARED = 5_000, 1_000
LEAST_VALIDATION = 400  # of images of any size, where there are as many
LEAST_SCREENING = 32  # for one comparison among many


def prepare(
    network: TrainedNetwork, dataset: Dataset, training: Split, *, calibration: CalibrationSet, gate: Gate, require_int8: bool,
    agreement: Agreement | None = None, drawing: Path = Path("pixels.png"), reject_rate: float | None = REJECT_RATE,
    unlabelled: UnlabelledPictures | None = None,
) -> Trial:  # fmt: skip
    """The trial of `network`. `training` is the front of `dataset.train`; the rest was held out of the training.

    Validation images are those held out; where they are fewer than N_VALIDATION, then also training images that do not
    calibrate. Where enough pictures of the `agreement` can judge, they are the test split. Raises Refused where the network's
    own logits are not finite, and where picture files change its answers (drawn in `drawing`).
    """
    owners = None
    if agreement and len(agreement.judging) >= gate.least_images:
        dataset, owners = agreement.as_test_split(dataset), agreement.owners
    model = network.build()

    def floating(images: np.ndarray) -> np.ndarray:
        return evaluate.logits(model, images)

    name = f"{network.network} on {network.data}"

    def tell(seconds_each: float) -> None:
        seconds = effort.seconds_to_judge(seconds_each, n_test=len(dataset.test), n_calibration=len(calibration.images))
        if seconds >= effort.WORTH_SAYING:
            each = f"{len(dataset.test):,} test images of {dataset.contract.height}x{dataset.contract.width}"
            spent = f"{1000 * seconds_each:.0f} ms each in the float network"
            say("convert", f"{name}: about {effort.in_words(seconds)} for each model ({each}, {spent}); a repair comes on top")

    reference = evaluate.logits(model, dataset.test.images, paced=tell)
    if not np.isfinite(reference).all():
        raise Refused(f"{name}: the float model's own answers are not numbers; train it again")
    files = as_files(dataset, lambda images: floating(images).argmax(axis=1), drawing=drawing)
    held_out, n = dataset.train[len(training) :], effort.n_images(N_VALIDATION, dataset.contract, least=LEAST_VALIDATION)
    judging = (held_out, dataset.test)
    second = second_set(training, calibration, apart_from=judging)
    more = draw_validation_images(training, calibration, second, n=max(0, n - len(held_out)), apart_from=judging)
    held_out = held_out[:n] if dataset.contract.height * dataset.contract.width > effort.LARGE else held_out
    validation = Split(*(np.concatenate(both) for both in ((held_out.images, more.images), (held_out.labels, more.labels))))
    if unlabelled:
        unlabelled = unlabelled.answered(lambda images: floating(images).argmax(axis=1))
    return Trial(
        network, dataset, calibration, second, validation, gate, reference, files, require_int8, agreement, owners, reject_rate,
        unlabelled, redrawn=None if reject_rate is None else redrawn_halves(dataset),
    )  # fmt: skip


def redrawn_halves(dataset: Dataset) -> tuple[np.ndarray, np.ndarray] | None:
    """The first test images of the half to fit on and of the half to judge on, redrawn; None but for digits."""
    if not dataset.contract.is_digit:
        return None
    fitting, judging = (
        redrawn(dataset.test.images[half[:N_REDRAWN_HALF]], dataset.contract, seed=0) for half in halves(len(dataset.test))
    )
    return fitting, judging


def convert_and_judge(trial: Trial, converter: Converter, plan: Plan, *, repaired: bool = False) -> ConversionResult:
    """The candidate of `plan`, judged on the test split; other calibration images are tried unless it is `repaired`."""
    name = f"{trial.network.name}-{plan.precision}"
    print(f"{name}.{converter.kind}: {len(trial.dataset.test):,} images to compare", file=sys.stderr)
    try:
        candidate = convert(converter, plan, name=trial.network.name)
    except Refused as refused:
        return ConversionResult(name, converter.kind, plan, Verdict("refused", (str(refused),)))
    predictor = as_predictor(candidate, trial.network)
    operators = inventory(candidate.model, kind=candidate.kind, precision=plan.precision, image=trial.dataset.test.images[0])
    answers = predict_all(predictor, trial.dataset.test.images, trial.files.paths)
    if not np.isfinite(answers.logits).all() or not np.isfinite(answers.extra).all():
        return ConversionResult(name, converter.kind, plan, Verdict("failed", ("its answers are not numbers",)))
    verification = compare(answers.logits, trial.dataset.test.labels, trial.reference, owners=trial.owners)
    more, differing = _on_unlabelled(trial, predictor)
    verdict = trial.gate.judge(verification, more)
    if trial.require_int8 and operators.islands and verdict.passed:
        verdict = Verdict("refused", (f"not all int8: {operators.in_words}", "leave --require-int8 out to have it so"))
    sensitive = plan.precision == "int8" and not repaired
    sensitivity = _sensitivity(trial, converter, plan, predictor) if sensitive else None
    judged = None
    if verdict.passed:
        again = None
        if trial.redrawn:
            again = outputs(predictor, trial.redrawn[0]), outputs(predictor, trial.redrawn[1])
        judged = judge(
            answers.logits, trial.dataset.test.labels, answers.extra, told=predictor.contract.confidence,
            reject_rate=trial.reject_rate, redrawn=again,
        )  # fmt: skip
        predictor.contract.confidence = judged.confidence
        verdict = Verdict("failed", judged.reasons) if judged.reasons else verdict
    evaluation = Evaluation(
        candidate, predictor, verification, operators, answers.logits, answers.median_us, sensitivity,
        trial.gate.grounds(verification, more), differing, judged, answers.extra,
    )  # fmt: skip
    return ConversionResult(name, converter.kind, plan, verdict, evaluation)


def outputs(predictor: Predictor, images: np.ndarray) -> Outputs:
    """Its logits and extra values for uint8 [N, H, W, C]."""
    answers = predict_all(predictor, images)
    return answers.logits, answers.extra


def _on_unlabelled(trial: Trial, predictor: Predictor) -> tuple[UnlabelledCounts | None, np.ndarray]:
    """What the candidate does on pictures without labels, if there are any, and the indices of those it answers otherwise."""
    if trial.unlabelled is None:
        return None, np.empty(0, np.int64)
    logits = (predictor.answer(image.tobytes()).logits for image in mapped.each(trial.unlabelled.images))
    answers = np.array([int(np.argmax(each)) for each in logits])
    return trial.unlabelled.counts(answers), trial.unlabelled.differing(answers)


def logits_of(trial: Trial, converter: Converter, plan: Plan, images: np.ndarray) -> np.ndarray:
    """The logits, float32 [n, K], of the candidate of `plan` for `images`, through the device's predictor."""
    return predict_all(as_predictor(convert(converter, plan, name=trial.network.name), trial.network), images).logits


def logit_error(trial: Trial, converter: Converter, plan: Plan, images: np.ndarray, reference: np.ndarray) -> float:
    """The mean square difference of those logits from `reference`, float32 [n, K]; infinite where `plan` is refused."""
    try:
        return float(np.mean((logits_of(trial, converter, plan, images) - reference) ** 2))
    except Refused:
        return math.inf


def _sensitivity(trial: Trial, converter: Converter, plan: Plan, predictor: Predictor) -> str | None:
    """How many answers to validation images other calibration images would change; None where they give no model."""
    if trial.second is None or not trial.can_explain:
        return "Other calibration images were not tried: too few training images are left for that"
    images = trial.validation.images[:N_COMPARED]
    first = predict_all(predictor, images).logits
    try:
        second = logits_of(trial, converter.calibrated(trial.second), plan, images)
    except Refused:
        return None
    changed = int(np.sum(first.argmax(axis=1) != second.argmax(axis=1)))
    return f"{len(trial.second.images)} other calibration images change {changed} of {len(images):,} answers"
