"""From model files to a report: what is collected, what is refused, and what a comment holds."""

import hashlib
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks.report import collect, html, kinds, markdown, sealed, words
from benchmarks.report.recheck import disagreement, judged, recheck
from benchmarks.report.row import SCHEMA, How, LostThumbnail, ReportRow
from convert.publishing import git_commit, publish
from edge import artifact
from edge.errors import InputMissing, ModelError, ToolchainError
from edge.locate import shipped_model
from tests.benchmarks.made_up import comparison, everything, report, row, speed, unsteady
from tests.edge.on_device import SHIPPED, resealed
from train.datasets import Split, digits


@pytest.fixture
def quick(monkeypatch):
    """Instead of a minute's measurement, what one might come to."""
    monkeypatch.setattr(sealed, "_bench", lambda *_: {"speed": speed(12.34)})


def collected(*paths: Path, short: bool = True) -> tuple[list, list[str]]:
    lines: list[str] = []
    return list(collect.rows(paths, How(short=short, shared_machine=True, tell=lines.append))), lines


def test_the_model_in_the_wheel_comes_first_and_a_folder_stands_for_its_models(tmp_path):
    for name in ("b.onnx", "a.tflite", "report.json"):
        (tmp_path / name).touch()
    assert [path.name for path in collect.files([str(tmp_path)])] == [Path(shipped_model()).name, "a.tflite", "b.onnx"]


def test_a_model_that_is_not_there_is_named():
    with pytest.raises(InputMissing, match=r"nowhere\.tflite: no such model or folder of models"):
        collect.files(["nowhere.tflite"])


def test_accuracy_comes_from_the_manifest_and_every_engine_has_a_row(quick):
    rows, _ = collected(Path(shipped_model()), short=False)
    assert [found.engine for found in rows][:2] == ["litert-c", "litert"]
    seen = artifact.read(shipped_model()).manifest()["verification"]
    assert rows[0].accuracy.top1 == seen["top1"]
    assert (rows[0].accuracy.lost, rows[0].accuracy.n_images) == (seen["lost"], seen["n_images"])
    assert rows[0].shipped and rows[0].name == "lenet5-relu-mnist-int8.tflite"
    assert rows[0].inference_us == 12.34


def test_short_takes_one_engine_and_a_copy_is_not_measured_twice(quick, tmp_path):
    copy = shutil.copy(shipped_model(), tmp_path / "copy.tflite")
    rows, _ = collected(Path(shipped_model()), Path(copy))
    assert [found.engine for found in rows] == ["litert-c"]


def test_a_damaged_model_is_left_out_with_the_reason(quick, tmp_path):
    data = bytearray(Path(shipped_model()).read_bytes())
    data[1000] ^= 1
    (tmp_path / "damaged.tflite").write_bytes(data)
    rows, lines = collected(tmp_path / "damaged.tflite")
    assert rows == []
    assert lines[0].startswith(f"left out: {tmp_path / 'damaged.tflite'}: damaged: the seal reads")


def test_lost_pictures_are_those_of_this_very_model(tmp_path):
    path = shutil.copy(shipped_model(), tmp_path / "model.tflite")
    model = artifact.read(str(path))

    def beside(weights: bytes, index: int) -> dict[str, object]:
        account = {"name": model.contract.name, "format": "tflite", "bytes": len(weights)}
        lost = [{"index": index, "label": 7, "answer": 2}]
        return account | {"model_sha256": hashlib.sha256(weights).hexdigest(), "lost_pictures": lost}

    refused = {"name": model.contract.name, "format": "onnx", "verdict": "refused"}
    weights = model.data[: model.contract.model_bytes]
    same, other = beside(weights, 1226), beside(weights[:-1] + bytes([weights[-1] ^ 1]), 92)
    assert same["bytes"] == other["bytes"]
    (tmp_path / "report.json").write_text(json.dumps({"rows": [refused, other, same]}))
    assert list(sealed._lost(model)) == [LostThumbnail(index=1226, label="7", answer="2")]
    undigested = {name: value for name, value in same.items() if name != "model_sha256"}
    for text in (json.dumps({"rows": [undigested]}), json.dumps({"rows": ["odd"]}), "not JSON"):
        (tmp_path / "report.json").write_text(text)
        assert list(sealed._lost(model)) == []


