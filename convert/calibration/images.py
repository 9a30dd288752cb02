"""Draw the images that set the int8 ranges, or read the user's own.

Only training images are drawn: the test split decides the gate, so it may not tune the model. Images are compared by their
bytes, not by their index: data sets hold the same image twice, and a folder has no indices.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convert.calibration.checks import MIN_IMAGES, N_IMAGES, check, check_scale, contents
from edge.contract import InputContract
from edge.errors import InputError, InputMissing, missing, one_line
from edge.pictures import read_pixels
from train.datasets import Split, listing
from train.datasets.folder import content
from train.datasets.listing import UNREADABLE, Faults

MAX_MIB = 256  # of the user's own pixels: 85,000 images of CIFAR-10's size, 5,000 of 128x128x3

_NPY = b"\x93NUMPY"


@dataclass(frozen=True, eq=False)
class CalibrationSet:
    """Images uint8 [n, H, W, C] and where they come from.

    Drawn images: `source` is `train`, `indices` are those in the training split, and `seed` drew them. The user's own:
    `source` is the name of the file or folder, and `indices` are empty.
    """

    images: np.ndarray
    indices: tuple[int, ...]
    seed: int
    source: str = "train"


def draw_calibration_set(
    training: Split, *, n: int = N_IMAGES, seed: int = 0, apart_from: Iterable[Split] = (), least: int = MIN_IMAGES
) -> CalibrationSet:
    """`n` images of the split `training`, drawn without replacement; all that are usable where it holds fewer.

    An image is not usable if it also occurs in `apart_from` (the splits that judge), was drawn before, or has one value
    throughout. Raises InputError where fewer than `least` are usable, or where pixels are not uint8 from 0 to 255.
    """
    drawn = _draw(training, n=n, seed=seed, but_not=contents(apart_from))
    if len(drawn.indices) < least:
        raise InputError(
            f"calibration: {len(drawn.indices)} of {len(training)} training images are usable (distinct, not of one "
            f"value throughout, in no split that judges); at least {least} are wanted: train on more, or name a folder of "
            "other pictures with --calibration; --float32, --float16 and --dynamic need none"
        )
    if drawn.indices:
        check_scale(drawn.images, "calibration")
    return drawn


def second_set(training: Split, first: CalibrationSet, *, apart_from: Iterable[Split] = ()) -> CalibrationSet | None:
    """At most as many other training images as `first` holds, and half of those left; None where that is fewer than 100."""
    used = contents(apart_from) | set(map(content, first.images))
    n = len(_draw(training, n=2 * len(first.images), seed=first.seed, but_not=used).indices) // 2
    return _draw(training, n=n, seed=first.seed, but_not=used) if n >= MIN_IMAGES else None


def draw_validation_images(
    training: Split, calibration: CalibrationSet, second: CalibrationSet | None, *, n: int, apart_from: Iterable[Split] = ()
) -> Split:
    """Up to `n` usable images of `training` with their labels, drawn by the seed of `calibration`, none of them in
    `calibration`, `second` or `apart_from`."""
    used = contents(apart_from) | {content(image) for each in (calibration, second) if each for image in each.images}
    return training[np.array(_draw(training, n=n, seed=calibration.seed, but_not=used).indices, np.int64)]


def read_calibration_set(
    path: Path, contract: InputContract, *, training: Split, apart_from: Iterable[Split], skip_bad: bool = False
) -> CalibrationSet:
    """The user's own pictures in a folder, or a .npy uint8 [n, H, W, C]. Raises InputMissing, or InputError as `check` does.

    `skip_bad` leaves out pictures that cannot be read.
    """
    images, names = _in_folder(path, contract, skip_bad=skip_bad) if path.is_dir() else (_array(path), [])
    check(images, contract, training=training, apart_from=apart_from, source=one_line(str(path)), names=names)
    return CalibrationSet(np.ascontiguousarray(images), (), 0, one_line(path.resolve().name))


def _draw(training: Split, *, n: int, seed: int, but_not: set[bytes]) -> CalibrationSet:
    """Up to `n` distinct images that are not of one value and whose digest is not in `but_not`, in the order of the split."""
    chosen: list[int] = []
    taken = set(but_not)
    for index in np.random.default_rng(seed).permutation(len(training)).tolist():
        if len(chosen) == n:
            break
        image = training.images[index]
        digest = content(image)
        if digest not in taken and image.min() != image.max():
            taken.add(digest)
            chosen.append(index)
    chosen.sort()
    return CalibrationSet(training.images[chosen], tuple(chosen), seed)


def _in_folder(folder: Path, contract: InputContract, *, skip_bad: bool) -> tuple[np.ndarray, list[str]]:
    """The pictures in `folder`, uint8 [n, H, W, C], sorted by their path in it, and those paths."""
    paths = listing.below(folder)
    _check_size(len(paths) * contract.n_values, str(folder))
    pixels, faults = {}, Faults(folder)
    for path in paths:
        try:
            pixels[str(path.relative_to(folder))] = read_pixels(str(path), contract)
        except (InputError, InputMissing) as error:
            faults.add(UNREADABLE, str(error))
    faults.settle(skip=skip_bad)
    images = np.frombuffer(b"".join(pixels.values()), np.uint8)
    return images.reshape(-1, contract.height, contract.width, contract.channels), list(pixels)


def _array(path: Path) -> np.ndarray:
    """The array in a .npy file. It is mapped first, so a header that promises more than the file holds allocates nothing."""
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: a pipe, socket or device; name a folder of pictures or a .npy file")
        _check_size(path.stat().st_size, str(path))
        with path.open("rb") as file:
            head = file.read(len(_NPY))
        if head != _NPY:
            wanted = "name a folder of pictures, or one array saved with np.save"
            raise InputError(f"{path}: not a .npy file (begins {head!r}); {wanted}")
        return np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    except OSError as error:
        raise missing(str(path), error) from None
    except (EOFError, OverflowError, SyntaxError, TypeError, ValueError) as error:
        raise InputError(f"{path}: damaged, or not plain numbers ({error}); save it again with np.save") from None


def _check_size(n_bytes: int, source: str) -> None:
    if n_bytes > MAX_MIB << 20:
        size = f"{n_bytes >> 20} MiB of pixels; at most {MAX_MIB} are read"
        raise InputError(f"{source}: {size}: name fewer images ({N_IMAGES} are usual)")
