"""Build an emulated aarch64 device: Debian's arm64 Python, the published aarch64 wheels, and QEMU to run them.

    python -m tests.arm.root [FOLDER]       FOLDER is .arm unless named

Needs no privilege and changes nothing outside FOLDER: apt works on lists of its own, packages are unpacked rather than
installed, and QEMU's user mode needs neither a kernel module nor a container. Beside the device lies an x86-64 folder
with the same engines, to compare answers with. What is built stays until a version or this file changes; edgeproof
itself is installed anew each time. Exit codes: 0 built · 69 no emulation on this machine, and why.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from conftest import ROOT
from tests import debian
from tests.debian import Unavailable
from tests.wheel import make_wheel, pip

CONSTRAINTS = ROOT / "constraints" / "arm64.txt"

# QEMU comes from the release after the device's: ai-edge-litert 2.2 and 2.3 and onnxruntime 1.31 crash under bookworm's 7.2
# and run under 10.0, which is one static file.
QEMU_PACKAGE = "qemu-user:amd64/trixie"
DEVICE_PACKAGES = debian.python_packages("3.11", "libssl3", where="arm64/bookworm")  # as Raspberry Pi OS "Bookworm"

# pip does not derive the older of these from the newest.
AARCH64 = tuple(
    part
    for tag in ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")
    for part in ("--platform", f"{tag}_aarch64")
)
FOR_THE_DEVICE = ("--only-binary=:all:", "--implementation", "cp", "--python-version", "3.11", "--no-compile", *AARCH64)


@dataclass(frozen=True)
class Device:
    """A built device and, beside it, the x86-64 folder with the same engines."""

    folder: Path

    @property
    def script(self) -> Path:
        """The console script `edge-predict` that pip wrote. Its first line names this machine's Python, so hand it to `run`."""
        return self.folder / "aarch64" / "bin" / "edge-predict"

    @property
    def emulator(self) -> str:
        """QEMU's name and version."""
        said = subprocess.run([self.folder / "qemu-aarch64", "--version"], capture_output=True, text=True, check=True)
        return "QEMU " + said.stdout.split()[2]

    def run(self, *arguments: str | Path, cpu: str) -> subprocess.CompletedProcess[str]:
        """Run the device's Python on an emulated `cpu`."""
        qemu, root = self.folder / "qemu-aarch64", self.folder / "root"
        return self._python([qemu, "-L", root, "-cpu", cpu, root / "usr/bin/python3.11"], arguments, "aarch64")

    def run_x86_64(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run this machine's Python on the x86-64 folder."""
        return self._python([Path(sys.executable)], arguments, "x86_64")

    def _python(
        self, python: list[str | Path], arguments: tuple[str | Path, ...], side: str
    ) -> subprocess.CompletedProcess[str]:
        # -S and -P: nothing is imported but the standard library and what pip put into the folder.
        command = [str(part) for part in (*python, "-S", "-P", *arguments)]
        environment = {"PATH": os.defpath, "PYTHONPATH": str(self.folder / side)}
        return subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)


def build(folder: Path, wheel: Path | None = None) -> Device:
    """The device in `folder`, built if it is not there, with edgeproof's `wheel`, else as it is now. Raises Unavailable."""
    _check_machine()
    folder = folder.resolve()
    wheel = wheel or make_wheel(folder / "wheel")
    device, key = Device(folder / "device"), _key(wheel)
    stamp = device.folder / "stamp"
    if not stamp.exists() or stamp.read_text() != key:
        making = folder / "making"
        for old in (making, device.folder):
            shutil.rmtree(old, ignore_errors=True)
        making.mkdir(parents=True)
        _unpack_debian(making)
        for side, flags in (("aarch64", FOR_THE_DEVICE), ("x86_64", ("--no-compile",))):
            # Environment markers in the wheel are read as on this machine; those of ours say the same for both sides.
            pip("install", "--target", making / side, "--constraint", CONSTRAINTS, *flags, f"{wheel}[onnx]")
        (making / "stamp").write_text(key)
        making.rename(device.folder)
    for side in ("aarch64", "x86_64"):
        pip("install", "--target", device.folder / side, "--no-deps", "--no-compile", "--upgrade", wheel)
    return device


def _check_machine() -> None:
    machine = f"{platform.system()} on {platform.machine()}"
    if machine != "Linux on x86_64":
        raise Unavailable(f"answers are compared with x86-64's, and this is {machine}; run on x86-64 Linux")


def _key(wheel: Path) -> str:
    """Changes when the packages, the pinned versions or what the wheel requires do."""
    with zipfile.ZipFile(wheel) as archive:
        metadata = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        requires = [line for line in archive.read(metadata).splitlines() if line.startswith(b"Requires-Dist:")]
    parts = (
        Path(__file__).read_bytes(),
        Path(debian.__file__).read_bytes(),
        CONSTRAINTS.read_bytes(),
        sys.version.encode(),
        *requires,
    )
    return hashlib.sha256(b"\n".join(parts)).hexdigest()


def _unpack_debian(folder: Path) -> None:
    """`root/` with Python and its libraries, and the file `qemu-aarch64`, in `folder`."""
    packages = debian.download([QEMU_PACKAGE, *DEVICE_PACKAGES], folder / "apt")
    (qemu,) = (folder / "apt").glob("qemu-user_*.deb")
    for package in packages:
        if package != qemu:
            debian.extract(package, folder / "root")
    # Of its sixty emulators, one.
    unpack = 'dpkg-deb --fsys-tarfile "$0" | tar -x -C "$1" ./usr/bin/qemu-aarch64'
    subprocess.run(["sh", "-c", unpack, qemu, folder / "apt"], check=True)
    (folder / "apt/usr/bin/qemu-aarch64").rename(folder / "qemu-aarch64")
    (folder / "packages.txt").write_text("".join(f"{package.stem}\n" for package in packages))
    shutil.rmtree(folder / "apt")


if __name__ == "__main__":
    try:
        print(build(Path(sys.argv[1] if len(sys.argv) > 1 else ".arm")).folder)
    except Unavailable as error:
        print(f"no emulated Arm: {error}", file=sys.stderr)
        sys.exit(69)
