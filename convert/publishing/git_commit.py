"""The commit of this code, which manifests and reports name."""

import subprocess
from pathlib import Path


def commit() -> str:
    """The commit of the checkout this runs from, `-dirty` if it was changed; "unknown" without a checkout or git."""
    checkout = Path(__file__).resolve().parents[2]
    if not (checkout / ".git").exists():
        return "unknown"
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40", "--match", ""]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
