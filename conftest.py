"""What tests and benchmarks share: a trained network and its artifacts, made once by the real commands."""

import contextlib
import ctypes
import fcntl
import importlib
import importlib.util
import io
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from unittest import mock

import pytest

from edge import errors

# As train and convert do, before a test brings Keras and numpy.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
ROOT = Path(__file__).parent
# As the README shows it.
DEMO = ("ARCH=lenet5-relu", "DEMO_FLAGS=--data digits")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: `make test` hands files out in this order, and a long one at the end runs alone."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


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
    module = importlib.import_module(_script(program).name)
    return _here(lambda: errors.run(module.main, program), program, *flags, cwd=cwd)


def call_script(program: str, *flags: str | Path) -> subprocess.CompletedProcess[str]:
    """The same of any script: it is executed anew, so that what tests have patched in it does not count."""
    return _here(lambda: runpy.run_path(_script(program).origin, run_name="__main__"), program, *flags, cwd=ROOT)


def _script(program: str) -> ModuleSpec:
    spec = importlib.util.find_spec(program)
    return spec if spec.submodule_search_locations is None else importlib.util.find_spec(f"{program}.__main__")


def _here(begin: Callable[[], object], *argv: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    out, err, argv = io.StringIO(), io.StringIO(), tuple(map(str, argv))
    with contextlib.ExitStack() as during:
        for context in (
            contextlib.chdir(cwd),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            mock.patch.object(sys, "argv", list(argv)),
            mock.patch.object(sys, "path", list(sys.path)),
            mock.patch.dict(os.environ),
        ):
            during.enter_context(context)
        try:
            code = begin()
        except SystemExit as ended:
            code = ended.code or 0
    return subprocess.CompletedProcess(argv, code, out.getvalue(), err.getvalue())


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """`folder`, which whoever comes first fills by `make(folder)` while the others wait."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            make(folder)
            (folder / "ready").touch()
    return folder


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this session share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def workshop(session_folder: Path) -> Path:
    """A folder with `runs/lenet5-relu-digits-modern`, in `artifacts/` both int8 formats of it, and what `make demo` printed
    (demo.txt, demo.err).

    Tests only read it. The workers of one session share it, and so do the sessions that name one folder in $EDGEPROOF_WORKSHOP.
    """
    return made_once(Path(os.environ.get("EDGEPROOF_WORKSHOP") or session_folder / "workshop"), _demo)


def _demo(folder: Path) -> None:
    """The README's demo, with what it makes where the commands put it that name no folder."""
    for name, target in ((".venv", sys.prefix), ("examples", ROOT / "examples")):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(target)
    command = ("make", "-f", ROOT / "Makefile", "-o", ".venv/installed", "demo", *DEMO)
    done = run(*command, cwd=folder, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "demo.txt").write_text(done.stdout)
    (folder / "demo.err").write_text(done.stderr)
    (folder / "runs").mkdir(exist_ok=True)
    (folder / "demo/run").rename(folder / "runs/lenet5-relu-digits-modern")
    (folder / "demo").rename(folder / "artifacts")


@pytest.fixture(scope="session")
def tflite(workshop: Path) -> Path:
    """A sealed int8 .tflite."""
    return workshop / "artifacts" / "lenet5-relu-digits-int8.tflite"


@pytest.fixture(scope="session")
def onnx(workshop: Path) -> Path:
    """A sealed int8 .onnx of the same network."""
    return workshop / "artifacts" / "lenet5-relu-digits-int8.onnx"
