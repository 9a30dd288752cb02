"""Convert every network at every precision to both formats, and write the table: `make matrix`.

    python -m benchmarks.studies.matrix [--only NETWORK…] [--table]

It converts what `make results` trained (runs/results/): the modern recipe if it is finished, else the documented one, seed 0.
Each network's figures are stored in docs/matrix/ with the name of their run, and are not measured again for the same run.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Container
from pathlib import Path
from typing import Any

from benchmarks import pages
from benchmarks.studies.training import EXPERIMENTS, Experiment
from convert.calibration.ranges import METHODS
from edge import errors
from edge.errors import InputMissing, ToolchainError
from edge.files import write_atomic
from train import markdown
from train.architectures import ARCHITECTURES
from train.checkpoint import FILE

ARTIFACTS = Path("artifacts/matrix")
FIGURES = Path("docs/matrix")
PAGE, README = Path("docs/matrix.md"), Path("README.md")
IN_README = ("deep-mnist", "keras-cnn", "lenet5-relu", "resnet8")
_KEPT = ("name", "format", "precision", "verdict", "reasons", "bytes", "median_us", "operators", "float_islands", "repair",
         "calibration_sensitivity", "n_images", "lost", "gained", "agreeing", "float_top1", "top1", "drop_points",
         "interval_points")  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies.matrix", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(ARCHITECTURES), metavar="NETWORK", help="default: all")
    parser.add_argument("--table", action="store_true", help="write the table from the stored figures; convert nothing")
    flags = parser.parse_args()
    if not flags.table:
        for network in flags.only or ARCHITECTURES:
            refresh(network)
    pages.write(PAGE, table())
    pages.write(README, summary())
    return 0


def refresh(network: str) -> None:
    """Measure what docs/matrix/ lacks for the network's finished run, or everything if the stored figures are of another run.

    Without a finished run the stored figures stay. Raises InputMissing if there are none either, ToolchainError if `convert`
    fails.
    """
    path = FIGURES / f"{network}.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    experiment = _trained(network)
    if experiment is None:
        if not kept:
            raise InputMissing(f"{network}: no finished run in runs/results; train it first: make results")
        print(f"{network}: no finished run in runs/results; the figures are of {kept['run']}", file=sys.stderr)
        return
    run = experiment.folder(0).name
    if kept.get("run") != run:
        kept = {"run": run}
    for part, measured in (("rows", measure), ("methods", methods)):
        if part not in kept:
            print(f"{network}: {part} of {run}", file=sys.stderr)
            kept |= measured(experiment)
            write_atomic(str(path), json.dumps(kept, indent=1).encode() + b"\n")


def measure(experiment: Experiment) -> dict[str, Any]:
    """What `convert --all` reports, and the seconds `convert --int8` takes. Raises ToolchainError."""
    start = time.perf_counter()
    _convert(experiment, "--int8", out=experiment.network)
    seconds = round(time.perf_counter() - start, 1)
    report = _convert(experiment, "--all", out=experiment.network)
    return {"seconds_int8": seconds} | {name: report[name] for name in ("machine", "rows", "agreements")}


def methods(experiment: Experiment) -> dict[str, Any]:
    """The int8 rows of each `--method` of setting activation ranges. Raises ToolchainError."""
    by_method = {}
    for method in METHODS:
        flags = ("--int8", "--method", method, "--no-repair")
        by_method[method] = _convert(experiment, *flags, out=f"{experiment.network}-{method}")["rows"]
    return {"methods": by_method}


def table() -> str:
    """Every row of every network with figures, then the repairs, the refusals, the seconds of `--int8`, the agreement of the
    formats and the methods. Networks without figures are listed first."""
    head = ("network", "format", "precision", "bytes", "float top-1 %", "top-1 %", "lost", "gained",
            "drop (95 % interval), points", "n", "µs", "what ran", "verdict")  # fmt: skip
    networks = {name: json.loads(path.read_text()) for name in ARCHITECTURES if (path := FIGURES / f"{name}.json").exists()}
    rows = [(f"`{network}`", *_cells(row)) for network, kept in networks.items() for row in kept["rows"]]
    grid = _missing(networks) + markdown.table(head, rows, align="lllrrrrrlrrl")
    if remedies := [f"- `{network}` {row['format']} {row['precision']}: {'; '.join(_remedies(row))}"
                    for network, kept in networks.items() for row in kept["rows"] if _repaired(row)]:  # fmt: skip
        grid += "\n\nRepaired by:\n\n" + "\n".join(remedies)
    refusals = sorted({f"- {row['format']} {row['precision']}: {'; '.join(row['reasons'])}"
                       for kept in networks.values() for row in kept["rows"] if row["verdict"] == "refused"})  # fmt: skip
    times = ", ".join(f"`{network}` {kept['seconds_int8']:.0f} s" for network, kept in networks.items())
    agreements = "\n".join(f"- {line}" for kept in networks.values() for line in kept["agreements"])
    compared = _methods_table({network: kept["methods"] for network, kept in networks.items() if "methods" in kept})
    return (
        f"{grid}\n\nRefused:\n\n" + "\n".join(refusals) + f"\n\n`convert --int8`, both formats, the whole process: {times}.\n\n"
        f"The formats against each other:\n\n{agreements}\n\n{compared}"
    )


def summary() -> str:
    """The README's table: float32 and int8 `.tflite` of the networks IN_README, side by side."""
    head = ("network", "top-1 %: float → int8", "bytes: float → int8", "µs: float → int8", "n")
    lines = []
    for network in IN_README:
        kept = json.loads((FIGURES / f"{network}.json").read_text())
        both = [row for row in kept["rows"] if row["format"] == "tflite" and row["precision"] in ("float32", "int8")]
        lines.append((
            f"`{network}`", " → ".join(f"{100 * row['top1']:.2f}" for row in both),
            " → ".join(f"{row['bytes']:,}" for row in both), " → ".join(f"{row['median_us']:.0f}" for row in both),
            f"{both[-1]['n_images']:,}",
        ))  # fmt: skip
    return markdown.table(head, lines, align="lr")


