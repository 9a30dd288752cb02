"""What a conversion tells: a table on the terminal, report.json for programs, report.md with pictures for people."""

import json
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from convert import contact_sheet
from convert.trial import Row, Trial
from convert.verify import LostPicture
from edge import host
from edge.files import write_whole

_HEADER = ("network", "format", "precision", "model bytes", "float top-1", "top-1", "lost", "gained",
           "drop (95 % interval), points", "n", "µs", "verdict")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Result:
    """All that came of one network."""

    trial: Trial
    rows: list[Row]

    @property
    def agreements(self) -> list[str]:
        """Where two formats have one precision: how many pictures they answer differently."""
        found = []
        for one, other in combinations(self.rows, 2):
            if one.plan.precision == other.plan.precision and one.judged and other.judged:
                here, there = one.judged.logits, other.judged.logits
                differ = int(np.sum(here.argmax(axis=1) != there.argmax(axis=1)))
                found.append(
                    f"{one.name}: {one.kind} and {other.kind} differ on {differ:,} of {len(here):,} answers, "
                    f"logits by {np.abs(here - there).max():.2g} at most"
                )
        return found


def cells(row: Row) -> tuple[str, ...]:
    """The row as the table shows it."""
    network, precision = row.name.removesuffix(f"-{row.plan.precision}"), row.plan.precision
    if row.judged is None:
        return (network, row.kind, precision, *("-",) * 8, row.verdict.outcome)
    seen, (lower, upper) = row.judged.verification, row.judged.verification.interval_points
    return (
        network,
        row.kind,
        f"{precision}, partly float" if row.judged.inventory.islands else precision,
        f"{len(row.judged.candidate.model):,}",
        f"{100 * seen.float_top1:.2f} %",
        f"{100 * seen.top1:.2f} %",
        str(seen.lost),
        str(seen.gained),
        f"{seen.drop_points:.2f} ({lower:.2f} to {upper:.2f})",
        f"{seen.n_images:,}",
        f"{row.judged.median_us:.0f}",
        row.verdict.outcome,
    )


def as_json(row: Row) -> dict[str, object]:
    """The row with every figure, the lost pictures among them."""
    told: dict[str, object] = {
        "name": row.name,
        "format": row.kind,
        "precision": row.plan.precision,
        "scheme": row.plan.in_words,
        "verdict": row.verdict.outcome,
        "reasons": list(row.verdict.reasons),
    }
    if row.judged is None:
        return told
    seen = row.judged.verification
    return (
        told
        | {
            "bytes": len(row.judged.candidate.model),
            "median_us": row.judged.median_us,
            "operators": row.judged.inventory.by_type,
            "float_islands": [asdict(island) for island in row.judged.inventory.islands],
            "calibration_sensitivity": row.judged.sensitivity,
            "drop_points": seen.drop_points,
            "interval_points": list(seen.interval_points),
        }
        | asdict(seen)
    )


def table(rows: list[Row]) -> str:
    """The rows under their header, in columns."""
    lines = [_HEADER, *map(cells, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def markdown(rows: list[Row]) -> str:
    """The rows as a Markdown table, with the gate's reasons and what ran under it."""
    lines = [_HEADER, tuple("---" for _ in _HEADER), *map(cells, rows)]
    grid = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return (
        f"{grid}\n\n"
        + "".join(f"- {_account(row)}\n" for row in rows)
        + (
            "\nlost: the float model is right and this one wrong; gained: the reverse; n: test pictures; µs: median time of a "
            f"prediction, pixels in, logits out, one thread. Measured on {_machine()}.\n"
        )
    )


def write(results: list[Result], folder: Path) -> None:
    """Put report.json, report.md and the contact sheets of lost pictures into `folder`."""
    rows = [row for result in results for row in result.rows]
    agreements = [line for result in results for line in result.agreements]
    report = {"schema": 2, "machine": _machine(), "rows": [as_json(row) for row in rows], "agreements": agreements}
    parts = [f"# Conversion report\n\n{markdown(rows)}"]
    if agreements:
        parts.append("## Between formats\n\n" + "".join(f"- {line}\n" for line in agreements))
    for result in results:
        for row in result.rows:
            if row.judged and row.judged.verification.lost:
                parts.append(_lost(row, row.judged.verification.lost_pictures, result.trial, folder))
    write_whole(str(folder / "report.json"), json.dumps(report, indent=1).encode() + b"\n")
    write_whole(str(folder / "report.md"), "\n".join(parts).encode())


def _account(row: Row) -> str:
    said = f"`{row.file_name}`: {row.verdict.outcome}: {'; '.join(row.verdict.reasons)}"
    if row.judged is None:
        return said
    said += f". {row.plan.in_words}. Operators: {row.judged.inventory.in_words}"
    return f"{said}. {row.judged.sensitivity}" if row.judged.sensitivity else said


def _lost(row: Row, lost: tuple[LostPicture, ...], trial: Trial, folder: Path) -> str:
    name = f"lost/{row.file_name}.png"
    write_whole(str(folder / name), contact_sheet.draw(lost, trial.dataset.test, trial.trained.class_names))
    names = trial.trained.class_names
    shown = ", ".join(f"{picture.index} ({names[picture.label]} → {names[picture.answer]})" for picture in lost[:12])
    more = f" and {len(lost) - 12:,} more in report.json" if len(lost) > 12 else ""
    return f"## Lost by `{row.file_name}`\n\n![lost pictures]({name})\n\nBy index in the test split: {shown}{more}.\n"


def _machine() -> str:
    here = host.read()
    return f"{here.machine}, {here.cpu_model}, {here.n_cpus} cores, Python {here.python}"
