"""Train every documented network by its document's recipe and by ours, and write the table: `make results`.

All of it takes more than nine hours of one core (the column *CPU s*) and can be interrupted at any point: a run whose figures
are in docs/results/ under today's recipe is skipped, an interrupted one continues. The seeds are fixed here, before any run.
"""

import argparse
import collections
import dataclasses
import hashlib
import json
import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import pages
from edge import errors
from edge.contract import DIGIT
from edge.errors import InputMissing, ToolchainError
from edge.files import write_atomic
from train import markdown, recipe_book
from train.architectures import architecture
from train.datasets import cifar10, mnist
from train.recipes import Recipe

DATA = ("mnist", "cifar10", "cifar10-jpeg")
RUNS = Path("runs/results")
FIGURES = Path("docs/results")
PAGE = Path("docs/results.md")


@dataclass(frozen=True)
class Experiment:
    """One row of the table: a network and its recipe with `changes`, trained once with each seed."""

    network: str
    recipe: str
    seeds: tuple[int, ...] = (0,)
    changes: dict[str, Any] = field(default_factory=dict)
    label: str = ""  # names the changes; part of the experiment's name
    reported: str | None = None  # top-1 the document reports, where it differs from REPORTED
    goal: str = ""

    @property
    def name(self) -> str:
        return "-".join(part for part in (self.network, self.recipe, self.label) if part)

    def recipe_for(self, seed: int) -> Recipe:
        base = recipe_book.recipe(self.network, self.recipe, data="")
        return dataclasses.replace(base, seed=seed, **self.changes)

    def folder(self, seed: int) -> Path:
        """The run folder; its name changes with the recipe."""
        recipe, usual = dataclasses.asdict(self.recipe_for(seed)), dataclasses.asdict(Recipe())
        changed = json.dumps({name: value for name, value in recipe.items() if value != usual[name]}, sort_keys=True)
        return RUNS / f"{self.name}-{seed}-{hashlib.sha256(changed.encode()).hexdigest()[:6]}"

    def command(self, seed: int) -> list[str]:
        module = "train.mnist" if architecture(self.network).contract == DIGIT else "train.cifar10"
        flags = [part for name, value in self.changes.items() for part in (f"--{name.replace('_', '-')}", str(value))]
        return [
            sys.executable, "-m", module, "--arch", self.network, "--recipe", self.recipe, "--seed", str(seed), *flags,
            "--out", str(self.folder(seed)),
        ]  # fmt: skip


