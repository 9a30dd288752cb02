"""The installed `edge-predict`, run as a user runs it: its answers, its one-line errors, its exit codes."""

import functools
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from PIL import Image

from conftest import run
from edge.bench.process import measure_from_small
from edge.contract import DIGIT, DIGIT2, InputContract
from tests.edge.on_device import COMMAND, SEVEN, SHIPPED, place, resealed
from tests.promises import asking

EXAMPLES = SEVEN.parent


def predict(*arguments, **environment):
    return run(COMMAND, *arguments, **environment)


def test_every_example_is_answered_right():
    examples = dict(asking.examples())
    done = predict(*examples)
    assert (done.returncode, done.stderr, len(examples) >= 14) == (0, "", True)
    for (path, digit), line in zip(examples.items(), done.stdout.splitlines(), strict=True):
        assert line.startswith(f"{path}: {digit} ("), line


def test_top_k_lists_that_many_answers():
    (line,) = predict(SEVEN, "--top-k", "3").stdout.splitlines()
    assert line.count(" %)") == 3 and ": 7 (" in line


def test_json_is_one_object_a_line(tmp_path):
    not_a_picture = tmp_path / "letter.png"
    not_a_picture.write_text("Dear reader")
    done = predict(SEVEN, not_a_picture, EXAMPLES / "two.bmp", "--json", "--top-k=2")
    seven, error, two = map(json.loads, done.stdout.splitlines())
    assert (seven["label"], seven["index"], two["label"]) == ("7", 7, "2")
    assert 0.5 < seven["probability"] <= 1
    assert seven["ranking"][0]["label"] == "7" and len(seven["ranking"]) == 2
    assert error == {"path": str(not_a_picture), "error": f"{not_a_picture}: {error['error'].split(': ', 1)[1]}"}
    assert done.returncode == 65


def test_many_reads_a_page_as_a_person_would_or_as_an_object_a_digit(tmp_path):
    page = Image.new("L", (220, 220))
    for name, at in (("four", (10, 10)), ("two", (80, 14)), ("seven", (20, 110)), ("one", (130, 110))):
        page.paste(Image.open(EXAMPLES / f"{name}.png").resize((84, 84)), at)
    page.save(tmp_path / "page.png")
    done = predict(tmp_path / "page.png", "--many")
    texts = [line.split(" (each ")[0] for line in done.stdout.splitlines()]
    assert texts == [f"{tmp_path / 'page.png'}: {text}" for text in ("42", "7 1")]
    rows = [json.loads(line) for line in predict(tmp_path / "page.png", "--many", "--json").stdout.splitlines()]
    assert [(row["label"], row["line"], row["word"]) for row in rows] == [("4", 1, 1), ("2", 1, 1), ("7", 2, 1), ("1", 2, 2)]
    left, top, right, bottom = rows[1]["box"]
    assert rows[1]["path"] == str(tmp_path / "page.png") and 80 < left < right < 164 and 14 < top < bottom < 98


def test_many_of_a_model_that_takes_no_digits_is_a_usage_error(tmp_path):
    takes = InputContract(height=28, width=28, channels=1, fit="exact")
    done = predict(SEVEN, "--many", "--model", resealed(tmp_path / "other.tflite", name="other", input=takes))
    assert (done.returncode, done.stdout) == (2, "") and "other takes 28x28x1 exact" in done.stderr


def test_what_is_not_one_digit_is_refused_by_digit2_alone(tmp_path):
    Image.new("L", (200, 100), 255).save(page := tmp_path / "page.png")
    with Image.open(page) as sheet:
        for at in (20, 110):
            sheet.paste(0, (at, 20, at + 9, 80))
        sheet.save(page)
    model = resealed(tmp_path / "new.tflite", name="new", input=DIGIT2)
    done = predict(page, "--model", model)
    assert (done.returncode, done.stdout) == (65, "") and "page.png: 2 shapes of similar size: give one digit" in done.stderr
    assert predict(page, "--model", resealed(tmp_path / "old.tflite", name="old", input=DIGIT)).returncode == 0


