"""What a conversion tells: a table on the terminal, report.json for programs, report.md with pictures for people."""

import hashlib
import json
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from convert.evaluation import N_EXPLAINING, Row, Trial
from convert.plan import QUANTIZED
from convert.repair.causes import NONE
from convert.report import contact_sheet
from convert.verify import LostPicture
from edge.device import host
from edge.files import write_atomic

FILE = "report.md"
_HEADER = ("network", "format", "precision", "model bytes", "float top-1", "top-1", "lost", "gained",
           "drop (95 % interval), points", "n", "µs", "verdict")  # fmt: skip
_WORDS = "lost: the float model is right and this one wrong; gained: the reverse; n: test pictures."


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
        return (network, row.kind, precision, *("-",) * 8, _outcome(row))
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
        _outcome(row),
    )


def _outcome(row: Row) -> str:
    """The last verdict in a word, and whether a repair came before it."""
    repaired = ", mended" if row.verdict.passed else ", after a repair"
    return row.verdict.outcome + (repaired if row.before else "")


def as_json(row: Row) -> dict[str, object]:
    """The row with every figure, the lost pictures among them."""
    told: dict[str, object] = {
        "name": row.name,
        "format": row.kind,
        "precision": row.plan.precision,
        "scheme": row.plan.in_words,
        "verdict": row.verdict.outcome,
        "reasons": list(row.verdict.reasons),
        "findings": [asdict(finding) for finding in row.findings],
        "repair": _repair(row),
    }
    if row.judged is None:
        return told
    seen = row.judged.verification
    return (
        told
        | {
            "bytes": len(row.judged.candidate.model),
            "model_sha256": hashlib.sha256(row.judged.candidate.model).hexdigest(),
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
    return _columns([_HEADER, *map(cells, rows)])


def layers(results: list[Result]) -> str:
    """What quantization costs each layer of each model, worst first, in columns; or why that is not known."""
    parts = []
    for result in results:
        for row in result.rows:
            grid: list[tuple[str, ...]] = [("layer", "SQNR, dB", "share of the error", "cause")]
            for f in row.findings:
                grid.append((f.layer, f"{f.sqnr_db:.1f}", f"{100 * f.share:.0f} %", "no fault" if f.cause == NONE else f.cause))
            untold = _untold(row, result.trial)
            before = " before the repair" if row.before else ""
            parts.append(f"{row.file_name}{before}: {untold}" if untold else f"{row.file_name}{before}:\n{_columns(grid)}")
    return "\n\n".join(parts)


def _untold(row: Row, trial: Trial) -> str:
    """Why there is nothing to tell of a model's layers; "" where there is."""
    if row.findings:
        return ""
    if row.plan.precision not in QUANTIZED:
        return "nothing in it is quantized: no layer to diagnose"
    if row.judged is None:
        return f"{row.verdict.outcome}: no layer to diagnose"
    if not trial.can_explain:
        return f"not diagnosed: {len(trial.validation)} validation images, wanted {N_EXPLAINING}"
    return "no layer of it can be told from the others"


def _columns(lines: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def markdown(rows: list[Row]) -> str:
    """The rows as a Markdown table, with the gate's reasons and what ran under it."""
    accounts = "".join(f"- {_account(row)}\n" for row in rows)
    return (
        f"{_grid([_HEADER, *map(cells, rows)])}\n\n{accounts}\n{_WORDS} µs: median time "
        f"of a prediction, pixels in, logits out, one thread. Measured on {_machine()}.\n"
    )


def proof(row: Row) -> str:
    """The same for the sealed file of `row`: no time is in it, so that equal inputs give equal files."""
    at = _HEADER.index("µs")
    grid = _grid([line[:at] + line[at + 1 :] for line in (_HEADER, cells(row))])
    return f"{grid}\n\n- {_account(row, timed=False)}\n\n{_WORDS} Measured on {_machine()}.\n{why([row], timed=False)}"


def why(rows: list[Row], *, timed: bool = True) -> str:
    """What quantization cost each layer, worst first, and what was done about it; "" where nothing was asked."""
    parts = []
    for row in rows:
        name = f"`{row.file_name}`"
        if row.findings:
            grid = [("layer", "share of the error", "SQNR, dB", "cause", "evidence"), ("---", "--:", "--:", "---", "---")]
            grid += [(f.layer, f"{100 * f.share:.0f} %", f"{f.sqnr_db:.1f}", f.cause, f.evidence) for f in row.findings]
            lines = "".join("| " + " | ".join(line) + " |\n" for line in grid)
            parts.append(f"What quantization costs each layer of {name}, worst first:\n\n{lines}")
        if row.repair:
            parts.append(
                f"{name} {row.repair.in_words(row.verdict)}.{_cost(row) if timed else ''}\n\n"
                + "".join(f"{i}. {step.in_words}\n" for i, step in enumerate(row.repair.steps))
            )
    return "\n## Why\n\n" + "\n".join(parts) if parts else ""


def write(results: list[Result], folder: Path, *, not_converted: list[str]) -> None:
    """Put report.json, report.md and the contact sheets of lost pictures into `folder`; `not_converted` says which networks
    or files came to nothing, and why."""
    rows = [row for result in results for row in result.rows]
    agreements = [line for result in results for line in result.agreements]
    report = {"schema": 2, "machine": _machine(), "rows": [as_json(row) for row in rows], "agreements": agreements}
    report |= {"not_converted": not_converted}
    parts = [f"# Conversion report\n\n{markdown(rows)}"]
    if not_converted:
        parts.append("## Not converted\n\n" + "".join(f"- {line}\n" for line in not_converted))
    if agreements:
        parts.append("## Between formats\n\n" + "".join(f"- {line}\n" for line in agreements))
    parts.extend(filter(None, [why(rows)]))
    for result in results:
        for row in result.rows:
            sheet = lost_folder(folder) / f"{row.file_name}.png"
            sheet.unlink(missing_ok=True)  # of an earlier conversion
            if row.judged and row.judged.verification.lost:
                parts.append(_lost(row, row.judged.verification.lost_pictures, result.trial, sheet))
    write_atomic(str(folder / "report.json"), json.dumps(report, indent=1).encode() + b"\n")
    write_atomic(str(folder / FILE), "\n".join(parts).encode())


def _repair(row: Row) -> dict[str, object] | None:
    if row.repair is None:
        return None
    return {
        "passed": row.repair.passed,
        "scheme": row.repair.plan.in_words,
        "layers_in_float": list(row.repair.layers),
        "steps": [asdict(step) for step in row.repair.steps],
        "before": None if row.before is None else as_json(row.before),
    }


def _cost(row: Row) -> str:
    """What a repair cost, against the candidate that it mends."""
    if row.before is None or row.before.judged is None or row.judged is None:
        return ""
    n_bytes = len(row.judged.candidate.model) - len(row.before.judged.candidate.model)
    taken = row.judged.median_us - row.before.judged.median_us
    return f" It costs {n_bytes:+,} bytes and {taken:+.0f} µs a prediction; what runs: {row.judged.inventory.in_words}."


def _grid(lines: list[tuple[str, ...]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in (lines[0], tuple("---" for _ in lines[0]), *lines[1:]))


def _account(row: Row, *, timed: bool = True) -> str:
    said = f"`{row.file_name}`: {row.verdict.outcome}: {'; '.join(row.verdict.reasons)}"
    if row.judged is None:
        return said
    ran = row.judged.inventory
    said += f". {row.plan.in_words}. Operators: {ran.in_words if timed else ran.counted}"
    return f"{said}. {row.judged.sensitivity}" if row.judged.sensitivity else said


def lost_folder(folder: Path) -> Path:
    """Where in `folder` the sheets of lost pictures lie."""
    return folder / "lost"


def _lost(row: Row, lost: tuple[LostPicture, ...], trial: Trial, sheet: Path) -> str:
    write_atomic(str(sheet), contact_sheet.draw(lost, trial.dataset.test, trial.trained.class_names))
    names = trial.trained.class_names
    shown = ", ".join(f"{picture.index} ({names[picture.label]} → {names[picture.answer]})" for picture in lost[:12])
    more = f" and {len(lost) - 12:,} more in report.json" if len(lost) > 12 else ""
    drawn = f"![lost pictures]({sheet.parent.name}/{sheet.name})"
    return f"## Lost by `{row.file_name}`\n\n{drawn}\n\nBy index in the test split: {shown}{more}.\n"


def _machine() -> str:
    here = host.read()
    return f"{here.machine}, {here.cpu_model}, {here.n_cpus} cores, Python {here.python}"
