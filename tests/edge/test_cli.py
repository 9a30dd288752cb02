"""The installed `edge-predict`, run as a user runs it: its answers, its one-line errors, its exit codes."""

import functools
import json
import os
import signal
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from conftest import ROOT, run, without_roots_privilege

COMMAND = Path(sys.executable).parent / "edge-predict"
EXAMPLES = ROOT / "examples"
SHIPPED = ROOT / "edge" / "models" / "lenet5-relu-mnist-int8.tflite"


def predict(*arguments, **environment):
    return run(COMMAND, *arguments, **environment)


def refused(*arguments, code: int, says: str, **environment) -> None:
    """The command ends with `code`, answers nothing, and its one line on stderr says `says`."""
    done = predict(*arguments, **environment)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("edge-predict: "), done.stderr
    assert says in done.stderr


def test_every_example_is_answered_right():
    names = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    pictures = sorted(path for path in EXAMPLES.iterdir() if path.suffix in (".png", ".jpg", ".bmp"))
    assert len(pictures) >= 14
    done = predict(*pictures)
    assert done.returncode == 0 and done.stderr == ""
    for path, line in zip(pictures, done.stdout.splitlines(), strict=True):
        wanted = names.index(path.stem.split("-")[0])
        assert line.startswith(f"{path}: {wanted} ("), line


def test_top_k_lists_that_many_answers():
    (line,) = predict(EXAMPLES / "seven.png", "--top-k", "3").stdout.splitlines()
    assert line.count(" %)") == 3 and ": 7 (" in line


def test_json_is_one_object_a_line(tmp_path):
    not_a_picture = tmp_path / "letter.png"
    not_a_picture.write_text("Dear reader")
    done = predict(EXAMPLES / "seven.png", not_a_picture, EXAMPLES / "two.bmp", "--json", "--top-k=2")
    seven, error, two = map(json.loads, done.stdout.splitlines())
    assert (seven["label"], seven["index"], two["label"]) == ("7", 7, "2")
    assert 0.5 < seven["probability"] <= 1
    assert seven["ranking"][0]["label"] == "7" and len(seven["ranking"]) == 2
    assert error == {"path": str(not_a_picture), "error": f"{not_a_picture}: {error['error'].split(': ', 1)[1]}"}
    assert done.returncode == 65


def test_the_model_may_come_from_the_environment(tflite):
    done = predict(EXAMPLES / "seven.png", "--json", EDGEPROOF_MODEL=str(tflite))
    shipped = predict(EXAMPLES / "seven.png", "--json")
    assert json.loads(done.stdout)["probability"] != json.loads(shipped.stdout)["probability"]


def test_the_model_named_goes_before_the_environments_that_before_the_installed_and_that_before_the_shipped_one(tmp_path):
    def used(*arguments, **environment) -> str:
        done = predict(EXAMPLES / "seven.png", "--verbose", *arguments, **environment)
        assert done.returncode == 0, done.stderr
        return done.stderr.removeprefix("edge-predict: ").split(": ")[0]

    named, environments = tmp_path / "named.tflite", tmp_path / "environments.tflite"
    for copy in (named, environments):
        copy.write_bytes(SHIPPED.read_bytes())
    data = str(tmp_path / "data")
    assert used(XDG_DATA_HOME=data) == str(SHIPPED)
    assert run(sys.executable, "-m", "edge", "install", SHIPPED, XDG_DATA_HOME=data).returncode == 0
    (installed,) = (tmp_path / "data" / "edgeproof" / "models").glob("*/*")
    assert used(XDG_DATA_HOME=data) == used(EDGEPROOF_STORE=f"{data}/edgeproof") == str(installed)
    assert used(XDG_DATA_HOME="data", HOME=str(tmp_path)) == str(SHIPPED)  # a relative folder is none
    assert used(XDG_DATA_HOME=data, EDGEPROOF_MODEL=str(environments)) == str(environments)
    assert used("--model", named, XDG_DATA_HOME=data, EDGEPROOF_MODEL=str(environments)) == str(named)


def test_a_user_without_a_home_or_with_a_file_for_one_gets_the_shipped_model():
    for home in ("unset HOME", "HOME=", "HOME=/dev/null"):
        done = run("bash", "-c", f"unset XDG_DATA_HOME; {home}; {COMMAND} seven.png --verbose", cwd=EXAMPLES)
        assert done.returncode == 0 and str(SHIPPED) in done.stderr, done


