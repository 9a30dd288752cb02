"""How many bytes edgeproof takes on a device: its package and those it needs, without Python."""

import os
import re
from importlib import metadata


def installed_bytes(package: str = "edgeproof") -> dict[str, int] | None:
    """Bytes of `package` and of each installed package it needs, extras left out, by name; None if it is not installed."""
    sizes: dict[str, int] = {}
    waiting = [package]
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in sizes:
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # for another platform, or not installed at all
        sizes[name] = _size(distribution)
        needed = [line for line in distribution.requires or () if "extra ==" not in line]
        waiting += [match[0] for line in needed if (match := re.match(r"[\w.-]+", line))]
    return sizes or None


def _size(distribution: metadata.Distribution) -> int:
    paths = [str(file.locate()) for file in distribution.files or ()]
    edge = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if distribution.name == "edgeproof" and not any(os.path.abspath(path).startswith(edge + os.sep) for path in paths):
        # An editable install lists a pointer to this folder, not its files.
        paths = [os.path.join(folder, name) for folder, _, names in os.walk(edge) for name in names]
    return sum(os.path.getsize(path) for path in paths if os.path.isfile(path))
