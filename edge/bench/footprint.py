"""How many bytes edgeproof takes on a device: the packages that `pip install edgeproof` brings, without Python."""

import os
import re
from importlib import metadata


def installed_bytes(package: str = "edgeproof") -> dict[str, int] | None:
    """Bytes of the files of `package` and of every package it needs that is installed, by name; None where it is not.

    What only an extra needs is left out, whether it is installed or not.
    """
    sizes: dict[str, int] = {}
    waiting = [package]
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in sizes:
            continue
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # for another platform, or not installed at all
        sizes[name] = _size(found)
        needed = [line for line in found.requires or () if "extra ==" not in line]
        waiting += [match[0] for line in needed if (match := re.match(r"[\w.-]+", line))]
    return sizes or None


def _size(found: metadata.Distribution) -> int:
    paths = [str(file.locate()) for file in found.files or ()]
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if found.name == "edgeproof" and not any(os.path.abspath(path).startswith(here + os.sep) for path in paths):
        # An editable install lists a pointer to this folder, not what lies in it.
        paths = [os.path.join(folder, name) for folder, _, names in os.walk(here) for name in names]
    return sum(os.path.getsize(path) for path in paths if os.path.isfile(path))