def test_an_installed_model_is_found_without_a_further_import(tmp_path):
    code = "import sys; from edge import cli; cli.main(sys.argv[1:]); print(sorted(sys.modules))"
    command = (sys.executable, "-c", code, SEVEN)
    shipped = run(*command, EDGEPROOF_STORE=str(tmp_path / "store"))
    place(SHIPPED, store=tmp_path / "store")
    assert run(*command, EDGEPROOF_STORE=str(tmp_path / "store")).stdout == shipped.stdout != ""


def test_onnx_runs_on_onnx_runtime(onnx):
    done = predict(SEVEN, "--model", onnx, "--engine", "onnxruntime", "--threads", "2")
    assert (done.returncode, done.stderr) == (0, "")


def test_help_and_version():
    assert predict("--help").stdout.startswith("usage: edge-predict IMAGE...")
    assert predict("--version").stdout == "edge-predict 0.1.0\n"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((), 2, "name at least one picture"),
        (("--modle", "x"), 2, "no option --modle"),
        (("x.png", "--model"), 2, "--model needs a value"),
        (("-json",), 2, "no option -json"),
        (("",), 2, "a picture's name is empty"),
        (("x.png", "--top-k", "9" * 5000), 2, "wanted a whole number from 1 to 1024"),
        (("x.png", "--top-k", "none"), 2, "--top-k none: wanted a whole number from 1 to 1024"),
        (("page.png",), 65, "page.png: not a picture (begins b'<html>'); PNG, JPEG, "),
        (("empty",), 66, "empty: holds no .png, .jpg, .jpeg, .bmp, .webp, "),
        ((SEVEN, "--model", "foreign.tflite"), 78, "foreign.tflite: not sealed by edgeproof; edge-predict --allow-unverified"),
    ],
)
def test_what_cannot_be_answered_is_one_line_and_its_exit_code(arguments, code, says, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "page.png").write_text("<html>")
    (tmp_path / "foreign.tflite").write_bytes(SHIPPED.read_bytes()[:100_000].replace(b"edgeproof", b"otherwise"))
    done = predict(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1), done
    assert done.stderr.startswith("edge-predict: ") and says in done.stderr


def test_a_folder_is_every_picture_in_it_sorted_by_name(tmp_path):
    for name in ("b.PNG", "a.png", "c.png", "notes.txt"):
        (tmp_path / name).write_bytes(SEVEN.read_bytes())
    (tmp_path / "b.PNG").write_bytes(b"not a picture")
    done = predict(tmp_path, EXAMPLES / "two.png", "--json")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [a["path"] for a in answers] == [f"{tmp_path}/{n}" for n in ("a.png", "b.PNG", "c.png")] + [f"{EXAMPLES}/two.png"]
    assert [a.get("label") for a in answers] == ["7", None, "7", "2"]
    assert done.returncode == 65 and done.stderr.count("\n") == 2
    assert f"{tmp_path}: skipped 1, by their endings no pictures that are read: notes.txt\n" in done.stderr


def test_three_thousand_pictures_take_the_memory_of_one(tmp_path):
    for number in range(3000):
        (tmp_path / f"{number:04}.png").symlink_to(SEVEN)
    peaks = [measure_from_small([str(COMMAND), str(pictures)])[1] for pictures in (SEVEN, tmp_path)]
    assert peaks[1] - peaks[0] < 4, peaks


def test_no_permission(tmp_path):
    mine = shutil.copy(SEVEN, tmp_path / "mine.png")
    mine.chmod(0)
    done = run(COMMAND, mine, as_root=False)
    assert (done.returncode, done.stdout, done.stderr) == (66, "", f"edge-predict: {mine}: Permission denied\n")


