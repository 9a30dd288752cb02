"""What a conversion reports: a table on the terminal, report.json for programs, report.md with drawings for people."""

import hashlib
import json
from dataclasses import asdict
from itertools import combinations
from pathlib import Path

import numpy as np

from convert import contact_sheet
from convert.judging.gate import ANSWERS
from convert.judging.verify import LostImage
from convert.plan import QUANTIZED
from convert.repair.causes import NONE
from convert.report import confidence, pixels
from convert.results import MIN_VALIDATION, ConversionResult, NetworkOutcomes, Outcome, Trial
from edge.device import host
from edge.files import write_atomic
from train import markdown

FILE = "report.md"
_HEADER = ("network", "format", "precision", "model bytes", "float top-1", "top-1", "lost", "gained",
           "drop (95 % interval), points", "n", "µs", "verdict")  # fmt: skip
_WORDS = (
    "lost: the float model is right and this one wrong; gained: the reverse; n: images that decide; top-1: of the test images."
)


def agreements(outcomes: list[Outcome]) -> list[str]:
    """Where two formats have one precision: how many images they answer differently."""
    lines = []
    for one, other in combinations([outcome.final for outcome in outcomes], 2):
        if one.plan.precision == other.plan.precision and one.evaluation and other.evaluation:
            a, b = one.evaluation.logits, other.evaluation.logits
            differ = int(np.sum(a.argmax(axis=1) != b.argmax(axis=1)))
            lines.append(
                f"{one.name}: {one.kind} and {other.kind} differ on {differ:,} of {len(a):,} answers, "
                f"logits by {np.abs(a - b).max():.2g} at most"
            )
    return lines


def cells(outcome: Outcome) -> tuple[str, ...]:
    """The outcome as a row of the table."""
    result = outcome.final
    network, precision = result.name.removesuffix(f"-{result.plan.precision}"), result.plan.precision
    # The last decision, and whether a repair came before it.
    repaired = (", repaired" if result.verdict.passed else ", after a repair") if outcome.repaired else ""
    verdict = result.verdict.decision + repaired
    if result.evaluation is None:
        return (network, result.kind, precision, *("-",) * 8, verdict)
    compared, grounds = result.evaluation.verification, result.evaluation.grounds
    judged, (lower, upper) = grounds.verification, grounds.verification.interval_points
    interval = f"{judged.drop_points:.2f} ({lower:.2f} to {upper:.2f})"
    return (
        network,
        result.kind,
        f"{precision}, partly float" if result.evaluation.inventory.islands else precision,
        f"{len(result.evaluation.candidate.model):,}",
        f"{100 * compared.float_top1:.2f} %",
        f"{100 * compared.top1:.2f} %",
        str(judged.lost),
        str(judged.gained),
        f"at most {100 * grounds.most:.2f}" if grounds.rule == ANSWERS else interval,
        f"{grounds.n_images:,}",
        f"{result.evaluation.median_us:.0f}",
        verdict,
    )


def as_json(outcome: Outcome) -> dict[str, object]:
    """The outcome with every figure, the lost images among them."""
    repair, findings = outcome.repair, [asdict(finding) for finding in outcome.findings]
    figures = _figures(outcome.final, findings)
    if repair is None:
        return figures
    before = _figures(outcome.first, findings) if outcome.repaired else None
    return figures | {
        "repair": {
            "passed": repair.passed,
            "scheme": repair.plan.in_words,
            "layers_in_float": list(repair.layers),
            "steps": [asdict(step) for step in repair.steps],
            "before": before,
        }
    }


def _figures(result: ConversionResult, findings: list[dict[str, object]]) -> dict[str, object]:
    figures: dict[str, object] = {
        "name": result.name,
        "format": result.kind,
        "precision": result.plan.precision,
        "scheme": result.plan.in_words,
        "verdict": result.verdict.decision,
        "reasons": list(result.verdict.reasons),
        "findings": findings,
        "repair": None,
    }
    if result.evaluation is None:
        return figures
    compared = result.evaluation.verification
    return (
        figures
        | {
            "bytes": len(result.evaluation.candidate.model),
            "model_sha256": hashlib.sha256(result.evaluation.candidate.model).hexdigest(),
            "median_us": result.evaluation.median_us,
            "operators": result.evaluation.inventory.by_type,
            "float_islands": [asdict(island) for island in result.evaluation.inventory.islands],
            "calibration_sensitivity": result.evaluation.sensitivity,
            "drop_points": compared.drop_points,
            "interval_points": list(compared.interval_points),
            "decided_by": result.evaluation.grounds.as_json(),
            "confidence": result.evaluation.judged.as_json() if result.evaluation.judged else "not checked",
        }
        | asdict(compared)
    )


