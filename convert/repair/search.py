"""Repair a candidate that did not pass: try remedies on validation images, from cheap to costly, until one is enough.

The test split is not used. A remedy is enough if the gate would pass the failed candidate's lost and gained images times the
share of the harm that the remedy leaves on validation images. That share is the ratio of the images lost there or, where
those are too few to count, of the logits' root mean square errors: small noise changes answers in proportion to its size.
Counts on validation images would promise too much, because the network may have been trained on them; their ratio does not.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from convert import effort
from convert.calibration.images import CalibrationSet
from convert.calibration.ranges import METHODS
from convert.effort import MORE, Trials
from convert.evaluation import LEAST_SCREENING, logit_error, logits_of
from convert.interfaces import Converter, Network, make_converter
from convert.judging.verify import Verification, compare
from convert.plan import QUANTIZED, Plan
from convert.repair.fusion_groups import fusion_groups, with_consumers
from convert.repair.remedies import correct_biases, equalize
from convert.results import BIASES_CORRECTED, Attempt, ConversionResult, Finding, Repair, Trial
from edge.errors import Refused, note
from train import evaluate

N_SCREENING = 128  # images on which layers to leave in float are compared
_LEAST_SCREENED = 8  # layers compared before one is left in float, where trials are few
MIN_IMPROVEMENT = 0.9  # a remedy is kept if the logit error falls below this share of it
MIN_LOST = 10  # images; of fewer the ratio is too uncertain


@dataclass(frozen=True, eq=False)
class Variant:
    """One way to convert: the network, perhaps with other weights, its calibration images, and the plan."""

    converter: Converter
    network: Network
    calibration: CalibrationSet
    plan: Plan


def repairable(trial: Trial, result: ConversionResult) -> bool:
    """Whether the gate said no to `result` for the images it lost, and would pass it if nothing were lost."""
    if (
        result.evaluation is None
        or not trial.can_explain
        or result.plan.precision not in QUANTIZED
        or result.verdict.decision not in ("failed", "undecided")
        or result.evaluation.judged
        or (
            result.verdict.decision == "undecided" and result.evaluation.grounds.unknown
        )  # labels may show that nothing is lost
    ):
        return False
    return trial.gate.judge(replace(result.evaluation.grounds.verification, lost=0, gained=0)).passed


def repair(
    trial: Trial, converter: Converter, plan: Plan, *, verification: Verification, trials: Trials | None = None,
    findings: tuple[Finding, ...] = (),
) -> Repair:  # fmt: skip
    """The first remedies that are enough for the failed candidate of `plan`, or the best found with `passed` False.

    It ends where the `trials` do. `findings` say which layers are left in float first, where not all can be tried.
    """
    return _Search(trial, converter, plan, verification, trials or Trials(), findings).run()


class _Search:
    def __init__(
        self,
        trial: Trial,
        converter: Converter,
        plan: Plan,
        failed: Verification,
        trials: Trials,
        findings: tuple[Finding, ...],
    ) -> None:
        self._trial = trial
        self._failed = failed
        self._trials = trials
        model = trial.network.build()
        self._groups = fusion_groups(model, converter.layers)
        worst = [finding.layer for finding in findings]
        self._worst_first = sorted(self._groups, key=lambda g: worst.index(g.layer) if g.layer in worst else len(worst))
        self._weighted = {layer.name for layer in model.layers if layer.weights}
        self._reference = evaluate.logits(model, trial.validation.images)
        self._best = Variant(converter, trial.network, trial.calibration, plan)
        self._steps = [replace(self._measured("as it was", self._best), kept=True)]

    def run(self) -> Repair:
        remedies: tuple[Callable[[], Iterator[tuple[str, Variant]]], ...] = (
            self._methods, self._other_images, self._per_channel, self._equalization, self._bias_correction, self._in_float,
        )  # fmt: skip
        for variants in remedies if self._best.plan.precision in QUANTIZED else ():
            for remedy, variant in variants():
                if self._last_kept.passed or not self._trials.take():
                    break
                self._try(remedy, variant)
            if self._last_kept.passed or self._trials.left == 0:
                break
        if not self._last_kept.passed and self._trials.left == 0:
            note(f"{self._trial.network.name}: every trial of the repair is made ({MORE})")
        best, in_float = self._best, set(self._best.plan.in_float)
        layers = tuple(g.layer for g in self._groups if g.layer in self._weighted and set(g.fused) <= in_float)
        return Repair(best.converter, best.plan, best.calibration, layers, tuple(self._steps), self._last_kept.passed)

    @property
    def _last_kept(self) -> Attempt:
        return next(step for step in reversed(self._steps) if step.kept)

    def _try(self, remedy: str, variant: Variant) -> None:
        step, error = self._measured(remedy, variant), self._last_kept.logit_error or 0.0
        share = harm_left(self._steps[0], step)
        lost, gained = math.ceil(share * self._failed.lost), math.floor(share * self._failed.gained)
        passed = step.logit_error is not None and self._trial.gate.judge(replace(self._failed, lost=lost, gained=gained)).passed
        kept = passed or (step.logit_error is not None and step.logit_error < MIN_IMPROVEMENT * error)
        self._steps.append(replace(step, passed=passed, kept=kept))
        if kept:
            self._best = variant

    def _measured(self, remedy: str, variant: Variant) -> Attempt:
        images, labels = self._trial.validation.images, self._trial.validation.labels
        try:
            logits = logits_of(self._trial, variant.converter, variant.plan, images)
        except Refused as refused:
            return Attempt(f"{remedy}: {refused}", len(images), 0, 0, None, kept=False, passed=False)
        verification = compare(logits, labels, self._reference)
        error = float(np.mean((logits - self._reference) ** 2))
        return Attempt(remedy, len(images), verification.lost, verification.gained, error, kept=False, passed=False)

    def _methods(self) -> Iterator[tuple[str, Variant]]:
        before = self._best
        for method in METHODS if before.plan.calibrated else ():
            if method != before.plan.method:
                yield f"{method} ranges", replace(before, plan=replace(before.plan, method=method))

    def _other_images(self) -> Iterator[tuple[str, Variant]]:
        before, second = self._best, self._trial.second
        # Two draws from the training split are as good as each other.
        if before.plan.calibrated and second is not None and not before.calibration.indices:
            converter = before.converter.calibrated(second)
            for method in dict.fromkeys((METHODS[0], before.plan.method)):
                variant = Variant(converter, before.network, second, replace(before.plan, method=method))
                yield f"{len(second.images)} training images set the ranges ({method})", variant

    def _per_channel(self) -> Iterator[tuple[str, Variant]]:
        if not self._best.plan.per_channel:
            yield "a weight scale for each channel", replace(self._best, plan=replace(self._best.plan, per_channel=True))

    def _equalization(self) -> Iterator[tuple[str, Variant]]:
        if network := equalize(self._best.network):
            yield "weights equalized across layers", self._with(network)

    def _bias_correction(self) -> Iterator[tuple[str, Variant]]:
        plan = self._best.plan
        network = correct_biases(
            self._best.network, self._best.calibration.images,
            bits=4 if plan.precision == "int4" else 8, per_channel=plan.per_channel,
        )  # fmt: skip
        yield BIASES_CORRECTED, self._with(network)

    def _with(self, network: Network) -> Variant:
        converter = make_converter(self._best.converter.kind, network, self._best.calibration)
        return replace(self._best, converter=converter, network=network)

    def _in_float(self) -> Iterator[tuple[str, Variant]]:
        """The costliest layers in float, one or two at a time, until half of the groups are: more is no integer model."""
        if self._trial.require_int8:
            return
        while candidates := self._candidates_in_float():
            error, layers, variant = min(candidates, key=lambda each: each[0])
            if math.isinf(error):
                return
            yield f"{' and '.join(layers)} left in float", variant
            if self._best is not variant:
                return

    def _candidates_in_float(self) -> list[tuple[float, tuple[str, ...], Variant]]:
        """The logit error of each group left in float, alone and with its consumers; the layers; the variant.

        The error counts double for each further group: two must leave less than half of what one leaves.
        """
        plan, in_float = self._best.plan, set(self._best.plan.in_float)
        limit = max(2, math.ceil(len(self._groups) / 2))
        n = effort.n_images(N_SCREENING, self._trial.dataset.contract, least=LEAST_SCREENING)
        images, reference = self._trial.validation.images[:n], self._reference[:n]
        candidates = []
        trials = Trials(None if self._trials.left is None else max(_LEAST_SCREENED, self._trials.left // 3))
        for group in self._groups if self._trials.left is None else self._worst_first:
            for names in dict.fromkeys((group.fused, with_consumers(group, self._groups))):
                new = [g for g in self._groups if set(g.fused) <= set(names) and not set(g.fused) <= in_float]
                few = sum(set(g.fused) <= in_float | set(names) for g in self._groups) <= limit
                if new and few and trials.take() and self._trials.take(leave=1):
                    variant = replace(self._best, plan=replace(plan, in_float=tuple(dict.fromkeys((*plan.in_float, *names)))))
                    error = logit_error(self._trial, variant.converter, variant.plan, images, reference)
                    candidates.append((error * 2 ** (len(new) - 1), tuple(g.layer for g in new), variant))
        return candidates


def harm_left(before: Attempt, after: Attempt) -> float:
    """The share, from 0 to 1, of the images that `before` loses which `after` still does, estimated on validation images."""
    if before.lost >= MIN_LOST:
        return min(1.0, (after.lost + 0.5) / (before.lost + 0.5))  # none lost of these does not mean none at all
    if not before.logit_error or after.logit_error is None:
        return 1.0
    return min(1.0, math.sqrt(after.logit_error / before.logit_error))
