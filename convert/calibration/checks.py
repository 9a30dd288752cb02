"""Refuse calibration images that would set wrong ranges, or tune the model to what judges it. Each refusal is one line.

Drawn images are right by construction; the user's own may have been scaled, exchanged or copied on the way here.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from edge.contract import InputContract, is_light_on_dark
from edge.errors import InputError, one_line
from train.datasets import Split
from train.datasets.folder import content

N_IMAGES = 512
MIN_IMAGES = 100

_GRID = 4  # a thumbnail's side; of 1, 2, 4 and 8 the one that told CIFAR-10's colours from exchanged ones best
_MAX_COMPARED, _MAX_TRAINING = 512, 5_000
_SIGMAS = 3.0
_LEAST_MEAN = 0.05  # a third of what exchanged CIFAR-10 pictures reach; above grey ones tinted by three levels


def check(
    images: np.ndarray,
    contract: InputContract,
    *,
    training: Split,
    apart_from: Iterable[Split],
    source: str = "calibration",
    names: Sequence[str] = (),
) -> None:
    """Refuse, by an InputError that begins with `source`, images that would set wrong ranges or tune to the judge.

    `training` shows what the network was taught on; `apart_from` are the splits that judge it. `names` says what each
    image is called, else its index is given.
    """
    check_scale(images, source)
    _check_shape(images, contract, source)

    def few(places: Sequence[int]) -> str:
        first = names[places[0]] if names else f"index {places[0]}"
        return f"{len(places)} of {len(images)} images (the first: {one_line(first)})"

    if blank := np.flatnonzero(images.min(axis=(1, 2, 3)) == images.max(axis=(1, 2, 3))).tolist():
        raise InputError(f"{source}: {few(blank)} are of one value throughout and show nothing: leave them out")
    held = [content(image) for image in images]
    if len(set(held)) < MIN_IMAGES:
        found = f"{len(images)} images" + (f", {len(set(held))} of them distinct" if len(images) >= MIN_IMAGES else "")
        raise InputError(f"{source}: {found}; at least {MIN_IMAGES} are wanted to set ranges: add more ({N_IMAGES} are usual)")
    judging = contents(apart_from)
    if judged := [place for place, found in enumerate(held) if found in judging]:
        raise InputError(f"{source}: {few(judged)} are also validation or test pictures, which judge the model: leave them out")
    _check_span(images, training, source)
    if contract.polarity == "light-on-dark":
        dark = [place for place, image in enumerate(images) if not is_light_on_dark(image.tobytes(), contract.width)]
        if 10 * len(dark) > len(images):
            raise InputError(f"{source}: {few(dark)} are dark on light; this network takes light on dark: save 255 - images")
    changes = {}
    if contract.polarity == "any":
        changes["as negatives: save 255 - images"] = 255 - images
    if contract.channels == 3:
        changes["with red and blue exchanged, as if saved as BGR; wanted is RGB: save images[..., ::-1]"] = images[..., ::-1]
    _check_likeness(images, changes, training, source)


def contents(splits: Iterable[Split]) -> set[bytes]:
    """What all images of `splits` show."""
    return {content(image) for split in splits for image in split.images}


def check_scale(images: np.ndarray, source: str) -> None:
    """Pixels are uint8, 0 to 255; anything else was prepared for a network that does not scale them itself."""
    if images.dtype == np.uint8 and (images.size == 0 or images.max() > 1 or images.min() == images.max()):
        return
    if images.size == 0 or images.dtype.kind not in "iuf":
        raise InputError(f"{source}: an array {list(images.shape)} of {images.dtype}; wanted uint8 pixels from 0 to 255")
    least, most = images.min().item(), images.max().item()
    if not np.isfinite([least, most]).all():
        how = "not all are numbers"
    elif least >= -1 and most <= 1:
        how = f"already scaled to {-1 if least < 0 else 0}..1"
    elif least < 0:
        how = "already shifted or standardised"
    else:
        how = "pixels in another type: save images.astype(np.uint8)" if 16 <= most <= 255 else "another scale"
    found = f"{images.dtype} from {least:.6g} to {most:.6g}"
    raise InputError(f"{source}: {found} ({how}); wanted uint8 pixels from 0 to 255: the network scales them itself")


def _check_shape(images: np.ndarray, contract: InputContract, source: str) -> None:
    height, width, channels = wanted = (contract.height, contract.width, contract.channels)
    found = images.shape[1:]
    if images.ndim == 4 and found == wanted:
        return
    if found == (channels, height, width):
        advice = "channels stand first: save images.transpose(0, 2, 3, 1)"
    elif channels == 1 and found == (height, width):
        advice = "the channel is missing: save images[..., np.newaxis]"
    elif images.shape == wanted:
        advice = "one picture alone: save all in one array, np.stack(pictures)"
    else:
        advice = "a folder of pictures is fitted to the network, an array is taken as it is"
    raise InputError(f"{source}: an array {list(images.shape)}; wanted [n, {height}, {width}, {channels}]: {advice}")


def _check_span(images: np.ndarray, training: Split, source: str) -> None:
    """All images together must span at least half of what the middle one of the training images spans alone."""
    taught = _sample(training.images, _MAX_TRAINING)
    flat = taught.reshape(len(taught), -1)
    usual = int(np.median(flat.max(axis=1) - flat.min(axis=1)))
    darkest, brightest = int(images.min()), int(images.max())
    if 2 * (brightest - darkest) < usual:
        raise InputError(
            f"{source}: values from {darkest} to {brightest}; half of the training images span {usual} or more each: save "
            "the pictures as they are, from 0 to 255"
        )


def _check_likeness(images: np.ndarray, changes: dict[str, np.ndarray], training: Split, source: str) -> None:
    """Refuse `images` that look like the training images only once changed; the change that brings them nearest is named."""
    ratios = {how: likeness(images, changed, training) for how, changed in changes.items()}
    found = {how: ratio for how, ratio in ratios.items() if is_plain(ratio)}
    if found:
        how, ratio = max(found.items(), key=lambda item: float(item[1].mean()))
        counted = f"{int((ratio > 0).sum())} of {len(ratio)} images looked at"
        raise InputError(f"{source}: {counted} are nearer to the training images {how}")


def likeness(images: np.ndarray, changed: np.ndarray, training: Split, *, n: int = _MAX_COMPARED) -> np.ndarray:
    """How much more like the training images each of at most `n` images is once changed: float [n], 0 for no more.

    It is the logarithm of the squared distance from its 4x4 thumbnail to the nearest training image's, over the same once
    it is changed. That is about a picture, not about the set: a folder of nothing but ships under a blue sky finds ships
    in the training split.
    """
    taught = _thumbnails(_sample(training.images, _MAX_TRAINING))
    as_is, altered = (_distances(_thumbnails(_sample(which, n)), taught) for which in (images, changed))
    # One grey level squared is added: no thumbnail is known better than that.
    logarithms: np.ndarray = np.log((as_is + 1) / (altered + 1))
    return logarithms


def is_plain(ratios: np.ndarray) -> bool:
    """Whether the mean of `likeness` is three standard errors above 0, and large enough to be no decoder's tint of grey.

    Where the change makes no difference, that is one set in 700.
    """
    return bool(ratios.mean() > max(_LEAST_MEAN, _SIGMAS * ratios.std() / np.sqrt(len(ratios))))


def _sample(images: np.ndarray, n: int) -> np.ndarray:
    """At most `n` of `images`, evenly spaced: a view."""
    return images[:: -(-len(images) // n)]


def _thumbnails(images: np.ndarray) -> np.ndarray:
    """The means of a 4x4 grid over each image: float32 [n, 16 C]."""
    rows, columns = ([size * k // _GRID for k in range(_GRID)] for size in images.shape[1:3])
    sums: np.ndarray = np.add.reduceat(np.add.reduceat(images, rows, axis=1, dtype=np.float32), columns, axis=2)
    sums *= _GRID * _GRID / (images.shape[1] * images.shape[2])
    return sums.reshape(len(images), -1)


def _distances(thumbnails: np.ndarray, taught: np.ndarray) -> np.ndarray:
    """From each thumbnail to the nearest of `taught`, the squared distance a value: float [n]."""
    squares = (taught**2).sum(axis=1) - 2 * (thumbnails @ taught.T) + (thumbnails**2).sum(axis=1)[:, np.newaxis]
    nearest: np.ndarray = np.maximum(squares.min(axis=1), 0) / taught.shape[1]
    return nearest