def table(outcomes: list[Outcome]) -> str:
    """The outcomes under their header, in columns."""
    return _columns([_HEADER, *map(cells, outcomes)])


def layers(results: list[NetworkOutcomes]) -> str:
    """What quantization costs each layer of each model, worst first, in columns; or why that is not known."""
    parts = []
    for result in results:
        for outcome in result.outcomes:
            title = outcome.first.file_name + (" before the repair" if outcome.repaired else "")
            if reason := _not_diagnosed(outcome, result.trial):
                parts.append(f"{title}: {reason}")
                continue
            grid: list[tuple[str, ...]] = [("layer", "SQNR, dB", "share of the error", "cause")]
            for f in outcome.findings:
                grid.append((f.layer, f"{f.sqnr_db:.1f}", f"{100 * f.share:.0f} %", "no fault" if f.cause == NONE else f.cause))
            parts.append(f"{title}:\n{_columns(grid)}")
    return "\n\n".join(parts)


def _not_diagnosed(outcome: Outcome, trial: Trial) -> str:
    """Why nothing is known of a model's layers; "" where something is."""
    if outcome.findings:
        return ""
    if outcome.first.plan.precision not in QUANTIZED:
        return "nothing in it is quantized: no layer to diagnose"
    if outcome.first.evaluation is None:
        return f"{outcome.first.verdict.decision}: no layer to diagnose"
    if not trial.can_explain:
        return f"not diagnosed: {len(trial.validation)} validation images, wanted {MIN_VALIDATION}"
    return "no layer of it can be told from the others"


