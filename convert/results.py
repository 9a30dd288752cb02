"""The values that the stages of a conversion pass on to each other."""

from dataclasses import dataclass

import numpy as np

from convert.calibration.images import CalibrationSet
from convert.confidence import REJECT_RATE, Judged
from convert.interfaces import Candidate, Converter, TrainedNetwork
from convert.judging.gate import Gate, Grounds, Verdict
from convert.judging.unlabelled import UnlabelledPictures
from convert.judging.verify import Verification
from convert.operators import Inventory
from convert.pictures.files import PictureFiles
from convert.pictures.reference import Agreement
from convert.plan import Plan
from edge.predictor import Predictor
from train.datasets import Dataset, Split

MIN_VALIDATION = 32  # with fewer validation images no fault is diagnosed or repaired
BIASES_CORRECTED = "biases corrected"  # the one remedy by which calibration images change weights


@dataclass(frozen=True, eq=False)
class Trial:
    """What every candidate of one network is judged by: its data, its calibration images, the gate, and its float logits.

    `validation` images are used to choose repairs. By content they are distinct from both calibration sets and from the
    test split.
    """

    network: TrainedNetwork
    dataset: Dataset
    calibration: CalibrationSet
    second: CalibrationSet | None  # other images, to measure how much the choice matters; None: too few images are left
    validation: Split
    gate: Gate
    reference: np.ndarray  # the float model's logits on the test split: float32 [N, K]
    files: PictureFiles  # of the first test images
    require_int8: bool = False
    end_to_end: Agreement | None = None  # with the owner's own answers; None: not checked
    owners: np.ndarray | None = None  # where these judge, the owner's answers to the test split: int [N]
    reject_rate: float | None = REJECT_RATE  # of genuine pictures, at most; None: no picture is rejected
    unlabelled: UnlabelledPictures | None = None  # which count in the gate beside the test split
    max_trials: int | None = None  # conversions that may be tried to diagnose and repair a model; None: all there are
    redrawn: tuple[np.ndarray, np.ndarray] | None = None  # digits of either half as a device redraws them: uint8 [n, 28, 28, 1]

    @property
    def float_answers(self) -> np.ndarray:
        """The float model's answers to the test split, or the owner's own code's where these judge: int [N]."""
        return np.asarray(self.reference.argmax(axis=1)) if self.owners is None else self.owners

    @property
    def can_explain(self) -> bool:
        """Whether there are enough validation images to diagnose and repair on."""
        return len(self.validation) >= MIN_VALIDATION


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A candidate and everything measured of it on the test split; `grounds`: what the verdict rests on.

    `differing`: the indices of the pictures without labels that it answers otherwise than the float model, int [n].
    """

    candidate: Candidate
    predictor: Predictor
    verification: Verification
    inventory: Inventory
    logits: np.ndarray  # float32 [N, K]
    median_us: float  # of one prediction
    sensitivity: str | None  # to the choice of calibration images, in words
    grounds: Grounds
    differing: np.ndarray
    judged: Judged | None = None  # what its answers are worth; None where the gate said no
    extra: np.ndarray | None = None  # what stands beside the logits: float32 [N, E]; None for nothing

    @property
    def outputs(self) -> np.ndarray:
        """The logits and what stands beside them: float32 [N, K + E]."""
        return self.logits if self.extra is None else np.concatenate([self.logits, self.extra], axis=1)


@dataclass(frozen=True, eq=False)
class ConversionResult:
    """One network at one plan in one format, and the gate's verdict; no `evaluation` where nothing could be measured."""

    name: str
    kind: str
    plan: Plan
    verdict: Verdict
    evaluation: Evaluation | None = None

    @property
    def file_name(self) -> str:
        return f"{self.name}.{self.kind}"


@dataclass(frozen=True)
class Finding:
    """What quantization does to one layer.

    `sqnr_db`: its output's signal-to-quantization-noise ratio in the quantized model; `share`: of the final error, the mean
    square logit difference on validation images, from 0 up; `cause` and `evidence` in words.
    """

    layer: str
    sqnr_db: float
    share: float
    cause: str
    evidence: str

    @property
    def in_words(self) -> str:
        return f"{self.layer} ({100 * self.share:.0f} % of the error, {self.sqnr_db:.1f} dB): {self.cause}: {self.evidence}"


@dataclass(frozen=True)
class Attempt:
    """One remedy tried on `n_images` validation images.

    `logit_error`: mean square difference from the float model's logits, None where nothing could be converted so; `kept`: the
    next remedy was tried on top of it; `passed`: it was enough.
    """

    remedy: str
    n_images: int
    lost: int
    gained: int
    logit_error: float | None
    kept: bool
    passed: bool

    @property
    def counted(self) -> str:
        return f"{self.lost} lost, {self.gained} gained of {self.n_images:,}"

    @property
    def in_words(self) -> str:
        if self.logit_error is None:
            return self.remedy
        end = "enough" if self.passed else "kept" if self.kept else "left"
        return f"{self.remedy}: {self.counted}, logit error {self.logit_error:.3g}, {end}"


@dataclass(frozen=True, eq=False)
class Repair:
    """The best conversion found, and every step on the way; `layers` hold weights and stay in float."""

    converter: Converter
    plan: Plan
    calibration: CalibrationSet
    layers: tuple[str, ...]
    steps: tuple[Attempt, ...]
    passed: bool

    @property
    def remedies(self) -> tuple[str, ...]:
        """The remedies that were kept."""
        return tuple(step.remedy for step in self.steps[1:] if step.kept)

    @property
    def calibrated(self) -> bool:
        """Whether calibration images changed weights."""
        return BIASES_CORRECTED in self.remedies

    def in_words(self, verdict: Verdict) -> str:
        """What was done and what came of it; `verdict` is the gate's, on the repaired candidate."""
        best = next(step for step in reversed(self.steps) if step.kept)
        measured = f"{best.counted} validation images, logit error {best.logit_error:.3g}"
        done = "; ".join(self.remedies) or "nothing"
        if not self.passed:
            return f"not repaired; the best attempt: {done} ({measured})"
        if verdict.passed:
            return f"repaired by: {done} ({measured})"
        end = "then refused" if verdict.decision == "refused" else "not on the test split"
        return f"not repaired by: {done} ({measured}): enough on validation images, {end}"


@dataclass(frozen=True, eq=False)
class Outcome:
    """One precision in one format from the first conversion to the last.

    `final` is the repaired candidate's result where a repair was enough on validation images, else `first` itself.
    `findings`: what quantization cost each layer of `first`, worst first. `repair`: what was tried, None where nothing was.
    """

    first: ConversionResult
    final: ConversionResult
    findings: tuple[Finding, ...] = ()
    repair: Repair | None = None

    @property
    def repaired(self) -> bool:
        """Whether `final` is another candidate than `first`."""
        return self.final is not self.first


@dataclass(frozen=True, eq=False)
class NetworkOutcomes:
    """All that came of one network."""

    trial: Trial
    outcomes: list[Outcome]
