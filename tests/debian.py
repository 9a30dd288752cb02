"""Debian's packages unpacked into a folder rather than installed: without privilege, and nothing outside it changes."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# What Python and the wheels on a device link to.
LIBRARIES = (
    "libc6", "libgcc-s1", "libstdc++6", "zlib1g", "libexpat1", "libffi8", "libbz2-1.0", "liblzma5", "libsqlite3-0", "libuuid1",
)  # fmt: skip


class Unavailable(Exception):
    """This machine cannot have what a test needs; the message says why and what to do."""


def python_packages(version: str, *more: str, where: str) -> list[str]:
    """Debian's Python `version`, LIBRARIES and `more`, each `where`: an architecture and a suite, `arm64/bookworm`."""
    names = (f"python{version}-minimal", f"libpython{version}-minimal", f"libpython{version}-stdlib", *LIBRARIES, *more)
    return [f"{name}:{where}" for name in names]


def download(packages: Sequence[str], folder: Path) -> list[Path]:
    """The files of `packages`, each `name:architecture/suite`, put into the new `folder`. Raises Unavailable."""
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise Unavailable(f"{tool} is missing, and the device is made of Debian's packages: run on Debian")
    if not KEYRING.exists():
        raise Unavailable(f"{KEYRING} is missing, without which packages cannot be checked: apt install debian-archive-keyring")
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True)
    architectures, suites = map(set, zip(*(package.partition(":")[2].split("/") for package in packages), strict=True))
    sources = {"Types": "deb", "URIs": _archive(), "Suites": " ".join(suites), "Components": "main", "Signed-By": KEYRING}
    (folder / "debian.sources").write_text("".join(f"{key}: {value}\n" for key, value in sources.items()))
    (folder / "status").touch()
    settings = {
        "Dir::State": folder,
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder,
        "Dir::Etc::sourcelist": folder / "debian.sources",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "APT::Architectures": ",".join(sorted(architectures - {"all"})),
        "APT::Sandbox::User": "root",  # or root's apt hands over to a user who may not write here
        "APT::Update::Error-Mode": "any",
        "Acquire::Languages": "none",
        "Acquire::Retries": "2",
        "Acquire::http::Timeout": "20",
    }
    command = ["apt-get", "-qq", *(part for name, value in settings.items() for part in ("-o", f"{name}={value}"))]
    for step in (["update"], ["download", *packages]):
        done = subprocess.run([*command, *step], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or [f"apt-get {step[0]} failed"])[0]
            raise Unavailable(f"Debian's packages cannot be had: {reason}")
    return sorted(folder.glob("*.deb"))


def extract(package: Path, root: Path) -> None:
    """Unpack the file `package` into the folder `root`."""
    subprocess.run(["dpkg-deb", "--extract", package, root], check=True)


def _archive() -> str:
    """The Debian archive that this machine's own apt reads."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    plain = [uri for uri in listed if uri.rstrip("/").endswith("/debian")]
    if not plain:
        raise Unavailable("this machine's apt reads no Debian archive: run on Debian")
    return plain[0]
