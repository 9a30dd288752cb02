"""Draw the pictures of README and docs/ again, into docs/pictures/: `make pictures`.

python -m benchmarks.pictures [--only PICTURE…] [--checkpoint RUN] [--data-dir DIR] [--report FILE]
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.pictures import diagnosis, terminal
from edge import errors
from edge.errors import EngineMissing, InputMissing, ToolchainError
from edge.files import write_atomic

FOLDER = Path("docs/pictures")
OUT = Path("artifacts/pictures")
REPORT_SIZE = "1000,1240"  # pixels of the page's top that are shown
PICTURES = ("terminal", "conversion", "report")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pictures", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PICTURES, default=PICTURES, help="default: all")
    run_help = "the run whose 4-bit .tflite is diagnosed and repaired (default: %(default)s, from `make results`)"
    parser.add_argument("--checkpoint", metavar="RUN", type=Path, default="runs/results/mnist-tiny-modern-0", help=run_help)
    parser.add_argument("--data-dir", metavar="DIR", help="folder with MNIST (default: $EDGEPROOF_DATA)")
    parser.add_argument("--report", metavar="FILE", type=Path, default="reports/report.html", help="default: %(default)s")
    flags = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    if "terminal" in flags.only:
        write_atomic(str(FOLDER / "terminal.svg"), terminal.draw(terminal.record()).encode())
    if "conversion" in flags.only:
        conversion(flags.checkpoint, data_dir=flags.data_dir)
    if "report" in flags.only:
        write_atomic(str(FOLDER / "report.png"), screenshot(flags.report))
    return 0


def conversion(run: Path, *, data_dir: str | None) -> None:
    """Convert `run` to a 4-bit .tflite; draw its diagnosis and repair, and copy the sheet of the images it lost.

    Raises ToolchainError where the conversion fails, or needed no repair.
    """
    if not run.exists():
        raise InputMissing(f"{run}: no such run; `make results` trains it, or name another: --checkpoint RUN")
    command = [sys.executable, "-m", "convert", "--int4", "--formats", "tflite", "--diagnose"]
    command += ["--checkpoint", str(run), "--out", str(OUT), *(["--data-dir", data_dir] if data_dir else [])]
    done = subprocess.run(command, check=False)
    if done.returncode not in (0, 1):
        raise ToolchainError(f"{' '.join(command[1:])} ended with {done.returncode}")
    (row,) = json.loads((OUT / "report.json").read_text())["rows"]
    if not row["repair"] or not row["repair"]["before"]:
        raise ToolchainError(f"{row['name']}: nothing was repaired; name a run with something to show: --checkpoint RUN")
    write_atomic(str(FOLDER / "diagnosis.svg"), diagnosis.draw(row))
    write_atomic(str(FOLDER / "lost.png"), (OUT / "lost" / f"{row['name']}.{row['format']}.png").read_bytes())


def screenshot(page: Path) -> bytes:
    """The top of `page` as Chromium draws it, a PNG. Raises InputMissing, EngineMissing, ToolchainError."""
    if not page.exists():
        raise InputMissing(f"{page}: no such report; `make benchmarks` writes it, or name another: --report FILE")
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not browser:
        raise EngineMissing("the report's picture needs Chromium, which is not installed: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder:
        shown = Path(folder, "report.png")
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder}"]
        command += [f"--window-size={REPORT_SIZE}", f"--screenshot={shown}", page.resolve().as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not shown.exists():
            raise ToolchainError(f"{browser} drew no picture of {page}: {done.stderr[-300:]}")
        return shown.read_bytes()


if __name__ == "__main__":
    sys.exit(errors.run(main, "benchmarks.pictures"))
