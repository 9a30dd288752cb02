"""The figures of a tree: its imports as the source has them, its circles, and the command that compares two trees."""

import pytest

from benchmarks import structure
from conftest import ROOT, call


@pytest.fixture
def tree(tmp_path):
    """edge: cli imports a, a room of two, and its own room's door; the room's two modules import each other."""
    sources = {
        "edge/__init__.py": "",
        "edge/cli.py": "import os\nfrom edge import a, room\n",
        "edge/a.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from edge.room.one import One\n",
        "edge/room/__init__.py": "",
        "edge/room/one.py": "def f():\n    import edge.room.two\n",
        "edge/room/two.py": "from edge.room import one\nfrom train import fit\n",
        "train/fit.py": "",
    }
    for name, source in sources.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source)
    return tmp_path


def test_imports_are_counted_wherever_they_stand(tree):
    files = structure.modules(tree)
    assert sorted(files) == ["edge", "edge.a", "edge.cli", "edge.room", "edge.room.one", "edge.room.two", "train.fit"]
    assert {name: structure.imports(file, files) for name, file in files.items() if name != "train.fit"} == {
        "edge": set(),
        "edge.a": {"edge.room.one"},
        "edge.cli": {"edge.a", "edge.room"},
        "edge.room": set(),
        "edge.room.one": {"edge.room.two"},
        "edge.room.two": {"edge.room.one", "train.fit"},
    }


def test_a_circle_vanishes_inside_a_room(tree):
    files = structure.modules(tree)
    graph = {name: structure.imports(file, files) for name, file in files.items()}
    assert structure.circles(graph) == {frozenset({"edge.room.one", "edge.room.two"})}
    rooms = structure.rooms(graph)
    assert rooms["edge.cli"] == {"edge.a", "edge.room"} and rooms["edge.room"] == {"train.fit"}
    assert structure.circles(rooms) == set()


def test_the_command_sets_this_tree_beside_a_revision():
    done = call("benchmarks.structure", "--against", "HEAD", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    n_modules = len(structure.modules(ROOT))
    (total,) = (line for line in done.stdout.splitlines() if line.startswith("| all |"))
    assert f" → {n_modules} |" in total