def test_the_first_failure_decides_the_exit_code_and_the_rest_is_answered(tmp_path):
    done = predict(tmp_path / "gone.png", SEVEN, tmp_path)
    assert done.returncode == 66
    assert done.stdout.startswith(f"{EXAMPLES}/seven.png: 7 (")
    assert done.stderr.count("\n") == 2


def test_what_was_answered_before_an_interruption_is_not_lost(tmp_path):
    with (tmp_path / "errors").open("w") as err:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
        argv = [COMMAND, *["seven.png"] * 50_000, tmp_path]
        # A shell that starts the tests in the background has them ignore interrupts, and what they start as well.
        heeding = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        command = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=err, env=environment, cwd=EXAMPLES, preexec_fn=heeding)
        # Once a byte has come it is answering, and the pipe, which holds less than all answers, keeps it from ending.
        first = command.stdout.read(1)
        command.send_signal(signal.SIGINT)
        text = (first + command.stdout.read()).decode()
        assert command.wait() == 130
    assert text.endswith(" %)\n") and (tmp_path / "errors").read_text() == "edge-predict: interrupted\n"


def test_an_answer_has_left_the_process_before_the_next_picture_is_read(tmp_path):
    with subprocess.Popen([COMMAND, SEVEN, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path) as command:
        assert command.stdout.readline().startswith(str(SEVEN).encode() + b": 7 (")
        command.terminate()  # while it waits for stdin
        assert command.wait() == -signal.SIGTERM


def test_stdin_is_a_picture():
    with SEVEN.open("rb") as picture:
        done = subprocess.run([COMMAND, "-", "two.png"], stdin=picture, capture_output=True, text=True, cwd=EXAMPLES)
    seven, two = done.stdout.splitlines()
    assert (done.returncode, done.stderr, seven[:5], two[:10]) == (0, "", "-: 7 ", "two.png: 2")


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ("- <&-", 66, "-: stdin is closed"),
        ("- - <seven.png", 2, "- stands twice"),
        ("- </dev/null", 65, "<stdin>: an empty file"),
        ("- <draw.py", 65, "<stdin>: not a picture"),
        ("- < <(head -c 21M /dev/zero)", 65, "<stdin>: over 20 MiB"),
    ],
)
def test_what_stdin_cannot_be_is_said(command, code, says):
    done = run("bash", "-c", f"{COMMAND} {command}", cwd=EXAMPLES)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1), done
    assert done.stderr.startswith(f"edge-predict: {says}")


@pytest.mark.parametrize(
    ("stdout", "says"),
    [(">/dev/full", "stdout: No space left on device"), (">&-", "stdout is closed: there is nowhere to print to")],
)
def test_a_stdout_that_is_full_or_closed_is_74(stdout, says):
    done = run("bash", "-c", f"{COMMAND} seven.png seven.png {stdout}", cwd=EXAMPLES)
    assert (done.returncode, done.stderr) == (74, f"edge-predict: {says}\n")


def test_a_reader_that_goes_away_is_no_error():
    done = run("bash", "-c", f"{COMMAND} {f'{SEVEN} ' * 300} | head -n 1; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)


@pytest.mark.parametrize(
    ("picture", "closed", "code", "out"),
    [("seven.png", "2>&-", 0, "seven.png: 7 ("), ("gone.png", "2>&-", 66, "")],
)
def test_a_closed_stderr_changes_neither_answer_nor_exit_code(picture, closed, code, out):
    done = run("bash", "-c", f"{COMMAND} {picture} {closed}", cwd=EXAMPLES)
    assert (done.returncode, done.stdout.startswith(out), done.stderr) == (code, True, "")
    assert bool(done.stdout) == bool(out)


def test_a_name_the_terminal_has_no_letters_for_is_escaped(tmp_path):
    (tmp_path / "sé.png").write_bytes(SEVEN.read_bytes())
    done = predict(tmp_path / "sé.png", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout[:-11]) == (0, f"{tmp_path}/s\\xe9.png: 7"), done
