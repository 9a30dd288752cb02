"""The installed wheel on Debian's other Pythons: 3.13 as Raspberry Pi OS "Trixie" has it, and 3.14 of Debian's next release.

Each is unpacked into .pythons/ and runs on its own C library, without privilege; packages come from the index as on a device.
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import ROOT
from tests import debian
from tests.edge.on_device import flip
from tests.promises import asking
from tests.wheel import pip

pytestmark = [pytest.mark.pythons, pytest.mark.slow]

SUITES = {"3.13": "trixie", "3.14": "forky"}
CONSTRAINTS = ROOT / "constraints" / "arm64.txt"  # a device's
EXAMPLES = dict(asking.examples())  # the class of each, by its path

# sys.executable is then this script, so that child processes come up the same way.
LAUNCHER = """#!/bin/sh
exec '{root}/usr/lib64/ld-linux-x86-64.so.2' --library-path '{root}/usr/lib/x86_64-linux-gnu' --argv0 "$0" \
'{root}/usr/bin/python{version}.real' "$@"
"""


@pytest.fixture(scope="module", params=SUITES)
def python(request, wheel):
    """A function: run that version of Python with edgeproof installed, in an empty store."""
    version, folder = request.param, ROOT / ".pythons" / request.param
    if platform.machine() != "x86_64":
        pytest.skip(f"the Pythons are Debian's for x86-64, and this is {platform.machine()}")
    key = hashlib.sha256(b"".join(Path(file).read_bytes() for file in (__file__, debian.__file__, CONSTRAINTS))).hexdigest()
    stamp = folder / "stamp"
    if not stamp.exists() or stamp.read_text() != key:
        shutil.rmtree(folder, ignore_errors=True)
        try:
            build(version, folder, wheel)
        except debian.Unavailable as error:
            pytest.skip(f"Python {version} was not tried: {error}")
        stamp.write_text(key)
    pip("install", "--target", folder / "packages", "--no-deps", "--no-compile", "--upgrade", wheel)

    def run(*arguments: str | Path, store: Path | None = None) -> subprocess.CompletedProcess[str]:
        command = [folder / "root/usr/bin" / f"python{version}", "-P", *arguments]
        settings = {"PYTHONPATH": str(folder / "packages"), "EDGEPROOF_STORE": str(store or folder / "none")}
        return subprocess.run(
            command, cwd="/", env=settings | {"PATH": os.defpath}, capture_output=True, text=True, check=False
        )

    run.script = folder / "packages/bin/edge-predict"
    done = run("-c", "import sys; print('.'.join(map(str, sys.version_info[:2])))")
    assert (done.stdout.strip(), done.stderr) == (version, "")
    return run


def build(version: str, folder: Path, wheel: Path) -> None:
    """Python `version` in `folder`/root, and the wheel with all it needs on a device in `folder`/packages."""
    root = folder.resolve() / "root"
    more = ("libssl3t64", "libmpdec4", "libzstd1")
    packages = debian.python_packages(version, *more, where=f"amd64/{SUITES[version]}")
    for package in debian.download(packages, folder / "apt"):
        debian.extract(package, root)
    shutil.rmtree(folder / "apt")
    program = root / "usr/bin" / f"python{version}"
    program.rename(f"{program}.real")
    program.write_text(LAUNCHER.format(root=root, version=version))
    program.chmod(0o755)
    tags = [part for tag in ("2_28", "2_27", "2_17") for part in ("--platform", f"manylinux_{tag}_x86_64")]
    tags += ["--platform", "manylinux2014_x86_64", "--only-binary=:all:", "--implementation", "cp", "--python-version", version]
    pip("install", "--target", folder / "packages", "--no-compile", "--constraint", CONSTRAINTS, *tags, f"{wheel}[onnx]")


def test_every_example_is_answered_right(python):
    done = python(python.script, *EXAMPLES)
    assert done.returncode == 0, done.stderr
    wanted = [f"{path}: {digit} " for path, digit in EXAMPLES.items()]
    assert [line.split("(")[0] for line in done.stdout.splitlines()] == wanted


def test_models_of_both_formats_pass_their_own_tests(python, tflite, onnx):
    for model in (tflite, onnx):
        done = python("-m", "edge", "verify", model)
        assert done.returncode == 0 and ": passed: 10 pictures" in done.stdout, done.stderr


def test_a_model_is_installed_listed_rolled_back_and_started(python, tflite, tmp_path):
    store = tmp_path / "store"
    for words, says in (
        (("install", tflite), "installed, and current"),
        (("list",), f"current   {tflite.name}"),
        (("start",), f"{tflite.name}"),
        (("rollback",), "current again"),
    ):
        done = python("-m", "edge", *words, store=store)
        assert done.returncode == 0 and says in done.stdout, (words, done.stdout, done.stderr)


def test_the_device_is_found_fit(python, tmp_path):
    done = python("-m", "edge", "doctor", "--json", store=tmp_path / "store")
    answer = json.loads(done.stdout)
    assert answer["passed"], [check for check in answer["checks"] if check["status"] == "fail"]


def test_a_damaged_model_is_refused(python, tflite, tmp_path):
    damaged = Path(shutil.copy(tflite, tmp_path))
    flip(damaged)
    done = python(python.script, asking.SEVEN, "--model", damaged)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (78, "", 1)
