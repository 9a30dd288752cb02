"""Train a network on MNIST, or on scikit-learn's digits if MNIST cannot be downloaded.

Expect 99.5 % top-1 (n = 10,000) from deep-mnist, the default, after three minutes on two cores. `python -m train` lists the
others.
"""

import sys

from edge import errors
from edge.console import called
from edge.contract import DIGIT
from train import command
from train.architectures import networks_for
from train.datasets import mnist


def main() -> int:
    parser = command.parser(called("train.mnist"), networks=networks_for(DIGIT), description=__doc__)
    parser.add_argument("--data", choices=("mnist", "digits"), default="mnist", help="the data set (default: %(default)s)")
    flags = parser.parse_args()
    command.chosen(flags, data=flags.data)  # refuses bad flags before a download
    command.train(flags, mnist.named(flags.data, flags.data_dir))
    return 0


if __name__ == "__main__":
    sys.exit(errors.run(main, "train.mnist"))
