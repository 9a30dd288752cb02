"""Where one `edge-predict` process spends its time, and what each import would add to an empty Python.

    python -m benchmarks.processes.phases [--runs N] [--device BIN]

Both tables are of new processes, the least of N (50), which noise affects least; BIN as in benchmarks.processes.cold_start.
"""

import os
import subprocess
import sys

from benchmarks.processes.cold_start import EXAMPLES, settings
from edge import errors
from edge.bench.process import measure
from train import markdown

# The stages of `edge.cli.main` for the shipped model and a plain PNG, one after the other, timed in the process.
STAGES = """
import sys, time
stamps = [time.perf_counter()]
def done(): stamps.append(time.perf_counter())
from edge import cli, errors; done()
from edge import predictor; done()
from edge import artifact, locate; model = artifact.read(locate.shipped_model()); done()
import edge.engines.litert_c; done()
edge.engines.litert_c._load_library(); done()
engine = edge.engines.litert_c.load(model, threads=1); done()
from edge.pictures import read_pixels; pixels = read_pixels(sys.argv[1], model.contract.input); done()
raw = engine.run(pixels); done()
predictor.Prediction(raw, model.contract, model.labels).ranking; done()
print(*(1000 * (b - a) for a, b in zip(stamps, stamps[1:])))
"""
NAMES = (
    "the command line's modules", "the other modules, zlib and struct", "read the model, check its seal",
    "_ctypes and our engine", "load libLiteRt.so", "compile the model", "read the PNG", "first run", "ranking",
)  # fmt: skip

IMPORTS = (
    "numpy", "PIL.Image", "PIL.PngImagePlugin", "ai_edge_litert.interpreter", "ctypes", "_ctypes", "hashlib", "_sha256",
    "argparse", "json", "re", "dataclasses", "pathlib", "typing", "zipfile", "zlib", "struct", "importlib.metadata",
)  # fmt: skip


def main(*, runs: int, device: str) -> None:
    """Print both tables."""
    python, seven = os.path.join(device, "python"), os.path.join(EXAMPLES, "seven.png")
    # -P: the working folder's `edge` must not be taken for the installed one.
    argv = [python, "-P", "-c", STAGES, seven]
    rows = [
        [float(ms) for ms in subprocess.run(argv, capture_output=True, check=True, text=True).stdout.split()]
        for _ in range(runs)
    ]
    stages = [(name, f"{min(column):.2f}") for name, column in zip(NAMES, zip(*rows, strict=True), strict=True)]
    print(markdown.table(("stage of `edge-predict seven.png`", f"ms, least of {runs}"), stages, align="lr"))
    codes = {"(empty)": "pass", "(os._exit at the end)": "import os; os._exit(0)"} | {
        name: f"import {name}" for name in IMPORTS
    }
    measured: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(runs):
        for name, code in codes.items():
            measured[name].append(measure([python, "-P", "-c", code])[0])
    empty = min(measured["(empty)"])
    added = [(name, f"{min(measured[name]) - empty:+.1f}") for name in list(codes)[1:]]
    head = ("import", f"ms added to an empty Python's {empty:.1f}, least of {runs}")
    print("\n" + markdown.table(head, added, align="lr"))


if __name__ == "__main__":
    sys.exit(errors.run(lambda: main(**settings(sys.argv[1:], text=__doc__)), "benchmarks.processes.phases"))
