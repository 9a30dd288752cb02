"""The installed `edgeproof`: it starts what `python -m` starts, from any folder, and says in a line what is not installed."""

import os
import shutil
import sys

import pytest

from conftest import ROOT, run
from edge.search_path import leave_current_folder
from tests.edge.on_device import COMMAND, SEVEN, SHIPPED

EDGEPROOF = COMMAND.with_name("edgeproof")
PAGE = ROOT / "examples" / "seven-page.png"


@pytest.fixture
def hostile(tmp_path):
    """A folder whose files have the names of modules."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name in ("argparse", "convert", "edge", "json", "numpy", "runpy", "train"):
        (folder / f"{name}.py").write_text("print('hijacked')\n")
    return folder


@pytest.mark.parametrize(
    ("pythonpath", "command"),
    [
        (":/nowhere", (EDGEPROOF, "verify", SHIPPED)),
        ("/nowhere:", (EDGEPROOF, "predict", PAGE)),
        ("../hostile", (COMMAND, PAGE)),
    ],
)
def test_a_relative_entry_of_pythonpath_leads_to_no_module_of_that_folder(hostile, pythonpath, command):
    (hostile / "edge.py").unlink()  # Python itself would find it before any line of ours runs
    (hostile / "PIL.py").write_text("print('hijacked')\n")
    done = run(*command, cwd=hostile, PYTHONPATH=pythonpath)
    assert (done.returncode, done.stderr) == (0, "") and "hijacked" not in done.stdout


def test_processes_that_are_started_get_the_absolute_entries_alone(monkeypatch, tmp_path):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("PYTHONPATH", f":{tmp_path}/lib:sub:{ROOT}:../lib")
    path = [str(tmp_path / each) for each in ("here", "lib", "here/sub")] + [str(ROOT), "/usr/lib/python3"]
    monkeypatch.setattr(sys, "path", path.copy())
    leave_current_folder()
    assert sys.path == [path[1], *path[3:]]
    assert os.environ["PYTHONPATH"] == f"{tmp_path}/lib:{ROOT}:../lib"  # the last is the second


@pytest.mark.parametrize("folder", [ROOT, os.path.dirname(os.__file__)])
def test_where_edgeproof_or_python_lies_is_not_left(monkeypatch, folder):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", ":")
    monkeypatch.setattr(sys, "path", [str(folder)])
    leave_current_folder()
    assert sys.path == [str(folder)]


# A device: these are not installed.
DEVICE = "import sys; sys.modules |= dict.fromkeys(('keras', 'onnx', 'sklearn', 'tensorflow')); "
CONSOLE = "from edge.console import console; console()"
MODULE = "import runpy; runpy.run_module(sys.argv[1], run_name='__main__', alter_sys=True)"


def test_predict_is_edge_predict_from_any_folder(hostile):
    done = run(EDGEPROOF, "predict", SEVEN, "--top-k", "2", cwd=hostile)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", run(COMMAND, SEVEN, "--top-k", "2").stdout)
    assert run(EDGEPROOF, "predict", "--help").stdout.startswith("usage: edgeproof predict IMAGE...")
    assert run(EDGEPROOF, "predict").stderr == (
        "edgeproof predict: name at least one picture; see edgeproof predict --help\n"
    )  # fmt: skip


def test_predict_loads_no_more_than_edge_predict():
    code = "import os, sys; os._exit = lambda code: print(*sorted(sys.modules)); sys.argv = {}; {}"
    ask = [
        code.format(["edge-predict", str(SEVEN)], "from edge.cli import console; console()"),
        code.format(["edgeproof", "predict", str(SEVEN)], "from edge.console import console; console()"),
    ]
    plain, through = (run(sys.executable, "-c", each).stdout.splitlines()[1].split() for each in ask)
    assert set(through) - set(plain) == {"edge.console"} and set(plain) <= set(through)


def test_a_device_command_runs_from_any_folder(hostile):
    done = run(EDGEPROOF, "verify", SHIPPED, cwd=hostile)
    assert (done.returncode, done.stderr) == (0, "") and "15 pictures, 15 bit for bit" in done.stdout
    done = run(EDGEPROOF, "install", SHIPPED, cwd=hostile, EDGEPROOF_STORE=str(hostile / "store"))
    assert (done.returncode, done.stderr) == (0, "") and "installed, and current" in done.stdout


def test_a_closed_stdout_is_74_where_telling_is_all_there_is_to_do(tmp_path):
    done = run("bash", "-c", f"{EDGEPROOF} list >&-")
    assert (done.returncode, done.stderr) == (74, "edge: stdout is closed: there is nowhere to print to\n")
    done = run("bash", "-c", f"{EDGEPROOF} install {SHIPPED} >&-", EDGEPROOF_STORE=str(tmp_path))
    assert done.returncode == 0 and (tmp_path / "current").exists()


@pytest.mark.parametrize("words", ["predict --help", "", "verify --help"])
def test_help_that_nobody_can_read_is_74(words):
    closed = run("bash", "-c", f"{EDGEPROOF} {words} >&-")
    program = "edgeproof predict" if "predict" in words else "edgeproof"
    assert (closed.returncode, closed.stderr) == (74, f"{program}: stdout is closed: there is nowhere to print to\n")
    full = run("bash", "-c", f"PYTHONUNBUFFERED=1 {EDGEPROOF} {words} >/dev/full")
    assert (full.returncode, full.stderr.count("\n")) == (74, 1) and "No space left on device" in full.stderr


def test_what_a_command_ends_with_is_passed_on(tmp_path):
    done = run(EDGEPROOF, "verify", tmp_path / "gone.tflite")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (66, "", 1)


@pytest.mark.parametrize(
    ("words", "usage"),
    [
        (("bench",), "edgeproof bench"),
        (("rollback",), "edgeproof rollback"),
        (("train", "mnist"), "edgeproof train mnist"),
        (("train", "compare", "widths"), "edgeproof train compare widths"),
        (("train",), "edgeproof train"),
        (("convert",), "edgeproof convert"),
    ],
)
def test_help_says_what_was_typed(words, usage, hostile):
    done = run(EDGEPROOF, *words, "--help", cwd=hostile)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith(f"usage: {usage} [-h]")


def test_help_names_the_commands_and_the_version_is_told():
    assert run(EDGEPROOF).stdout == run(EDGEPROOF, "--help").stdout != ""
    assert run(EDGEPROOF, "--version").stdout == "edgeproof 0.1.0\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("frobnicate",), "no command frobnicate; see edgeproof --help"),
        (("README.md",), "no command README.md; edgeproof predict README.md?"),
        (("train", "imagenet"), "no command train imagenet; there are train mnist, train cifar10, train compare"),
    ],
)
def test_an_unknown_command_is_2(words, says):
    done = run(EDGEPROOF, *words, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"edgeproof: {says}\n")


@pytest.mark.parametrize(
    ("start", "words", "says", "extra"),
    [
        (CONSOLE, "edgeproof convert --int8", "edgeproof: onnx", "convert"),
        (MODULE, "-m convert --int8", "convert: onnx", "convert"),
        (CONSOLE, "edgeproof train mnist", "train.mnist: keras", "train"),
        (MODULE, "-m train", "train: keras", "train"),
    ],
)
def test_on_a_device_what_is_not_installed_is_one_line_and_69(start, words, says, extra, tmp_path):
    argv = f"sys.argv = {words.split()}; " if start == CONSOLE else f"sys.argv = {words.split()}; sys.argv[1:2] = []; "
    start = start.replace("sys.argv[1]", repr(words.split()[1]))
    done = run(sys.executable, "-c", DEVICE + argv + start, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr == f"{says} is not installed: in a clone of edgeproof, pip install '.[{extra}]'\n"


def test_a_defect_while_importing_keeps_its_traceback(tmp_path):
    (tmp_path / "onnx.py").write_text("1 / 0\n")
    done = run(sys.executable, "-m", "convert", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 70 and "ZeroDivisionError" in done.stderr and "a defect of edgeproof" in done.stderr


def test_benchmarks_are_in_a_clone_alone(tmp_path):
    assert run(EDGEPROOF, "benchmarks", "--help", cwd=tmp_path).stdout.startswith("usage: edgeproof benchmarks [-h]")
    shutil.copytree(ROOT / "edge", tmp_path / "site" / "edge")  # as the wheel lies on a device
    code = "import sys; sys.argv = ['edgeproof', 'benchmarks']; from edge.console import console; console()"
    done = run(sys.executable, "-P", "-c", code, PYTHONPATH=str(tmp_path / "site"))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (69, "", 1), done.stderr
    assert "benchmarks is not installed" in done.stderr


def test_another_package_of_that_name_is_not_started(tmp_path):
    (tmp_path / "convert.py").write_text("print('hijacked')\n")
    done = run(EDGEPROOF, "convert", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{tmp_path}{os.sep}convert.py stands in for edgeproof's convert" in done.stderr
