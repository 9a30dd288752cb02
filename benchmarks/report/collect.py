"""From model files to rows: what a model states about itself, and what `python -m edge bench` measures."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.report.row import Accuracy, LostThumbnail, Operation, ReportRow, Speed
from edge import artifact, child, engines, predictor
from edge.artifact import Artifact
from edge.bench.percentiles import LatencySummary
from edge.errors import EngineMissing, InputMissing, ModelError, ToolchainError
from edge.locate import shipped_model
from edge.predictor import Predictor

KINDS = (".tflite", ".onnx")
# Pipelines that start processes: a machine too busy for them may be steady enough for the others.
OF_PROCESSES = ("edge-predict:", "start:")


def files(named: Iterable[str]) -> list[Path]:
    """The model in the wheel, then those named; a folder stands for the models in it. Raises InputMissing."""
    paths = [Path(shipped_model())]
    for path in map(Path, named):
        if path.is_dir():
            paths += sorted(inside for inside in path.iterdir() if inside.suffix in KINDS)
        elif path.exists():
            paths.append(path)
        else:
            raise InputMissing(f"{path}: no such model or folder of models")
    return list(dict.fromkeys(paths))


def rows(paths: Iterable[Path], *, short: bool, shared_machine: bool, tell: Callable[[str], None]) -> Iterator[ReportRow]:
    """A row for each model and each engine that runs it here; with `short`, only for the engine a prediction would use.

    `tell` gets a line for each model or engine left out, with the reason.
    """
    digests: set[str] = set()
    for path in paths:
        try:
            model = artifact.read(str(path))
            if model.digest not in digests:
                digests.add(model.digest)
                yield from _of_model(model, short=short, shared_machine=shared_machine, tell=tell)
        except (InputMissing, ModelError) as error:
            tell(f"left out: {error}")


def _of_model(model: Artifact, *, short: bool, shared_machine: bool, tell: Callable[[str], None]) -> Iterator[ReportRow]:
    manifest = model.manifest()
    able = [name for name, choice in engines.ENGINES.items() if choice.kind == model.kind]
    measured = 0
    for name in able:
        if short and measured:
            return
        try:
            ready = predictor.from_artifact(model, engine_name=name, trusted=True)
        except EngineMissing as error:
            tell(f"left out: {name}: {error}")
            continue
        measured += 1
        row = described(model, manifest, ready)
        tell(f"measuring {row.name} with {name}")
        speed, unsteady = _bench(model.path, name, short=short, shared_machine=shared_machine)
        yield replace(row, speed=speed, unsteady=unsteady)


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


def _bench(path: str, engine_name: str, *, short: bool, shared_machine: bool) -> tuple[Speed | None, str]:
    """What `edge bench` measures; or None, and why it refused."""
    argv = [sys.executable, "-m", "edge", "bench", path, "--json", "--engine", engine_name]
    argv += ["--trust"] * (not engines.ENGINES[engine_name].verifies) + ["--shared-machine"] * shared_machine
    argv += ["--calls", "662"] * short
    answer = _run_bench([*argv, "--processes", "3" if short else "10"])
    why = str(answer.get("refused", {}).get("why", ""))
    if why.startswith(OF_PROCESSES):
        answer = _run_bench([*argv, "--processes", "0"])
        why = "; ".join(filter(None, (why, str(answer.get("refused", {}).get("why", "")))))
    if "figures" not in answer:
        return None, why
    figures = {
        pipeline: {name: LatencySummary(**f) for name, f in stages.items()} for pipeline, stages in answer["figures"].items()
    }
    return Speed(figures=figures, peak_mib=answer["peak_mib"]), why


def _run_bench(argv: list[str]) -> dict:
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode not in (0, 1) or not done.stdout.startswith("{"):
        why = child.last_line(done, default="no message")
        raise ToolchainError(f"python -m edge bench ended with {done.returncode}: {why}")
    return json.loads(done.stdout)


def operations(path: Path) -> tuple[Operation, ...]:
    """The results of the per-operation suite from pytest-benchmark's JSON; () without such a file."""
    try:
        tests = json.loads(path.read_text())["benchmarks"]
    except OSError:
        return ()
    except (ValueError, KeyError, TypeError):
        raise ModelError(f"{path}: not the JSON of pytest-benchmark; run make benchmarks again") from None
    made = []
    for test in tests:
        name, stats = test["name"].removeprefix("test_").replace("_", " "), test["stats"]
        median_us, iqr_us = 1e6 * stats["median"], 1e6 * stats["iqr"]
        made.append(Operation(name=name, median_us=median_us, iqr_us=iqr_us, rounds=stats["rounds"]))
    return tuple(made)


def _mapping(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}
