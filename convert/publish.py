"""From a candidate that passed to the sealed file, which carries its proof."""

import hashlib
from dataclasses import asdict
from importlib.metadata import version

import numpy as np

from convert.calibration.images import CalibrationSet
from convert.evaluation import Row, Trial
from convert.git_commit import commit
from convert.interfaces import Candidate
from edge import artifact
from edge.predictor import Predictor

# How far float logits may lie from the goldens elsewhere, as a share of the largest of them: sums in another order moved
# logits by 1.1e-5 on an emulated Cortex-A72, and what rounding moves grows with them. Where activations are rounded on the way
# one may fall to either side: two steps of an int8 output, had it one.
FLOAT_TOLERANCE = 1e-4
ROUNDED_STEPS = 2
_TOOLS = ("tensorflow", "keras", "numpy", "ai-edge-litert", "litert-quantizer", "onnx", "onnxruntime", "tf2onnx")


def publish(row: Row, trial: Trial, *, goldens: list[bytes], report: str) -> bytes:
    """The sealed artifact of a row that passed: the very model that was verified, its proof, and `goldens` with its answers."""
    assert row.judged is not None
    candidate, drafted, verification = row.judged.candidate, row.judged.predictor, row.judged.verification
    trained, calibration = trial.trained, row.repair.calibration if row.repair else trial.calibration
    lower, upper = verification.interval_points
    seen = asdict(verification)
    del seen["lost_pictures"]
    manifest = {
        "format": 1,
        "precision": candidate.plan.precision,
        "quantization": {"scheme": candidate.plan.in_words, "in_float": list(candidate.plan.in_float)}
        | ({"remedies": list(row.repair.remedies)} if row.repair else {})
        | ({"calibration": _account(calibration)} if _calibrated(row) else {}),
        "verification": seen
        | {
            "drop_points": verification.drop_points,
            "interval_points": [lower, upper],
            "limit_points": trial.gate.max_drop_points,
        },
        "goldens": {
            "engine": drafted.engine.name,
            "engine_version": drafted.engine.version,
            "tolerance": _tolerance(candidate, drafted, goldens),
        },
        "provenance": trained.provenance
        | {
            "network": trained.network,
            "data": trained.data,
            "data_sha256": trained.data_digest,
            "converted_with": {tool: version(tool) for tool in _TOOLS},
            "edgeproof": version("edgeproof"),
            "commit": commit(),
        },
    }
    return artifact.seal(
        candidate.model,
        drafted.contract,
        labels=trained.class_names,
        goldens=[(pixels, drafted.engine.run(pixels)) for pixels in goldens],
        manifest=manifest,
        report=report,
    )


def _tolerance(candidate: Candidate, drafted: Predictor, goldens: list[bytes]) -> float:
    """How far an output may lie from a golden on another processor, in the unit of the output tensor.

    One step of an int8 output, whatever type it is given in; FLOAT_TOLERANCE of the goldens' largest logit, by magnitude,
    where all is computed in float; ROUNDED_STEPS of 255 of the range of their logits where activations are rounded on the way.
    """
    if drafted.contract.output_dtype == "int8":
        return 1.0  # one step
    logits = [value for pixels in goldens for value in drafted.answer(pixels).logits]
    if candidate.plan.precision in ("float32", "float16"):
        return FLOAT_TOLERANCE * max(map(abs, logits))
    if candidate.kind == "onnx" and candidate.plan.precision == "int8":
        from convert.to_onnx import output_step

        if step := output_step(candidate.model):
            return 1.01 * step  # a hundredth for rounding to float32
    return ROUNDED_STEPS * (max(logits) - min(logits)) / 255


def _calibrated(row: Row) -> bool:
    """Whether calibration images left their mark on the file: they set ranges, or the means that biases were corrected by."""
    return row.plan.calibrated or (row.repair is not None and row.repair.calibrated)


def _account(calibration: CalibrationSet) -> dict[str, object]:
    """Which images, and the SHA-256 of their pixels, uint8 [n, H, W, C] in that order, in hex."""
    pixels = {"sha256": hashlib.sha256(np.ascontiguousarray(calibration.images).data).hexdigest()}
    if not calibration.indices:  # the user's own
        return {"source": calibration.source, "n_images": len(calibration.images)} | pixels
    return {"split": "train", "seed": calibration.seed, "indices": list(calibration.indices)} | pixels
