"""A C program carries its proof: the gate compares every byte, the seal finds damage, and nothing in a model becomes code."""

import ctypes
import hashlib
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from conftest import ROOT, call, run
from convert.publishing import programs
from convert.to_c import identity, parts
from edge import artifact, compiler, predictor
from edge import c_program as c_file
from edge.bench import pipelines
from edge.bench.samples import Samples
from edge.contract import DIGIT
from edge.errors import EngineMissing, Refused, ToolchainError, UsageError
from tests.convert.command_line import convert
from tests.edge.on_device import SHIPPED, resealed
from train.datasets import Split

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("gcc") and not shutil.which("clang"), reason="no gcc or clang on this machine"),
]
CODE = b"int lenet5_relu_mnist_int8_predict_on(int path,"


@pytest.fixture(scope="module")
def ready() -> predictor.Predictor:
    return predictor.load(str(SHIPPED))


@pytest.fixture(scope="module")
def made() -> programs.SealedProgram:
    return programs.program(artifact.read(str(SHIPPED)))


def copied(program: Path, folder: Path) -> Path:
    for name in program.parent.iterdir():
        shutil.copy(name, folder)
    return folder / program.name


def outputs_of(ready: predictor.Predictor, images: np.ndarray) -> np.ndarray:
    answers = [ready.answer(image.tobytes()) for image in images]
    return np.array([answer.logits + answer.extra for answer in answers], np.float32)


def check(program: Path, source: Path | None = None):
    return call("convert", "--check", program, "--source", source or program.with_suffix(".tflite"), cwd=program.parent)


# The gate.


def test_convert_publishes_the_program_beside_the_model_it_answers_as(workshop, tmp_path):
    done = convert(workshop, tmp_path / "out", "--formats", "c", "--no-repair")
    assert done.returncode == 0, done.stderr
    names = sorted({path.name for path in (tmp_path / "out").iterdir()} - {"lost"})  # that is there if an image was lost
    stem = "lenet5-relu-digits-int8"
    assert names == [f"{stem}.c", f"{stem}.h", f"{stem}.tflite", "reliability", "report.json", "report.md"]
    report = (tmp_path / "out" / "report.md").read_text()
    assert "every byte as litert" in report and "plain" in report and "AddressSanitizer and UBSan found nothing" in report
    assert check(tmp_path / "out" / f"{stem}.c").returncode == 0


def test_a_program_that_answers_otherwise_is_refused(made, ready):
    images = np.stack([np.frombuffer(pixels, np.uint8).reshape(28, 28, 1) for pixels, _ in ready.artifact.goldens()])
    outputs = outputs_of(ready, images)
    first = made.source.index(b"_biases[")
    digit = made.source.index(b",", first) - 1  # the last digit of the first bias of the first layer
    other = b"1" if made.source[digit : digit + 1] != b"1" else b"9"
    wrong = replace(made, source=made.source[: digit - 2] + other * 3 + made.source[digit + 1 :])
    with pytest.raises(Refused, match="its answers are not the "):
        programs.compared(wrong, "lenet5-relu-mnist-int8", ready, images, outputs)


def test_a_program_that_reads_beyond_its_pixels_is_refused(made, ready, monkeypatch):
    monkeypatch.setattr(identity, "made_images", lambda contract: np.zeros((1, 28, 28, 1), np.uint8))
    image = np.zeros((1, 28, 28, 1), np.uint8)
    at = made.source.index(b"{", made.source.index(CODE)) + 1
    peeking = replace(made, source=made.source[:at] + b"(void)*(volatile const uint8_t *)(pixels + 784);" + made.source[at:])
    with pytest.raises(Refused, match="AddressSanitizer"):
        programs.compared(peeking, "lenet5-relu-mnist-int8", ready, image, outputs_of(ready, image))


