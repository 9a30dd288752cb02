"""Which files of a user's folder are pictures of which class, whatever else lies among them.

Nothing is decoded here. Files that are no pictures are passed over; what stands in the way is a fault, and all faults are told
at once.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from edge.contract import is_label
from edge.errors import InputError, InputMissing, missing, note, one_line
from edge.pictures import ENDINGS

# Accepted names of the parts, in any case, also with "set", "_set", "-set" or " set" behind them.
PARTS = {
    "train": ("train", "training"),
    "test": ("test", "testing", "eval", "evaluation"),
    "val": ("val", "valid", "validation"),
}
N_NAMED = 20  # files of one kind of fault
UNREADABLE, TWICE, TWO_CLASSES, STRAY = "unreadable", "in test and elsewhere", "in two classes", "stray"

# Left behind by desktops, like names that begin with a dot.
_LITTER = {"thumbs.db", "desktop.ini", "icon\r", "@eadir", "$recycle.bin"}  # in any case
_NO_PICTURES = "__MACOSX"  # a folder of attributes that macOS puts into archives, with the names of the pictures
# Beside or among pictures: what describes them.
_TEXTS = {
    ".cfg", ".csv", ".db", ".docx", ".htm", ".html", ".ini", ".ipynb", ".json", ".jsonl", ".log", ".md", ".pdf", ".py", ".rst",
    ".toml", ".tsv", ".txt", ".xlsx", ".xml", ".yaml", ".yml",
}  # fmt: skip
_TEXT_NAMES = {"copying", "licence", "license", "readme"}


@dataclass(frozen=True)
class Faults:
    """Files of `folder` that cannot be used, by kind: each in words, with how many files are left out for it."""

    folder: Path
    by_kind: dict[str, list[tuple[str, int]]] = field(default_factory=dict)

    def add(self, kind: str, words: str, n_files: int = 1) -> None:
        self.by_kind.setdefault(kind, []).append((one_line(words), n_files))

    @property
    def counts(self) -> dict[str, int]:
        """How many files of each kind."""
        return {kind: sum(n for _, n in found) for kind, found in self.by_kind.items()}

    def settle(self, *, skip: bool) -> dict[str, int]:
        """How many files of each kind are left out. Raises InputError unless `skip`, with a line for each on stderr."""
        if not self.by_kind:
            return {}
        n_files, kinds = sum(self.counts.values()), in_words(self.counts)
        if skip:
            note(one_line(f"{self.folder}: {n_files:,} file{'s' * (n_files > 1)} left out: {kinds}"))
            return self.counts
        every = [words for found in self.by_kind.values() for words, _ in found]
        if len(every) == 1:
            raise InputError(f"{every[0]}; --skip-bad leaves out what cannot be used")
        for kind, found in self.by_kind.items():
            for words, _ in found[:N_NAMED]:
                note(words)
            if len(found) > N_NAMED:
                note(f"… and {len(found) - N_NAMED:,} more {kind}")
        first = every[0].removeprefix(f"{self.folder}: ").removeprefix(f"{self.folder}{os.sep}")
        raise InputError(
            f"{self.folder}: {n_files:,} files cannot be used: {kinds} (the first: {first}); mend or remove them, or leave "
            "them out with --skip-bad"
        )


@dataclass(frozen=True)
class Listing:
    """The pictures of a folder: its `parts` (train, test and perhaps validation, or one that is not split), the `names` of the
    classes, and `files`, each with its class and its part by number."""

    parts: tuple[Path, ...]
    names: tuple[str, ...]
    files: tuple[tuple[Path, int, int], ...]


def in_words(counts: dict[str, int]) -> str:
    """`3 unreadable, 1 stray`."""
    return ", ".join(f"{n:,} {kind}" for kind, n in counts.items())


def read(folder: Path, faults: Faults, *, classes: tuple[int, int]) -> Listing:
    """The pictures in `folder`, which has from `classes[0]` to `classes[1]` classes. What is no picture and no class goes to
    `faults`. Raises InputMissing, or InputError where the layout cannot be understood."""
    reader = _Reader(folder, faults, classes)
    parts = reader.parts()
    names = reader.class_names(*parts)
    homes = [(label, k, part / name) for k, part in enumerate(parts) for label, name in enumerate(names)]
    files = tuple((path, label, k) for label, k, home in homes for path in reader.files(home))
    reader.tell_passed()
    return Listing(tuple(parts), names, files)


def below(folder: Path, *, may_be_empty: bool = False) -> list[Path]:
    """The pictures in `folder` and its sub-folders by their endings, sorted. Raises InputMissing where there are none."""

    def unreadable(error: OSError) -> None:
        raise missing(str(error.filename), error)

    paths = []
    for parent, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = [name for name in folders if name != _NO_PICTURES and name.lower() not in _LITTER and name[0] != "."]
        paths += [Path(parent, name) for name in names if name.lower().endswith(ENDINGS) and name[0] != "."]
    if not paths and not may_be_empty:
        raise InputMissing(f"{folder}: holds no {', '.join(ENDINGS)} files")
    return sorted(paths)


def part_of(name: str) -> str:
    """The key of PARTS that a folder called `name` is; "" for none."""
    plain = re.sub(r"[ _-]?set$", "", name.lower())
    return next((part for part, names in PARTS.items() if plain in names), "")


class _Reader:
    def __init__(self, folder: Path, faults: Faults, classes: tuple[int, int]) -> None:
        self._folder, self._faults, self._classes = folder, faults, classes
        self._passed: list[str] = []

    def parts(self) -> list[Path]:
        """Train, test and the validation folder if there is one; just the folder of the classes if it is not split."""
        root = self._inner(self._folder)
        folders = self._folders(root)
        by_part: dict[str, list[Path]] = {part: [path for path in folders if part_of(path.name) == part] for part in PARTS}
        others = [path for path in folders if not part_of(path.name)]
        if by_part["train"] and not by_part["test"] and any(self._folders(path) for path in by_part["val"]):
            # As of tutorials, where validation pictures are what accuracy is told of.
            by_part |= {"test": by_part["val"], "val": []}
            note(one_line(f"{root}: no test folder; the pictures in {by_part['test'][0].name} are the test images"))
        if not (by_part["train"] and by_part["test"]):
            self._check_no_half(root, [path.name for path in folders])
            return [root]
        # `train` among other names is a class: some data sets have trains.
        if others and not any(self._folders(path) for path in by_part["train"] + by_part["test"]):
            return [root]
        for part, found in by_part.items():
            if len(found) > 1:
                names = " and ".join(path.name for path in found)
                raise InputError(f"{root}: {names} are both names of the {part} folder; wanted one: rename or move the other")
        for path in others:
            beside = f"{by_part['train'][0].name} and {by_part['test'][0].name}"
            self._faults.add(STRAY, f"{path}: a folder beside {beside}; move it out")
        self._pass_loose(root)
        return [self._inner(path) for part in PARTS for path in by_part[part]]

    def class_names(self, part: Path, *others: Path) -> tuple[str, ...]:
        names = tuple(path.name for path in self._folders(part))
        self._pass_loose(part)
        least, most = self._classes
        if not least <= len(names) <= most:
            flat = f"{len(_entries(part)):,} files and " if not names and _entries(part) else ""
            there = f"{flat}{len(names)} sub-folder{'s' * (len(names) != 1)}"
            more = "; move pictures without labels out, for --unlabelled" if flat and part_of(part.name) == "test" else ""
            raise InputError(f"{part}: {there}; wanted one per class, {least} to {most} classes{more}")
        if odd := [name for name in names if not is_label(name)]:
            raise InputError(f"{part}: {odd[0]!r} cannot be a label; rename that sub-folder")
        for other in others:
            if apart := sorted(set(names) ^ set(self.class_names(other))):
                has, lacks = (part, other) if apart[0] in names else (other, part)
                raise InputError(f"{has / apart[0]}: {lacks} has no such class; both need the same sub-folders")
        return names

    def files(self, folder: Path) -> list[Path]:
        """What may be a picture in `folder`: everything but texts and folders."""
        kept = []
        for path in _entries(folder):
            if path.is_dir():
                if path.name != _NO_PICTURES:
                    self._faults.add(STRAY, f"{path}: a folder inside a class; wanted pictures there: move them up or out")
            elif _is_text(path):
                self._passed.append(self._shown(path))
            else:
                kept.append(path)
        return kept

    def tell_passed(self) -> None:
        if self._passed:
            some = ", ".join(self._passed[:5]) + (", …" if len(self._passed) > 5 else "")
            n = len(self._passed)
            what = f"{n:,} files that are no pictures are" if n > 1 else "a file that is no picture is"
            note(one_line(f"{self._folder}: {what} ignored: {some}"))

    def _inner(self, folder: Path) -> Path:
        """`folder`, or where its one sub-folder holds the sub-folders, as archives are unpacked."""
        while True:
            folders = self._folders(folder)
            if len(folders) != 1 or (part_of(folders[0].name) and part_of(folder.name) != part_of(folders[0].name)):
                return folder
            if not self._folders(folders[0]):
                return folder
            self._pass_loose(folder)
            folder = folders[0]

    def _pass_loose(self, folder: Path) -> None:
        """Note the files beside sub-folders: pictures are strays."""
        for path in _entries(folder):
            if path.is_dir():
                continue
            if path.name.lower().endswith(ENDINGS):
                wanted = "wanted one sub-folder per class, and no pictures beside them"
                self._faults.add(STRAY, f"{path}: outside the sub-folders; {wanted}")
            elif self._shown(path) not in self._passed:
                self._passed.append(self._shown(path))

    def _folders(self, folder: Path) -> list[Path]:
        return [path for path in _entries(folder) if path.is_dir() and path.name != _NO_PICTURES]

    def _shown(self, path: Path) -> str:
        return str(path.relative_to(self._folder))

    def _check_no_half(self, root: Path, names: list[str]) -> None:
        """Raises InputError if `names`, the sub-folders of `root`, are parts of a data set without its train or test."""
        parts = [part_of(name) for name in names]
        if not all(parts) or not {"train", "test"} & set(parts):
            self._check_no_other_parts(root, names)
            return
        if any(self._folders(root / name) for name in names):
            lacks = "train" if "test" in parts else "test"
            raise InputError(f"{root}: {' and '.join(names)} but no {lacks}: put the classes directly in the folder")

    def _check_no_other_parts(self, root: Path, names: list[str]) -> None:
        """Raises InputError where several sub-folders hold folders and no file: parts under other names."""
        inside = {name: _entries(root / name) for name in names}
        names = [name for name, paths in inside.items() if paths and all(path.is_dir() for path in paths)]
        if len(names) > 1:
            some = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
            raise InputError(f"{root}: {some} hold folders and no pictures; call the parts train and test (and val)")


def _is_text(path: Path) -> bool:
    return path.suffix.lower() in _TEXTS or path.name.lower() in _TEXT_NAMES


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.name.lower() not in _LITTER)
    except FileNotFoundError:
        raise InputMissing(f"{folder}: no such folder; wanted one with a sub-folder of pictures per class") from None
    except NotADirectoryError:
        raise InputMissing(f"{folder}: a file; wanted a folder with a sub-folder of pictures per class: unpack it") from None
    except OSError as error:
        raise missing(str(folder), error) from None
