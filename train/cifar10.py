"""Train a network on CIFAR-10.

Expect 82 % top-1 (n = 10,000) from cifar-lrn, the default, after an hour on one core. `python -m train` lists the others.
"""

import sys

from edge import errors
from edge.console import called
from edge.contract import CIFAR
from train import command
from train.architectures import networks_for
from train.datasets import cifar10


def main() -> int:
    flags = command.parser(called("train.cifar10"), networks=networks_for(CIFAR), description=__doc__).parse_args()
    command.chosen(flags, data="cifar10")  # refuses bad flags before a download
    command.train(flags, cifar10.load(flags.data_dir))
    return 0


if __name__ == "__main__":
    sys.exit(errors.run(main, "train.cifar10"))
