"""edgeproof's wheel, built from the sources as they are now."""

import shutil
import subprocess
import sys
from pathlib import Path

from conftest import ROOT


def tracked() -> list[str]:
    """The files git knows or would add, as they are now."""
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    return [name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).exists()]


def make_wheel(out: Path) -> Path:
    """A wheel in the folder `out`, from a clean copy of the sources: a stale build/ would bring deleted modules back."""
    shutil.rmtree(out, ignore_errors=True)
    for name in tracked():
        (out / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, out / "source" / name)
    pip("wheel", "--no-deps", "--wheel-dir", out, out / "source")
    shutil.rmtree(out / "source")
    return next(out.glob("*.whl"))


def pip(*arguments: str | Path) -> None:
    """Run this Python's pip. Raises RuntimeError with what it printed where it fails."""
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