def test_a_step_apart_passes_only_with_float_islands_and_another_class_only_if_tied():
    wanted = np.array([[5, 4, -9]], np.int8)
    identity._judge(np.array([[4, 4, -9]], np.int8), wanted, "plain", steps=1, n_classes=3)
    identity._judge(np.array([[4, 5, -9]], np.int8), wanted, "plain", steps=1, n_classes=3)  # tied within the step
    for found, steps in (([4, 4, -9], 0), ([5, 4, -7], 1)):
        with pytest.raises(Refused, match="1 of 1 images differ"):
            identity._judge(np.array([found], np.int8), wanted, "plain", steps=steps, n_classes=3)
    with pytest.raises(Refused, match="by up to"):
        identity._judge(np.array([[np.nan, 4, -9]], np.float32), wanted, "plain", steps=1, n_classes=3)


def test_without_a_compiler_the_program_is_refused_and_says_what_to_install(ready, monkeypatch, tmp_path):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EngineMissing, match="no gcc, clang, cc or ziglang here: apt install gcc, or pip install ziglang"):
        compiler.find()
    shutil.copy(SHIPPED, tmp_path)
    final = SimpleNamespace(
        name=SHIPPED.stem, file_name=SHIPPED.name, plan=None, verdict=SimpleNamespace(passed=True),
        evaluation=SimpleNamespace(predictor=ready, outputs=np.zeros((1, ready.contract.n_outputs), np.float32)),
    )  # fmt: skip
    test = Split(np.zeros((1, 28, 28, 1), np.uint8), np.zeros(1, np.uint8))
    trial = SimpleNamespace(dataset=SimpleNamespace(test=test))
    outcome = programs.write_program(SimpleNamespace(final=final), trial, folder=tmp_path, key=None)
    assert outcome.final.verdict.decision == "refused" and "apt install gcc" in outcome.final.verdict.reasons[0]
    assert not (tmp_path / f"{SHIPPED.stem}.c").exists()


def test_a_program_without_int8_is_no_program(workshop, tmp_path):
    done = convert(workshop, tmp_path / "out", "--formats", "c", precision="--float16")
    assert done.returncode == 2 and "--formats c goes with --int8" in done.stderr


# The seal, and the check.


def test_equal_models_give_equal_files(made):
    assert programs.program(artifact.read(str(SHIPPED))) == made


