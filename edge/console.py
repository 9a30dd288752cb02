"""edgeproof: every command by one name. It starts the module that `python -m` would, by name, so no import points right.

Unlike `python -m`, it does not look into the current folder, where a train.py or argparse.py of yours may lie, not even where
an empty entry of PYTHONPATH names it.
"""

import os
import sys

from edge import errors
from edge.errors import EngineMissing, UsageError

HELP = """\
usage: edgeproof COMMAND ...

on a device
  predict         classify pictures (the same as edge-predict)
  install         make a model the one that answers, once it is verified
  rollback        go back to the model before
  list            list the installed models
  start           for a boot service: verify the current model
  verify          replay the images that a model carries
  bench           time an answer on this device
  doctor          say whether this device is fit, and what to do if not

where TensorFlow is installed
  train           list the networks
  train mnist     train one on MNIST
  train cifar10   train one on CIFAR-10
  train compare   make one of the documents' comparisons
  convert         quantize, judge, repair, publish
  benchmarks      measure models (in a clone of edgeproof)

Each has --help. python -m edge, train.mnist, convert ... start the same.
"""
DEVICE = ("verify", "doctor", "bench", "install", "rollback", "list", "start")
TRAININGS = ("mnist", "cifar10", "compare")
PARENT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # of edge, train and convert

_is_through = False  # this process was started as edgeproof


def called(module: str) -> str:
    """What a user types to start `module` as this process was started: `python -m train.mnist`, or `edgeproof train mnist`."""
    if not _is_through:
        return f"python -m {module}"
    return " ".join(["edgeproof", *module.split(".")]).replace("edgeproof edge", "edgeproof")


def main() -> int:
    """Start the command that the first words name."""
    name, *rest = sys.argv[1:] or ["--help"]
    if name in ("--help", "-h", "help"):
        errors.need_stdout()
        print(HELP, end="")
        return 0
    if name == "--version":
        from importlib.metadata import version

        print(f"edgeproof {version('edgeproof')}")
        return 0
    if name in DEVICE:
        _start("edge", [name, *rest])
    elif name == "train" and rest and not rest[0].startswith("-"):
        if rest[0] not in TRAININGS:
            raise UsageError(f"no command train {rest[0]}; there are {', '.join(f'train {each}' for each in TRAININGS)}")
        _start(f"train.{rest[0]}", rest[1:])
    elif name in ("train", "convert", "benchmarks"):
        _start(name, rest)
    else:
        hint = f"edgeproof predict {name}?" if os.path.exists(name) else "see edgeproof --help"
        raise UsageError(f"no command {name}; {hint}")
    return 0


def _start(module: str, arguments: list[str]) -> None:
    """Run `module` as `python -m` does; it ends with SystemExit."""
    global _is_through
    from importlib.util import find_spec
    from runpy import run_module

    package = module.partition(".")[0]
    if package == "benchmarks":
        if not os.path.exists(os.path.join(PARENT, "pyproject.toml")):
            raise EngineMissing("benchmarks is not installed: no wheel holds it; it is in a clone of edgeproof")
        sys.path.insert(0, PARENT)
    else:
        os.environ["PYTHONSAFEPATH"] = "1"  # for the processes it starts
    spec = find_spec(package)
    if spec is None:
        raise EngineMissing(f"{package} is not installed; it is in a clone of edgeproof and in its wheel")
    if os.path.dirname(os.path.dirname(os.path.abspath(spec.origin or ""))) != PARENT:
        raise UsageError(f"{spec.origin} stands in for edgeproof's {package}; take its folder off PYTHONPATH")
    _is_through, sys.argv[1:] = True, arguments
    run_module(module, run_name="__main__", alter_sys=True)


def console() -> None:
    """The `edgeproof` command; does not return."""
    if sys.argv[1:2] == ["predict"]:
        from edge import cli

        del sys.argv[1]
        cli.console("edgeproof predict")
    if os.environ.get("PYTHONPATH"):
        from edge.search_path import leave_current_folder

        leave_current_folder()
    sys.exit(errors.run(main, "edgeproof"))
