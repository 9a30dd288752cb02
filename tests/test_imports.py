"""The direction of imports: edge <- train <- convert <- benchmarks, tests; inside a package from the upper floors down."""

import ast
from pathlib import Path

import pytest

from benchmarks import structure
from conftest import ROOT

# From the ground up: a package or room imports only what stands on lower floors.
PACKAGES = (("edge",), ("train",), ("convert",), ("benchmarks",))
FLOORS = {
    "edge": (
        ("confidence", "errors", "limits", "manifest", "search_path", "silence"),
        ("contract",),
        ("c_program", "child"),
        ("artifact", "compiler", "files", "pictures"),
        ("engines", "locate"),
        ("predictor",),
        ("cli", "device"),
        ("bench", "console", "store"),
        ("__main__",),
    ),
    "convert": (
        ("contact_sheet", "effort", "tflite_pieces"),
        ("calibration", "judging", "layers", "operators", "to_c"),
        ("pictures",),
        ("confidence", "plan", "sources"),
        ("flags", "interfaces", "to_onnx", "to_tflite"),
        ("unknown",),
        ("results",),
        ("evaluation", "publishing"),
        ("inputs", "repair"),
        ("report",),
        ("__main__",),
    ),
}
# What one `edge-predict` on a plain PNG loads of ours: every module more makes each cold start slower.
HOT_PATH = {
    "edge", "edge.artifact", "edge.cli", "edge.confidence", "edge.contract", "edge.engines", "edge.engines.litert_c",
    "edge.errors", "edge.locate", "edge.pictures", "edge.pictures.png", "edge.predictor", "edge.silence",
}  # fmt: skip
# Libraries that no module of the package may load.
FORBIDDEN = {
    "edge": {"tensorflow", "keras", "sklearn", "matplotlib", "onnx", "tf2onnx"},
    "train": {"tensorflow", "onnx", "onnxruntime", "tf2onnx", "ai_edge_litert"},
}


def graph(root: Path) -> structure.Graph:
    files = structure.modules(root)
    return {name: structure.imports(file, files) for name, file in files.items()}


def uphill(graph: structure.Graph, floors: tuple[tuple[str, ...], ...]) -> list[str]:
    """The imports that do not lead to a lower floor."""
    floor = {name: number for number, names in enumerate(floors) for name in names}
    return [f"{a} -> {b}" for a, imported in graph.items() for b in imported if floor[b] >= floor[a]]


def test_no_import_between_packages_points_right():
    packages: structure.Graph = {}
    for name, imported in graph(ROOT).items():
        package = name.partition(".")[0]
        packages.setdefault(package, set()).update({other.partition(".")[0] for other in imported} - {package})
    assert not uphill(packages, PACKAGES)


@pytest.mark.parametrize("package", FLOORS)
def test_inside_a_package_imports_lead_down(package):
    inside = {
        room.removeprefix(f"{package}."): {
            name.removeprefix(f"{package}.") for name in imported if name.startswith(f"{package}.")
        }
        for room, imported in structure.rooms(graph(ROOT)).items()
        if room.startswith(f"{package}.")
    }
    assert not uphill(inside, FLOORS[package])


def test_no_modules_import_each_other():
    assert structure.circles(graph(ROOT)) == set()


def test_a_module_is_known_by_its_path_not_its_file_name(tmp_path):
    for name in ("edge/host.py", "convert/host.py", "convert/x.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("from convert import host\n" if name.endswith("x.py") else "")
    assert graph(tmp_path)["convert.x"] == {"convert.host"}


def test_an_edge_predict_on_a_plain_png_loads_the_hot_path_and_no_more():
    assert set(structure.hot_path(ROOT)) == HOT_PATH


def libraries(path: Path) -> set[str]:
    """The top-level names of every import in the file, wherever it stands."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", structure.PACKAGES)
def test_no_module_loads_what_its_package_does_without(package):
    tests = {"tests"} if package == "benchmarks" else {"tests", "conftest"}
    for path in (ROOT / package).rglob("*.py"):
        assert not libraries(path) & (FORBIDDEN.get(package, set()) | tests), path


def test_the_library_check_sees_an_import_inside_a_function(tmp_path):
    (tmp_path / "m.py").write_text("def f():\n    from tensorflow.lite import x\n")
    assert libraries(tmp_path / "m.py") == {"tensorflow"}


def test_the_page_on_design_says_where_every_module_belongs():
    page = (ROOT / "docs/design.md").read_text()
    for path in structure.modules(ROOT).values():
        named = f"`{path.name}`", f"/{path.name}`", f"`{path.parent.relative_to(ROOT)}/`", f"`{path.parent.name}/`"
        assert path.name == "__init__.py" or any(name in page for name in named), f"docs/design.md does not name {path}"
