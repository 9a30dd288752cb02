"""The pictures networks are trained and judged on, and where they are found.

Order: a folder the user names, `$EDGEPROOF_DATA`, the user's cache, a download. Where no download is possible, the
1,797 scanned digits that scikit-learn carries stand in for MNIST, under their own name: `digits`. Other pictures in
MNIST's layout are called `custom`.
"""

import contextlib
import gzip
import hashlib
import os
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.contract import DIGIT, InputContract
from edge.errors import InputError, InputMissing, StorageError
from edge.files import write_whole
from train import download
from train.idx import parse_idx, uncompressed

# File name, dimensions and the SHA-256 of the uncompressed content. The gzip wrapping differs between mirrors.
MNIST_FILES = {
    "train-images-idx3-ubyte": (3, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    "train-labels-idx1-ubyte": (1, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    "t10k-images-idx3-ubyte": (3, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    "t10k-labels-idx1-ubyte": (1, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
}
MNIST_MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")

# At a limit of 2.0 points a test split of 597 pictures can lose five and still pass; a smaller one decides by chance.
N_DIGITS_TEST = 600


@dataclass(frozen=True, eq=False)
class Split:
    """Pictures in a fixed order: images uint8 [N, H, W, C], labels uint8 [N]."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, which: slice | np.ndarray) -> "Split":
        return Split(self.images[which], self.labels[which])


@dataclass(frozen=True, eq=False)
class Dataset:
    """The training and test split as published; a recipe says how much of `train` is held out for validation."""

    name: str
    class_names: tuple[str, ...]
    contract: InputContract
    train: Split
    test: Split

    @property
    def digest(self) -> str:
        """SHA-256 of train images, train labels, test images, test labels, one after the other."""
        sha = hashlib.sha256()
        for split in (self.train, self.test):
            sha.update(np.ascontiguousarray(split.images).data)
            sha.update(np.ascontiguousarray(split.labels).data)
        return sha.hexdigest()


def load_again(name: str, data_dir: str | None, *, digest: str) -> Dataset:
    """The data set a network was trained on. Raises InputError where what is found is another one."""
    dataset = load_digits() if name == "digits" else load_mnist(data_dir)
    if dataset.digest != digest:
        raise InputError(
            f"{name}: the pictures found hash to {dataset.digest[:12]}, the network was trained on {digest[:12]}; "
            "name their folder with --data-dir"
        )
    return dataset


def load_mnist(data_dir: str | None = None) -> Dataset:
    """MNIST: 60,000 and 10,000 pictures of 28x28. Raises InputMissing, InputError, or NoNetwork after the download.

    A named folder may hold other pictures in the same layout; the data set is then called `custom`, and stderr says so.
    """
    named = data_dir or os.environ.get("EDGEPROOF_DATA")
    files = _files_in(Path(named)) if named else _cached_mnist()
    arrays = [
        parse_idx(content, name=str(path), dimensions=n)
        for (path, content), (n, _) in zip(files.items(), MNIST_FILES.values(), strict=True)
    ]
    for images, labels in (arrays[:2], arrays[2:]):
        if images.shape != (len(labels), 28, 28) or not len(labels) or labels.max() > 9:
            raise InputError(
                f"{named}: not MNIST: {images.shape} pictures with {len(labels)} labels; "
                "wanted 28x28 pictures and as many labels from 0 to 9"
            )
    train, test = (Split(images[..., None], labels) for images, labels in (arrays[:2], arrays[2:]))
    name = "mnist"
    if [_sha256(content) for content in files.values()] != [digest for _, digest in MNIST_FILES.values()]:
        name = "custom"
        print(f"{named}: not the published MNIST; files and figures will say `custom`, not `mnist`.", file=sys.stderr)
    return Dataset(name, tuple("0123456789"), DIGIT, train, test)


def load_digits() -> Dataset:
    """scikit-learn's 1,797 scanned digits, 8x8, enlarged the way the device fits a picture: 1,197 to train, 600 to test."""
    from PIL import Image
    from sklearn.datasets import load_digits as sklearn_digits
    from sklearn.model_selection import train_test_split

    from edge.decode import fit

    scans = sklearn_digits()
    grey = (scans.images * (255 / 16)).round().astype(np.uint8)
    pixels = b"".join(fit(Image.fromarray(scan), DIGIT) for scan in grey)
    images = np.frombuffer(pixels, np.uint8).reshape(-1, 28, 28, 1)
    labels = scans.target.astype(np.uint8)
    train, test = train_test_split(np.arange(len(labels)), test_size=N_DIGITS_TEST, stratify=labels, random_state=0)
    every = Split(images, labels)
    return Dataset("digits", tuple("0123456789"), DIGIT, every[train], every[test])


def mnist_or_digits(data_dir: str | None = None) -> Dataset:
    """MNIST where it can be had, else the digits, saying so on stderr. A folder the user named must hold MNIST."""
    try:
        return load_mnist(data_dir)
    except download.NoNetwork as error:
        print(
            f"{error}\nGoing on with scikit-learn's 1,797 scanned digits; files and figures will say `digits`, not `mnist`.",
            file=sys.stderr,
        )
        return load_digits()


def cache_folder() -> Path | None:
    """Where downloads are kept: `$XDG_CACHE_HOME/edgeproof`, usually `~/.cache/edgeproof`; None without a home."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgeproof"
    except RuntimeError:
        return None


def _files_in(named: Path) -> dict[Path, bytes]:
    """MNIST's four files in a folder, in the order of MNIST_FILES, uncompressed."""
    if not named.is_dir():
        raise InputMissing(f"{named}: no such folder; name one that holds MNIST's four IDX files")
    folder = named / "mnist" if (named / "mnist").is_dir() else named
    return {path: uncompressed(path) for path in (_existing(folder / name) for name in MNIST_FILES)}


def _existing(path: Path) -> Path:
    for candidate in (path, path.with_name(path.name + ".gz")):
        if candidate.exists():
            return candidate
    raise InputMissing(f"{path}: no such file, nor {path.name}.gz; MNIST's four IDX files are wanted")


def _cached_mnist() -> dict[Path, bytes]:
    """MNIST's four files as published, in the order of MNIST_FILES, uncompressed: from the cache, or fetched into it."""
    cache = cache_folder()
    files, unkept = {}, None
    for name, (_, digest) in MNIST_FILES.items():
        path = (cache or Path()) / "mnist" / f"{name}.gz"
        content = _kept(path, digest=digest) if cache else None
        if content is None:
            body, content = _fetched(name, digest=digest)
            try:
                if cache:
                    write_whole(str(path), body)
            except StorageError as error:
                unkept = error
        files[path] = content
    if unkept:
        print(f"{unkept}; MNIST is used and not kept", file=sys.stderr)
    return files


def _kept(path: Path, *, digest: str) -> bytes | None:
    """The content of a cached file; one that is damaged or another is deleted."""
    try:
        content = uncompressed(path)
    except InputMissing:
        return None
    except InputError:
        content = b""
    if _sha256(content) == digest:
        return content
    with contextlib.suppress(OSError):
        path.unlink()
    return None


def _fetched(name: str, *, digest: str) -> tuple[bytes, bytes]:
    """The published file as it came and uncompressed. Raises NoNetwork."""
    try:
        body = download.fetch([f"{mirror}{name}.gz" for mirror in MNIST_MIRRORS])
        return body, _published(body, name=name, digest=digest)
    except download.NoNetwork as error:
        raise download.NoNetwork(
            f"MNIST cannot be downloaded ({error}); name a folder that holds its four IDX files: "
            "--data-dir DIR, or EDGEPROOF_DATA=DIR"
        ) from None


def _published(body: bytes, *, name: str, digest: str) -> bytes:
    try:
        content = gzip.decompress(body)
    except (EOFError, OSError, zlib.error) as error:
        raise download.NoNetwork(f"what came for {name} is not the file ({error})") from None
    found = _sha256(content)
    if found != digest:
        raise download.NoNetwork(f"what came for {name} hashes to {found[:12]}, the published file to {digest[:12]}")
    return content


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
