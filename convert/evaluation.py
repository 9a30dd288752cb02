"""One network on trial: what it was in float, the pictures that judge it, and what each candidate answers to them."""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from convert.calibration.images import CalibrationSet, draw_validation_images, second_set
from convert.gate import Gate, Verdict
from convert.interfaces import Candidate, Converter, Trained, convert, converter, draft
from convert.operators import Inventory, inventory
from convert.plan import Plan
from convert.verify import Verification, ask, compare
from edge.errors import Refused
from edge.predictor import Predictor
from train import evaluate
from train.datasets import Dataset, Split

if TYPE_CHECKING:
    from convert.repair.diagnose import Finding
    from convert.repair.search import Repair

N_VALIDATION, N_COMPARED = 5_000, 1_000
N_EXPLAINING = 32  # on fewer validation images nothing is measured that could explain or mend


@dataclass(frozen=True, eq=False)
class Trial:
    """A trained network, its data, the images that calibrate it, the gate, and its float logits on the test split.

    `validation` are images that neither calibrate (nor are in `second`) nor judge, by content: repairs are chosen on them.
    """

    trained: Trained
    dataset: Dataset
    calibration: CalibrationSet
    second: CalibrationSet | None  # others, to see what the choice of images does; None where too few are left for it
    validation: Split
    gate: Gate
    reference: np.ndarray  # float32 [N, K]
    require_int8: bool = False

    @property
    def can_explain(self) -> bool:
        """Whether there are validation images enough to diagnose and mend on."""
        return len(self.validation) >= N_EXPLAINING


@dataclass(frozen=True, eq=False)
class Judged:
    """A candidate with all that was seen of it: `logits` float32 [N, K] on the test split, `median_us` a prediction."""

    candidate: Candidate
    predictor: Predictor
    verification: Verification
    inventory: Inventory
    logits: np.ndarray
    median_us: float
    sensitivity: str | None  # to the choice of calibration images, in words


@dataclass(frozen=True, eq=False)
class Row:
    """What came of one cell of the matrix. `judged` is None where the verdict is `refused`, since it cannot be had so, or
    `failed`, since its answers are not numbers.

    `findings`: what quantization cost each layer before any repair, worst first. `repair`: what was tried; where it was
    enough on validation images this row is the mended candidate's, and `before` that of the one it mends.
    """

    name: str
    kind: str
    plan: Plan
    verdict: Verdict
    judged: Judged | None = None
    findings: "tuple[Finding, ...]" = ()
    repair: "Repair | None" = None
    before: "Row | None" = None

    @property
    def file_name(self) -> str:
        return f"{self.name}.{self.kind}"


def prepare(
    trained: Trained, dataset: Dataset, training: Split, *, calibration: CalibrationSet, gate: Gate, require_int8: bool
) -> Trial:
    """The trial of `trained`; what `dataset.train` holds behind `training` was held out of it.

    Validation images are those held out; where they are fewer than N_VALIDATION, then also training images that do not
    calibrate. Raises Refused where the network's own answers are not numbers.
    """
    reference = evaluate.logits(trained.build(), dataset.test.images)
    if not np.isfinite(reference).all():
        raise Refused(f"{trained.network} on {trained.data}: the float model's own answers are not numbers; train it again")
    held_out = dataset.train[len(training) :]
    judging = (held_out, dataset.test)
    second = second_set(training, calibration, apart_from=judging)
    n = max(0, N_VALIDATION - len(held_out))
    more = draw_validation_images(training, calibration, second, n=n, apart_from=judging)
    validation = Split(*(np.concatenate(both) for both in ((held_out.images, more.images), (held_out.labels, more.labels))))
    return Trial(trained, dataset, calibration, second, validation, gate, reference, require_int8)


def attempt(trial: Trial, source: Converter, plan: Plan, *, as_trained: bool = True) -> Row:
    """The candidate `source` makes as `plan` says, judged on the whole test split through the device's predictor.

    Not `as_trained`, as a mended one, it is not tried with other calibration images, which would undo the mending.
    """
    name = f"{trial.trained.name}-{plan.precision}"
    print(f"{name}.{source.kind}: {len(trial.dataset.test):,} pictures to compare", file=sys.stderr)
    try:
        candidate = convert(source, plan, name=trial.trained.name)
    except Refused as refused:
        return Row(name, source.kind, plan, Verdict("refused", (str(refused),)))
    predictor = draft(candidate, trial.trained)
    what_runs = inventory(candidate.model, kind=candidate.kind, precision=plan.precision, picture=trial.dataset.test.images[0])
    answers = ask(predictor, trial.dataset.test.images)
    if not np.isfinite(answers.logits).all():
        return Row(name, source.kind, plan, Verdict("failed", ("its answers are not numbers",)))
    verification = compare(answers.logits, trial.dataset.test.labels, trial.reference)
    verdict = trial.gate.judge(verification)
    if trial.require_int8 and what_runs.islands and verdict.passed:
        verdict = Verdict("refused", (f"not all int8: {what_runs.in_words}", "leave --require-int8 out to have it so"))
    sensitive = as_trained and plan.precision == "int8"
    sensitivity = _sensitivity(trial, source.kind, plan, predictor) if sensitive else None
    judged = Judged(candidate, predictor, verification, what_runs, answers.logits, answers.median_us, sensitivity)
    return Row(name, source.kind, plan, verdict, judged)


def answers(trial: Trial, source: Converter, plan: Plan, images: np.ndarray) -> np.ndarray:
    """The logits, float32 [n, K], that the candidate of `plan` has for `images`, through the device's predictor."""
    return ask(draft(convert(source, plan, name=trial.trained.name), trial.trained), images).logits


def _sensitivity(trial: Trial, kind: str, plan: Plan, predictor: Predictor) -> str | None:
    """How many answers to validation images other calibration images would change; None where they give no model."""
    if trial.second is None or not trial.can_explain:
        return "Other calibration images were not tried: too few training images are left for that"
    images = trial.validation.images[:N_COMPARED]
    ours = ask(predictor, images).logits
    try:
        others = answers(trial, converter(kind, trial.trained, trial.second), plan, images)
    except Refused:
        return None
    changed = int(np.sum(ours.argmax(axis=1) != others.argmax(axis=1)))
    return f"{len(trial.second.images)} other calibration images change {changed} of {len(images):,} answers"
