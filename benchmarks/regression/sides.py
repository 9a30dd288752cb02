"""The sides of a comparison: a revision, or the tree as it stands, installed as on a device, in an environment of its own."""

import io
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from edge.errors import ToolchainError, UsageError, one_line

ROOT = Path(__file__).resolve().parents[2]
WORKER = Path(__file__).with_name("worker.py")


@dataclass(frozen=True)
class Side:
    """An environment with the device side of one version."""

    name: str
    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    @property
    def edge_predict(self) -> str:
        return str(self.folder / "bin" / "edge-predict")

    def packages(self) -> Path:
        """The folder everything is installed in."""
        return next(self.folder.glob("lib/python*/site-packages"))

    def start(self, model: str, picture: str) -> "Worker":
        return Worker(self, model, picture)


class Worker:
    """A process of one side that answers one line with one; use it as a context. Raises ToolchainError where it fails."""

    def __init__(self, side: Side, model: str, picture: str) -> None:
        self.side = side
        argv = [side.python, "-I", str(WORKER), model, picture]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def ask(self, line: str) -> str:
        assert self.process.stdin and self.process.stdout and self.process.stderr
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            if answer := self.process.stdout.readline():
                return answer.strip()
        except BrokenPipeError:
            pass
        said = (self.process.stderr.read().strip().splitlines() or ["it said nothing"])[-1]
        raise ToolchainError(f"{self.side.name} cannot be measured: {one_line(said)}")

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def commit_of(revision: str) -> str:
    """The commit that `revision` names. Raises UsageError where it names none."""
    done = _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if done.returncode:
        found = f"--compare {one_line(revision)}: no commit of this checkout"
        raise UsageError(f"{found}; a clone made for CI needs its history (fetch-depth: 0)")
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
    """The device side of the tree `source`, installed into `folder` at the versions CI has. Raises ToolchainError."""
    constraints = ["--constraint", str(ROOT / "constraints" / "ci.txt")]
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "--quiet", "--disable-pip-version-check"]
    venv = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    for argv in (venv, [*pip, "install", *constraints, str(source)]):
        done = subprocess.run(argv, capture_output=True, text=True, cwd=folder.parent)
        if done.returncode:
            said = (done.stderr.strip().splitlines() or done.stdout.strip().splitlines() or ["it said nothing"])[-1]
            raise ToolchainError(f"{name} cannot be installed: {one_line(said)}")
    return Side(name, folder)


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True)
