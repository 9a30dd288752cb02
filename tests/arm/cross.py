"""Debian's cross compilers and QEMU's user mode, unpacked rather than installed: C for Arm is built and run on x86-64.

What is unpacked stays until this file changes. As for `tests/arm/root.py`, no privilege is needed and nothing else changes.
"""

import hashlib
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests import debian
from tests.debian import Unavailable

# The triple of Debian's compiler, its name of the architecture, and QEMU's.
MACHINES = {"aarch64": ("aarch64-linux-gnu", "arm64"), "armv7": ("arm-linux-gnueabihf", "armhf")}
EMULATORS = {"aarch64": "qemu-aarch64", "armv7": "qemu-arm"}
_QEMU = "qemu-user:amd64/trixie"
_LIBRARIES = ("libisl23", "libmpc3", "libmpfr6", "libgmp10", "libzstd1", "zlib1g")  # of the compilers


@dataclass(frozen=True)
class Cross:
    """The unpacked compilers and emulators."""

    folder: Path

    def build(self, machine: str, sources: list[Path], output: Path, *flags: str) -> None:
        """A static program for `machine`. Raises CalledProcessError with what the compiler said."""
        triple, _ = MACHINES[machine]
        root = self.folder / "root"
        where = [f"-B{root}/usr/{triple}/lib/", "-isystem", f"{root}/usr/{triple}/include"]
        command = [f"{triple}-gcc-12", "-O3", "-static", *flags, *where, *map(str, sources), "-o", str(output), "-lm"]
        path = f"{root}/usr/bin:{os.defpath}"
        environment = {"PATH": path, "LD_LIBRARY_PATH": f"{root}/usr/lib/x86_64-linux-gnu"}
        subprocess.run([shutil.which(command[0], path=path) or command[0], *command[1:]], env=environment, check=True)

    def run(self, machine: str, cpu: str, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """A program of `machine` on an emulated `cpu`."""
        whole = [self.folder / EMULATORS[machine], "-cpu", cpu, *command]
        return subprocess.run([str(part) for part in whole], env={}, capture_output=True, text=True, check=False)

    @property
    def compiler(self) -> str:
        return (self.folder / "compiler.txt").read_text()


def unpack(folder: Path) -> Cross:
    """The compilers in `folder`, unpacked there if they are not. Raises Unavailable."""
    if f"{platform.system()} on {platform.machine()}" != "Linux on x86_64":
        raise Unavailable(
            f"the cross compilers are Debian's for x86-64, and this is {platform.system()} on {platform.machine()}"
        )
    key = hashlib.sha256(Path(__file__).read_bytes() + Path(debian.__file__).read_bytes()).hexdigest()
    stamp = folder / "stamp"
    if not stamp.exists() or stamp.read_text() != key:
        shutil.rmtree(folder, ignore_errors=True)
        packages = debian.download([_QEMU, *_packages()], folder / "apt")
        for package in packages:
            if not package.name.startswith("qemu"):
                debian.extract(package, folder / "root")
        (qemu,) = (folder / "apt").glob("qemu-user_*.deb")
        wanted = " ".join(f"./usr/bin/{name}" for name in EMULATORS.values())
        take = f'dpkg-deb --fsys-tarfile "$0" | tar -x -C "$1" --strip-components=3 {wanted}'
        subprocess.run(["sh", "-c", take, str(qemu), str(folder)], check=True)
        (named,) = (package.name for package in packages if package.name.startswith("gcc-12-aarch64"))
        (folder / "compiler.txt").write_text("gcc " + named.split("_")[1])
        shutil.rmtree(folder / "apt")
        stamp.write_text(key)
    return Cross(folder)


def _packages() -> list[str]:
    native = [f"{name}-{triple}" for triple, _ in MACHINES.values() for name in ("gcc-12", "cpp-12", "binutils")]
    target = ("libc6-dev", "libc6", "linux-libc-dev", "libgcc-12-dev", "libgcc-s1")
    foreign = [f"{name}-{arch}-cross" for _, arch in MACHINES.values() for name in target]
    return [f"{name}:amd64/bookworm" for name in (*native, *_LIBRARIES)] + [f"{name}:all/bookworm" for name in foreign]
