"""Train a network on CIFAR-10.

What to expect: cifar-lrn, the default, answers 82 % of the test split rightly after an hour on one core; `python -m train`
lists the others.
"""

import sys

from edge import errors
from edge.contract import CIFAR
from train import command
from train.architectures import networks_for
from train.datasets import cifar10


def main() -> int:
    flags = command.parser("python -m train.cifar10", networks=networks_for(CIFAR), description=__doc__).parse_args()
    command.chosen(flags, data="cifar10")  # before a download, what makes no sense on any data
    command.train(flags, cifar10.load(flags.data_dir))
    return 0


if __name__ == "__main__":
    sys.exit(errors.run(main, "train.cifar10"))
