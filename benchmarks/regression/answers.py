"""Do both sides answer alike? The test split where it is at hand, else the pictures that the models carry."""

import contextlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.regression.sides import Side
from convert.gate import gate_for
from convert.verify import Verification
from edge import artifact
from edge.artifact import Artifact
from edge.errors import ToolchainError, one_line
from train import datasets


@dataclass(frozen=True)
class AnswersVerdict:
    """The verdict, and how a table shows it."""

    verdict: str
    base: str
    now: str
    change: str


def compare(base: Side, now: Side, *, model: str, picture: str, data_dir: str | None) -> AnswersVerdict:
    """Ask both sides about every picture. Raises ToolchainError where a side fails."""
    with base.start(model, picture) as one, now.start(model, picture) as other:
        held = [artifact.read(worker.ask("model")) for worker in (one, other)]
        contract = held[0].contract
        assert contract and held[1].contract
        images, truth, data = _pictures(held[0], data_dir)
        if why := not_comparable(*held, judged=truth is not None):
            return AnswersVerdict("not comparable", contract.name, held[1].contract.name, why)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "pictures")
            file.write_bytes(images.tobytes())
            found, again = (np.array(worker.ask(f"answers {file}").split(), int) for worker in (one, other))
    return judge(found, again, truth=truth, data=data)


def not_comparable(base: Artifact, now: Artifact, *, judged: bool) -> str:
    """Why the answers of one say nothing of the other's; empty where they do.

    Another network of the same task may answer differently, and only a test split says which is right: `judged` is whether
    there is one.
    """
    assert base.contract and now.contract
    if base.labels != now.labels:
        return f"another task: {_told(base.labels)} there, {_told(now.labels)} here"
    if base.contract.input != now.contract.input:
        return f"another task: {base.contract.input} there, {now.contract.input} here"
    networks = [_network(each) for each in (base, now)]
    if networks[0] != networks[1] and not judged:
        return f"another network: {networks[0]} there, {networks[1]} here; name the test pictures' folder with --data-dir"
    return ""


def judge(base: np.ndarray, now: np.ndarray, *, truth: np.ndarray | None, data: str) -> AnswersVerdict:
    """The verdict on classes, int [N]; with no `truth` the base counts as right, and one difference is one too many.

    Answers have no noise: where none differs they are the same, however few. What differs goes through the gate, and where
    that passes, the paired interval says whether it is more or fewer that are right.
    """
    n, differ = len(base), int(np.sum(base != now))
    if truth is None:
        shown = f"{differ} of {n:,} carried pictures differ"
        return AnswersVerdict("worse" if differ else "same", f"n = {n:,}", f"n = {n:,}", shown)
    was, now_right = base == truth, now == truth
    lost, gained = int(np.sum(was & ~now_right)), int(np.sum(~was & now_right))
    seen = Verification(n, lost, gained, n - differ, float(was.mean()), float(now_right.mean()))
    gate = gate_for(data, None)
    outcome = gate.judge(seen).decision if differ else "passed"
    lower, upper = seen.interval_points
    within = "fewer right" if lower > 0 else "better" if upper < 0 else "same"
    verdict = {"passed": within, "failed": "worse", "undecided": "not shown"}[outcome]
    shown = f"{lost} lost, {gained} gained of {n:,}"
    if verdict == "not shown":
        shown += f": that this is within the limit of {gate.max_drop_points:.1f} points is not shown"
    return AnswersVerdict(verdict, f"{100 * was.mean():.2f} %", f"{100 * now_right.mean():.2f} %", shown)


def _pictures(model: Artifact, data_dir: str | None) -> tuple[np.ndarray, np.ndarray | None, str]:
    """uint8 [N, H, W, C], their classes if they are known, and the data set's name."""

    provenance = model.manifest().get("provenance")
    assert model.contract
    data = str(provenance["data"]) if isinstance(provenance, dict) else "custom"
    if isinstance(provenance, dict) and (data_dir or os.environ.get("EDGEPROOF_DATA") or data == "digits"):
        with contextlib.suppress(*([] if data_dir else [ToolchainError])):  # a folder meant for other data is no error
            test = datasets.load_again(data, data_dir, digest=provenance["data_sha256"], contract=model.contract.input).test
            return test.images, test.labels.astype(int), data
    pictures = b"".join(pixels for pixels, _ in model.goldens())
    return np.frombuffer(pictures, np.uint8), None, data


def _network(model: Artifact) -> str:
    """The network and the pictures it learnt, as its manifest names them; without such, by its name."""
    provenance = model.manifest().get("provenance")
    assert model.contract
    if not isinstance(provenance, dict) or "network" not in provenance:
        return model.contract.name.rpartition("-")[0]
    return f"{provenance['network']}-{provenance.get('data', 'unknown')}"


def _told(labels: Sequence[str]) -> str:
    return one_line(f"{len(labels)} classes from {labels[0]} to {labels[-1]}")
