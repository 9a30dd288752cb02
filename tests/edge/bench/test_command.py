"""`python -m edge bench`: real models, pictures and processes; where times would decide, a clock that ticks evenly."""

import argparse
import json
import sys
from dataclasses import replace
from itertools import count, cycle
from pathlib import Path

import pytest

from conftest import ROOT, call
from edge import artifact, errors, predictor
from edge.bench import command, footprint, interleaved, pipelines, process, samples, tell
from edge.bench.percentiles import LatencySummary
from edge.bench.protocol import LatencyReport
from edge.bench.timing import Machine, Refusal, TimingPlan
from edge.device import host
from edge.errors import InputMissing, ModelError, UsageError
from edge.locate import shipped_model
from edge.pictures import read_pixels
from tests.edge.on_device import resealed


@pytest.fixture(scope="module")
def shipped():
    return predictor.load(shipped_model(), trusted=True)


@pytest.fixture(scope="module")
def pictures(shipped, tmp_path_factory):
    return samples.write(shipped.artifact, str(tmp_path_factory.mktemp("pictures")))


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    """What a benchmark fits is small: a page of a hundred times the pixels takes a whole 20 ms a call."""
    monkeypatch.setattr(samples, "PAGE_TIMES", 2)


def whole_processes(model: str, pictures, peaks_mib: list[float]):
    """The two pipelines of cold processes: `edge-predict`, and a start that loads the model and answers once."""
    return pipelines.whole_processes(model, pictures, calls=1, engine=None, threads=1, trusted=True, peaks_mib=peaks_mib)


def flags(*arguments: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_flags(parser)
    return parser.parse_args([str(argument) for argument in arguments])


def ticking() -> Machine:
    """Every look at the clock, and so every stage and every calibration loop, takes a microsecond."""
    return Machine(clock=count(0, 1000).__next__, spin=lambda: None, probe=lambda: None)


def test_fifty_calls_are_refused_a_p99_with_exit_code_1_and_the_refusal_is_an_object_too(tmp_path):
    done = call("edge", "bench", shipped_model(), "--calls", "50", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("edge: refused: 50 calls cannot support a p99: at least 662 ")
    done = call("edge", "bench", shipped_model(), "--calls", "50", "--json", cwd=tmp_path)
    assert (done.returncode, json.loads(done.stdout)["refused"]["kind"]) == (1, "too few calls")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--every", "5"], "--every 5: wanted a time such as 250us, 100ms or 0.5s"),
        (["--every", "0ms"], "--every 0ms: wanted a time"),
        (["--calls", "0"], "--calls, --windows and --threads must be 1 or more"),
        (["--advise"], "bench --advise compares models: name several, or a folder of them"),
        ([shipped_model(), "--advise", "--max-us", "nan"], "--max-us and --max-kb want a number above 0"),
        ([shipped_model(), "--advise", "--max-kb", "0"], "--max-us and --max-kb want a number above 0"),
        (["--max-us", "5"], "--max-us and --max-kb belong to bench --advise"),
        ([shipped_model()], "bench takes one MODEL"),
    ],
)
def test_what_goes_not_together_is_a_usage_error(arguments, said):
    with pytest.raises(UsageError, match=said):
        command.main(flags(shipped_model(), *arguments))


def test_a_cadence_is_read_in_three_units():
    assert [command.cadence_ns(text) for text in ("", "250us", "100ms", "0.5s")] == [0, 250_000, 100_000_000, 500_000_000]


def test_every_stage_is_told_and_adds_up(capsys):
    asked = flags(shipped_model(), "--trust", "--processes", 0, "--calls", 64, "--percentile", 90, "--json")
    assert command.main(asked, ticking()) == 0
    answer = json.loads(capsys.readouterr().out)
    medians = {name: {stage: f["p50_us"] for stage, f in stages.items()} for name, stages in answer["figures"].items()}
    assert medians == {
        "pixels": {"inference": 1.0, "decision": 1.0, "whole": 2.0},
        "file": {"decode": 1.0, "inference": 1.0, "decision": 1.0, "whole": 3.0},
        "page": {"decode": 1.0, "fit": 1.0, "inference": 1.0, "decision": 1.0, "whole": 4.0},
    }
    assert answer["model"]["digest"] == artifact.read(shipped_model()).digest
    assert (answer["model"]["engine"], answer["model"]["kernels"], answer["model"]["threads"]) == ("litert-c", "XNNPACK", 1)
    assert answer["peak_mib"] is None
    assert answer["figures"]["pixels"]["whole"]["calls"] == 64