def test_a_conversions_report_names_the_models_it_published_by_digest(tflite, onnx, tmp_path):
    rows = json.loads(tflite.with_name("report.json").read_text())["rows"]
    for path, told in zip((tflite, onnx), rows, strict=True):
        lost = [picture["index"] for picture in told["lost_pictures"]]
        assert [picture.index for picture in sealed._lost(artifact.read(str(path)))] == lost
        told["lost_pictures"] = [{"index": 5, "label": 0, "answer": 1}]
    (tmp_path / "report.json").write_text(json.dumps({"rows": rows}))
    copied = artifact.read(str(shutil.copy(tflite, tmp_path)))
    assert list(sealed._lost(copied)) == [LostThumbnail(index=5, label="0", answer="1")]


def test_bench_that_fails_is_an_error_of_one_line():
    with pytest.raises(ToolchainError, match=r"python -m edge bench ended with 66: edge: nowhere\.tflite"):
        sealed._bench("nowhere.tflite", "litert", How(short=True, shared_machine=True, tell=print))


def test_bench_that_refuses_gives_no_figure_and_the_reason():
    answer = sealed._run_bench([sys.executable, "-m", "edge", "bench", shipped_model(), "--json", "--calls", "50"])
    assert answer["refused"]["why"].startswith("50 calls cannot support a p99")


def test_the_suites_results_are_read_from_pytest_benchmarks_json(tmp_path):
    stats = {"median": 12.5e-6, "iqr": 0.5e-6, "rounds": 4000}
    (tmp_path / "b.json").write_text(json.dumps({"benchmarks": [{"name": "test_the_seal_is_checked", "stats": stats}]}))
    (found,) = collect.operations(tmp_path / "b.json")
    assert (found.name, found.median_us, found.iqr_us, found.rounds) == ("the seal is checked", 12.5, 0.5, 4000)
    assert collect.operations(tmp_path / "none.json") == ()
    (tmp_path / "b.json").write_text("{}")
    with pytest.raises(ModelError, match="not the JSON of pytest-benchmark; run make benchmarks again"):
        collect.operations(tmp_path / "b.json")


def test_figures_are_told_in_units_people_read():
    assert [words.time(us) for us in (0.994, 12.34, 123.4, 12_345.0, 1.5e6, None)] == [
        "0.99 µs", "12.3 µs", "123 µs", "12.3 ms", "1.50 s", "–",
    ]  # fmt: skip
    assert [words.size(n) for n in (999, 14_500, 105_896, 3_308_944)] == ["999 B", "14.5 kB", "106 kB", "3.31 MB"]
    assert words.drop(row()) == "−0.01 (−0.06 to 0.04)"
    assert words.tick(words.time, 10.0) == "10 µs"


def test_the_comment_holds_a_row_a_model():
    text = markdown.page(
        report(row(), row(speed=None, bound_ratio=None, refused="throttled: now", no_bound="throttled: now", shipped=True))
    )
    assert "on x86_64, Made-up Processor, 2 cores, governor unknown, one thread." in text
    line = "| lenet5-relu (mnist) | tflite int8 | litert-c | 105,896 | 99.36 % | −0.01 (−0.06 to 0.04) | 25.0 ms | 12.3 µs | "
    assert line + "18.5 µs | 18.4 MiB | 1.9× |" in text
    assert "| lenet5-relu (mnist, in the wheel) |" in text and "| refused | refused | refused | refused | no bound |" in text
    assert "- refused, lenet5-relu-mnist-int8.tflite (litert-c): throttled: now" in text


def test_an_unsteady_row_shows_its_interval_and_the_reason_once():
    text = markdown.page(report(unsteady(), unsteady("lenet5-relu"), row()))
    assert "| 31.9 µs (30.2 to 34.1 µs) | 47.8 µs |" in text
    assert text.count("- unsteady, 2 rows: pixels: window 1 was measured 6 times") == 1
    assert "| 836,462 |" in text and "| not counted |" in text


