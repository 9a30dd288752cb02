"""The pictures that the study reports: none was used to train a network, to fit its units, or to choose how.

What is made for training (train/outliers) has other fonts (DejaVu), other genuine images (the training split), other cuts and
other seeds.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from edge.contract import InputContract
from edge.errors import InputError, InputMissing
from edge.pictures import frames
from train.datasets import Dataset, Split, cifar10, mnist
from train.datasets.idx import parse_idx, uncompressed

FONTS = Path("/usr/share/fonts/truetype/liberation")  # Debian's fonts-liberation
FASHION = Path("/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz")  # Debian's dataset-fashion-mnist
LETTERS = "ACEFHKMNPRUVWXY"  # those that do not resemble a digit
N, N_NOISE = 1_000, 500
_SHEET = 128  # pixels


def sets(dataset: Dataset, contract: InputContract, data_dir: str | None, *, seed: int) -> dict[str, np.ndarray]:
    """By name, uint8 [n, H, W, C]; the names begin with the letter of their group. Of letters some may be missing: a `digit`
    contract refuses what it finds no ink in. Raises InputMissing where fonts or data are not installed."""
    rng = np.random.default_rng([seed, 99])
    shape = (contract.height, contract.width, contract.channels)
    grey = contract.channels == 1
    others = {"b Fashion-MNIST": _fashion, "b grey CIFAR-10": _grey_cifar} if grey else {"b digits in colour": _coloured_digits}
    return {
        "a letters": letters(contract, rng),
        **{name: make(data_dir, rng) for name, make in others.items()},
        "c uniform": rng.integers(0, 256, (N_NOISE, *shape)).astype(np.uint8),
        "c binary": (rng.integers(0, 2, (N_NOISE, *shape)) * 255).astype(np.uint8),
        "c smooth": np.stack([_smooth(shape, rng) for _ in range(N_NOISE)]),
        "d pieces": np.stack([_quarters(dataset.test, rng) for _ in range(N)]),
        "d mixtures": np.stack([_mean_of_two(dataset.test, rng) for _ in range(N)]),
    }


def letters(contract: InputContract, rng: np.random.Generator) -> np.ndarray:
    """Capitals of every Liberation font, dark on light paper or in two colours, turned by up to 12 degrees, as the device's own
    fit prepares them."""
    if not (files := sorted(FONTS.glob("*.ttf"))):
        raise InputMissing(f"{FONTS}: no Liberation fonts there: apt install fonts-liberation")
    fonts = [ImageFont.truetype(str(file), 72) for file in files]
    made: list[np.ndarray] = []
    for index in range(N):
        font, letter = fonts[rng.integers(len(fonts))], LETTERS[index % len(LETTERS)]
        sheet = Image.new("L", (_SHEET, _SHEET))
        ImageDraw.Draw(sheet).text((_SHEET / 2, _SHEET / 2), letter, fill=255, font=font, anchor="mm")
        ink = np.asarray(sheet.rotate(rng.uniform(-12, 12), Image.Resampling.BILINEAR))
        picture = 255 - ink if contract.channels == 1 else in_colours(ink, rng)
        try:
            pixels = frames.pixels(picture, contract)
        except InputError:
            continue
        made.append(np.frombuffer(pixels, np.uint8).reshape(contract.height, contract.width, contract.channels))
    return np.stack(made)


def in_colours(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`ink`, uint8 [H, W], 255 in one colour, 0 in another that differs from it in some channel by 60 or more: [H, W, 3]."""
    colours = rng.uniform(0, 255, (2, 3))
    while np.abs(colours[0] - colours[1]).max() < 60:
        colours = rng.uniform(0, 255, (2, 3))
    share = ink[:, :, None] / 255
    return (share * colours[0] + (1 - share) * colours[1]).astype(np.uint8)


def _fashion(_data_dir: str | None, _rng: np.random.Generator) -> np.ndarray:
    if not FASHION.exists():
        raise InputMissing(f"{FASHION}: not there: apt install dataset-fashion-mnist")
    return parse_idx(uncompressed(FASHION), name=str(FASHION), dimensions=3)[:N, :, :, None]


def _grey_cifar(data_dir: str | None, _rng: np.random.Generator) -> np.ndarray:
    pictures = (Image.fromarray(image).convert("L") for image in cifar10.load(data_dir).test.images[:N])
    return np.stack([np.asarray(each.resize((28, 28), Image.Resampling.BILINEAR)) for each in pictures])[..., None]


def _coloured_digits(data_dir: str | None, rng: np.random.Generator) -> np.ndarray:
    return np.stack([in_colours(np.pad(image[:, :, 0], 2), rng) for image in mnist.load(data_dir).test.images[:N]])


def _smooth(shape: tuple[int, int, int], rng: np.random.Generator) -> np.ndarray:
    """A few random values, interpolated."""
    height, width, channels = shape
    few = rng.integers(0, 256, (channels, *rng.integers(4, 9, 2))).astype(np.uint8)
    planes = [Image.fromarray(plane).resize((width, height), Image.Resampling.BICUBIC) for plane in few]
    return np.stack([np.asarray(plane) for plane in planes], axis=2)


def _quarters(split: Split, rng: np.random.Generator) -> np.ndarray:
    """A test image whose four quarters have changed places, each with another."""
    image = split.images[rng.integers(len(split))]
    height, width = image.shape[0] // 2, image.shape[1] // 2
    parts = [image[y : y + height, x : x + width] for y in (0, height) for x in (0, width)]
    order = ((1, 2, 3, 0), (3, 2, 1, 0), (2, 3, 0, 1), (1, 0, 3, 2), (3, 0, 1, 2))[rng.integers(5)]
    upper, lower = (np.concatenate([parts[i] for i in row], axis=1) for row in (order[:2], order[2:]))
    return np.concatenate([upper, lower])


def _mean_of_two(split: Split, rng: np.random.Generator) -> np.ndarray:
    """The mean of two test images of different classes."""
    while True:
        a, b = rng.integers(0, len(split), 2)
        if split.labels[a] != split.labels[b]:
            return ((split.images[a].astype(int) + split.images[b]) // 2).astype(np.uint8)
