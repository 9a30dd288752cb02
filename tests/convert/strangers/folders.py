"""Picture folders as people have them, for one network that every one of them suits."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tests.convert.strangers.kinds import files


@dataclass(frozen=True)
class Folder:
    """`change(folder)` makes of FOLDER/train and FOLDER/test what the owner has. `says` as a Kind's; `flags` are more flags."""

    name: str
    change: Callable[[Path], None]
    says: str = ""
    flags: tuple[str, ...] = ()


def moved(**names: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for old, new in names.items():
            (folder / old).rename(folder / f"{old}-moved")
            (folder / new).parent.mkdir(parents=True, exist_ok=True)
            (folder / f"{old}-moved").rename(folder / new)

    return change


def unsplit(folder: Path) -> None:
    for path in [*files(folder / "train"), *files(folder / "test")]:
        home = folder / path.parent.name
        home.mkdir(exist_ok=True)
        path.rename(home / f"{path.parent.parent.name}-{path.name}")
    shutil.rmtree(folder / "train")
    shutil.rmtree(folder / "test")


def validated(folder: Path) -> None:
    for path in files(folder / "train")[::4]:
        (folder / "val" / path.parent.name).mkdir(parents=True, exist_ok=True)
        path.rename(folder / "val" / path.parent.name / path.name)


def archived(folder: Path) -> None:
    """As macOS unpacks what it packed."""
    for path in files(folder / "train"):
        ghost = folder / "__MACOSX/train" / path.parent.name / f"._{path.name}"
        ghost.parent.mkdir(parents=True, exist_ok=True)
        ghost.write_bytes(b"\0\5\26\7")
    (folder / "train/.DS_Store").touch()


def texts(folder: Path) -> None:
    (folder / "README.txt").write_text("pictures")
    (folder / "labels.csv").write_text("file,label\n")
    (folder / "train/red/notes.md").write_text("notes")


def saved_as(ending: str, **settings: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for path in [*files(folder / "train"), *files(folder / "test")]:
            Image.open(path).save(path.with_suffix(f".{ending}"), **settings)
            path.unlink()

    return change


def broken(folder: Path) -> None:
    for path in files(folder / "train")[:3]:
        path.write_bytes(path.read_bytes()[:60])


def twice(folder: Path) -> None:
    shutil.copy(folder / "train/red/000.png", folder / "test/red/copy.png")


def few(folder: Path) -> None:
    for path in files(folder / "test"):
        if int(path.stem) >= 12:
            path.unlink()


def loose(folder: Path) -> None:
    for path in files(folder / "train"):
        path.rename(folder / f"{path.parent.name}-{path.name}")
    shutil.rmtree(folder / "train")
    shutil.rmtree(folder / "test")


def nested(folder: Path) -> None:
    (folder / "train/red/more").mkdir()
    (folder / "train/red/000.png").rename(folder / "train/red/more/000.png")


def as_is(folder: Path) -> None:
    pass


FOLDERS = (
    Folder("train/ and test/", as_is),
    Folder("classes alone, not split", unsplit),
    Folder("train/, val/ and test/", validated),
    Folder("Training/ and Testing/", moved(train="Training", test="Testing")),
    Folder("Train/ and eval/", moved(train="Train", test="eval")),
    Folder("train/ and validation/, no test", moved(test="validation")),
    Folder("an outer folder around it", moved(train="data/train", test="data/test")),
    Folder("__MACOSX/ and .DS_Store", archived),
    Folder("texts beside and among the pictures", texts),
    Folder("WebP", saved_as("webp", lossless=True)),
    Folder("GIF", saved_as("gif")),
    Folder("TIFF", saved_as("tif")),
    Folder("BMP", saved_as("bmp")),
    Folder("three broken files", broken, says="3 files cannot be used: 3 unreadable"),
    Folder("three broken files, --skip-bad", broken, flags=("--skip-bad",)),
    Folder("a picture in train/ and test/", twice, says="the same picture"),
    Folder("36 test pictures", few, says="undecided"),
    Folder("no sub-folders", loose, says="wanted one per class"),
    Folder("a folder in a class", nested, says="more"),
    Folder("train/ without test/", moved(test="elsewhere/of/it"), says="test"),
)
