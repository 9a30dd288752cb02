"""From a converted model to a published artifact: draft it, and seal it with its proof."""

import importlib
import subprocess
import warnings
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from convert.calibration import CalibrationSet
from convert.gate import Gate
from convert.verify import Verification
from edge import artifact, engine
from edge.artifact import Artifact
from edge.contract import ModelContract
from edge.predictor import Predictor
from edge.quiet import NativeChatterHidden
from train.checkpoint import Checkpoint

CONVERTERS = {"tflite": "convert.to_tflite", "onnx": "convert.to_onnx"}
_TOOLS = ("tensorflow", "keras", "numpy", "ai-edge-litert", "onnx", "onnxruntime", "tf2onnx")


@dataclass(frozen=True, eq=False)
class Candidate:
    """A converted model that nobody has judged yet: `kind` is tflite or onnx, `model` the marked bytes."""

    name: str
    kind: str
    precision: str
    model: bytes

    @property
    def file_name(self) -> str:
        return f"{self.name}.{self.kind}"


def convert(checkpoint: Checkpoint, calibration: CalibrationSet, *, kind: str, precision: str) -> Candidate:
    """`checkpoint` as `kind` at `precision`, batch size 1."""
    network = checkpoint.build(batch_size=1)
    # The converters report each of their steps.
    with NativeChatterHidden(), warnings.catch_warnings(action="ignore"):
        converted = getattr(importlib.import_module(CONVERTERS[kind]), precision)(network, calibration)
    model = artifact.mark(converted, kind)
    return Candidate(published_name(checkpoint, precision), kind, precision, model)


def published_name(checkpoint: Checkpoint, precision: str) -> str:
    """`<network>-<data>-<precision>`; a recipe other than `modern` is part of the network's name."""
    recipe = "" if checkpoint.recipe.name == "modern" else f"-{checkpoint.recipe.name}"
    return f"{checkpoint.network}{recipe}-{checkpoint.data}-{precision}"


def draft(candidate: Candidate, checkpoint: Checkpoint) -> Predictor:
    """The candidate in the predictor the device uses: sealed in memory, not yet with its proof."""
    # The model's own account says how its numbers are coded; the checkpoint says what its pictures are.
    own = engine.load(Artifact(candidate.file_name, candidate.model, "", {})).engine.describe()
    contract = ModelContract(
        name=candidate.name,
        kind=candidate.kind,
        model_bytes=len(candidate.model),
        input=checkpoint.contract,
        input_dtype=own.input_dtype,
        output_dtype=own.output_dtype,
        output_scale=own.output_scale,
        output_zero_point=own.output_zero_point,
        n_classes=own.n_classes,
    )
    sealed = artifact.seal(
        candidate.model, contract, labels=checkpoint.class_names, goldens=[], manifest={}, report="a draft\n"
    )
    drafted = artifact.parse(candidate.file_name, sealed)
    return Predictor(drafted, engine.load(drafted))


def publish(
    candidate: Candidate, drafted: Predictor, checkpoint: Checkpoint, calibration: CalibrationSet,
    verification: Verification, *, gate: Gate, goldens: list[bytes], report: str,
) -> bytes:  # fmt: skip
    """The sealed artifact: the very model that was verified, its proof, and `goldens` with the answers it gave."""
    lower, upper = verification.interval_points
    seen = asdict(verification)
    del seen["lost_pictures"]
    manifest = {
        "format": 1,
        "precision": candidate.precision,
        "quantization": {
            "scheme": "int8 weights per channel, int8 activations per tensor, min-max ranges",
            "calibration": {"split": "train", "seed": calibration.seed, "indices": list(calibration.indices)},
        },
        "verification": seen
        | {"drop_points": verification.drop_points, "interval_points": [lower, upper], "limit_points": gate.max_drop_points},
        "goldens": {
            "engine": drafted.engine.name,
            "engine_version": drafted.engine.version,
            "tolerance": _tolerance(candidate),
        },
        "provenance": {
            "network": checkpoint.network,
            "data": checkpoint.data,
            "data_sha256": checkpoint.data_digest,
            "recipe": asdict(checkpoint.recipe),
            "trained_with": checkpoint.figures["versions"],
            "converted_with": {tool: version(tool) for tool in _TOOLS},
            "edgeproof": version("edgeproof"),
            "commit": _commit(),
        },
    }
    return artifact.seal(
        candidate.model,
        drafted.contract,
        labels=checkpoint.class_names,
        goldens=[(pixels, drafted.engine.run(pixels)) for pixels in goldens],
        manifest=manifest,
        report=report,
    )


def _tolerance(candidate: Candidate) -> float:
    """How far an output may lie from a golden on another processor: one int8 step, in the unit of the output tensor."""
    if candidate.kind == "tflite":
        return 1.0
    from convert.to_onnx import output_step

    return 1.01 * output_step(candidate.model)  # a hundredth for rounding to float32


def _commit() -> str:
    """The commit of the checkout this runs from, `-dirty` if it was changed; "unknown" without a checkout or git."""
    here = Path(__file__).resolve().parent.parent
    if not (here / ".git").exists():
        return "unknown"
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40", "--match", ""]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