@pytest.mark.parametrize("where", [0, 5, 0.3, 0.9, 0.99, -70, -40, -2, -1])
def test_a_changed_byte_is_refused(c_program, tmp_path, where):
    program = copied(c_program, tmp_path)
    data = bytearray(program.read_bytes())
    at = int(where * len(data)) if isinstance(where, float) else where
    data[at] ^= 1
    program.write_bytes(data)
    done = call("edge", "verify", program, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (78, "") and "damaged" in done.stderr
    assert check(program).returncode == 78


def test_line_ends_that_git_changed_are_named(c_program, tmp_path):
    program = copied(c_program, tmp_path)
    program.write_bytes(program.read_bytes().replace(b"\n", b"\r\n"))
    done = call("edge", "verify", program, cwd=tmp_path)
    assert done.returncode == 78 and "CRLF" in done.stderr and "*-int8.c -text" in done.stderr


def test_a_changed_header_is_refused_and_a_missing_one_is_missed(c_program, tmp_path):
    program = copied(c_program, tmp_path)
    header = program.with_suffix(".h")
    header.write_bytes(header.read_bytes() + b"\n")
    assert call("edge", "verify", program, cwd=tmp_path).returncode == 78
    assert check(program).returncode == 78
    header.unlink()
    assert call("edge", "verify", program, cwd=tmp_path).returncode == 66


def test_verify_checks_the_seal_and_names_the_command_that_asks_more(c_program):
    done = call("edge", "verify", c_program, cwd=c_program.parent)
    assert done.returncode == 0 and "Nothing was built or run" in done.stdout
    assert f"python -m convert --check {c_program} --source {c_program.parent / SHIPPED.name}" in done.stdout
    assert check(c_program).returncode == 0


def test_trust_builds_it_and_replays_its_goldens(c_program):
    done = call("edge", "verify", c_program, "--trust", cwd=c_program.parent)
    assert done.returncode == 0 and ": passed: 15 pictures, 15 bit for bit (c " in done.stdout, done.stderr


def test_trust_builds_it_under_another_name_in_a_folder_of_any_name(c_program, tmp_path, monkeypatch):
    monkeypatch.setenv("CC", f"{compiler.find()[0]} -DFAST_PATHS=0 -O0")
    program = tmp_path / 'a "quoted" \\folder' / "mine.c"
    program.parent.mkdir()
    for suffix in (".c", ".h"):
        shutil.copy(c_program.with_suffix(suffix), program.with_suffix(suffix))
    assert predictor.load(str(program), trusted=True).engine.kernels == "plain"


def test_a_compiler_for_another_machine_is_named(c_program, tmp_path, monkeypatch):
    cross = tmp_path / "cross"
    cross.write_text('#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\necho other > "$2"\nchmod +x "$2"\n')
    cross.chmod(0o755)
    monkeypatch.setenv("CC", str(cross))
    with pytest.raises(EngineMissing, match=r"what .*cross builds does not run here"):
        predictor.load(str(c_program), trusted=True)
    with pytest.raises(EngineMissing, match=r"what .*cross builds does not run here"):
        identity.Harness(tmp_path).answers("plain", np.zeros((1, 28, 28, 1), np.uint8))


def test_a_quote_that_does_not_end_in_cc_is_named(monkeypatch):
    monkeypatch.setenv("CC", 'gcc "')
    with pytest.raises(EngineMissing, match="No closing quotation; unset CC"):
        compiler.find()


def test_bench_times_the_built_command(c_program, tmp_path):
    for suffix in (".c", ".h"):
        shutil.copy(c_program.with_suffix(suffix), tmp_path / f"renamed{suffix}")
    model = artifact.read(str(tmp_path / "renamed.c"))
    images = [pixels for pixels, _ in model.goldens()]
    (built,) = pipelines.built_program(model, Samples(images, [], []), str(tmp_path), calls=2)
    (elapsed_ns,) = built.call(3)
    assert (built.name, built.stages) == ("program", ("process",)) and elapsed_ns > 0
    (tmp_path / "3.raw").write_bytes(b"")
    with pytest.raises(ToolchainError, match=r"the program fails \(exit code 65\): .*3.raw: an empty file"):
        built.call(3)


def test_edge_predict_runs_a_program_only_where_it_is_trusted(c_program):
    ready = predictor.load(str(c_program), trusted=True)
    assert ready.answer(ready.artifact.goldens()[7][0]).label == "7"
    with pytest.raises(UsageError, match="c builds and runs the code in the file; --trust allows it"):
        predictor.load(str(c_program))


def test_code_that_somebody_sealed_again_passes_the_seal_and_not_the_check(c_program, tmp_path):
    program = copied(c_program, tmp_path)
    data = program.read_bytes()
    text = data[: data.rindex(b"/* edgeproof seal ") + 18].replace(
        b"/* ---- The layers ---- */", b"/* ---- The layers . --- */"
    )
    program.write_bytes(text + hashlib.sha256(text).hexdigest().encode() + b" */\n")
    assert call("edge", "verify", program, cwd=tmp_path).returncode == 0
    done = check(program)
    assert done.returncode == 78 and f"not what {program.with_suffix('.tflite')} gives: line " in done.stderr


def test_the_check_wants_the_model_it_was_made_of(c_program, tflite):
    done = check(c_program, tflite)
    assert done.returncode == 78 and "made of a .tflite with seal" in done.stderr
    assert check(SHIPPED, SHIPPED).returncode == 2


def test_another_versions_program_is_told_so(c_program, monkeypatch):
    monkeypatch.setattr("convert.to_c.VERSION", 99)
    done = check(c_program)
    assert done.returncode == 78 and "this is generator 99 of edgeproof" in done.stderr


# Nothing in a model becomes code.

HOSTILE = ("*/ int x; /*", '"; system("id"); "', "??/", "??=", "\\", "%s%n", "größe", "数字", "a'b", "// x")


def test_labels_are_data_whatever_they_say(tmp_path):
    source = resealed(tmp_path / "hostile.tflite", name="x-y-int8", labels=HOSTILE)
    made = programs.program(artifact.read(str(source)))
    (tmp_path / "x-y-int8.h").write_bytes(made.header)
    (tmp_path / "x-y-int8.c").write_bytes(made.source)
    flags = ("-O0", "-std=c99", "-trigraphs", "-Wall", "-Wextra", "-Werror", "-DEDGEPROOF_MAIN", "-DEDGEPROOF_SELF_TEST")
    compiler.build([str(tmp_path / "x-y-int8.c")], str(tmp_path / "x.so"), *flags, "-shared", "-fPIC")
    library = ctypes.CDLL(str(tmp_path / "x.so"))
    library.x_y_int8_label.restype = ctypes.c_char_p
    assert tuple(library.x_y_int8_label(index).decode() for index in range(10)) == HOSTILE
    assert library.x_y_int8_label(-1) is library.x_y_int8_label(10) is None
    assert artifact.read(str(tmp_path / "x-y-int8.c")).labels == HOSTILE


def test_a_string_has_no_quote_backslash_question_mark_or_letter_beyond_ascii_of_its_own():
    assert parts.string('a"\\?é\n') == '"a\\042\\134\\077\\303\\251\\012"'


def test_a_name_that_would_leave_its_comment_or_folder_is_refused(tmp_path):
    for number, name in enumerate(("a*/b", "../x", "a b", "größe", '"')):
        source = resealed(tmp_path / f"{number}.tflite", name=name)
        with pytest.raises(Refused, match="is not one that C can include"):
            programs.program(artifact.read(str(source)))


def test_the_manifest_survives_its_comment():
    strange = {"contract": DIGIT.geometry(), "labels": ["*/", "/*", "??/", "\n", "é"], "n": [1.5e-7, -3]}
    data = c_file.seal("/* edgeproof C program 1 */\n", strange)
    text = data.partition(b"manifest\n")[2].rpartition(b"\n*/\n")[0]
    assert not {b"*/", b"/*", b"??"} & {text[at : at + 2] for at in range(len(text))}
    assert json.loads(text) == strange


# The page.


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "docs/c.md").read_text(), re.MULTILINE | re.DOTALL)