def restless() -> Machine:
    """Ticking, with a calibration loop that takes three ticks longer after every window than before it."""
    clock, longer = count(0, 1000).__next__, cycle([0] * 5 + [3] * 5)
    return replace(ticking(), clock=clock, cpu_clock=clock, spin=lambda: [clock() for _ in range(next(longer))])


def test_an_unsteady_machine_gets_a_figure_with_its_interval_and_strictly_a_refusal(monkeypatch, capsys):
    monkeypatch.setattr(interleaved, "ROUNDS", 3)
    monkeypatch.setattr(interleaved, "BURST_S", 0.002)
    arguments = (shipped_model(), "--trust", "--processes", 0, "--calls", 5, "--percentile", 50)
    assert command.main(flags(*arguments), restless()) == 0
    printed = capsys.readouterr()
    words = (
        "pixels: unsteady: 2.00 µs, 95 % interval 1.92 µs to 2.08 µs, least 2.00 µs; the machine's own speed varied by 0 %\n"
    )
    assert words in printed.out
    assert (
        "Why: pixels: window 1 was measured 6 times, and each time the calibration loop drifted by more than 2%" in printed.out
    )
    assert "edge: unsteady: pixels: window 1 was measured 6 times" in printed.err
    with pytest.raises(Refusal, match="refused: pixels: window 1 was measured 6 times"):
        command.main(flags(*arguments, "--strict"), restless())


def test_the_table_says_what_is_unknown_and_which_window_is_shown(tmp_path, capsys):
    nowhere = replace(ticking(), host=lambda: host.read(str(tmp_path)))
    assert command.main(flags(shipped_model(), "--processes", 0, "--calls", 133, "--percentile", 90), nowhere) == 0
    text = capsys.readouterr().out
    assert ", litert 2" in text.splitlines()[0]  # not vouched for, so the Interpreter
    assert "board unknown, unknown, " in text
    said = "governor unknown, frequency unknown then unknown MHz, temperature unknown then unknown °C, throttle word unknown"
    assert said + "\nthrottled during the run: unknown\n" in text
    row = next(line for line in text.splitlines() if line.startswith("file: decode"))
    assert row.count("1.00 µs") == 3 and "0.96 µs to 1.04 µs" in row and row.endswith("-  6 × 133")  # no p99
    assert "The median of 6 windows, back to back; a dash" in text and "; 0 windows measured again" in text
    assert "pixels: 99 of 100 take at most 2.00 µs (99% confidence, 798 calls).\n" in text
    assert "edge-predict's peak memory not measured" in text


def test_at_a_cadence_files_come_and_answers_go(capsys):
    arguments = ("--calls", 50, "--percentile", 50, "--every", "100ms", "--processes", 0, "--json")
    machine = replace(ticking(), sleep=lambda seconds: None)
    assert command.main(flags(shipped_model(), *arguments), machine) == 0
    said = capsys.readouterr()
    assert list(json.loads(said.out)["figures"]) == ["file"]
    assert (
        said.err
        == "edge: 30 s at this cadence, and the warm-up\nedge: timing file: about 30 s, up to 18 s on an unsteady machine\n"
    )


@pytest.mark.parametrize(
    ("every_ns", "paced", "said"),
    [
        (0, (), "6 windows, back to back;"),
        (10**8, ("file",), "6 windows, file one every 100.000 ms, edge-predict and start back to back;"),
    ],
)
def test_only_the_rows_that_keep_the_cadence_are_said_to(every_ns, paced, said):
    figures = {name: {"whole": figure(8.0, 0.5)} for name in ("edge-predict", "start", "file")}
    report = LatencyReport(
        figures=figures, plan=TimingPlan(every_ns=every_ns), paced=paced, measured_again=0, unsteady="",
        host=host.read("nowhere"), temperature_c_after=None, frequency_mhz_after=None, throttled="no",
    )  # fmt: skip
    assert said in "\n".join(tell.table(report))


