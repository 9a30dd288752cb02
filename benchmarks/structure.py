"""Count what a newcomer has to hold in mind: modules, the imports between them, circles, lines.

    python -m benchmarks.structure [--against REVISION]

A module imports another where its source says so, at the top, inside a function or for type checking alone; the engines,
which are loaded by name, are not counted. A room is a module or a folder of modules directly inside a package.
"""

import argparse
import ast
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from benchmarks.regression import sides
from edge import errors
from train import markdown

PACKAGES = ("edge", "train", "convert", "benchmarks")
HEAD = ("package", "modules", "imports", "circles", "rooms", "imports", "lines")
# The command ends its process without tearing Python down, so its end is replaced here.
ASK = """
import os, sys
sys.path.insert(0, sys.argv.pop(1))
os._exit = lambda code: None
from edge.cli import console
console()
print(*sorted(name for name in sys.modules if name.partition(".")[0] == "edge"), file=sys.stderr)
"""

Graph = dict[str, set[str]]  # a module or room, and which others it imports


def modules(root: Path) -> dict[str, Path]:
    """Every module of PACKAGES under `root` by its dotted name; a package's `__init__.py` has the package's name."""
    files = [file for package in PACKAGES for file in sorted((root / package).rglob("*.py"))]
    return {".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): file for file in files}


def imports(path: Path, modules: dict[str, Path]) -> set[str]:
    """Those of `modules` that the file imports, absolutely; `from package import module` imports the module."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            dotted = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name in modules else node.module for name in dotted}
    return {name for name in names if name in modules and modules[name] != path}


def rooms(graph: Graph) -> Graph:
    """`graph` with each folder directly inside a package as one."""
    room = {name: ".".join(name.split(".")[:2]) for name in graph}
    merged: Graph = {room[name]: set() for name in graph}
    for name, imported in graph.items():
        merged[room[name]] |= {room[other] for other in imported} - {room[name]}
    return merged


def circles(graph: Graph) -> set[frozenset[str]]:
    """The largest groups of modules in which each imports each, directly or through others."""
    reached = {name: set(imported) for name, imported in graph.items()}
    for middle in graph:  # Warshall's algorithm
        for name in graph:
            if middle in reached[name]:
                reached[name] |= reached[middle]
    groups = ({name} | {other for other in reached[name] if name in reached[other]} for name in graph)
    return {frozenset(group) for group in groups if len(group) > 1}


def hot_path(root: Path) -> list[str]:
    """The modules of `edge` under `root` that a process has loaded after one `edge-predict` on a plain PNG."""
    argv = [sys.executable, "-I", "-c", ASK, str(root), str(root / "examples" / "seven.png")]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stderr.split()


def measure(root: Path) -> dict[str, list[int]]:
    """The figures that HEAD names for each package and all together; then those that the tree has one of."""
    files = modules(root)
    graph = {name: imports(file, files) for name, file in files.items()}
    figures = {}
    for package in (*PACKAGES, "all"):
        inside = {name for name in graph if package in ("all", name.partition(".")[0])}
        part = {name: graph[name] & inside for name in inside}
        merged = rooms(part)
        counts = [len(part), _n_imports(part), len(circles(part)), len(merged), _n_imports(merged)]
        figures[package] = [*counts, _n_lines(files[name] for name in inside)]
    return figures | {
        "lines of tests": [_n_lines([root / "conftest.py", *(root / "tests").rglob("*.py")])],
        "words of the README": [len((root / "README.md").read_text().split())],
        "modules of edge that one edge-predict loads": [len(hot_path(root))],
    }


def _n_imports(graph: Graph) -> int:
    return sum(map(len, graph.values()))


def _n_lines(paths: Iterable[Path]) -> int:
    return sum(len(path.read_text().splitlines()) for path in paths)


def page(trees: list[Path]) -> str:
    """The figures of one tree, or of two as `before → after`, as Markdown."""
    measured = [measure(tree) for tree in trees]
    rows = []
    for name in measured[0]:
        changes = zip(*(figures[name] for figures in measured), strict=True)
        rows.append((name, *(" → ".join(f"{value:,}" for value in change) for change in changes)))
    return markdown.table(HEAD, rows, align="lr")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.structure", description=__doc__.splitlines()[0])
    parser.add_argument("--against", metavar="REVISION", help="give each figure of that revision before this tree's")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        before = [sides.export(sides.commit_of(flags.against), Path(folder, "before"))] if flags.against else []
        print(page([*before, sides.ROOT]))
    return 0


if __name__ == "__main__":
    sys.exit(errors.run(main, "benchmarks.structure"))