def _columns(lines: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def remarks(outcomes: list[Outcome], folder: Path) -> list[str]:
    """A line each: what broke and what was done about it, then what was not published in `folder` and why."""
    lines = []
    for outcome in outcomes:
        if outcome.repaired or not outcome.final.verdict.passed:
            lines += [f"{outcome.final.file_name}: {finding.in_words}" for finding in outcome.findings[:3]]
            if outcome.repair:
                lines.append(f"{outcome.final.file_name}: {outcome.repair.in_words(outcome.final.verdict)}")
    for result in (outcome.final for outcome in outcomes):
        if not result.verdict.passed:
            older = "; the one published before stays" if (folder / result.file_name).exists() else ""
            why = "; ".join(result.verdict.reasons)
            lines.append(f"{result.file_name}: {result.verdict.decision}, not published: {why}{older}")
    return lines


def summary(outcomes: list[Outcome]) -> str:
    """The outcomes as a Markdown table, with the gate's reasons and what ran under it."""
    accounts = "".join(f"- {_account(outcome.final)}\n" for outcome in outcomes)
    return (
        f"{markdown.table(_HEADER, map(cells, outcomes))}\n\n{accounts}\n{_WORDS} µs: median time "
        f"of a prediction, pixels in, logits out, one thread. Measured on {_machine()}.\n"
    )


def proof(outcome: Outcome, trial: Trial) -> str:
    """The same for the sealed file: no time is in it, so that equal inputs give equal files."""
    at = _HEADER.index("µs")
    head, row = (line[:at] + line[at + 1 :] for line in (_HEADER, cells(outcome)))
    account = _account(outcome.final, timed=False)
    table = f"{markdown.table(head, [row])}\n\n- {account}\n\n{pixels.proof(trial)}\n\n{_WORDS} Measured on {_machine()}.\n"
    worth = confidence.summary([outcome.final])
    return table + (f"\n{worth}" if worth else "") + why([outcome], timed=False)


def why(outcomes: list[Outcome], *, timed: bool = True) -> str:
    """What quantization cost each layer, worst first, and what was done about it; "" where nothing was asked."""
    parts = []
    for outcome in outcomes:
        name = f"`{outcome.final.file_name}`"
        if outcome.findings:
            head = ("layer", "share of the error", "SQNR, dB", "cause", "evidence")
            rows = [(f.layer, f"{100 * f.share:.0f} %", f"{f.sqnr_db:.1f}", f.cause, f.evidence) for f in outcome.findings]
            grid = markdown.table(head, rows, align="lrrl")
            parts.append(f"What quantization costs each layer of {name}, worst first:\n\n{grid}\n")
        if outcome.repair:
            parts.append(
                f"{name} {outcome.repair.in_words(outcome.final.verdict)}.{_cost(outcome) if timed else ''}\n\n"
                + "".join(f"{i}. {step.in_words}\n" for i, step in enumerate(outcome.repair.steps))
            )
    return "\n## Why\n\n" + "\n".join(parts) if parts else ""


def write(results: list[NetworkOutcomes], folder: Path, *, not_converted: list[str]) -> None:
    """Put report.json, report.md and the contact sheets of lost images into `folder`; `not_converted` says which networks
    or files came to nothing, and why."""
    outcomes = [outcome for result in results for outcome in result.outcomes]
    agreeing = [line for result in results for line in agreements(result.outcomes)]
    report = {"schema": 2, "machine": _machine(), "rows": list(map(as_json, outcomes)), "agreements": agreeing,
              "end_to_end": {r.trial.network.name: pixels.as_json(r.trial)
                             for r in results},
              "not_converted": not_converted}  # fmt: skip
    parts = [f"# Conversion report\n\n{summary(outcomes)}"]
    if not_converted:
        parts.append("## Not converted\n\n" + "".join(f"- {line}\n" for line in not_converted))
    if agreeing:
        parts.append("## Between formats\n\n" + "".join(f"- {line}\n" for line in agreeing))
    parts.append("## Pixels\n\n" + "".join(f"- `{r.trial.network.name}`: {pixels.account(r.trial)}\n" for r in results))
    parts.extend(filter(None, [_worth([outcome.final for outcome in outcomes], folder), why(outcomes)]))
    for result in results:
        for final in (outcome.final for outcome in result.outcomes):
            sheet = lost_folder(folder) / f"{final.file_name}.png"
            sheet.unlink(missing_ok=True)  # of an earlier conversion
            if final.evaluation and final.evaluation.verification.lost:
                parts.append(_lost(final.file_name, final.evaluation.verification.lost_pictures, result.trial, sheet))
    write_atomic(str(folder / "report.json"), json.dumps(report, indent=1).encode() + b"\n")
    write_atomic(str(folder / FILE), "\n".join(parts).encode())


def _worth(finals: list[ConversionResult], folder: Path) -> str:
    """What answers are worth, its diagrams drawn in `folder`."""
    drawn = folder / "reliability"
    for final in finals:
        (diagram := drawn / f"{final.file_name}.png").unlink(missing_ok=True)  # of an earlier conversion
        if final.evaluation and final.evaluation.judged:
            write_atomic(str(diagram), confidence.diagram(final.evaluation.judged, title=final.file_name))
    return confidence.summary(finals, drawn=drawn.name)


def _cost(outcome: Outcome) -> str:
    before, after = outcome.first.evaluation, outcome.final.evaluation
    if not outcome.repaired or before is None or after is None:
        return ""
    n_bytes = len(after.candidate.model) - len(before.candidate.model)
    slower_us = after.median_us - before.median_us
    return f" It costs {n_bytes:+,} bytes and {slower_us:+.0f} µs a prediction; what runs: {after.inventory.in_words}."


def _account(result: ConversionResult, *, timed: bool = True) -> str:
    account = f"`{result.file_name}`: {result.verdict.decision}: {'; '.join(result.verdict.reasons)}"
    if result.evaluation is None:
        return account
    ran = result.evaluation.inventory
    account += f". {result.plan.in_words}. Operators: {ran.in_words if timed else ran.counted}"
    return f"{account}. {result.evaluation.sensitivity}" if result.evaluation.sensitivity else account


def lost_folder(folder: Path) -> Path:
    """Where in `folder` the sheets of lost images are."""
    return folder / "lost"


def _lost(file_name: str, lost: tuple[LostImage, ...], trial: Trial, sheet: Path) -> str:
    names = trial.network.class_names
    images = trial.dataset.test.images
    # The font has no arrow.
    entries = [
        (images[i.index], str(i.index), f"{names[i.label]} > {names[i.answer]}") for i in lost[: contact_sheet.MAX_IMAGES]
    ]
    write_atomic(str(sheet), contact_sheet.draw(entries))
    shown = ", ".join(f"{image.index} ({names[image.label]} → {names[image.answer]})" for image in lost[:12])
    more = f" and {len(lost) - 12:,} more in report.json" if len(lost) > 12 else ""
    drawn = f"![lost images]({sheet.parent.name}/{sheet.name})"
    return f"## Lost by `{file_name}`\n\n{drawn}\n\nBy index in the test split: {shown}{more}.\n"


def _machine() -> str:
    machine = host.read()
    return f"{machine.machine}, {machine.cpu_model}, {machine.n_cpus} cores, Python {machine.python}"
