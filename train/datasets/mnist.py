"""MNIST, from its four IDX files; if it cannot be downloaded, scikit-learn's digits can replace it."""

import gzip
from pathlib import Path

import numpy as np

from edge.contract import DIGIT2, InputContract, is_light_on_dark
from edge.errors import InputError, InputMissing, UsageError, note
from train.datasets import digits, published
from train.datasets.dataset import Dataset, Split
from train.datasets.download import NoNetwork
from train.datasets.idx import parse_idx, uncompressed

# File name, dimensions and the SHA-256 of the uncompressed content. The gzip wrapping differs between mirrors.
FILES = {
    "train-images-idx3-ubyte": (3, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    "train-labels-idx1-ubyte": (1, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    "t10k-images-idx3-ubyte": (3, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    "t10k-labels-idx1-ubyte": (1, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
}
# Other images of this size are taken as they are.
EXACT = InputContract(height=28, width=28, channels=1, fit="exact")
_BOX, _OFF_CENTRE = 20, 1.0  # pixels: how MNIST placed its digits; all of its 70,000 are so
_LEAST_ALIKE, _N_COMPARED = 0.995, 2_000
MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")


def load(data_dir: str | None = None) -> Dataset:
    """MNIST, or `custom` for other images in a named folder, with a note. Raises InputMissing, InputError, or NoNetwork.

    The contract of other images is MNIST's only where they are placed as MNIST's are; else `exact`: a device that made digits
    of them would see what the network never saw.
    """
    folder = published.named_folder(data_dir, "mnist", wanted="MNIST's four IDX files")
    files = {path: uncompressed(path) for path in (_existing(folder / name) for name in FILES)} if folder else _published()
    arrays = [
        parse_idx(content, name=str(path), dimensions=n)
        for (path, content), (n, _) in zip(files.items(), FILES.values(), strict=True)
    ]
    for images, labels in (arrays[:2], arrays[2:]):
        if len(labels) and labels.max() > 9:
            raise InputError(
                f"{folder}: holds a label {labels.max()}; MNIST's classes are 0 to 9: leave the others out, or sort the "
                "pictures into a folder for each class and convert a network of your own: --model FILE --data FOLDER"
            )
        if images.shape != (len(labels), 28, 28) or not len(labels):
            raise InputError(
                f"{folder}: not MNIST: {images.shape} images with {len(labels)} labels; wanted 28x28 images and as many labels"
            )
    train, test = (Split(images[..., None], labels) for images, labels in (arrays[:2], arrays[2:]))
    name, contract = "mnist", DIGIT2
    if [published.sha256(content) for content in files.values()] != [digest for _, digest in FILES.values()]:
        name = "custom"
        note(f"{folder}: not the published MNIST; files and figures will say `custom`, not `mnist`.")
        if not are_digits(train.images):
            contract = EXACT
            note(f"{folder}: not light digits placed as MNIST's: the device will take pictures of 28x28 pixels as they are.")
    return Dataset(name, tuple("0123456789"), contract, train, test)


def are_digits(images: np.ndarray) -> bool:
    """Whether `images`, uint8 [N, 28, 28, 1], are what a `digit` contract makes of a picture: light on dark, at most 20 pixels
    large, and centred by mass; of the first 2,000 at most 5 in 1,000 are not."""
    grey = images[:_N_COMPARED, :, :, 0]
    places = np.arange(28) - 13.5

    def is_placed(image: np.ndarray) -> bool:
        rows, columns = image.sum(axis=1, dtype=np.int64), image.sum(axis=0, dtype=np.int64)
        for sums in (rows, columns):
            inked = np.flatnonzero(sums)
            if not len(inked) or inked[-1] - inked[0] >= _BOX or abs(sums @ places) > _OFF_CENTRE * sums.sum():
                return False
        return is_light_on_dark(image.tobytes(), 28)

    return float(np.mean([is_placed(image) for image in grey])) >= _LEAST_ALIKE


def named(data: str, data_dir: str | None) -> Dataset:
    """The data set that `--data` (mnist or digits) and `--data-dir` name. Raises UsageError, or as `load_or_digits`."""
    if data != "digits":
        return load_or_digits(data_dir)
    if data_dir:
        raise UsageError("--data digits come with scikit-learn; leave out --data-dir")
    return digits.load()


def load_or_digits(data_dir: str | None = None) -> Dataset:
    """MNIST, or if it cannot be downloaded the digits, with a note on stderr. A folder that the user names must hold MNIST."""
    try:
        return load(data_dir)
    except NoNetwork as error:
        note(f"{error}\nUsing scikit-learn's 1,797 scanned digits instead; files and figures will say `digits`, not `mnist`.")
        return digits.load()


def _existing(path: Path) -> Path:
    dotted = path.name.replace("-idx", ".idx")  # as some mirrors name them
    for name in (path.name, f"{path.name}.gz", dotted, f"{dotted}.gz"):
        if (candidate := path.with_name(name)).exists():
            return candidate
    raise InputMissing(f"{path}: no such file, nor {path.name}.gz or {dotted}; wanted MNIST's four IDX files")


def _published() -> dict[Path, bytes]:
    return published.files(
        "MNIST",
        {f"{name}.gz": digest for name, (_, digest) in FILES.items()},
        folder="mnist",
        mirrors=MIRRORS,
        wanted="its four IDX files",
        unwrap=gzip.decompress,
    )