def test_many_reasons_for_an_unsteady_machine_are_one_line():
    rows = [unsteady(), replace(unsteady("other"), unsteady="file: 450 warm-up calls"), row(no_bound="--short")]
    why = "pixels: window 1 was measured 6 times, and each time the calibration loop drifted by more than 2%"
    assert words.notes(rows) == [
        "no bound, lenet5-relu-mnist-int8.tflite (litert-c): --short",
        f"unsteady, 2 rows: for reasons such as {why}",
    ]


def test_a_new_kind_of_row_is_one_entry(tmp_path, monkeypatch):
    (tmp_path / "network.c").touch()
    made = row("generated", engine="c", format="c")
    monkeypatch.setitem(kinds.KINDS, ".c", lambda path, how: iter([replace(made, path=str(path))]))
    paths = collect.files([str(tmp_path)])
    assert [found.name for found in collected(paths[-1])[0]] == ["generated-mnist-int8.c"]


def test_the_comment_always_fits():
    many = report(*(row(f"network-{n}", unsteady="x" * 300) for n in range(500)), comparison=comparison())
    text = markdown.page(many)
    assert len(text) < markdown.LIMIT
    assert " more rows in report.html" in text
    assert "### Against `0123456789ab`: worse" in text


def test_the_comparison_is_a_table_under_its_verdict():
    text = markdown.page(report(comparison=comparison()))
    assert "Worse than 0123456789ab beyond limit and noise: model in the wheel: pixels to label +15.1 %." in text
    assert (
        "| model in the wheel: pixels to label | 12.34 µs | 14.20 µs | +15.1 % (+14.2 % to +16.0 %) | ±1.0 % | worse |" in text
    )


def test_the_json_has_a_schema_and_no_pictures():
    told = json.loads(json.dumps(everything().as_dict()))
    assert told["schema"] == SCHEMA == 2
    assert set(told) == {
        "schema", "version", "commit", "machine", "rows", "operations", "left_out", "comparison", "measured_at",
    }  # fmt: skip
    assert set(told["rows"][0]) == {
        "network", "data", "format", "precision", "engine", "ran", "path", "digest", "model_bytes", "file_bytes", "shipped",
        "accuracy", "recheck", "not_rechecked", "speed", "unsteady", "refused", "bound_ratio", "no_bound", "instructions",
        "not_counted", "lost",
    }  # fmt: skip
    assert told["rows"][0]["lost"][0] == {"index": 1226, "label": "7", "answer": "2"}
    assert told["rows"][0]["speed"]["figures"]["pixels"]["inference"]["p50_us"] == 12.34


def rechecked(stated: ReportRow, *, right: int, of: int = 100, exact: bool = False) -> ReportRow:
    """`stated`, after an engine got so many pictures right and called the last ones nine minus their label."""
    labels = np.arange(of) % 10
    split = Split(np.zeros((of, 28, 28, 1), np.uint8), labels.astype(np.uint8))
    return judged(stated, split, np.where(np.arange(of) < right, labels, 9 - labels), exact=exact)


def test_a_recheck_that_finds_what_the_manifest_says_agrees_and_draws_the_lost_pictures():
    stated = row(accuracy=replace(row().accuracy, top1=0.99), lost=(LostThumbnail(index=99, label="9", answer="0"),))
    found = rechecked(stated, right=99)
    assert (found.recheck.top1, found.recheck.lost_again, found.recheck.agrees) == (0.99, 1, True)
    assert found.lost[0].png.startswith(b"\x89PNG")
    assert "| 99.00 % ✓ |" in markdown.page(report(found))


def test_a_manifest_without_an_accuracy_is_not_agreed_with(capsys):
    silent = rechecked(row(accuracy=None), right=100, exact=True)
    assert silent.recheck.agrees is None
    assert "| not stated (here 100.00 %) |" in markdown.page(report(silent))
    assert "| not stated |" in markdown.page(report(row(accuracy=None)))
    assert command.judge(report(silent), "reports") == 0
    assert capsys.readouterr().err == ""


def stating(folder: Path, name: str, provenance: dict | None) -> str:
    """The shipped model, saying that it was judged on these pictures."""
    return str(resealed(folder / name, name=SHIPPED.stem, account={"provenance": provenance}))


