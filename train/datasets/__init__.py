"""The data sets that networks are trained and tested on.

They are looked for in this order: the folder that the user names, `$EDGEPROOF_DATA`, the user's cache, a download. Other
images in a published layout make a data set called `custom`.
"""

from dataclasses import replace

from edge.contract import CIFAR, DIGIT, InputContract
from edge.errors import InputError
from train.datasets import cifar10, digits, mnist
from train.datasets.dataset import Dataset, Split

__all__ = ["Dataset", "Split", "cifar10", "digits", "load_again", "mnist"]


def load_again(name: str, data_dir: str | None, *, digest: str, contract: InputContract) -> Dataset:
    """The data set called `name`, whose digest is `digest`, with the `contract` of the network trained on it.

    Raises InputError if the images at hand differ.
    """
    shape = contract.height, contract.width, contract.channels
    if name == "digits":
        dataset = digits.load()
    elif shape == (DIGIT.height, DIGIT.width, DIGIT.channels):
        dataset = mnist.load(data_dir)
    elif shape == (CIFAR.height, CIFAR.width, CIFAR.channels):
        dataset = cifar10.load(data_dir)
    else:
        raise InputError(f"{name}: no data set of {contract} images is known; known are {DIGIT} and {CIFAR}")
    if dataset.digest != digest:
        raise InputError(
            f"{name}: the images found hash to {dataset.digest[:12]}, the network was trained on {digest[:12]}; "
            "name their folder with --data-dir"
        )
    return replace(dataset, contract=contract)  # an older training took `custom` images for digits
