"""The data set a network was trained on is found again, or not mistaken for another; and the digits are always there."""

import pytest

from edge.contract import CIFAR, DIGIT, InputContract
from edge.errors import InputError
from tests.train.datasets.test_cifar10 import BATCHES, write_binary
from train import datasets


def found_again(data, folder=None, **changed):
    return datasets.load_again(data.name, folder, **{"digest": data.digest, "contract": data.contract, **changed})


def test_the_same_network_finds_the_same_data_again_or_says_so(own_mnist):
    data = datasets.mnist.load(str(own_mnist))
    assert found_again(data, str(own_mnist)).digest == data.digest
    with pytest.raises(InputError, match="the network was trained on 000000000000; name their folder"):
        found_again(data, str(own_mnist), digest=64 * "0")


def test_the_contract_tells_one_custom_data_set_from_another(own_mnist):
    folder = own_mnist.parent  # holds both
    write_binary(folder / "cifar10" / "cifar-10-batches-bin", BATCHES)
    for data in (datasets.mnist.load(str(folder)), datasets.cifar10.load(str(folder))):
        again = found_again(data, str(folder))
        assert (again.name, again.contract, again.digest) == ("custom", data.contract, data.digest)


def test_images_that_an_older_training_took_for_digits_keep_its_networks_contract(own_mnist):
    """So that the gate reads files as that network's device does, and says what becomes of them."""
    data = datasets.mnist.load(str(own_mnist))
    for contract in (DIGIT, datasets.mnist.EXACT):
        assert found_again(data, str(own_mnist), contract=contract).contract == contract


def test_the_digits_are_found_again_whatever_folder_is_named(tmp_path):
    data = datasets.digits.load()
    assert found_again(data, str(tmp_path / "gone")).digest == data.digest


def test_a_contract_of_no_data_set_is_refused():
    other = InputContract(height=8, width=8, channels=1, fit="exact")
    with pytest.raises(InputError) as refusal:
        datasets.load_again("custom", None, digest="", contract=other)
    message = f"custom: no data set of 8x8x1 exact any images is known; known are {DIGIT} and {CIFAR}"
    assert str(refusal.value) == message


def test_the_digits_are_1797_in_a_fixed_split_with_600_to_test():
    first, second = datasets.digits.load(), datasets.digits.load()
    assert (len(first.train), len(first.test)) == (1197, 600)
    assert first.digest == second.digest
    assert first.train.images.shape[1:] == (28, 28, 1)
    # Light on dark, and within the 20x20 box that MNIST's digits fill: the corners are black.
    assert first.test.images[:, :3, :3].max() == 0 and first.test.images.max() == 255
