"""The rows of an edgeproof file: what it states about itself, and what `python -m edge bench` measures."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.instructions import count
from benchmarks.report.row import Accuracy, How, LostThumbnail, ReportRow, Speed
from edge import artifact, child, engines, predictor
from edge.artifact import Artifact
from edge.errors import EngineMissing, ToolchainError
from edge.locate import shipped_model
from edge.predictor import Predictor


def rows(path: Path, how: How) -> Iterator[ReportRow]:
    """A row for each engine that runs the model here; with `short`, only for the one a prediction would use."""
    model = artifact.read(str(path))
    if model.digest in how.seen:
        return
    how.seen.add(model.digest)
    manifest = model.manifest()
    able = [name for name, choice in engines.ENGINES.items() if choice.kind == model.kind]
    measured = 0
    for name in able:
        if how.short and measured:
            return
        try:
            ready = predictor.from_artifact(model, engine_name=name, trusted=True)
        except EngineMissing as error:
            how.tell(f"left out: {name}: {error}")
            continue
        measured += 1
        row = described(model, manifest, ready)
        how.tell(f"measuring {row.name} with {name}: up to {how.most_s} s")
        row = replace(row, **_bench(model.path, name, how))
        yield replace(row, **counted(model.path, name, how)) if how.count_by else row


def counted(path: str, engine: str, how: How) -> dict[str, object]:
    """The row's `instructions`, or in `not_counted` why there are none."""
    how.tell(f"counting instructions of {path} with {engine}, by {how.count_by}")
    try:
        return {"instructions": count.count(path, engine, by=how.count_by)}
    except ToolchainError as error:
        return {"not_counted": str(error)}


def described(model: Artifact, manifest: dict[str, object], ready: Predictor) -> ReportRow:
    """The row of a model from its own manifest and contract, without latencies."""
    provenance = _mapping(manifest.get("provenance"))
    precision = str(manifest.get("precision", "unknown"))
    network = str(provenance.get("network") or ready.contract.name.removesuffix(f"-{precision}"))
    return ReportRow(
        network=network,
        data=str(provenance.get("data", "unknown")),
        format=model.kind,
        precision=precision,
        engine=ready.engine.name,
        ran=f"{ready.engine.version}, {ready.engine.kernels}",
        path=model.path,
        digest=model.digest,
        model_bytes=ready.contract.model_bytes,
        file_bytes=len(model.data),
        shipped=Path(model.path).resolve() == Path(shipped_model()).resolve(),
        accuracy=_accuracy(_mapping(manifest.get("verification"))),
        lost=tuple(_lost(model)),
    )


def _accuracy(verification: dict[str, object]) -> Accuracy | None:
    try:
        known = {name: verification[name] for name in ("top1", "float_top1", "drop_points", "lost", "gained", "n_images")}
        lower, upper = verification["interval_points"]
    except (KeyError, TypeError, ValueError):
        return None
    return Accuracy(**known, interval_points=(lower, upper), limit_points=verification.get("limit_points"))


def _lost(model: Artifact) -> Iterator[LostThumbnail]:
    """The lost images, from the report.json that `convert` wrote beside the model, if that report is of this model."""
    beside = Path(model.path).with_name("report.json")
    assert model.contract
    model_sha256 = hashlib.sha256(model.data[: model.contract.model_bytes]).hexdigest()
    try:
        for row in json.loads(beside.read_text())["rows"]:
            if row.get("model_sha256") != model_sha256:
                continue
            for picture in row["lost_pictures"]:
                label, answer = model.labels[picture["label"]], model.labels[picture["answer"]]
                yield LostThumbnail(index=picture["index"], label=label, answer=answer)
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError):
        return  # there is no report, or it is not convert's


def _bench(path: str, engine_name: str, how: How) -> dict[str, object]:
    """What `edge bench` measures, or why it refused: the row's `speed`, `unsteady` and `refused`."""
    argv = [sys.executable, "-m", "edge", "bench", path, "--json", "--engine", engine_name]
    argv += ["--trust"] * (not engines.ENGINES[engine_name].verifies) + ["--shared-machine"] * how.shared_machine
    answer = _run_bench([*argv, "--processes", "3" if how.short else "10"])
    if "figures" not in answer:
        return {"refused": answer["refused"]["why"]}
    return {"speed": Speed.from_dict(answer), "unsteady": answer["unsteady"]}


def _run_bench(argv: list[str]) -> dict:
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode not in (0, 1) or not done.stdout.startswith("{"):
        why = child.last_line(done, default="no message")
        raise ToolchainError(f"python -m edge bench ended with {done.returncode}: {why}")
    return json.loads(done.stdout)


def _mapping(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}