def test_an_installed_model_is_found_without_a_further_import(tmp_path):
    code = "import sys; from edge import cli; cli.main(sys.argv[1:]); print(sorted(sys.modules))"
    command = (sys.executable, "-c", code, EXAMPLES / "seven.png")
    shipped = run(*command, EDGEPROOF_STORE=str(tmp_path / "store"))
    assert run(sys.executable, "-m", "edge", "install", SHIPPED, "--store", tmp_path / "store").returncode == 0
    assert run(*command, EDGEPROOF_STORE=str(tmp_path / "store")).stdout == shipped.stdout != ""


def test_onnx_runs_on_onnx_runtime(onnx):
    done = predict(EXAMPLES / "seven.png", "--model", onnx, "--engine", "onnxruntime", "--threads", "2")
    assert (done.returncode, done.stderr) == (0, "")


def test_help_and_version():
    assert predict("--help").stdout.startswith("usage: edge-predict IMAGE...")
    assert predict("--version").stdout == "edge-predict 0.1.0\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "name at least one picture"),
        (("--modle", "x"), "no option --modle"),
        (("x.png", "--model"), "--model needs a value"),
        (("-json",), "no option -json"),
        (("",), "a picture's name is empty"),
        (("x.png", "--top-k", "9" * 5000), "wanted a whole number from 1 to 1024"),
        (("x.png", "--top-k", "none"), "--top-k none: wanted a whole number from 1 to 1024"),
    ],
)
def test_a_slip_of_the_keyboard(arguments, says):
    refused(*arguments, code=2, says=says)


def test_not_a_picture(tmp_path):
    (tmp_path / "page.png").write_text("<html>")
    refused(tmp_path / "page.png", code=65, says="page.png: not a picture (begins b'<html>'); PNG, JPEG and BMP are read")


def test_a_truncated_picture(tmp_path):
    (tmp_path / "cut.jpg").write_bytes((EXAMPLES / "four-photo.jpg").read_bytes()[:5000])
    refused(tmp_path / "cut.jpg", code=65, says="cut.jpg: a damaged or unfinished JPEG")


