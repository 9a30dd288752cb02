"""One model run by one engine, as the report knows it and report.json stores it."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from benchmarks.instructions.count import Instructions
from edge.bench.percentiles import LatencySummary

SCHEMA = 2  # 1 had no intervals; `unsteady` was then why figures were missing


@dataclass(frozen=True, kw_only=True)
class How:
    """How rows are measured, who hears of progress, and the digests of the models that have rows already."""

    short: bool
    shared_machine: bool
    count_by: str = ""  # `counters` or `valgrind`; "": instructions are not counted
    tell: Callable[[str], None]
    seen: set[str] = field(default_factory=set)
    most_s: int = 25  # about, for a row


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """What the gate measured when the model was published, from its manifest. Top-1 from 0 to 1, drops in percentage points."""

    top1: float
    float_top1: float
    drop_points: float
    interval_points: tuple[float, float]
    limit_points: float | None  # None if the manifest does not state it
    lost: int
    gained: int
    n_images: int


@dataclass(frozen=True, kw_only=True)
class Recheck:
    """The same test split measured again on this machine by the row's engine."""

    top1: float
    n_images: int
    lost_again: int | None  # of the lost images that report.json lists; None without such a list
    exact: bool  # the engine and version are those of the manifest
    agrees: bool | None  # exact: as many are right; else top-1 is within the gate's limit. None if no top-1 is stated


@dataclass(frozen=True, kw_only=True)
class LostThumbnail:
    """A test image that the float model classifies right and this model wrong, as a PNG (empty without the data set)."""

    index: int
    label: str
    answer: str
    png: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Speed:
    """What `python -m edge bench` measured, by pipeline and stage."""

    figures: dict[str, dict[str, LatencySummary]]
    peak_mib: float | None

    @classmethod
    def from_dict(cls, answer: Mapping[str, Any]) -> Self:
        """From the JSON of `edge bench`, or of a report."""
        told = answer["figures"].items()
        figures = {name: {stage: LatencySummary(**each) for stage, each in stages.items()} for name, stages in told}
        return cls(figures=figures, peak_mib=answer["peak_mib"])

    def figure(self, pipeline: str, stage: str = "whole") -> LatencySummary | None:
        return self.figures.get(pipeline, {}).get(stage)


@dataclass(frozen=True, kw_only=True)
class ReportRow:
    """One model and one engine.

    `unsteady` says why the figures of `speed` are of a machine's full pace, with an interval; "" on a steady machine. What is
    missing has a reason: `speed` in `refused`, `bound_ratio` in `no_bound`, a requested `recheck` in `not_rechecked`, requested
    `instructions` in `not_counted`.
    """

    network: str
    data: str
    format: str
    precision: str
    engine: str
    ran: str  # the engine's version and kernels
    path: str
    digest: str
    model_bytes: int
    file_bytes: int
    shipped: bool
    accuracy: Accuracy | None = None
    recheck: Recheck | None = None
    not_rechecked: str = ""
    speed: Speed | None = None
    unsteady: str = ""
    refused: str = ""
    bound_ratio: float | None = None
    no_bound: str = ""
    instructions: Instructions | None = None
    not_counted: str = ""
    lost: tuple[LostThumbnail, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.network}-{self.data}-{self.precision}.{self.format}"

    @property
    def inference_us(self) -> float | None:
        """Median time of the network alone."""
        latency = self.speed.figure("pixels", "inference") if self.speed else None
        return latency.p50_us if latency else None


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One test of the pytest-benchmark suite."""

    name: str
    median_us: float
    iqr_us: float
    rounds: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """The content of the three files. `comparison` is the result of `--compare`, ready for JSON."""

    version: str
    commit: str
    machine: dict[str, object]
    rows: tuple[ReportRow, ...]
    operations: tuple[Operation, ...] = ()
    left_out: tuple[str, ...] = ()
    comparison: dict[str, object] | None = None
    measured_at: str = ""  # UTC
    schema: int = field(default=SCHEMA)

    @property
    def where(self) -> str:
        """The machine in a line; unknown parts are called unknown."""
        cpu, cores = self.machine.get("cpu_model"), self.machine.get("n_cpus")
        governor = self.machine.get("governor") or "unknown"
        board = self.machine.get("board") or self.machine.get("machine") or "unknown machine"
        return f"{board}, {cpu or 'unknown processor'}, {cores or '?'} cores, governor {governor}, one thread"

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Self:
        """From a report.json of this schema or of schema 1. Raises KeyError or TypeError for anything else."""
        rows = tuple(map(_row, told["rows"]))
        operations = tuple(Operation(**each) for each in told["operations"])
        known = {name: told[name] for name in ("version", "commit", "machine", "comparison")}
        when = told.get("measured_at", "")
        return cls(**known, rows=rows, operations=operations, left_out=tuple(told["left_out"]), measured_at=when)

    def as_dict(self) -> dict[str, object]:
        """The report for JSON, without the PNGs; null means unknown."""
        report = asdict(self)
        for row in report["rows"]:
            for thumbnail in row["lost"]:
                del thumbnail["png"]
        return report


def _row(told: Mapping[str, Any]) -> ReportRow:
    parts = {"accuracy": Accuracy, "recheck": Recheck, "speed": Speed.from_dict, "instructions": Instructions}
    row = dict(told)
    for name, make in parts.items():
        if row.get(name):
            row[name] = make(row[name]) if name == "speed" else make(**row[name])
    if not row.get("speed") and "refused" not in row:  # schema 1
        row |= {"refused": row.get("unsteady", ""), "unsteady": ""}
    return ReportRow(**row | {"lost": tuple(LostThumbnail(**each) for each in row["lost"])})
