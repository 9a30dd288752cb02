"""Ratios and their intervals, worked by hand; and a contest of a few calls. No figure of time is judged."""

import sys
from contextlib import ExitStack

import pytest

from benchmarks.pages import BEGIN, END
from benchmarks.peers import __main__ as peers
from benchmarks.peers.__main__ import Contender, ContenderResult
from benchmarks.signed_ranks import ratio
from benchmarks.worker_process import WorkerEnded
from edge import artifact
from edge.errors import InputMissing, UsageError
from edge.locate import shipped_model


def test_a_ratio_is_taken_round_by_round_and_six_rounds_are_the_fewest():
    times = ratio([10, 100, 10, 10, 10, 10], [20, 200, 21, 19, 20, 40])
    # Of six rounds the least and the greatest are the bounds: either is missed by chance 1/64. Of the 21 averages of two (of
    # logarithms) five lie below 2 and six at it, the eleventh among them.
    assert (times.median, times.low, times.high) == pytest.approx((2.0, 1.9, 4.0))
    assert str(times) == "2.00 (1.90 to 4.00)"
    assert str(ratio([1, 1, 1, 1, 1, 50], [3, 3, 3, 3, 3, 150])) == "3.00 (3.00 to 3.00)"  # a round slow for both
    with pytest.raises(ValueError, match=r"5 rounds cannot show anything at 0\.025: 6 could"):
        ratio([1] * 5, [2] * 5)


@pytest.fixture
def models(tflite, onnx):
    return [artifact.read(str(path)) for path in (tflite, onnx)]


def result(model, title: str, us: list[float], classes: list[int]) -> ContenderResult:
    return ContenderResult(model, title, "1.0", classes, [1e3 * each for each in us])


def test_a_row_stands_beside_the_first_of_its_own_model(models):
    rows = [
        result(models[0], "ours", [10] * 6, [1, 2, 3]), result(models[1], "ours", [100] * 6, [1, 2, 3]),
        result(models[0], "bare", [9] * 6, [1, 2, 3]), result(models[1], "bare", [90] * 5 + [120], [1, 2, 4]),
    ]  # fmt: skip
    lines = peers.table(rows).splitlines()
    assert lines[2] == "| int8 tflite | ours | 1.0 | 10.0 | 1 | 3 of 3 |"
    assert lines[4] == "| int8 tflite | bare | 1.0 | 9.0 | 0.90 (0.90 to 0.90) | 3 of 3 |"
    assert lines[5] == "| int8 onnx | bare | 1.0 | 90.0 | 0.90 (0.90 to 1.20) | 2 of 3 |"


def test_one_that_does_not_run_the_model_has_a_row_without_figures(models):
    rows = [result(models[0], "ours", [10] * 6, [1]), ContenderResult(models[0], "bare", "it is too old", [], [])]
    assert peers.table(rows).splitlines()[3] == "| int8 tflite | bare | it is too old | does not run it |  |  |"


@pytest.mark.parametrize(
    ("float32_us", "sentence"),
    [
        ([20] * 6, "faster than float32 here: float32 takes 2.00 (2.00 to 2.00) times as long."),
        ([8] * 6, "**slower** than float32 here: int8 takes 1.25 (1.25 to 1.25) times as long as float32."),
        ([8] * 3 + [12.5] * 3, "neither faster nor slower than float32 here: int8 takes 1.00 (0.80 to 1.25) times as long"),
    ],
)
def test_the_page_says_which_of_int8_and_float32_takes_longer_and_by_how_much(models, monkeypatch, float32_us, sentence):
    monkeypatch.setattr(ContenderResult, "precision", property(lambda self: self.about))
    rows = [
        ContenderResult(models[0], "ours", "int8 tflite", [1], [10] * 6),
        ContenderResult(models[1], "ours", "float32 tflite", [1], float32_us),
    ]
    (line,) = peers.precisions(rows)
    assert line.startswith(f"As .tflite, int8 is {sentence}")


