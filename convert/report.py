"""What a conversion tells: a table on the terminal, report.json for programs, report.md for people."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from convert.candidate import Candidate
from convert.gate import Verdict
from convert.verify import Verification
from edge import host
from edge.files import write_whole

_HEADER = ("network", "format", "precision", "model bytes", "float top-1", "top-1", "lost", "gained",
           "drop (95 % interval), points", "n", "verdict")  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One candidate, how it compared, and what the gate said."""

    candidate: Candidate
    verification: Verification
    verdict: Verdict

    def cells(self) -> tuple[str, ...]:
        """The row as the table shows it."""
        seen, (lower, upper) = self.verification, self.verification.interval_points
        return (
            self.candidate.name.removesuffix(f"-{self.candidate.precision}"),
            self.candidate.kind,
            self.candidate.precision,
            f"{len(self.candidate.model):,}",
            f"{100 * seen.float_top1:.2f} %",
            f"{100 * seen.top1:.2f} %",
            str(seen.lost),
            str(seen.gained),
            f"{seen.drop_points:.2f} ({lower:.2f} to {upper:.2f})",
            f"{seen.n_images:,}",
            self.verdict.outcome,
        )

    def as_json(self) -> dict[str, object]:
        """The row with every figure, the lost pictures among them."""
        return {
            "name": self.candidate.name,
            "format": self.candidate.kind,
            "precision": self.candidate.precision,
            "bytes": len(self.candidate.model),
            "verdict": self.verdict.outcome,
            "reasons": list(self.verdict.reasons),
            "drop_points": self.verification.drop_points,
            "interval_points": list(self.verification.interval_points),
        } | asdict(self.verification)


def table(rows: list[Row]) -> str:
    """The rows under their header, in columns."""
    cells = [_HEADER, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells)


def markdown(rows: list[Row]) -> str:
    """The rows as a Markdown table, with the gate's reasons under it."""
    lines = [_HEADER, tuple("---" for _ in _HEADER), *(row.cells() for row in rows)]
    grid = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    reasons = "\n".join(
        f"- `{row.candidate.file_name}`: {row.verdict.outcome}: {'; '.join(row.verdict.reasons)}" for row in rows
    )
    return (
        f"{grid}\n\n{reasons}\n\n"
        "lost: the float model is right and this one wrong; gained: the reverse; n: test pictures. "
        f"Measured on {_machine()}.\n"
    )


def write(rows: list[Row], folder: Path) -> None:
    """Put report.json and report.md into `folder`."""
    report = {"schema": 1, "machine": _machine(), "rows": [row.as_json() for row in rows]}
    write_whole(str(folder / "report.json"), json.dumps(report, indent=1).encode() + b"\n")
    write_whole(str(folder / "report.md"), f"# Conversion report\n\n{markdown(rows)}".encode())


def _machine() -> str:
    here = host.read()
    return f"{here.machine}, {here.cpu_model}, {here.n_cpus} cores, Python {here.python}"
