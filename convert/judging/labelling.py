"""Pictures put out for the owner to label, and the labels read back.

Whoever labels sees neither an answer nor whose it is: the files are copies with a number, in the order of their bytes' digests.
"""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from edge.contract import InputContract
from edge.errors import InputError, InputMissing, missing, one_line
from edge.files import write_atomic
from edge.pictures import read_pixels
from train.datasets import listing
from train.datasets.listing import UNREADABLE, Faults

NONE = "none of these"  # the folder for pictures that show no class
MAX_PICTURES = 500  # nobody labels more, and a model that differs on more is broken
_ASK = """Which class does each picture here show?

Put every picture into the folder of its class, or into "{none}". Leave it where it is if you cannot tell. Two models disagree
about these pictures; which said what is not told, so that it cannot sway you. Then convert again, with the same pictures and

    --label {folder}

A picture without a label counts as lost by the converted model; one in "{none}" as neither lost nor gained.
"""


def read(folder: Path, class_names: tuple[str, ...], contract: InputContract, *, skip_bad: bool = False) -> dict[bytes, int]:
    """The class of each picture that lies in a sub-folder of `folder` by the digest of its pixels; -1 for "none of these".

    Raises InputMissing, or InputError for a sub-folder that is no class, and for a picture that has two or cannot be read.
    """
    try:
        subfolders = sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
    except OSError as error:
        raise missing(str(folder), error) from None
    classes = {name: index for index, name in enumerate(class_names)}
    classes.setdefault(NONE, -1)
    if unknown := [path for path in subfolders if path.name not in classes and path.name != "__MACOSX"]:
        if (unknown[0] / NONE).is_dir():  # OUT/to-label itself
            raise InputError(f"{folder}: holds a folder for each network; name that of this one: --label {unknown[0]}")
        some = ", ".join(class_names[:5]) + (", …" if len(class_names) > 5 else "")
        raise InputError(f"{unknown[0]}: no class is called so; wanted folders named {some} or {NONE!r}")
    faults = Faults(folder)
    found: dict[bytes, tuple[int, Path]] = {}
    for subfolder in subfolders:
        for path in listing.below(subfolder, may_be_empty=True):
            try:
                key = hashlib.sha256(read_pixels(str(path), contract)).digest()
            except (InputError, InputMissing) as error:
                faults.add(UNREADABLE, str(error))
                continue
            label = classes[subfolder.name]
            before = found.setdefault(key, (label, path))
            if before[0] != label:
                raise InputError(f"{before[1]} and {path} are the same picture with two labels: remove one")
    faults.settle(skip=skip_bad)
    return {key: label for key, (label, _) in found.items()}


def write(folder: Path, class_names: tuple[str, ...], paths: Iterable[str]) -> int:
    """Copy the pictures `paths` into `folder`, with an empty folder for each class; how many wait for a label there.

    What lies there stays, and no picture is put there twice. Raises InputMissing or StorageError.
    """
    there = listing.below(folder, may_be_empty=True) if folder.is_dir() else []
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in there}
    contents: dict[str, tuple[bytes, str]] = {}
    for name in paths:
        path = Path(name)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise missing(name, error) from None
        contents.setdefault(hashlib.sha256(content).hexdigest(), (content, path.suffix.lower()))
    number = max((int(path.stem) for path in there if re.fullmatch(r"\d{1,9}", path.stem)), default=0)
    for digest in sorted(contents.keys() - digests):
        number += 1
        content, ending = contents[digest]
        write_atomic(str(folder / f"{number:04}{ending}"), content)
    for class_name in (*class_names, NONE):
        if "/" not in class_name:
            (folder / class_name).mkdir(parents=True, exist_ok=True)
    write_atomic(str(folder / "README.txt"), _ASK.format(none=NONE, folder=one_line(str(folder))).encode())
    return sum(path.parent == folder for path in listing.below(folder, may_be_empty=True))