def test_a_row_that_cannot_be_rechecked_says_why_and_the_others_go_on(tmp_path, nowhere_else, capsys):
    silent = stating(tmp_path, "silent.tflite", None)
    here = stating(tmp_path, "here.tflite", {"data": "digits", "data_sha256": digits.load().digest})
    other = stating(tmp_path, "other.tflite", {"data": "digits", "data_sha256": "0" * 64})
    gone = str(tmp_path / "gone.tflite")
    rows = [row(path=path, data="digits", engine="litert", accuracy=None) for path in (silent, here, other, gone)]
    failures: list[ToolchainError] = []
    found = list(recheck(rows, None, failures.append))
    assert [bool(each.recheck) for each in found] == [False, True, False, False]
    assert found[0].not_rechecked == f"{silent}: its manifest does not name its test images"
    assert found[2].not_rechecked.endswith("the network was trained on 000000000000; name their folder with --data-dir")
    assert [error.exit_code for error in failures] == [65, 65, 66]
    made = report(*found)
    assert f"- not re-checked, lenet5-relu-digits-int8.tflite (litert): {silent}: its manifest" in markdown.page(made)
    assert "not re-checked, lenet5-relu-digits-int8.tflite" in html.page(made)
    assert command.judge(made, "reports", failures) == 65
    assert capsys.readouterr().err.splitlines()[0] == f"benchmarks: not re-checked: {failures[0]}"


def test_an_accuracy_that_does_not_hold_outweighs_one_that_could_not_be_looked_at(capsys):
    assert command.judge(report(rechecked(row(), right=95)), "reports", [InputMissing("gone.tflite: no such file")]) == 1


@pytest.mark.parametrize(("right", "here"), [(95, "95.00 %"), (100, "100.00 %")])
def test_a_recheck_off_the_manifest_by_the_limit_either_way_is_said_and_fails(right, here, capsys):
    found = rechecked(row(), right=right)
    assert found.recheck.agrees is False
    line = disagreement(found)
    for fact in (row().path, f"{here} with litert-c here (n = 100)", "says 99.36 % by another engine", "within 0.50 points"):
        assert fact in line
    assert command.judge(report(found), "reports") == 1
    assert line in capsys.readouterr().err
    assert f" (here {here})" in markdown.page(report(found))


@pytest.mark.parametrize("right", [398, 399, 400])
def test_the_engine_the_manifest_names_may_not_answer_one_picture_otherwise(right, capsys):
    stated = row(accuracy=replace(row().accuracy, top1=399 / 400, n_images=400))
    assert rechecked(stated, right=right, of=400).recheck.agrees  # a quarter of a point, as another engine may differ
    found = rechecked(stated, right=right, of=400, exact=True)
    assert found.recheck.agrees is (right == 399)
    assert command.judge(report(found), "reports") == (0 if right == 399 else 1)
    if right != 399:
        line = disagreement(found)
        for fact in (row().path, f"{right} of 400", "litert-c here", "says 399 of 400", "the same engine and version"):
            assert fact in line
        assert line in capsys.readouterr().err


def test_only_the_engine_and_version_of_the_manifest_are_held_to_equal_answers(tflite):
    named = artifact.read(str(tflite)).manifest()["goldens"]["engine"]
    rows = [row(path=str(tflite), data="digits", engine=engine, accuracy=None) for engine in ("litert", "litert-c")]
    found = list(recheck(rows, None, pytest.fail))
    assert [each.recheck.exact for each in found] == [each.engine == named for each in rows] == [True, False]


@pytest.mark.parametrize("verdict", ["worse", "suspicious", "not shown", "undecided", "no worse"])
def test_only_worse_fails_and_refused_rows_do_not(verdict):
    refused = row(speed=None, refused="throttled")
    assert command.judge(report(refused, comparison=comparison(verdict)), "reports") == (verdict == "worse")


def test_reports_and_manifests_name_the_commit_alike():
    assert command.commit is git_commit.commit is publish.commit


def test_the_command_writes_all_three_files(quick, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command.main(["--short", "--out", str(tmp_path / "out")]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["report.html", "report.json", "report.md"]
    assert capsys.readouterr().out == (tmp_path / "out" / "report.md").read_text()
    assert json.loads((tmp_path / "out" / "report.json").read_text())["rows"][0]["network"] == "lenet5-relu"
