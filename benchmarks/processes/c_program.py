"""Time a whole process of the generated C program beside an empty Python and edge-predict, on one 28x28 PNG.

    python -m benchmarks.processes.c_program [--runs N] [--device BIN]

The shipped network's program is built here, dynamic and static; with ziglang installed, also static with musl. The commands
run in turns, each started by a small C program (launch.c), as a child's peak memory counts its parent's. BIN is the bin/ of an
environment where edgeproof is installed as on a device; editable installs start later.
"""

import os
import statistics
import subprocess
import sys
import tempfile

from benchmarks.processes import cold_start
from edge import child, compiler, errors
from edge.contract import DIGIT
from edge.device import host
from edge.pictures import read_pixels
from train import markdown

LAUNCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "launch.c")
# In a process of its own: numpy is large. argv: folder, model.
GENERATE = """
import sys
from pathlib import Path
from convert.publishing import programs
from edge import artifact
model = artifact.read(sys.argv[2])
made = programs.program(model)
Path(sys.argv[1], f"{model.contract.name}.h").write_bytes(made.header)
Path(sys.argv[1], "program.c").write_bytes(made.source)
"""
MAIN = ("-DEDGEPROOF_MAIN", "-DEDGEPROOF_ZLIB")


def build(folder: str) -> dict[str, str]:
    """The programs by what they are; those that this machine cannot build are left out with a line on stderr."""
    subprocess.run([sys.executable, "-c", GENERATE, folder, cold_start.SHIPPED], check=True, cwd=cold_start.ROOT)
    source, built = os.path.join(folder, "program.c"), {}
    for what, flags in {"C, dynamic": MAIN, "C, static": ("-static", *MAIN)}.items():
        try:
            compiler.build([source], os.path.join(folder, what), *flags)
            built[what] = os.path.join(folder, what)
        except errors.ModelError as error:
            errors.say("benchmarks", f"left out: {what}: {error}")
    raw = os.path.join(folder, "C, static, musl, raw pixels")
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", f"{os.uname().machine}-linux-musl", "-static", "-O3", MAIN[0]]
    done = child.run([*zig, source, "-o", raw])
    if done.returncode:
        errors.say("benchmarks", f"left out: musl: {child.last_line(done, default='')}")
    else:
        built["C, static, musl, raw pixels"] = raw
    return built


def main(*, runs: int, device: str) -> None:
    """Print the table of `runs` runs of each command, in turns."""
    png = os.path.join(cold_start.EXAMPLES, "seven.png")
    with tempfile.TemporaryDirectory() as folder:
        programs, launch = build(folder), os.path.join(folder, "launch")
        compiler.build([LAUNCH], launch, "-static")
        pixels = os.path.join(folder, "pixels")
        with open(pixels, "wb") as file:
            file.write(read_pixels(png, DIGIT))
        commands = {
            "python -c pass": [os.path.join(device, "python"), "-c", "pass"],
            "edge-predict seven.png": [os.path.join(device, "edge-predict"), png],
        }
        commands |= {what: [path, pixels if "raw" in what else png] for what, path in programs.items()}
        measured: dict[str, list[tuple[float, float]]] = {what: [] for what in commands}
        for _ in range(runs):
            for what, command in commands.items():
                ns, kib = subprocess.run([launch, *command], check=True, capture_output=True, text=True).stdout.split()
                measured[what].append((int(ns) / 1e6, int(kib) / 1024))
        sizes = {what: f"{os.path.getsize(path):,}" for what, path in programs.items()}
    rows = []
    empty = [ms for ms, _ in measured["python -c pass"]]
    for what, results in measured.items():
        times = [ms for ms, _ in results]
        ratios = f"{min(times) / min(empty):.3f}", f"{statistics.median(times) / statistics.median(empty):.3f}"
        least, median, peak = min(times), statistics.median(times), max(mib for _, mib in results)
        rows.append((what, f"{least:.2f}", f"{median:.2f}", *ratios, f"{peak:.2f}", sizes.get(what, ""), str(len(results))))
    head = ("whole process", "min ms", "median ms", "× empty, min", "× empty, median", "peak MiB", "bytes", "n")
    print(markdown.table(head, rows, align="lr"))
    machine = host.read()
    print(f"\n{machine.cpu_model}, {machine.n_cpus} cores, Python {machine.python}, {compiler.version(compiler.find())}")


if __name__ == "__main__":
    sys.exit(errors.run(lambda: main(**cold_start.settings(sys.argv[1:], text=__doc__)), "benchmarks.processes.c_program"))
