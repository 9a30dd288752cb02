"""Keep relative entries of PYTHONPATH out of a command: an empty one, as in PYTHONPATH=:/opt/lib, is the current folder."""

import os
import sys

PARENT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # of edge
STANDARD = os.path.dirname(os.__file__)


def leave_current_folder() -> None:
    """Look into no folder that PYTHONPATH names relative to the current one, here and in the processes started from here.

    What this process has imported stays; so do the folders where edgeproof or Python's own library lies.
    """
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    try:
        folders = [os.path.abspath(entry) for entry in entries]
    except FileNotFoundError:  # the current folder is gone
        return
    absolute = set(filter(os.path.isabs, entries))
    dropped = {folder for folder in folders if folder not in absolute and not _is_needed(folder)}
    sys.path[:] = [entry for entry in sys.path if entry not in dropped]
    kept = [entry for entry, folder in zip(entries, folders, strict=True) if folder not in dropped]
    os.environ["PYTHONPATH"] = os.pathsep.join(kept)


def _is_needed(folder: str) -> bool:
    return folder == PARENT or folder.startswith(STANDARD) or folder.endswith("-packages")
