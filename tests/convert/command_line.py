"""`python -m convert` of the tests' network, inside the test's process."""

import subprocess
from pathlib import Path

from conftest import call


def convert(workshop: Path, out: Path, *flags: str | Path, precision: str = "--int8") -> subprocess.CompletedProcess[str]:
    """Publish in `out`; a `--checkpoint` among the flags stands instead of the network that all tests share."""
    run_folder = workshop / "runs" / "lenet5-relu-digits-modern"
    return call("convert", precision, "--checkpoint", run_folder, "--out", out, *flags, cwd=out.parent)
