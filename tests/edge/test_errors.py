"""What ends a program, whatever is raised in it."""

import io
import signal
import sys

import pytest

from conftest import ROOT, run
from edge import __main__, errors
from edge.store import lifecycle

PROGRAM = """
import sys
from edge import errors
def main():
    print('7')
    {body}
sys.exit(errors.run(main, "p"))
"""


def ended(body: str):
    return run(sys.executable, "-c", PROGRAM.format(body=body), PYTHONPATH=str(ROOT))


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        ("raise KeyError('x')", 70, "a defect of edgeproof; please report it with the lines above\n"),
        ("from edge.errors import no_such_name", 70, "a defect of edgeproof"),
        ("raise MemoryError", 71, "out of memory\n"),
        ("raise OSError(5, 'Input/output error')", 74, "[Errno 5] Input/output error\n"),
        ("raise KeyboardInterrupt", 130, "interrupted\n"),
        (
            "raise ModuleNotFoundError(name='keras.layers')",
            69,
            "keras is not installed: in a clone of edgeproof, pip install '",
        ),
    ],
)
def test_every_exit_code_is_the_promised_one_and_answers_before_it_are_kept(body, code, says):
    done = ended(body)
    assert (done.returncode, done.stdout) == (code, "7\n")
    assert f"p: {says}" in done.stderr and ("Traceback" in done.stderr) == (code == 70)


@pytest.mark.parametrize("nobody", ["2>&-", "2> >(true)"])
def test_what_nobody_reads_on_stderr_does_not_stop_the_work(nobody):
    program = "import time; from edge.errors import note; time.sleep(0.2); note('7'); note('8'); print('9')"
    done = run("bash", "-c", f'exec {sys.executable} -c "{program}" {nobody}', PYTHONPATH=str(ROOT))
    assert (done.returncode, done.stdout, done.stderr) == (0, "9\n", "")


def test_a_compiled_module_that_cannot_be_mapped_is_one_line_and_74(tmp_path):
    (tmp_path / "half.so").write_bytes(b"\x7fELF half copied")
    done = ended(f"sys.path.insert(0, {str(tmp_path)!r}); import half")
    assert (done.returncode, done.stderr.count("\n")) == (74, 1)
    assert done.stderr.startswith(f"p: {tmp_path}/half.so: ")
    assert done.stderr.endswith("; check the disk, or install edgeproof and Python again\n")


def test_a_letter_that_stdout_lacks_is_escaped(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written := io.BytesIO(), encoding="ascii"))
    assert errors.run(lambda: print("m\xf6del"), "p") == 0 and written.getvalue() == b"m\\xf6del\n"


def test_a_command_learns_how_its_children_end_though_its_parent_ignored_that():
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert errors.run(lambda: 0, "p") == 0 and signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_what_was_done_is_told_on_stderr_where_stdout_is_full(monkeypatch, capsys):
    def full(line: str) -> None:
        raise errors.StorageError("stdout: No space left on device")

    monkeypatch.setattr(errors, "put", full)
    assert lifecycle._tell("m.tflite: installed") == 0
    assert capsys.readouterr().err == "edge: stdout: No space left on device; m.tflite: installed\n"


def test_no_name_that_is_one_argument_too_many_reaches_the_terminal_raw(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["edge", "verify", "m.tflite", "\x1b[31m.tflite"])
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 2 and "unrecognized arguments: \\x1b[31m.tflite\n" in capsys.readouterr().err
