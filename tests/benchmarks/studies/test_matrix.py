"""`make matrix`: the page is made from the figures in docs/matrix/."""

import json

import pytest

from benchmarks.studies import matrix
from benchmarks.studies.training import EXPERIMENTS
from conftest import ROOT
from edge.errors import InputMissing
from train.architectures import ARCHITECTURES
from train.checkpoint import FILE


def row(**changed: object) -> dict[str, object]:
    usual = {
        "format": "tflite", "precision": "int8", "verdict": "passed", "reasons": [], "bytes": 105_800, "median_us": 25.6,
        "operators": {"int8": 7}, "float_islands": [], "n_images": 10_000, "lost": 1, "gained": 2, "float_top1": 0.9931,
        "top1": 0.9932, "drop_points": -0.01, "interval_points": [-0.06, 0.04],
    }  # fmt: skip
    return usual | changed


@pytest.fixture
def figures(tmp_path, monkeypatch):
    """The folder that the page's figures are read from."""
    monkeypatch.setattr(matrix, "FIGURES", tmp_path)
    return tmp_path


def kept(*rows: dict[str, object]) -> str:
    return json.dumps({"seconds_int8": 14.4, "rows": rows, "agreements": ["lenet5-relu: they differ on 1 of 10,000 answers"]})


def test_a_cell_shows_what_was_measured_and_a_refused_one_its_reason(figures):
    refused = {"format": "onnx", "precision": "int16x8", "verdict": "refused", "reasons": ["no kernels"]}
    islands = row(float_islands=[{"operators": ["MUL"], "share": 0.124}], precision="int4")
    (figures / "lenet5-relu.json").write_text(kept(row(), islands, refused))
    lines = matrix.table().splitlines()[2:]
    assert lines[2] == (
        "| `lenet5-relu` | tflite | int8 | 105,800 | 99.31 | 99.32 | 1 | 2 | -0.01 (-0.06 to 0.04) | 10,000 | 26 | 7 int8 "
        "| passed |"
    )
    assert "7 int8; float islands 12 %" in lines[3]
    assert lines[4].endswith("| refused |") and "- onnx int16x8: no kernels" in lines
    assert "`convert --int8`, both formats, the whole process: `lenet5-relu` 14 s." in lines
    assert "- lenet5-relu: they differ on 1 of 10,000 answers" in lines


def test_the_table_begins_with_the_networks_that_are_missing(figures, monkeypatch):
    monkeypatch.setattr(matrix, "ARCHITECTURES", ("lenet5-1998", "lenet5-relu", "resnet8"))
    for network, begins in (
        ("lenet5-relu", "1 of 3 networks so far: `lenet5-1998`, `resnet8` are missing.\n\n| network |"),
        ("resnet8", "2 of 3 networks so far: `lenet5-1998` is missing.\n\n| network |"),
        ("lenet5-1998", "| network |"),
    ):
        (figures / f"{network}.json").write_text(kept(row()))
        assert matrix.table().startswith(begins)


def repair(before: dict[str, object] | None) -> dict[str, object]:
    """As report.json tells it: where nothing was enough there is no `before`."""
    named = (("as it was", True), ("activation ranges by percentile", False), ("channels equalized", True),
             ("biases corrected", True))  # fmt: skip
    steps = [{"remedy": remedy, "kept": kept} for remedy, kept in named]
    return {"passed": before is not None, "scheme": "int8", "layers_in_float": [], "steps": steps, "before": before}


def test_a_repaired_model_is_not_called_plainly_passed_and_its_remedies_are_listed(figures):
    repaired = row(repair=repair(before=row(verdict="failed")))
    failed = row(repair=repair(before=None), verdict="failed", format="onnx")
    again = row(repair=repair(before=row(verdict="failed")), verdict="failed", precision="int4")
    (figures / "lenet5-relu.json").write_text(kept(row(repair=None), repaired, failed, again))
    lines = matrix.table().splitlines()[4:]
    verdicts = ["passed |", "passed, repaired |", "failed |", "failed, after a repair |"]
    assert [line.rsplit(" | ")[-1] for line in lines[:4]] == verdicts
    assert lines[4:10] == [
        "", "Repaired by:", "", "- `lenet5-relu` tflite int8: channels equalized; biases corrected",
        "- `lenet5-relu` tflite int4: channels equalized; biases corrected", "",
    ]  # fmt: skip


REFUSED = {"format": "onnx", "precision": "int8", "verdict": "refused", "reasons": ["its answers are not numbers"]}


def lines_with(figures, by_method: dict[str, list[dict[str, object]]]) -> list[str]:
    (figures / "resnet8.json").write_text(json.dumps(json.loads(kept(row())) | {"methods": by_method}))
    return matrix.table().splitlines()


def drop(points: float, kind: str) -> dict[str, object]:
    return row(drop_points=points, format=kind, agreeing=9_990)


def test_a_refused_model_is_told_among_the_ways_to_set_ranges_and_left_out_of_the_means(figures):
    by_method = {
        "min-max": [drop(0.5, "tflite"), drop(0.9, "onnx")],
        "percentile": [drop(0.2, "tflite"), REFUSED],
        "mse": [drop(0.1, "tflite"), drop(0.7, "onnx")],
    }
    lines = lines_with(figures, by_method)
    assert lines[-3] == "| `resnet8` | onnx | 0.90 (10 differ) | refused | 0.70 (10 differ) |"
    assert lines[-2] == "| mean of the 1 without a refusal |  | 0.500 | 0.200 | 0.100 |"
    lines = lines_with(figures, {method: [REFUSED] for method in by_method})
    assert lines[-1] == "| `resnet8` | onnx | refused | refused | refused |"


def test_the_ways_to_set_ranges_stand_side_by_side_with_their_mean(figures):
    drops = {"min-max": 0.5, "percentile": 0.2, "mse": 0.0}
    lines = lines_with(figures, {way: [drop(points, "tflite"), drop(0.1, "onnx")] for way, points in drops.items()})
    assert lines[-4] == "| `resnet8` | tflite | 0.50 (10 differ) | 0.20 (10 differ) | 0.00 (10 differ) |"
    assert lines[-2:] == ["| mean |  | 0.300 | 0.150 | 0.050 |", "| differ, of 20,000 |  | 20 | 20 | 20 |"]


@pytest.fixture
def resnet8_run(tmp_path, monkeypatch):
    """The folder of a finished run, in a repository that counts what is measured of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(matrix, "measure", lambda experiment: {"rows": [experiment.recipe], "seconds_int8": 14.4})
    monkeypatch.setattr(matrix, "methods", lambda experiment: {"methods": {}})
    run = next(each for each in EXPERIMENTS if each.name == "resnet8-modern").folder(0)
    run.mkdir(parents=True)
    (run / FILE).touch()
    return run


def test_the_figures_of_another_run_are_measured_anew_and_those_of_this_one_are_not(resnet8_run, tmp_path, capsys):
    figures = tmp_path / "docs/matrix/resnet8.json"
    figures.parent.mkdir(parents=True)
    figures.write_text(json.dumps({"run": "resnet8-modern-0-before", "rows": ["old"], "methods": {"mse": []}}))
    matrix.refresh("resnet8")
    fresh = {"run": resnet8_run.name, "rows": ["modern"], "seconds_int8": 14.4, "methods": {}}
    assert json.loads(figures.read_text()) == fresh
    assert capsys.readouterr().err == f"resnet8: rows of {resnet8_run.name}\nresnet8: methods of {resnet8_run.name}\n"
    figures.write_text(json.dumps(fresh | {"rows": ["kept"]}))
    matrix.refresh("resnet8")
    assert json.loads(figures.read_text())["rows"] == ["kept"]


def test_without_a_run_the_figures_stay_and_without_figures_it_is_said(resnet8_run, tmp_path, capsys):
    matrix.refresh("resnet8")
    figures = (tmp_path / "docs/matrix/resnet8.json").read_bytes()
    (resnet8_run / FILE).unlink()
    capsys.readouterr()
    matrix.refresh("resnet8")
    assert (tmp_path / "docs/matrix/resnet8.json").read_bytes() == figures
    message = f"resnet8: no finished run in runs/results; the figures are of {resnet8_run.name}\n"
    assert capsys.readouterr().err == message
    with pytest.raises(InputMissing, match=r"^keras-cnn: no finished run in runs/results; train it first: make results$"):
        matrix.refresh("keras-cnn")


def test_the_figures_in_the_repository_are_of_the_runs_the_results_page_is_about():
    for network in ARCHITECTURES:
        modern = next(each for each in EXPERIMENTS if (each.network, each.recipe, each.label) == (network, "modern", ""))
        assert json.loads((ROOT / f"docs/matrix/{network}.json").read_text())["run"] == modern.folder(0).name


def test_the_page_and_the_readmes_table_are_made_from_the_figures_in_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert matrix.table().rstrip() in matrix.PAGE.read_text()
    assert matrix.summary() in (ROOT / "README.md").read_text()
