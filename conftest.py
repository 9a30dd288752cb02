"""What tests and benchmarks share: a trained network and its artifacts, made once by the real commands."""

import contextlib
import ctypes
import fcntl
import importlib
import importlib.util
import io
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from edge import errors

ROOT = Path(__file__).parent


def run(*arguments: str | Path, cwd: Path = ROOT, as_root: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command and keep its output; the result's `returncode` is the test's to judge.

    Not `as_root`: permissions stop it, though root runs the tests, as in CI.
    """
    # As a user's shell has it: output buffered, none of our own settings but the data folder, no model installed; and no
    # sign of the make that runs the tests, or a make started here says which directory it enters.
    ours = ("PYTHONUNBUFFERED", "EDGEPROOF_MODEL", "EDGEPROOF_STORE", "MAKELEVEL", "MAKEFLAGS", "MFLAGS")
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    kept["XDG_DATA_HOME"] = str(ROOT / "nothing-installed")
    return subprocess.run(
        [str(a) for a in arguments], cwd=cwd, env=kept | environment, capture_output=True, text=True, check=False,
        preexec_fn=None if as_root else _without_roots_privilege,
    )  # fmt: skip


def _without_roots_privilege() -> None:
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)


def call(program: str, *flags: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """What `python -m program` would do, in this process: without the seconds that importing TensorFlow takes."""
    package = importlib.util.find_spec(program).submodule_search_locations is not None
    module = importlib.import_module(f"{program}.__main__" if package else program)
    out, err, argv = io.StringIO(), io.StringIO(), [program, *map(str, flags)]
    with contextlib.ExitStack() as during:
        for context in (
            contextlib.chdir(cwd),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            mock.patch.object(sys, "argv", argv),
            mock.patch.dict(os.environ),
        ):
            during.enter_context(context)
        try:
            code = errors.run(module.main, program)
        except SystemExit as ended:  # argparse's
            code = ended.code
    return subprocess.CompletedProcess(argv, code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `runs/lenet5-relu-digits-modern` and, in `artifacts/`, both int8 formats of it; tests only read it.

    The workers of one session share it, and so do the sessions that name one folder in $EDGEPROOF_WORKSHOP.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = Path(os.environ.get("EDGEPROOF_WORKSHOP") or shared / "workshop")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            for command in (("train.mnist", "--data", "digits", "--arch", "lenet5-relu"), ("convert", "--int8")):
                done = run(sys.executable, "-m", *command, cwd=folder, PYTHONPATH=str(ROOT))
                assert done.returncode == 0, done.stderr
            (folder / "ready").touch()
    return folder


@pytest.fixture(scope="session")
def tflite(workshop: Path) -> Path:
    """A sealed int8 .tflite."""
    return workshop / "artifacts" / "lenet5-relu-digits-int8.tflite"


@pytest.fixture(scope="session")
def onnx(workshop: Path) -> Path:
    """A sealed int8 .onnx of the same network."""
    return workshop / "artifacts" / "lenet5-relu-digits-int8.onnx"