# A modern recipe's own weight decay is Adam's; this is the usual one at this rate (Krizhevsky, Sutskever, Hinton 2012, 5).
_SGD = {"optimizer": "sgd", "learning_rate": 0.1, "schedule": "steps", "weight_decay": 5e-4}
EXPERIMENTS = (
    Experiment("deep-mnist", "documented", goal="within 0.15"),
    Experiment(
        "deep-mnist", "documented", changes={"optimizer": "sgd"}, label="sgd", reported="92.96", goal="within 1"
    ),
    Experiment("deep-mnist", "modern", seeds=(0, 1, 2), goal="99.60"),
    Experiment("deep-mnist-conv", "documented"),
    Experiment("deep-mnist-conv", "modern"),
    Experiment("keras-cnn", "documented", goal="within 0.15"),
    Experiment("keras-cnn", "modern", goal="99.60"),
    Experiment("lenet5-1998", "modern", seeds=(0, 1, 2), goal="99.25"),
    Experiment("lenet5-sigmoid", "documented"),
    Experiment("lenet5-sigmoid", "modern"),
    Experiment("lenet5-relu", "documented"),
    Experiment("lenet5-relu", "modern", seeds=(0, 1, 2), goal="99.30"),
    Experiment("lenet5-wide", "documented"),
    Experiment("lenet5-wide", "modern"),
    Experiment("mnist-tiny", "modern", seeds=tuple(range(10)), reported="99.4, others' 7,070 parameters", goal="99.40"),
    Experiment("cifar-lrn", "documented", reported="73", goal="69.1, within 1.5"),
    Experiment("cifar-lrn", "modern", reported="86 after 256 epochs", goal="82"),
    Experiment("cifar-lrn", "modern", changes=_SGD, label="sgd", goal="beside it"),
    Experiment("resnet8", "modern", reported=recipe_book.REPORTED["resnet8"], goal="82"),
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies.training", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="experiments to run (default: all without figures)")
    parser.add_argument("--lanes", type=int, choices=(1, 2, 4), default=1, help="runs at the same time, sharing the cores")
    parser.add_argument("--list", action="store_true", help="print the experiments and their seeds")
    parser.add_argument("--table", action="store_true", help="write the table from the stored figures; train nothing")
    flags = parser.parse_args()
    chosen = [experiment for experiment in EXPERIMENTS if not flags.only or experiment.name in flags.only]
    if unknown := set(flags.only or ()) - {experiment.name for experiment in EXPERIMENTS}:
        raise errors.UsageError(f"no experiment is called {min(unknown)}; --list names them")
    if flags.list:
        print("\n".join(f"{experiment.name}: seeds {', '.join(map(str, experiment.seeds))}" for experiment in EXPERIMENTS))
        return 0
    todo = [(experiment, seed) for experiment in chosen for seed in experiment.seeds if figures(experiment, seed) is None]
    failed = [] if flags.table else train(todo, lanes=flags.lanes)
    pages.write(PAGE, table(EXPERIMENTS))
    print(table(chosen))
    return failed[0].exit_code if failed else 0


def train(todo: list[tuple[Experiment, int]], *, lanes: int) -> list[ToolchainError]:
    """Train each experiment and seed of `todo`, and return the failures; a failure does not stop the others."""
    check_data({experiment.network for experiment, _ in todo})
    threads = max(1, (os.cpu_count() or 1) // lanes)
    waiting, running, failed = collections.deque(todo), [], []
    try:
        while waiting or running:
            while waiting and len(running) < lanes:
                experiment, seed = waiting.popleft()
                running.append((begin(experiment, seed, threads=threads), experiment, seed))
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)  # until one of them has ended
            ended = [run for run in running if run[0].poll() is not None]
            running = [run for run in running if run not in ended]
            for process, experiment, seed in ended:
                try:
                    keep(experiment, seed, process.returncode, threads=threads)
                except ToolchainError as error:
                    errors.say("benchmarks.studies.training", str(error))
                    failed.append(error)
    finally:  # Ctrl-C reaches them too: each keeps what it has, for the next time
        for process, _, _ in running:
            process.wait()
    return failed


def check_data(networks: Iterable[str]) -> None:
    """Raise InputMissing unless the data of each of `networks` is available and is one of DATA."""
    for load in {mnist.load if architecture(network).contract == DIGIT else cifar10.load for network in networks}:
        if (name := load().name) not in DATA:
            raise InputMissing(f"the data is {name}, wanted {', '.join(DATA)}; name a folder in EDGEPROOF_DATA")


def begin(experiment: Experiment, seed: int, *, threads: int) -> subprocess.Popen:
    """Start one training in its own process, on `threads` threads; its log is beside its folder."""
    print(f"{experiment.name}, seed {seed}", file=sys.stderr)
    environment = os.environ | {"TF_NUM_INTRAOP_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    folder = experiment.folder(seed)
    folder.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".log").open("w") as output:
        return subprocess.Popen(experiment.command(seed), env=environment, stdout=output, stderr=output)


def keep(experiment: Experiment, seed: int, code: int, *, threads: int) -> None:
    """Write the figures of a run that ended with `code`. Raises ToolchainError if it failed."""
    folder = experiment.folder(seed)
    if code:
        how = f"ended with {code}" if code > 0 else f"killed: {signal.strsignal(-code)}"
        failed = ToolchainError(f"{experiment.name}, seed {seed}: {how}; {folder.with_suffix('.log')} says why")
        failed.exit_code = code if code > 0 else ToolchainError.exit_code
        raise failed
    result = json.loads((folder / "result.json").read_text())
    kept = result | {"recipe": dataclasses.asdict(experiment.recipe_for(seed)), "threads": threads}
    write_atomic(str(FIGURES / f"{experiment.name}-{seed}.json"), json.dumps(kept, indent=1).encode() + b"\n")


def figures(experiment: Experiment, seed: int) -> dict[str, Any] | None:
    """The stored figures of a run; None if there are none, or they are of another recipe."""
    path = FIGURES / f"{experiment.name}-{seed}.json"
    if not path.exists():
        return None
    kept = json.loads(path.read_text())
    try:
        stored = Recipe(**kept["recipe"])  # a setting added since then had its default value
    except TypeError:
        return None
    return kept if stored == experiment.recipe_for(seed) else None


def table(experiments: Sequence[Experiment]) -> str:
    """The Markdown table, a row for each experiment; one without figures is marked `not run yet`."""
    head = (
        "network", "recipe", "reported %", "goal", "top-1 %", "s.d.", "runs", "parameters", "epochs", "seconds", "CPU s",
        "threads", "examples/s", "peak MiB", "data", "machine",
    )  # fmt: skip
    return markdown.table(head, map(_row, experiments), align="llllr")


def _row(experiment: Experiment) -> tuple[str, ...]:
    runs = [kept for seed in experiment.seeds if (kept := figures(experiment, seed))]
    recipe = f"{experiment.recipe} {experiment.label}".strip()
    usual = recipe_book.REPORTED.get(experiment.network, "") if experiment.recipe == "documented" else ""
    reported = usual if experiment.reported is None else experiment.reported
    if not runs:
        return (f"`{experiment.network}`", recipe, reported, experiment.goal, "not run yet", *[""] * 11)
    top1 = [100 * kept["top1"] for kept in runs]

    def mean(name: str) -> str:
        return f"{statistics.mean(kept[name] for kept in runs):,.0f}" if all(name in kept for kept in runs) else ""

    first = runs[0]
    return (
        f"`{experiment.network}`", recipe, reported, experiment.goal, f"{statistics.mean(top1):.2f}",
        f"{statistics.stdev(top1):.2f}" if len(top1) > 1 else "", f"{len(runs)} of {len(experiment.seeds)}",
        f"{first['n_parameters']:,}", f"{first['epochs']:.1f}", mean("seconds"), mean("cpu_seconds"), str(first["threads"]),
        mean("examples_per_second"), f"{max(kept['peak_rss_mib'] for kept in runs):,}", first["data"],
        "; ".join(dict.fromkeys(f"{kept['machine']}, {kept.get('backend', 'tensorflow')}" for kept in runs)),
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(errors.run(main, "benchmarks.studies.training"))
