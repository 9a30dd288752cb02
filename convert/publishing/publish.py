"""Seal a candidate that passed, with its proof, and write the file."""

import hashlib
import os
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np

from convert.calibration.images import CalibrationSet
from convert.interfaces import Candidate
from convert.plan import QUANTIZED
from convert.publishing.git_commit import commit
from convert.publishing.golden_files import golden_files
from convert.publishing.signing import write_signed
from convert.results import Outcome, Trial
from edge import artifact
from edge.errors import StorageError
from edge.files import write_atomic
from edge.predictor import Predictor
from edge.store.signature import ENDING

# How far outputs may differ from the goldens on another processor. Float models: a share of the largest logit, as rounding
# errors grow with it; summation in another order moved logits by 1.1e-5 on an emulated Cortex-A72. Models that round
# activations: a value may round to either side, which is worth two steps of an int8 output, if it had one.
FLOAT_TOLERANCE = 1e-4
ROUNDED_STEPS = 2
_TOOLS = ("tensorflow", "keras", "numpy", "ai-edge-litert", "litert-quantizer", "onnx", "onnxruntime", "tf2onnx")


def check_folder(folder: Path) -> None:
    """Raises StorageError if no file can be written in `folder`, which need not be there yet."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    why = None if there.is_dir() else "a file, where a folder is wanted"
    if why is None and not os.access(there, os.W_OK | os.X_OK):
        why = "this user may not write there, or it is read-only"
    if why:
        raise StorageError(f"{there}: {why}; name another folder with --out")


def seal(outcome: Outcome, trial: Trial, *, goldens: list[bytes], report: str, model_version: int | None = None) -> bytes:
    """The artifact of an outcome that passed: the very model that was judged, its proof, and `goldens` with its answers.

    A device compares `model_version` with those it had; None for none.
    """
    evaluation, repair, network = outcome.final.evaluation, outcome.repair, trial.network
    assert evaluation is not None
    candidate, predictor, verification = evaluation.candidate, evaluation.predictor, evaluation.verification
    counts = asdict(verification)
    del counts["lost_pictures"]
    calibrated = candidate.plan.calibrated or (repair is not None and repair.calibrated)
    calibration = repair.calibration if repair else trial.calibration
    files = golden_files(trial.dataset.test.images, predictor.contract.input)
    manifest: dict[str, object] = {
        "format": predictor.contract.items()["edgeproof"],
        "precision": candidate.plan.precision,
        "quantization": {"scheme": candidate.plan.in_words, "in_float": list(candidate.plan.in_float)}
        | ({"remedies": list(repair.remedies)} if repair else {})
        | ({"trials": trial.max_trials} if trial.max_trials and candidate.plan.precision in QUANTIZED else {})
        | ({"calibration": _account(calibration)} if calibrated else {}),
        "verification": counts
        | {
            "drop_points": verification.drop_points,
            "interval_points": list(verification.interval_points),
            "limit_points": trial.gate.max_drop_points,
            "through_files": len(trial.files.paths),
            "float_side": "model" if trial.owners is None else "owner",
            "decided_by": evaluation.grounds.as_json(),
        }
        | ({"unlabelled": trial.unlabelled.as_json()} if trial.unlabelled else {}),
        "confidence": evaluation.judged.as_json() if evaluation.judged else "not checked",
        "end_to_end": trial.end_to_end.as_json() if trial.end_to_end else "not checked",
        "goldens": {
            "engine": predictor.engine.name,
            "engine_version": predictor.engine.version,
            "tolerance": _tolerance(candidate, predictor, goldens),
        },
        "pictures": {
            "pillow": version("pillow"),
            "tolerance": {file.name: file.tolerance for file in files},
        },
        "provenance": network.provenance
        | {
            "network": network.network,
            "data": network.data,
            "data_sha256": network.data_digest,
            "converted_with": {tool: version(tool) for tool in _TOOLS},
            "edgeproof": version("edgeproof"),
            "commit": commit(),
        },
    }
    if model_version is not None:
        manifest["model_version"] = model_version
    return artifact.seal(
        candidate.model,
        predictor.contract,
        labels=network.class_names,
        goldens=[(pixels, predictor.engine.run(pixels)) for pixels in goldens],
        manifest=manifest,
        report=report,
        files=tuple((file.name, file.content, file.pixels, predictor.engine.run(file.pixels)) for file in files),
    )


def publish(path: Path, sealed: bytes, *, key: Path | None) -> None:
    """Write the artifact to `path`, and its signature beside it where there is a `key`. Raises what `write_signed` raises."""
    if key:
        write_signed(str(path), sealed, str(key))
    else:
        Path(f"{path}{ENDING}").unlink(missing_ok=True)  # the signature of another model
        write_atomic(str(path), sealed)


def _tolerance(candidate: Candidate, predictor: Predictor, goldens: list[bytes]) -> float:
    """How far an output may differ from a golden on another processor, in the unit of the output tensor.

    One step of an int8 output, two with a second output; one step also where the file decodes it to float; FLOAT_TOLERANCE
    times the goldens' largest value by magnitude for float models; ROUNDED_STEPS of 255 steps over the range of their values
    where activations are rounded.
    """
    if predictor.contract.output_dtype == "int8":
        # One step; of units, whose steps are finer, two: so far apart were tflite-runtime 2.14 and LiteRT on 600 digits.
        return ROUNDED_STEPS if predictor.contract.n_outputs > predictor.contract.n_classes else 1.0
    answers = [predictor.answer(pixels) for pixels in goldens]
    values = [value for answer in answers for value in answer.logits + answer.extra]
    if candidate.plan.precision in ("float32", "float16"):
        return FLOAT_TOLERANCE * max(map(abs, values))
    if candidate.kind == "onnx" and candidate.plan.precision == "int8":
        from convert.to_onnx import output_step

        if step := output_step(candidate.model):
            return 1.01 * step  # a hundredth for rounding to float32
    return ROUNDED_STEPS * (max(values) - min(values)) / 255


def _account(calibration: CalibrationSet) -> dict[str, object]:
    """Which images, and the SHA-256 of their pixels, uint8 [n, H, W, C] in that order, in hex."""
    pixels = {"sha256": hashlib.sha256(np.ascontiguousarray(calibration.images).data).hexdigest()}
    if not calibration.indices:  # the user's own
        return {"source": calibration.source, "n_images": len(calibration.images)} | pixels
    return {"split": "train", "seed": calibration.seed, "indices": list(calibration.indices)} | pixels
