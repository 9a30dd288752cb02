"""Which picture files an artifact carries for the self-test."""

import numpy as np
import pytest

from convert.publishing.golden_files import golden_files
from edge.contract import CIFAR, DIGIT, InputContract
from edge.pictures import pixels_of

EXACT = InputContract(height=48, width=40, channels=3, fit="exact", exif="ignore")
KERAS = InputContract(height=48, width=40, channels=3, fit="resize", resize="bilinear", exif="ignore", alpha="drop")


def pictures(contract: InputContract) -> np.ndarray:
    """Six smooth pictures, uint8 [6, H, W, C]; of a digit contract, rings."""
    y, x = np.mgrid[: contract.height, : contract.width] / 28
    if contract.fit == "digit":
        images = [255 * np.exp(-(((np.hypot(x - 0.5, y - 0.5) - r) / 0.05) ** 2)) for r in (0.15, 0.2, 0.25, 0.3, 0.33, 0.35)]
        return np.stack(images)[..., np.newaxis].astype(np.uint8)
    phases = np.arange(6 * contract.channels).reshape(6, 1, 1, contract.channels)
    return (127 + 120 * np.sin(3 * x[..., np.newaxis] + 2 * y[..., np.newaxis] + phases)).astype(np.uint8)


@pytest.mark.parametrize("contract", [DIGIT, CIFAR, EXACT, KERAS], ids=repr)
def test_there_is_a_jpeg_a_png_with_alpha_and_a_turned_one_of_a_few_kilobytes(contract):
    files = {file.name: file for file in golden_files(pictures(contract), contract)}
    assert list(files) == ["alpha.png", "photo.jpg", "turned.jpg"]
    assert all(len(file.content) < 6000 and file.pixels == pixels_of(file.content, contract) for file in files.values())
    # A PNG leaves nothing to its decoder. A fit that scales moves a value by no more than the decoder's step, and its rounding.
    assert files["alpha.png"].tolerance == 0
    assert all(1 <= files[name].tolerance <= (16 if contract is DIGIT else 2) for name in ("photo.jpg", "turned.jpg"))


def test_a_reader_that_treats_alpha_or_exif_otherwise_is_found_out():
    files = {file.name: file for file in golden_files(pictures(CIFAR), CIFAR)}
    size = {"height": 32, "width": 32, "channels": 3, "fit": "resize"}
    for name, other in (("alpha.png", {"alpha": "drop"}), ("turned.jpg", {"exif": "ignore"})):
        found = pixels_of(files[name].content, InputContract(**size, **other))
        off = np.abs(np.frombuffer(found, np.uint8).astype(int) - np.frombuffer(files[name].pixels, np.uint8))
        assert off.max() > 20 > files[name].tolerance