def test_a_decompression_bomb(tmp_path):
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))

    side = 30_000
    header = struct.pack(">2L5B", side, side, 8, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(bomb)
    refused(tmp_path / "bomb.png", code=65, says="30000x30000 is 900.0 megapixels; at most 4 are read")


def test_a_folder_is_every_picture_in_it_sorted_by_name(tmp_path):
    for name in ("b.PNG", "a.png", "c.png", "notes.txt"):
        (tmp_path / name).write_bytes((EXAMPLES / "seven.png").read_bytes())
    (tmp_path / "b.PNG").write_bytes(b"not a picture")
    done = predict(tmp_path, EXAMPLES / "two.png", "--json")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [a["path"] for a in answers] == [f"{tmp_path}/{n}" for n in ("a.png", "b.PNG", "c.png")] + [f"{EXAMPLES}/two.png"]
    assert [a.get("label") for a in answers] == ["7", None, "7", "2"]
    assert done.returncode == 65 and done.stderr.count("\n") == 1


def test_a_folder_without_pictures(tmp_path):
    refused(tmp_path, code=66, says=f"{tmp_path}: holds no .png, .jpg, .jpeg, .bmp files")


def test_three_thousand_pictures_take_the_memory_of_one(tmp_path):
    for number in range(3000):
        (tmp_path / f"{number:04}.png").symlink_to(EXAMPLES / "seven.png")
    peaks = [peak_mib(EXAMPLES / "seven.png"), peak_mib(tmp_path)]
    assert peaks[1] - peaks[0] < 4, peaks


def peak_mib(*arguments) -> float:
    """Peak memory of one `edge-predict`, told by a small parent: a child's includes what its parent held."""
    parent = (
        "import os, sys; child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, "
        "file_actions=[(os.POSIX_SPAWN_OPEN, 1, '/dev/null', os.O_WRONLY, 0)]); print(os.wait4(child, 0)[2].ru_maxrss)"
    )
    return int(run(sys.executable, "-S", "-c", parent, COMMAND, *arguments).stdout) / 1024


def test_no_such_file(tmp_path):
    refused(tmp_path / "gone.png", code=66, says="gone.png: No such file or directory")


def test_no_permission(tmp_path):
    (tmp_path / "mine.png").write_bytes((EXAMPLES / "seven.png").read_bytes())
    (tmp_path / "mine.png").chmod(0)

    done = subprocess.run(
        [COMMAND, tmp_path / "mine.png"], capture_output=True, text=True, check=False, preexec_fn=without_roots_privilege
    )
    assert done.returncode == 66
    assert done.stderr == f"edge-predict: {tmp_path}/mine.png: Permission denied\n"


def test_a_name_with_a_line_break_stays_one_line(tmp_path):
    refused(tmp_path / "a\nb.png", code=66, says="a\\nb.png: No such file")


def test_a_sealed_model_with_one_bit_flipped(tmp_path):
    data = bytearray(SHIPPED.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "m.tflite").write_bytes(data)
    for more in ((), ("--allow-unverified",)):
        refused(
            EXAMPLES / "seven.png", "--model", tmp_path / "m.tflite", *more, code=78, says="m.tflite: damaged: the seal reads"
        )


def test_a_truncated_model(tmp_path):
    (tmp_path / "m.tflite").write_bytes(SHIPPED.read_bytes()[:50_000])
    refused(EXAMPLES / "seven.png", "--model", tmp_path / "m.tflite", code=78, says="damaged: the seal reads nothing")


def test_a_foreign_model(tmp_path):
    model = SHIPPED.read_bytes()[:100_000].replace(b"edgeproof", b"otherwise")
    (tmp_path / "m.tflite").write_bytes(model)
    refused(
        EXAMPLES / "seven.png",
        "--model",
        tmp_path / "m.tflite",
        code=78,
        says="m.tflite: not sealed by edgeproof; edge-predict --allow-unv",
    )


def test_the_first_failure_decides_the_exit_code_and_the_rest_is_answered(tmp_path):
    done = predict(tmp_path / "gone.png", EXAMPLES / "seven.png", tmp_path)
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


@pytest.mark.parametrize(
    ("raised", "code", "says"),
    [
        ("KeyError('x')", 70, "a defect of edgeproof; please report it with the lines above\n"),
        ("MemoryError()", 71, "out of memory\n"),
        ("OSError(5, 'Input/output error')", 74, "[Errno 5] Input/output error\n"),
        ("KeyboardInterrupt()", 130, "interrupted\n"),
        (
            "ModuleNotFoundError('no keras', name='keras.layers')",
            69,
            "keras is not installed: in a clone of edgeproof, pip install '.[train]'",
        ),
    ],
)
def test_every_other_exit_code_is_the_promised_one_and_answers_before_it_are_kept(raised, code, says):
    program = (
        f"import sys\nfrom edge import errors\ndef main():\n    print('7')\n    raise {raised}\nsys.exit(errors.run(main, 'p'))"
    )
    done = run(sys.executable, "-c", program)
    assert (done.returncode, done.stdout) == (code, "7\n")
    assert f"p: {says}" in done.stderr and ("Traceback" in done.stderr) == (code == 70)


def test_a_full_disk_under_stdout_is_74():
    done = run("bash", "-c", f"{COMMAND} seven.png > /dev/full", cwd=EXAMPLES)
    assert (done.returncode, done.stderr) == (74, "edge-predict: stdout: No space left on device\n")


def test_a_reader_that_goes_away_is_no_error():
    pictures = [str(EXAMPLES / "seven.png")] * 300
    shell = f"{COMMAND} {' '.join(pictures)} | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)


@pytest.mark.parametrize(
    ("picture", "closed", "code", "out"),
    [("seven.png", "2>&-", 0, "seven.png: 7 ("), ("gone.png", "2>&-", 66, ""), ("seven.png", ">&-", 0, "")],
)
def test_a_closed_stream_changes_neither_answer_nor_exit_code(picture, closed, code, out):
    done = run("bash", "-c", f"{COMMAND} {picture} {closed}", cwd=EXAMPLES)
    assert (done.returncode, done.stdout.startswith(out), done.stderr) == (code, True, "")
    assert bool(done.stdout) == bool(out)


def test_a_name_the_terminal_has_no_letters_for_is_escaped(tmp_path):
    (tmp_path / "sé.png").write_bytes((EXAMPLES / "seven.png").read_bytes())
    done = predict(tmp_path / "sé.png", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout[:-11]) == (0, f"{tmp_path}/s\\xe9.png: 7"), done


def test_verify_replays_the_goldens(tflite):
    done = run(sys.executable, "-m", "edge", "verify", tflite)
    assert done.returncode == 0
    assert "passed: 10 pictures, 10 bit for bit (litert " in done.stdout


def test_a_prediction_loads_nothing_of_training():
    code = (
        "import sys; from edge import cli; cli.main(sys.argv[2:]); "
        "print(sorted({m.split('.')[0] for m in sys.modules} & set(sys.argv[1].split())))"
    )
    unwanted = "tensorflow keras onnx onnxruntime jax torch train convert"
    done = run(sys.executable, "-c", code, unwanted, EXAMPLES / "seven.png", PYTHONPATH=os.fspath(ROOT))
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr
