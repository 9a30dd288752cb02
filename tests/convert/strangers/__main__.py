"""Give `convert` sixty kinds of networks and folders as people have them, and tell what came of each.

`python -m tests.convert.strangers [KIND…] [--write docs/strangers.md]` prints the table, in about a quarter of an hour. A file
is right that answers as its owner's Keras network does; networks of Keras 2 are made by tf_keras, and are left out where that
is not installed.
"""

import argparse
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

LEAST = 0.95  # of the answers must agree: int8 changes a few of those that are near a tie
Row = tuple[str, str, str, str]


def network_row(kind, scratch: Path) -> Row:
    from tests.convert.strangers import kinds

    shown, home = scratch / "pictures", scratch / "network"
    kinds.pictures(shown, kind.classes, grey=kind.grey, size=kind.size)
    home.mkdir()
    path, answers = kinds.made(kind, home, shown)
    told = ("--contract", home / "contract.json") if kind.told else ()
    return judged(kind.name, kind.says, home, path, shown, answers, *kind.flags, *told)


def folder_row(kind, scratch: Path) -> Row:
    from tests.convert.strangers import kinds, networks

    home = scratch / "folder"
    home.mkdir()
    shown = home / "pictures"
    kinds.pictures(shown, 3)
    path, answers = kinds.made(networks.NETWORKS[0], home, shown)
    by_name = {
        f"{file.parent.name}/{file.stem}": answer for file, answer in zip(kinds.files(shown / "test"), answers, strict=True)
    }
    kind.change(shown)
    return judged(kind.name, kind.says, home, path, shown, by_name, "--formats", "tflite", *kind.flags)


def judged(name: str, says: str, home: Path, path: Path, shown: Path, answers, *flags: str | Path) -> Row:
    """The row of one kind: what `convert` did with the network at `path` and pictures `shown`; `answers` are the owner's."""
    from conftest import call
    from edge import predictor
    from tests.convert.strangers import kinds

    usual = ("--int8", "--no-repair", "--max-drop-points", "5", "--model", path, "--data", shown, "--out", home / "art")
    done = call("convert", *usual, *flags, cwd=home)
    published = sorted((home / "art").glob("*.tflite")) + sorted((home / "art").glob("*.onnx"))
    lines = done.stderr.strip().splitlines() or [""]
    if says:
        told = next((line for line in reversed(lines) if says in line), "")
        right = done.returncode in (1, 65, 66, 78) and told and not published
        words = (told or lines[-1]).removeprefix("convert: ").replace(f"{home}/", "").replace(f"{shown}", "pictures")
        return name, f"{'refused' if right else 'WRONG'} ({done.returncode}): {words[:220]}", "", ""
    if done.returncode or not published:
        return name, f"WRONG ({done.returncode}): {lines[-1].replace(f'{home}/', '')[:300]}", "", ""
    if isinstance(answers, dict):  # by name: the folder has changed
        tests = [(file, answers.get(f"{file.parent.name}/{file.stem.removeprefix('test-')}")) for file in below(shown)]
        tests = [(file, answer) for file, answer in tests if answer is not None]
    else:
        tests = list(zip(kinds.files(shown / "test"), answers, strict=True))
    agree = []
    for model in published:
        ready = predictor.load(str(model))
        agree.append(float(np.mean([ready.predict(str(file)).index == answer for file, answer in tests])))
    formats = " and ".join(model.suffix for model in published)
    word = "right" if min(agree) >= LEAST else "WRONG"
    return name, f"{word}: {formats}", f"{len(tests):,}", " and ".join(f"{100 * share:.1f} %" for share in agree)


def below(folder: Path) -> Iterator[Path]:
    """Test pictures, wherever the kind has put them."""
    for path in sorted(folder.rglob("*")):
        parts = [part.lower() for part in path.relative_to(folder).parts]
        if path.is_file() and (
            path.name.startswith("test-") or any(part in ("test", "testing", "eval", "validation") for part in parts)
        ):
            yield path


def every() -> dict[str, tuple]:
    from tests.convert.strangers import folders, networks

    return {kind.name: (network_row, kind) for kind in networks.NETWORKS} | {
        kind.name: (folder_row, kind) for kind in folders.FOLDERS
    }


def rows(names: list[str]) -> Iterator[Row]:
    known = every()
    for name in names or known:
        row, kind = known[name]
        if getattr(kind, "library", "keras") != "keras" and importlib.util.find_spec(kind.library) is None:
            print(f"{name}: left out: {kind.library} is not installed", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as scratch:
            try:
                yield row(kind, Path(scratch))
            except Exception as error:  # a kind that cannot be made says nothing of the others
                yield name, f"WRONG: {type(error).__name__}: {' '.join(str(error).split())[:200]}", "", ""


def kept(page: Path | None) -> dict[str, Row]:
    """The rows on `page`, by kind: those of kinds that are not tried now stay."""
    lines = page.read_text().splitlines() if page else []
    cells = [tuple(line.strip("| ").split(" | ")) for line in lines if line.startswith("| ")]
    return {row[0]: (*row, "", "")[:4] for row in cells if row[0] in every()}


def main() -> int:
    from benchmarks import pages
    from train import markdown

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="a kind by its name (default: all)")
    pages.add_write(parser)
    settings = parser.parse_args()
    os.environ["KERAS_BACKEND"] = "tensorflow"
    if unknown := [name for name in settings.kinds if name not in every()]:
        parser.error(f"no kind {unknown[0]!r}; there are: {'; '.join(every())}")
    found = kept(settings.write)
    for row in rows(settings.kinds):
        found[row[0]] = row
        print(" | ".join(row), file=sys.stderr, flush=True)
    wrong = sum("WRONG" in row[1] for row in found.values())
    head = ("kind", "what comes of it", "n", "answers as the owner's network does")
    table = markdown.table(head, [found[name] for name in every() if name in found])
    pages.show(f"{len(found)} kinds, {wrong} wrong.\n\n{table}", settings.write)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