def test_the_pages_c_and_python_read_a_seven(c_program, tmp_path):
    program, seven = copied(c_program, tmp_path), artifact.read(str(SHIPPED)).goldens()[7][0]
    (tmp_path / "main.c").write_text(blocks("c")[0])
    compiler.build([str(tmp_path / "main.c"), str(program)], str(tmp_path / "digits"), "-O1", "-Wall", "-Wextra", "-Werror")
    compiler.build([str(program)], str(tmp_path / "digits.so"), "-O1", "-shared", "-fPIC")
    for command in ([tmp_path / "digits"], [sys.executable, "-c", blocks("python")[0]]):
        done = subprocess.run(list(map(str, command)), input=seven, cwd=tmp_path, capture_output=True, check=False)
        assert (done.returncode, done.stdout) == (0, b"7\n"), done.stderr


@pytest.mark.skipif(not shutil.which("rustc") or not shutil.which("ar"), reason="no rustc on this machine")
def test_the_pages_rust_reads_a_seven(c_program, tmp_path):
    (tmp_path / "native").mkdir()
    copied(c_program, tmp_path / "native")
    for name, text in zip(("build.rs", "main.rs"), blocks("rust"), strict=True):
        (tmp_path / name).write_text(text)
    assert run("rustc", "--edition", "2021", "build.rs", "-o", "build", cwd=tmp_path).returncode == 0
    told = run(tmp_path / "build", cwd=tmp_path, OUT_DIR=str(tmp_path))
    flags = [flag for name in re.findall("cargo:rustc-link-lib=(.*)", told.stdout) for flag in ("-l", name)]
    built = run("rustc", "--edition", "2021", "-L", tmp_path, *flags, "main.rs", "-o", "main", cwd=tmp_path)
    assert built.returncode == 0, built.stderr
    done = subprocess.run(
        [str(tmp_path / "main")], input=artifact.read(str(SHIPPED)).goldens()[7][0], capture_output=True, check=False
    )
    assert done.stdout == b"7\n", done.stderr
