"""What the report knows of one model run by one engine, and how report.json holds it."""

from dataclasses import asdict, dataclass, field

from edge.bench.percentiles import LatencySummary

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """What the gate found when the model was published, from its manifest. Top-1 from 0 to 1, drops in points."""

    top1: float
    float_top1: float
    drop_points: float
    interval_points: tuple[float, float]
    limit_points: float | None  # None where the manifest does not say
    lost: int
    gained: int
    n_images: int


@dataclass(frozen=True, kw_only=True)
class Recheck:
    """The same test split answered again, here, by the row's engine."""

    top1: float
    n_images: int
    lost_again: int | None  # of the lost pictures report.json lists; None where there is no list
    exact: bool  # by the engine and version that the manifest names
    agrees: bool | None  # exact: as many are right; else top-1 is within the gate's limit. None where the manifest states none


@dataclass(frozen=True, kw_only=True)
class LostThumbnail:
    """A test picture the float model answers right and this one wrong; `png` is empty without the data set."""

    index: int
    label: str
    answer: str
    png: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Speed:
    """What `python -m edge bench` measured: chain by chain, stage by stage."""

    figures: dict[str, dict[str, LatencySummary]]
    peak_mib: float | None

    def figure(self, chain: str, stage: str = "whole") -> LatencySummary | None:
        return self.figures.get(chain, {}).get(stage)


@dataclass(frozen=True, kw_only=True)
class ReportRow:
    """One model and one engine.

    `unsteady` says why figures of `speed` are missing, `not_rechecked` why there is no `recheck` that was asked for; both are
    empty where nothing is missing.
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
    bound_ratio: float | None = None
    lost: tuple[LostThumbnail, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.network}-{self.data}-{self.precision}.{self.format}"

    @property
    def inference_us(self) -> float | None:
        """Median time of the network alone."""
        found = self.speed.figure("pixels", "inference") if self.speed else None
        return found.p50_us if found else None


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One test of the pytest-benchmark suite."""

    name: str
    median_us: float
    iqr_us: float
    rounds: int


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything the three files tell. `comparison` is what `--compare` found, as JSON takes it."""

    version: str
    commit: str
    machine: dict[str, object]
    rows: tuple[ReportRow, ...]
    operations: tuple[Operation, ...] = ()
    left_out: tuple[str, ...] = ()
    comparison: dict[str, object] | None = None
    schema: int = field(default=SCHEMA)

    @property
    def where(self) -> str:
        """The machine in a line; what is unknown is said."""
        cpu, cores = self.machine.get("cpu_model"), self.machine.get("n_cpus")
        governor = self.machine.get("governor") or "unknown"
        board = self.machine.get("board") or self.machine.get("machine") or "unknown machine"
        return f"{board}, {cpu or 'unknown processor'}, {cores or '?'} cores, governor {governor}, one thread"

    def as_dict(self) -> dict[str, object]:
        """As JSON takes it; pictures stay out, null is unknown."""
        told = asdict(self)
        for row in told["rows"]:
            for picture in row["lost"]:
                del picture["png"]
        return told