def _missing(measured: Container[str]) -> str:
    names = [f"`{name}`" for name in ARCHITECTURES if name not in measured]
    if not names:
        return ""
    so_far = f"{len(ARCHITECTURES) - len(names)} of {len(ARCHITECTURES)} networks so far"
    return f"{so_far}: {', '.join(names)} {'is' if len(names) == 1 else 'are'} missing.\n\n"


def _repaired(row: dict[str, Any]) -> bool:
    """Whether the row is of a repaired candidate; False if no repair was enough."""
    return bool(row.get("repair") and row["repair"]["before"])


def _outcome(row: dict[str, Any]) -> str:
    """The verdict, and whether a repair came before it, as convert's own table words it."""
    repaired = ", repaired" if row["verdict"] == "passed" else ", after a repair"
    return str(row["verdict"]) + repaired * _repaired(row)


def _remedies(row: dict[str, Any]) -> list[str]:
    """The remedies that were kept; the first step is the candidate without any."""
    return [step["remedy"] for step in row["repair"]["steps"][1:] if step["kept"]]


def _methods_table(networks: dict[str, dict[str, list[dict[str, Any]]]]) -> str:
    """For each method of setting ranges, the points of top-1 that int8 loses and the number of answers that change.

    The means leave out models for which a method was refused, so that all means are of the same models.
    """
    if not networks:
        return ""
    lines: list[tuple[str, ...]] = []
    drops: dict[str, list[float]] = {method: [] for method in METHODS}
    changed, n_answers = dict.fromkeys(METHODS, 0), 0
    for network, by_method in networks.items():
        for rows in zip(*by_method.values(), strict=True):
            lines.append((f"`{network}`", rows[0]["format"], *map(_method_cell, rows)))
            if all("drop_points" in row for row in rows):
                for method, row in zip(by_method, rows, strict=True):
                    drops[method].append(row["drop_points"])
                    changed[method] += row["n_images"] - row["agreeing"]
                n_answers += rows[0]["n_images"]
    n_rows, n_complete = len(lines), len(drops[METHODS[0]])
    if n_complete:
        of = "" if n_complete == n_rows else f" of the {n_complete} without a refusal"
        lines.append((f"mean{of}", "", *(f"{sum(drops[method]) / n_complete:.3f}" for method in METHODS)))
        lines.append((f"differ, of {n_answers:,}", "", *(f"{changed[method]:,}" for method in METHODS)))
    grid = markdown.table(("network", "format", *METHODS), lines, align="llr")
    return f"int8 by each way to set activation ranges (`--method`), points of top-1 lost:\n\n{grid}"


def _method_cell(row: dict[str, Any]) -> str:
    if "drop_points" not in row:
        return str(row["verdict"])
    return f"{row['drop_points']:.2f} ({row['n_images'] - row['agreeing']:,} differ)"


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    if "bytes" not in row:
        return (row["format"], row["precision"], *("",) * 9, _outcome(row))
    lower, upper = row["interval_points"]
    ran = ", ".join(f"{count} {kind}" for kind, count in row["operators"].items())
    if row["float_islands"]:
        ran += f"; float islands {100 * sum(island['share'] for island in row['float_islands']):.0f} %"
    return (
        row["format"], row["precision"], f"{row['bytes']:,}", f"{100 * row['float_top1']:.2f}", f"{100 * row['top1']:.2f}",
        str(row["lost"]), str(row["gained"]), f"{row['drop_points']:.2f} ({lower:.2f} to {upper:.2f})",
        f"{row['n_images']:,}", f"{row['median_us']:.0f}", ran, _outcome(row),
    )  # fmt: skip


def _trained(network: str) -> Experiment | None:
    plain = [each for each in EXPERIMENTS if each.network == network and not each.label]
    finished = [each for each in plain if (each.folder(0) / FILE).exists()]
    return next((each for each in finished if each.recipe == "modern"), finished[0] if finished else None)


def _convert(experiment: Experiment, *flags: str, out: str) -> dict[str, Any]:
    """Convert into the folder `out` of ARTIFACTS. Returns convert's report, of each row the figures _KEPT."""
    folder = ARTIFACTS / out
    command = [sys.executable, "-m", "convert", "--no-units", *flags]
    command += ["--checkpoint", str(experiment.folder(0)), "--out", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):  # 1: the gate said no, which is a figure too
        raise ToolchainError(f"{experiment.name}: {' '.join(command[1:])} ended with {done.returncode}: {done.stderr[-300:]}")
    report = json.loads((folder / "report.json").read_text())
    rows = [{name: row[name] for name in _KEPT if name in row} for row in report["rows"]]
    return report | {"rows": rows}


if __name__ == "__main__":
    sys.exit(errors.run(main, "benchmarks.studies.matrix"))
