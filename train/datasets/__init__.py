"""The pictures networks are trained and judged on, and where they are found.

Order: a folder the user names, `$EDGEPROOF_DATA`, the user's cache, a download. Other pictures in a published layout
are called `custom`.
"""

from edge.contract import CIFAR, DIGIT, InputContract
from edge.errors import InputError
from train.datasets import cifar10, digits, mnist
from train.datasets.dataset import Dataset, Split

__all__ = ["Dataset", "Split", "cifar10", "digits", "load_again", "mnist"]


def load_again(name: str, data_dir: str | None, *, digest: str, contract: InputContract) -> Dataset:
    """The data set a network was trained on. Raises InputError where what is found is another one."""
    if name == "digits":
        dataset = digits.load()
    elif contract == DIGIT:
        dataset = mnist.load(data_dir)
    elif contract == CIFAR:
        dataset = cifar10.load(data_dir)
    else:
        raise InputError(f"{name}: no data set of {contract} pictures is known; known are {DIGIT} and {CIFAR}")
    if dataset.digest != digest:
        raise InputError(
            f"{name}: the pictures found hash to {dataset.digest[:12]}, the network was trained on {digest[:12]}; "
            "name their folder with --data-dir"
        )
    return dataset