def test_the_pictures_are_the_models_own(shipped, pictures):
    assert len(pictures.files) == len(pictures.pages) == len(pictures.pixels) == len(shipped.artifact.goldens())
    for pixels, file in zip(pictures.pixels, pictures.files, strict=True):
        assert read_pixels(file, shipped.contract.input) == pixels
        assert any(pixels)


def test_a_page_must_be_fitted_and_then_shows_the_same(shipped, pictures):
    pairs = [
        (shipped.answer(p).label, shipped.predict(page).label) for p, page in zip(pictures.pixels, pictures.pages, strict=True)
    ]
    assert all(read_pixels(pictures.pages[0], shipped.contract.input) != pixels for pixels in pictures.pixels)
    assert sum(before == after for before, after in pairs) >= 0.9 * len(pairs)


def test_a_model_without_pictures_is_not_measured_with_zeros(shipped, tmp_path):
    bare = artifact.Artifact("bare.tflite", shipped.artifact.data, shipped.artifact.digest, {})
    with pytest.raises(ModelError, match="carries no goldens to measure with"):
        samples.write(bare, str(tmp_path))


def test_a_pipeline_hands_on_what_each_stage_gives():
    seen: list[object] = []
    stages = {"double": lambda n: 2 * n, "note": seen.append}
    made = pipelines.timed("c", [1, 10], stages, calls=2, clock=count(0, 7).__next__)
    assert [made.call(number) for number in range(3)] == [(7, 7)] * 3
    assert seen == [2, 20, 2]


def test_whole_processes_answer_and_tell_their_memory(pictures):
    peaks: list[float] = []
    (whole,), (load, first) = (pipeline.call(0) for pipeline in whole_processes(shipped_model(), pictures, peaks))
    assert min(whole, load, first) > 0
    assert 5 < peaks[0] < 100


def stand_in(folder: Path, script: str, monkeypatch) -> None:
    """Let `script` be the edge-predict beside this Python, for whoever asks where Python is."""
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(sys.executable)
    (folder / "bin" / "edge-predict").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "bin" / "edge-predict").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "bin" / "python"))


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("echo 'edge-predict: a.tflite: damaged' >&2; exit 78", 78, "edge-predict fails (exit code 78): a.tflite: damaged"),
        ("kill -9 $$", 71, "edge-predict fails: it was killed (signal 9); is there memory enough?"),
        ("kill -11 $$", 70, "edge-predict fails: it was killed (signal 11)"),
        ("exit 3", 70, "edge-predict fails (exit code 3): it said nothing"),
    ],
)
def test_a_cold_process_that_fails_ends_json_with_its_code_one_line_and_no_answer(
    script, code, said, tmp_path, monkeypatch, capsys
):
    stand_in(tmp_path, script, monkeypatch)
    arguments = ("--trust", "--json", "--processes", 1, "--calls", 5, "--percentile", 50)
    assert errors.run(lambda: command.main(flags(shipped_model(), *arguments), ticking()), "edge") == code
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", f"edge: {said}\n")


def test_a_cold_process_that_fails_once_only_is_no_figure_either(pictures, tmp_path, monkeypatch):
    stand_in(tmp_path, f"rm '{tmp_path}/once' || exit 0; exit 78", monkeypatch)
    (tmp_path / "once").touch()
    whole, _ = whole_processes("a.tflite", pictures, [])
    with pytest.raises(errors.Refused, match="edge-predict failed, and did not when it was started again; no figure"):
        whole.call(0)


def test_a_process_that_cannot_load_the_model_says_why(pictures, tmp_path):
    gone = str(tmp_path / "gone.tflite")
    _, start = whole_processes(gone, pictures, [])
    with pytest.raises(
        errors.ToolchainError, match=f"a process that loads the model fails .* 66.*: {gone}: No such file"
    ) as caught:
        start.call(0)
    assert caught.value.exit_code == 66


def test_the_peak_of_a_child_holds_its_own_memory_and_not_ours():
    ballast = bytes(range(256)) * (1 << 19)  # 128 MiB, touched
    _, peak_mib, cpu_ms = process.measure_from_small([sys.executable, "-c", "b'x' * (64 << 20)"])
    assert 64 < peak_mib < len(ballast) >> 20
    assert cpu_ms > 0


