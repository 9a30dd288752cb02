"""The direction of imports: edge <- train <- convert <- benchmarks, tests."""

import ast
from pathlib import Path

import pytest

from conftest import ROOT

ORDER = ("edge", "train", "convert", "benchmarks")
# What each may import of ours, and what it must never load.
FORBIDDEN = {
    "edge": {"tensorflow", "keras", "sklearn", "matplotlib", "onnx", "tf2onnx"},
    "train": {"tensorflow", "onnx", "onnxruntime", "tf2onnx", "ai_edge_litert"},
    "convert": set(),
    "benchmarks": set(),
}


def imported(path: Path) -> set[str]:
    """Top-level names of every import in the file, wherever it stands."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", ORDER)
def test_no_import_points_right(package):
    right = set(ORDER[ORDER.index(package) + 1 :]) | {"tests", "conftest"} - (
        {"conftest"} if package == "benchmarks" else set()
    )
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        odd = imported(path) & (right | FORBIDDEN[package])
        assert not odd, f"{path} imports {odd}"


def test_the_arrow_check_sees_an_import_inside_a_function(tmp_path):
    (tmp_path / "m.py").write_text("def f():\n    from tensorflow.lite import x\n")
    assert imported(tmp_path / "m.py") == {"tensorflow"}


@pytest.mark.parametrize("package", ORDER)
def test_the_page_on_design_says_where_every_module_belongs(package):
    page = (ROOT / "docs/design.md").read_text()
    for path in (ROOT / package).rglob("*.py"):
        named = f"`{path.name}`", f"/{path.name}`", f"`{path.parent.relative_to(ROOT)}/`", f"`{path.parent.name}/`"
        assert path.name == "__init__.py" or any(name in page for name in named), f"docs/design.md does not name {path}"
