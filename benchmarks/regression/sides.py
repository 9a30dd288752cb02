"""The sides of a comparison: a revision or the working tree, installed as on a device, each in its own environment."""

import io
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.worker_process import WorkerProcess
from edge.errors import ToolchainError, UsageError, one_line

ROOT = Path(__file__).resolve().parents[2]
WORKER = Path(__file__).with_name("worker.py")


@dataclass(frozen=True)
class Side:
    """An environment in which the device side of one version is installed."""

    name: str
    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    @property
    def edge_predict(self) -> str:
        return str(self.folder / "bin" / "edge-predict")

    def packages(self) -> Path:
        """The folder that holds all installed packages."""
        return next(self.folder.glob("lib/python*/site-packages"))

    def start(self, model: str, picture: str) -> WorkerProcess:
        """A worker.py of this side, for `model` ("": the one in the wheel) and the file `picture`."""
        argv = [self.python, "-I", str(WORKER), model, picture]
        return WorkerProcess(argv, failure=f"{self.name} cannot be measured")


def commit_of(revision: str) -> str:
    """The commit that `revision` names. Raises UsageError where it names none."""
    done = _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if done.returncode:
        name = one_line(revision)
        raise UsageError(f"{name}: no commit of this checkout; a clone made for CI needs its history (fetch-depth: 0)")
    return done.stdout.decode().strip()


def export(revision: str | None, folder: Path) -> Path:
    """The tree of `revision`, or the working tree for None, in `folder`."""
    folder.mkdir(parents=True)
    if revision:
        archive = _git("archive", "--format=tar", revision)
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tree:
            tree.extractall(folder, filter="data")
        return folder
    for name in _git("ls-files", "-z", "--cached", "--others", "--exclude-standard").stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def install(source: Path, folder: Path, *, name: str) -> Side:
    """Install the device side of the tree `source` into `folder`, with the package versions of CI. Raises ToolchainError."""
    constraints = ["--constraint", str(ROOT / "constraints" / "ci.txt")]
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "--quiet", "--disable-pip-version-check"]
    venv = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    for argv in (venv, [*pip, "install", *constraints, str(source)]):
        done = subprocess.run(argv, capture_output=True, text=True, cwd=folder.parent)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or done.stdout.strip().splitlines() or ["pip ended without a message"]
            raise ToolchainError(f"{name} cannot be installed: {one_line(lines[-1])}")
    return Side(name, folder)


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True)