def test_the_install_is_what_a_device_needs_and_what_is_not_installed_has_no_size():
    sizes = footprint.installed_bytes()
    assert {"edgeproof", "numpy", "pillow"} <= sizes.keys()
    assert not {"tensorflow", "keras", "pytest"} & sizes.keys()
    assert sizes["edgeproof"] > (ROOT / "edge" / "models" / "lenet5-relu-mnist-int8.tflite").stat().st_size
    assert footprint.installed_bytes("no-such-package-anywhere") is None


def figure(p50_us: float, spread_us: float) -> LatencySummary:
    return LatencySummary(
        calls=1000, windows=5, least_us=1.0, p50_us=p50_us, p90_us=None, p99_us=None, p99_bound_us=None,
        p50_lowest_us=p50_us - spread_us, p50_highest_us=p50_us + spread_us,
    )  # fmt: skip


def test_the_advice_names_the_fastest_and_none_where_windows_overlap():
    best, advice = command.choose({"float32 tflite": figure(20.0, 1.0), "int8 tflite": figure(8.0, 0.5)})
    assert (best, advice) == ("int8 tflite", "int8 tflite is the fastest here: 2.50 times as fast as float32 tflite")
    best, advice = command.choose({"int8 onnx": figure(10.0, 0.6), "int8 tflite": figure(11.0, 0.5)})
    assert best is None
    assert advice.startswith("int8 onnx and int8 tflite are equally fast here: their windows overlap")


def test_precisions_of_one_network_take_turns_and_equal_ones_are_called_so(tmp_path, capsys):
    other = resealed(tmp_path / "other.tflite", name="lenet5-relu-mnist-float16")
    arguments = ("--advise", "--calls", 64, "--percentile", 90, "--processes", 0)
    assert command.main(flags(shipped_model(), other, *arguments), ticking()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines if ": inference" in line] == ["int8 tflite", "float16 tflite"]
    top1 = artifact.read(str(shipped_model())).manifest()["verification"]["top1"]
    assert lines[-2].startswith(f"Ship int8 tflite: {100 * top1:.2f} % top-1 (n = 10,000), 113.4 kB, 1.00 µs.")
    assert lines[-1].startswith("int8 tflite and float16 tflite are equally fast here")


def test_a_folder_of_networks_is_advised_on_and_what_does_not_run_is_left_out(tmp_path, capsys):
    resealed(tmp_path / "one.tflite", name="deep-mnist-mnist-int8")
    resealed(tmp_path / "two.tflite", name="lenet5-relu-mnist-int8")
    (tmp_path / "three.tflite").write_bytes(b"TFL3")
    arguments = ("--advise", "--calls", 64, "--percentile", 90, "--processes", 0, "--json")
    assert command.main(flags(tmp_path, *arguments), ticking()) == 0
    printed = capsys.readouterr()
    answer = json.loads(printed.out)
    assert [choice["name"] for choice in answer["choices"]] == ["deep-mnist-mnist-int8 tflite", "lenet5-relu-mnist-int8 tflite"]
    assert answer["ship"] in printed.out and answer["best"] is None
    assert "edge: left out: " in printed.err and "three.tflite" in printed.err


def test_where_no_model_keeps_the_limits_the_exit_code_is_1(tmp_path, capsys):
    resealed(tmp_path / "one.tflite", name="deep-mnist-mnist-int8")
    arguments = ("--advise", "--calls", 64, "--percentile", 90, "--processes", 0, "--max-us", "0.5")
    assert command.main(flags(tmp_path, *arguments), ticking()) == 1
    assert "None of 1 models with at most 0.50 µs: the fastest is int8 tflite, 1.00 µs" in capsys.readouterr().out


def test_a_folder_without_a_model_is_said(tmp_path):
    with pytest.raises(InputMissing, match="no model here that runs; name"):
        command.main(flags(tmp_path, "--advise"), ticking())


def test_one_model_twice_is_no_choice():
    with pytest.raises(UsageError, match="two of the models have the same network, precision and format"):
        command.main(flags(shipped_model(), shipped_model(), "--advise"), ticking())
