"""Mend a candidate that did not pass: remedies from cheap to dear, each tried on validation images, until one is enough.

The test split is not looked at here. What the gate saw of the failed candidate is known; a remedy is enough where the gate
would pass that candidate's lost and gained pictures times the share of the harm which the remedy leaves on validation
images. That share is of the pictures lost there, or, where those are too few to count, of the logits' root mean square
error: a small noise changes answers in proportion to its size. Validation images are easier than the test's where the network
was trained on them, so that their own counts would promise too much; a share of two such counts does not.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from convert.calibration.images import CalibrationSet
from convert.calibration.ranges import METHODS
from convert.evaluation import logits_of
from convert.interfaces import Converter, Network, make_converter
from convert.plan import QUANTIZED, Plan
from convert.repair.fusion_groups import stages, with_what_it_feeds
from convert.repair.remedies import bias_corrected, equalized
from convert.results import BIASES_CORRECTED, ConversionResult, Repair, Step, Trial
from convert.verify import Verification, compare
from edge.errors import Refused
from train import evaluate

N_SOUNDED = 128  # images on which the choice of layers is measured
CLEARLY = 0.9  # of the logit error: what lowers it less is not kept
COUNTABLE = 10  # pictures


@dataclass(frozen=True, eq=False)
class Means:
    """A way to convert: the network, perhaps with other weights, its calibration images, and the plan."""

    converter: Converter
    network: Network
    calibration: CalibrationSet
    plan: Plan


def repairable(trial: Trial, result: ConversionResult) -> bool:
    """Whether the gate said no to `result` for what was measured, and would pass it if nothing were lost."""
    if (
        result.evaluation is None
        or not trial.can_explain
        or result.plan.precision not in QUANTIZED
        or result.verdict.decision not in ("failed", "undecided")
    ):
        return False
    return trial.gate.judge(replace(result.evaluation.verification, lost=0, gained=0)).passed


def repair(trial: Trial, converter: Converter, plan: Plan, *, verification: Verification) -> Repair:
    """The first of the remedies that is enough, or the best found with `passed` False. Seconds to minutes.

    `verification` is what the gate saw of the candidate of `plan`.
    """
    return _Ladder(trial, converter, plan, verification).climbed()


class _Ladder:
    def __init__(self, trial: Trial, converter: Converter, plan: Plan, seen: Verification) -> None:
        self._trial = trial
        self._seen = seen
        self._steps: list[Step] = []
        model = trial.network.build()
        self._stages = stages(model, converter.layers)
        self._weighted = {layer.name for layer in model.layers if layer.weights}
        self._reference = evaluate.logits(model, trial.validation.images)
        self._best = Means(converter, trial.network, trial.calibration, plan)
        self._steps = [replace(self._tried("as it was", self._best), kept=True)]

    def climbed(self) -> Repair:
        rungs: tuple[Callable[[], Iterator[tuple[str, Means]]], ...] = (
            self._methods, self._other_images, self._per_channel, self._equalization, self._bias_correction, self._in_float,
        )  # fmt: skip
        for rung in rungs if self._best.plan.precision in QUANTIZED else ():
            for remedy, means in rung():
                if self._passed:
                    break
                self._try(remedy, means)
        left = tuple(s.layer for s in self._stages if s.layer in self._weighted and set(s.own) <= set(self._best.plan.in_float))
        return Repair(self._best.converter, self._best.plan, self._best.calibration, left, tuple(self._steps), self._passed)

    @property
    def _standing(self) -> Step:
        return next(step for step in reversed(self._steps) if step.kept)

    @property
    def _passed(self) -> bool:
        return self._standing.passed

    def _try(self, remedy: str, means: Means) -> None:
        step, before = self._tried(remedy, means), self._standing.logit_error or 0.0
        better = step.passed or (step.logit_error is not None and step.logit_error < CLEARLY * before)
        self._steps.append(replace(step, kept=better))
        if better:
            self._best = means

    def _tried(self, remedy: str, means: Means) -> Step:
        images, labels = self._trial.validation.images, self._trial.validation.labels
        try:
            logits = logits_of(self._trial, means.converter, means.plan, images)
        except Refused as refused:
            return Step(f"{remedy}: {refused}", len(images), 0, 0, None, kept=False, passed=False)
        seen = compare(logits, labels, self._reference)
        error = float(np.mean((logits - self._reference) ** 2))
        step = Step(remedy, len(images), seen.lost, seen.gained, error, kept=False, passed=False)
        return replace(step, passed=self._is_enough(step))

    def _is_enough(self, step: Step) -> bool:
        if not self._steps:
            return False
        share = harm_left(self._steps[0], step)
        lost, gained = math.ceil(share * self._seen.lost), math.floor(share * self._seen.gained)
        return self._trial.gate.judge(replace(self._seen, lost=lost, gained=gained)).passed

    def _methods(self) -> Iterator[tuple[str, Means]]:
        before = self._best
        for method in METHODS if before.plan.calibrated else ():
            if method != before.plan.method:
                yield f"{method} ranges", replace(before, plan=replace(before.plan, method=method))

    def _other_images(self) -> Iterator[tuple[str, Means]]:
        before, second = self._best, self._trial.second
        # Two draws from the training split are as good as each other.
        if before.plan.calibrated and second is not None and not before.calibration.indices:
            source = make_converter(before.converter.kind, before.network, second)
            for method in dict.fromkeys((METHODS[0], before.plan.method)):
                means = Means(source, before.network, second, replace(before.plan, method=method))
                yield f"{len(second.images)} training images set the ranges ({method})", means

    def _per_channel(self) -> Iterator[tuple[str, Means]]:
        if not self._best.plan.per_channel:
            yield "a weight scale for each channel", replace(self._best, plan=replace(self._best.plan, per_channel=True))

    def _equalization(self) -> Iterator[tuple[str, Means]]:
        if network := equalized(self._best.network):
            yield "weights equalized across layers", self._with(network)

    def _bias_correction(self) -> Iterator[tuple[str, Means]]:
        plan = self._best.plan
        network = bias_corrected(
            self._best.network, self._best.calibration.images,
            bits=4 if plan.precision == "int4" else 8, per_channel=plan.per_channel,
        )  # fmt: skip
        yield BIASES_CORRECTED, self._with(network)

    def _with(self, network: Network) -> Means:
        source = make_converter(self._best.converter.kind, network, self._best.calibration)
        return replace(self._best, converter=source, network=network)

    def _in_float(self) -> Iterator[tuple[str, Means]]:
        """The layers that cost most, one or two at a time, until half of them are in float: then it is no integer model."""
        if self._trial.require_int8:
            return
        images, reference = self._trial.validation.images[:N_SOUNDED], self._reference[:N_SOUNDED]

        def error(means: Means) -> float:
            try:
                return float(np.mean((logits_of(self._trial, means.converter, means.plan, images) - reference) ** 2))
            except Refused:
                return math.inf

        while choice := self._worst(error):
            names, means = choice
            yield f"{' and '.join(names)} left in float", means
            if self._best is not means:
                return

    def _worst(self, error: Callable[[Means], float]) -> tuple[tuple[str, ...], Means] | None:
        """The layer whose float lowers the error most, or it with those it feeds where that is worth as much again."""
        plan, left = self._best.plan, set(self._best.plan.in_float)
        most = max(2, math.ceil(len(self._stages) / 2))
        found = []
        for stage in self._stages:
            for names in dict.fromkeys((stage.own, with_what_it_feeds(stage, self._stages))):
                new = [s for s in self._stages if set(s.own) <= set(names) and not set(s.own) <= left]
                if new and sum(set(s.own) <= left | set(names) for s in self._stages) <= most:
                    means = replace(self._best, plan=replace(plan, in_float=tuple(dict.fromkeys((*plan.in_float, *names)))))
                    # Two layers must leave less than half the error that one leaves.
                    found.append((error(means) * 2 ** (len(new) - 1), tuple(s.layer for s in new), means))
        least, names, means = min(found, key=lambda each: each[0], default=(math.inf, (), self._best))
        return None if math.isinf(least) else (names, means)


def harm_left(before: Step, after: Step) -> float:
    """The share, from 0 to 1, of the pictures that `before` loses which `after` still does, as validation images show it."""
    if before.lost >= COUNTABLE:
        return min(1.0, (after.lost + 0.5) / (before.lost + 0.5))  # none of those seen is not none
    if not before.logit_error or after.logit_error is None:
        return 1.0
    return min(1.0, math.sqrt(after.logit_error / before.logit_error))