def test_a_contest_runs_everybody_on_the_same_pictures(models):
    results = peers.contest(models, {}, rounds=6, calls=5)
    assert [(each.precision, each.title) for each in results] == [
        ("int8 tflite", "**edgeproof**, litert-c"), ("int8 tflite", "**edgeproof**, litert-c, again"),
        ("int8 tflite", "edgeproof, litert"), ("int8 tflite", "LiteRT Interpreter"),
        ("int8 onnx", "**edgeproof**, onnxruntime"), ("int8 onnx", "**edgeproof**, onnxruntime, again"),
        ("int8 onnx", "ONNX Runtime"),
    ]  # fmt: skip
    assert all(len(each.rounds_ns) == 6 and min(each.rounds_ns) > 0 for each in results)
    n_pictures = len(models[0].goldens())
    assert all(len(each.classes) == n_pictures for each in results)
    assert results[0].classes == results[1].classes == results[2].classes == results[3].classes


def test_a_library_that_is_not_there_gives_up_with_its_last_words(models, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.write_bytes(models[0].goldens()[0][0])
    with pytest.raises(WorkerEnded, match=r"int8\.tflite: tflite_runtime gave up: ModuleNotFoundError: No module named"):
        Contender("tflite_runtime", models[0], str(pictures), python=sys.executable)
    results = peers.contest(models[:1], {"tflite_runtime": sys.executable}, rounds=6, calls=5)
    assert (results[-1].title, results[-1].rounds_ns) == ("tflite-runtime Interpreter", [])
    assert "No module named 'tflite_runtime'" in results[-1].about


def test_a_python_that_is_not_there_is_named(models, tmp_path):
    missing = str(tmp_path / "python")
    with pytest.raises(InputMissing, match="python: No such file"):
        peers.contest(models[:1], {"tflite_runtime": missing}, rounds=6, calls=5)


def test_whole_commands_are_compared_with_edge_predict(monkeypatch):
    python = [sys.executable, "-c"]
    commands = {"edge-predict seven.png": [*python, "pass"], "script: other": [*python, "1"], "script: tf.lite": ["no such"]}
    monkeypatch.setattr(peers.cold_start, "commands", lambda device, folder: commands)
    lines = peers.commands("bin", runs=6, tf_lite=False).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| edge-predict seven.png", "| script: other"]
    assert lines[2].split(" | ")[2] == "1" and " to " in lines[3]


@pytest.mark.parametrize("flags", [("--rounds", "5"), ("--processes", "3"), ("--calls", "0")])
def test_too_few_rounds_are_refused(monkeypatch, flags):
    monkeypatch.setattr("sys.argv", ["peers", "--models", "any.tflite", *flags])
    with pytest.raises(UsageError, match="--rounds and --processes want 6 or more"):
        peers.main()


def test_the_command_writes_what_it_prints(tflite, onnx, tmp_path, monkeypatch, capsys):
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}\n{END}\n")
    few = ["--rounds", "6", "--calls", "5", "--processes", "0"]
    monkeypatch.setattr("sys.argv", ["peers", "--models", str(tflite), str(onnx), *few, "--write", str(page)])
    assert peers.main() == 0
    printed = capsys.readouterr().out
    assert page.read_text() == f"{BEGIN}\n{printed}{END}\n"
    assert "### lenet5-relu-digits: 0.69 million multiply-adds" in printed


def test_a_bare_interpreter_answers_alike_with_more_threads(tmp_path):
    model = artifact.read(shipped_model())
    (tmp_path / "images").write_bytes(b"".join(image for image, _ in model.goldens()))
    with ExitStack() as stack:
        settings = ("ai_edge_litert", "ai_edge_litert@2x1")
        made = [Contender(name, model, str(tmp_path / "images"), python=sys.executable) for name in settings]
        one, several = map(stack.enter_context, made)
        assert one.hello["classes"] == several.hello["classes"]
        assert several.turn(warm_up=1, calls=5) > 0
