"""Test pictures as files, so that what the gate judges went the device's whole way: file → pixels → answer."""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from convert import contact_sheet
from edge.contract import InputContract
from edge.errors import Refused
from edge.files import write_atomic
from edge.pictures import read_pixels
from train.datasets import Dataset, mapped
from train.datasets.folder import FolderDataset

N_FILES = 1_000
MIN_AGREEING = 0.995
N_DRAWN = 3


@dataclass(frozen=True, eq=False)
class PictureFiles:
    """The `paths` of the first test images' files, in order: the data set's own, or in `folder`, which goes with this value."""

    paths: tuple[str, ...]
    folder: tempfile.TemporaryDirectory[str] | None = None
    n_changed: int = 0  # images that the files give other pixels for
    n_answers_changed: int = 0  # of the float network
    read_s: float = 0.0


def as_files(dataset: Dataset, answers: Callable[[np.ndarray], np.ndarray], *, drawing: Path) -> PictureFiles:
    """The first N_FILES test images as picture files, all where there are fewer.

    `answers` gives the float network's, int [n], for uint8 [n, H, W, C]. Raises Refused where the pixels that the device reads
    change more than 0.5 % of them; three such pictures are then drawn, as the network was judged on and as the device sees
    them, in the file `drawing`.
    """
    images, folder = dataset.test.images[:N_FILES], None
    if isinstance(dataset, FolderDataset):
        paths = tuple(str(dataset.folder / file) for file in dataset.test_files[:N_FILES])
    else:
        folder = tempfile.TemporaryDirectory(prefix="edgeproof-test-")
        paths = tuple(_write(image, Path(folder.name, f"{index:05}.png")) for index, image in enumerate(images))
    read, read_s = {}, 0.0  # those that the files give otherwise: a thousand large ones would take all memory
    for index, (path, image) in enumerate(zip(paths, mapped.each(images), strict=True)):
        start = time.perf_counter()
        read_back = _read(path, dataset.contract, image.shape)
        read_s += time.perf_counter() - start
        if (read_back != image).any():
            read[index] = read_back
    changed = np.array(list(read), np.int64)
    astray = changed[answers(images[changed]) != answers(np.stack(list(read.values())))] if read else changed
    if len(astray) > (1 - MIN_AGREEING) * len(images):
        pairs = [(each[index], str(index), words) for index in astray[:N_DRAWN]
                 for each, words in ((images, "judged"), (read, "as read"))]  # fmt: skip
        write_atomic(str(drawing), contact_sheet.draw(pairs, columns=2))
        most = int((1 - MIN_AGREEING) * len(images))
        raise Refused(
            f"{dataset.name}: as files, {len(changed):,} of {len(images):,} test pictures have other pixels on the device, and "
            f"{len(astray):,} answers change (at most {most} may): fit {dataset.contract.fit!r} changes them as {drawing} "
            "shows; train again with this version, which takes such pictures as they are"
        )
    return PictureFiles(paths, folder, len(changed), len(astray), read_s)


def _write(image: np.ndarray, path: Path) -> str:
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(path, compress_level=1)
    return str(path)


def _read(path: str, contract: InputContract, shape: tuple[int, ...]) -> np.ndarray:
    return np.frombuffer(read_pixels(path, contract), np.uint8).reshape(shape)
