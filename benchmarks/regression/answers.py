"""Do both sides answer alike? On the test split if it is available, else on the goldens of the models."""

import contextlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.regression.sides import Side
from convert.judging.gate import gate_for
from convert.judging.verify import Verification
from edge import artifact
from edge.artifact import Artifact
from edge.errors import ToolchainError, one_line
from train import datasets


@dataclass(frozen=True)
class AnswersVerdict:
    """The verdict on the answers, and the cells of its table row."""

    verdict: str
    base: str
    now: str
    change: str


def compare(base: Side, now: Side, *, model: str, picture: str, data_dir: str | None) -> AnswersVerdict:
    """Ask both sides about every image. Raises ToolchainError if a side fails."""
    with base.start(model, picture) as one, now.start(model, picture) as other:
        models = [artifact.read(worker.ask("model")) for worker in (one, other)]
        contract = models[0].contract
        assert contract and models[1].contract
        images, truth, data = _images(models[0], data_dir)
        if why := not_comparable(*models, judged=truth is not None):
            return AnswersVerdict("not comparable", contract.name, models[1].contract.name, why)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "images")
            file.write_bytes(images.tobytes())
            base_classes, now_classes = (np.array(worker.ask(f"answers {file}").split(), int) for worker in (one, other))
    return judge(base_classes, now_classes, truth=truth, data=data)


def not_comparable(base: Artifact, now: Artifact, *, judged: bool) -> str:
    """Why the answers of the two models cannot be compared; "" if they can.

    Two networks for the same task may answer differently, and only a test split says which is right; `judged`: there is one.
    """
    assert base.contract and now.contract
    if base.labels != now.labels:
        return f"another task: {_described(base.labels)} there, {_described(now.labels)} here"
    takes, both_digits = (base.contract.input, now.contract.input), base.contract.input.is_digit and now.contract.input.is_digit
    if takes[0] != takes[1] and not both_digits:  # `digit` and `digit2` feed a network the same images
        return f"another task: {base.contract.input} there, {now.contract.input} here"
    networks = [_network(each) for each in (base, now)]
    if networks[0] != networks[1] and not judged:
        return f"another network: {networks[0]} there, {networks[1]} here; name the test images' folder with --data-dir"
    return ""


def judge(base: np.ndarray, now: np.ndarray, *, truth: np.ndarray | None, data: str) -> AnswersVerdict:
    """The verdict on the classes of both sides, int [N]. Without `truth` the base counts as right and any difference is worse.

    Answers have no noise: equal ones are the same, however few. Different ones go through the gate, and if that passes, the
    paired interval decides whether more or fewer are right.
    """
    n, differ = len(base), int(np.sum(base != now))
    if truth is None:
        shown = f"{differ} of {n:,} goldens differ"
        return AnswersVerdict("worse" if differ else "same", f"n = {n:,}", f"n = {n:,}", shown)
    was, now_right = base == truth, now == truth
    lost, gained = int(np.sum(was & ~now_right)), int(np.sum(~was & now_right))
    verification = Verification(n, lost, gained, n - differ, float(was.mean()), float(now_right.mean()))
    gate = gate_for(data, None)
    outcome = gate.judge(verification).decision if differ else "passed"
    lower, upper = verification.interval_points
    within = "fewer right" if lower > 0 else "better" if upper < 0 else "same"
    verdict = {"passed": within, "failed": "worse", "undecided": "not shown"}[outcome]
    shown = f"{lost} lost, {gained} gained of {n:,}"
    if verdict == "not shown":
        shown += f": too few images to show that this is within the limit of {gate.max_drop_points:.1f} points"
    return AnswersVerdict(verdict, f"{100 * was.mean():.2f} %", f"{100 * now_right.mean():.2f} %", shown)


def _images(model: Artifact, data_dir: str | None) -> tuple[np.ndarray, np.ndarray | None, str]:
    """Images, uint8 [N, H, W, C]; their classes, int [N], if they are known; the data set's name."""
    provenance = model.manifest().get("provenance")
    assert model.contract
    data = str(provenance["data"]) if isinstance(provenance, dict) else "custom"
    if isinstance(provenance, dict) and (data_dir or os.environ.get("EDGEPROOF_DATA") or data == "digits"):
        with contextlib.suppress(*([] if data_dir else [ToolchainError])):  # $EDGEPROOF_DATA may hold other data
            test = datasets.load_again(data, data_dir, digest=provenance["data_sha256"], contract=model.contract.input).test
            return test.images, test.labels.astype(int), data
    images = b"".join(image for image, _ in model.goldens())
    return np.frombuffer(images, np.uint8), None, data


def _network(model: Artifact) -> str:
    """The network and its training data, as the manifest names them; without those, its name."""
    provenance = model.manifest().get("provenance")
    assert model.contract
    if not isinstance(provenance, dict) or "network" not in provenance:
        return model.contract.name.rpartition("-")[0]
    return f"{provenance['network']}-{provenance.get('data', 'unknown')}"


def _described(labels: Sequence[str]) -> str:
    return one_line(f"{len(labels)} classes from {labels[0]} to {labels[-1]}")
