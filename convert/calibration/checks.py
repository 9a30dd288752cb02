"""Refuse calibration images that would set wrong ranges, or tune the model to the images that judge it.

Images we draw are right by construction. The user's own may be scaled, in another channel order, or copies of test images.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from edge.contract import InputContract, is_light_on_dark
from edge.errors import InputError, one_line
from train.datasets import Split, mapped
from train.datasets.folder import content

N_IMAGES = 512  # of up to 112x112 pixels; of larger ones fewer, which show as much
LEAST_IMAGES = 128
MIN_IMAGES = 100

_GRID = 4  # a thumbnail's side; of 1, 2, 4 and 8 the one that best told CIFAR-10 from CIFAR-10 in BGR
_MAX_COMPARED, _MAX_TRAINING = 512, 5_000
_SIGMAS = 3.0
_LEAST_MEAN = 0.05  # a third of what CIFAR-10 in BGR reaches; above grey images tinted by three levels


def check(
    images: np.ndarray,
    contract: InputContract,
    *,
    training: Split,
    apart_from: Iterable[Split],
    source: str = "calibration",
    names: Sequence[str] = (),
) -> None:
    """Raise InputError, beginning with `source`, if `images` would set wrong ranges or are among those that judge.

    `apart_from` are the splits that judge the network; messages name images by `names`, else by index.
    """
    check_scale(images, source)
    _check_shape(images, contract, source)

    def few(indices: Sequence[int]) -> str:
        first = names[indices[0]] if names else f"index {indices[0]}"
        return f"{len(indices)} of {len(images)} images (the first: {one_line(first)})"

    if blank := np.flatnonzero(images.min(axis=(1, 2, 3)) == images.max(axis=(1, 2, 3))).tolist():
        raise InputError(f"{source}: {few(blank)} have one value throughout and show nothing: leave them out")
    digests = [content(image) for image in images]
    if (n_distinct := len(set(digests))) < MIN_IMAGES:
        counted = f"{len(images)} images" + (f", {n_distinct} of them distinct" if len(images) >= MIN_IMAGES else "")
        raise InputError(
            f"{source}: {counted}; at least {MIN_IMAGES} are wanted to set ranges: add more ({N_IMAGES} are usual)"
        )
    judging = contents(apart_from)
    if judged := [index for index, digest in enumerate(digests) if digest in judging]:
        raise InputError(f"{source}: {few(judged)} are also validation or test images, which judge the model: leave them out")
    _check_span(images, training, source)
    if contract.polarity == "light-on-dark":
        dark = [index for index, image in enumerate(images) if not is_light_on_dark(image.tobytes(), contract.width)]
        if 10 * len(dark) > len(images):
            raise InputError(f"{source}: {few(dark)} are dark on light; this network takes light on dark: save 255 - images")
    changes = {}
    if contract.polarity == "any":
        changes["as negatives: save 255 - images"] = 255 - images
    if contract.channels == 3:
        changes["with red and blue exchanged, as if saved as BGR; wanted RGB: save images[..., ::-1]"] = images[..., ::-1]
    _check_likeness(images, changes, training, source)


def contents(splits: Iterable[Split]) -> set[bytes]:
    """The digests of all images of `splits`."""
    return {content(image) for split in splits for image in mapped.each(split.images)}


def check_scale(images: np.ndarray, source: str) -> None:
    """Raise InputError unless `images` are uint8 from 0 to 255: others were prepared for a network without its own scaling."""
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
    values = f"{images.dtype} from {least:.6g} to {most:.6g}"
    raise InputError(f"{source}: {values} ({how}); wanted uint8 pixels from 0 to 255: the network scales them itself")


def _check_shape(images: np.ndarray, contract: InputContract, source: str) -> None:
    height, width, channels = wanted = (contract.height, contract.width, contract.channels)
    shape = images.shape[1:]
    if images.ndim == 4 and shape == wanted:
        return
    if shape == (channels, height, width):
        advice = "channels come first: save images.transpose(0, 2, 3, 1)"
    elif channels == 1 and shape == (height, width):
        advice = "the channel is missing: save images[..., np.newaxis]"
    elif images.shape == wanted:
        advice = "a single image: save all in one array, np.stack(images)"
    else:
        advice = "a folder of pictures is fitted to the network, an array is taken as it is"
    raise InputError(f"{source}: an array {list(images.shape)}; wanted [n, {height}, {width}, {channels}]: {advice}")


def _check_span(images: np.ndarray, training: Split, source: str) -> None:
    """All images together must span at least half of what the median training image spans alone."""
    sample = _sample(training.images, _MAX_TRAINING)
    usual = int(np.median([int(image.max()) - int(image.min()) for image in mapped.each(sample)]))
    darkest, brightest = int(images.min()), int(images.max())
    if 2 * (brightest - darkest) < usual:
        raise InputError(
            f"{source}: values from {darkest} to {brightest}; half of the training images span {usual} or more each: save "
            "the images as they are, from 0 to 255"
        )


def _check_likeness(images: np.ndarray, changes: dict[str, np.ndarray], training: Split, source: str) -> None:
    """Raise InputError if one of `changes` makes `images` look more like the training images; it names the best change."""
    ratios = {how: likeness(images, changed, training) for how, changed in changes.items()}
    plain = {how: ratio for how, ratio in ratios.items() if is_plain(ratio)}
    if plain:
        how, ratio = max(plain.items(), key=lambda item: float(item[1].mean()))
        counted = f"{int((ratio > 0).sum())} of {len(ratio)} images compared"
        raise InputError(f"{source}: {counted} are nearer to the training images {how}")


def likeness(images: np.ndarray, changed: np.ndarray, training: Split, *, n: int = _MAX_COMPARED) -> np.ndarray:
    """How much more like the training images each of at most `n` images is once changed: float [n], 0 for no more.

    The logarithm of the squared distance from the image's 4x4 thumbnail to the nearest training image's, over the distance
    after the change. Images are compared one by one, so a set of a single class is not refused for its colours: a folder of
    ships under a blue sky finds ships in the training split.
    """
    references = _thumbnails(_sample(training.images, _MAX_TRAINING))
    as_is, altered = (_distances(_thumbnails(_sample(which, n)), references) for which in (images, changed))
    # One grey level squared is added: thumbnails are no more precise than that.
    logarithms: np.ndarray = np.log((as_is + 1) / (altered + 1))
    return logarithms


def is_plain(ratios: np.ndarray) -> bool:
    """Whether the mean of `likeness` is three standard errors above 0, and too large for a decoder's tint of grey images."""
    return bool(ratios.mean() > max(_LEAST_MEAN, _SIGMAS * ratios.std() / np.sqrt(len(ratios))))


def _sample(images: np.ndarray, n: int) -> np.ndarray:
    return images[:: -(-len(images) // n)]


def _thumbnails(images: np.ndarray) -> np.ndarray:
    """The means of a 4x4 grid over each image: float32 [n, 16 C]."""
    rows, columns = ([size * k // _GRID for k in range(_GRID)] for size in images.shape[1:3])
    parts = mapped.batches(images, n=256)
    sums: np.ndarray = np.concatenate(
        [np.add.reduceat(np.add.reduceat(part, rows, axis=1, dtype=np.float32), columns, axis=2) for part in parts]
    )
    sums *= _GRID * _GRID / (images.shape[1] * images.shape[2])
    return sums.reshape(len(images), -1)


def _distances(thumbnails: np.ndarray, references: np.ndarray) -> np.ndarray:
    """The mean squared difference of each thumbnail to the nearest of `references`: float [n]."""
    squares = (references**2).sum(axis=1) - 2 * (thumbnails @ references.T) + (thumbnails**2).sum(axis=1)[:, np.newaxis]
    nearest: np.ndarray = np.maximum(squares.min(axis=1), 0) / references.shape[1]
    return nearest
