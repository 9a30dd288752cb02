"""Train every documented network as its document says and as we do, and write the table: `make results`.

More than nine hours of one core in all (the column *CPU s*), resumable at any point: a run whose figures stand in docs/results/
under today's recipe is not run again, one that was interrupted goes on. The seeds are named here, before any run.
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
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import pages
from edge import errors
from edge.contract import DIGIT
from edge.errors import InputMissing, ToolchainError
from edge.files import write_atomic
from train import recipe_book
from train.architectures import architecture
from train.datasets import cifar10, mnist
from train.recipes import Recipe

DATA = ("mnist", "cifar10", "cifar10-jpeg")
RUNS = Path("runs/results")
FIGURES = Path("docs/results")
PAGE = Path("docs/results.md")


@dataclass(frozen=True)
class Line:
    """One line of the table: a network, its recipe with some `changes`, trained once a seed."""

    network: str
    recipe: str
    seeds: tuple[int, ...] = (0,)
    changes: dict[str, Any] = field(default_factory=dict)
    label: str = ""  # what the changes are, in a word; part of the name
    reported: str | None = None  # by the document, where it is not the network's usual figure
    goal: str = ""

    @property
    def name(self) -> str:
        return "-".join(part for part in (self.network, self.recipe, self.label) if part)

    def recipe_for(self, seed: int) -> Recipe:
        base = recipe_book.recipe(self.network, self.recipe, data="")
        return dataclasses.replace(base, seed=seed, **self.changes)

    def folder(self, seed: int) -> Path:
        """The run folder, another one when the recipe is another."""
        recipe, usual = dataclasses.asdict(self.recipe_for(seed)), dataclasses.asdict(Recipe())
        told = json.dumps({name: value for name, value in recipe.items() if value != usual[name]}, sort_keys=True)
        return RUNS / f"{self.name}-{seed}-{hashlib.sha256(told.encode()).hexdigest()[:6]}"

    def command(self, seed: int) -> list[str]:
        module = "train.mnist" if architecture(self.network).contract == DIGIT else "train.cifar10"
        flags = [part for name, value in self.changes.items() for part in (f"--{name.replace('_', '-')}", str(value))]
        return [
            sys.executable, "-m", module, "--arch", self.network, "--recipe", self.recipe, "--seed", str(seed), *flags,
            "--out", str(self.folder(seed)),
        ]  # fmt: skip


# A modern recipe's own weight decay is Adam's; this is the usual one at this rate (Krizhevsky, Sutskever, Hinton 2012, 5).
_SGD = {"optimizer": "sgd", "learning_rate": 0.1, "schedule": "steps", "weight_decay": 5e-4}
LINES = (
    Line("deep-mnist", "documented", goal="within 0.15"),
    Line(
        "deep-mnist", "documented", changes={"optimizer": "sgd"}, label="sgd", reported="92.96", goal="within 1"
    ),
    Line("deep-mnist", "modern", seeds=(0, 1, 2), goal="99.60"),
    Line("deep-mnist-conv", "documented"),
    Line("deep-mnist-conv", "modern"),
    Line("keras-cnn", "documented", goal="within 0.15"),
    Line("keras-cnn", "modern", goal="99.60"),
    Line("lenet5-1998", "modern", seeds=(0, 1, 2), goal="99.25"),
    Line("lenet5-sigmoid", "documented"),
    Line("lenet5-sigmoid", "modern"),
    Line("lenet5-relu", "documented"),
    Line("lenet5-relu", "modern", seeds=(0, 1, 2), goal="99.30"),
    Line("lenet5-wide", "documented"),
    Line("lenet5-wide", "modern"),
    Line("mnist-tiny", "modern", seeds=tuple(range(10)), reported="99.4, others' 7,070 parameters", goal="99.40"),
    Line("cifar-lrn", "documented", reported="73", goal="69.1, within 1.5"),
    Line("cifar-lrn", "modern", reported="86 after 256 epochs", goal="82"),
    Line("cifar-lrn", "modern", changes=_SGD, label="sgd", goal="beside it"),
    Line("resnet8", "modern", reported=recipe_book.REPORTED["resnet8"], goal="82"),
)  # fmt: skip


def main() -> int:
    flags = _flags()
    chosen = [line for line in LINES if not flags.only or line.name in flags.only]
    if unknown := set(flags.only or ()) - {line.name for line in LINES}:
        raise errors.UsageError(f"no line is called {min(unknown)}; --list names them")
    if flags.list:
        print("\n".join(f"{line.name}: seeds {', '.join(map(str, line.seeds))}" for line in LINES))
        return 0
    todo = [(line, seed) for line in chosen for seed in line.seeds if figures(line, seed) is None]
    failed = [] if flags.table else train(todo, lanes=flags.lanes)
    pages.write(PAGE, table(LINES))
    print(table(chosen))
    return failed[0].exit_code if failed else 0


def train(todo: list[tuple[Line, int]], *, lanes: int) -> list[ToolchainError]:
    """Measure each line and seed of `todo`, and say what failed of it; one that fails stops no other."""
    check_data({line.network for line, _ in todo})
    threads = max(1, (os.cpu_count() or 1) // lanes)
    waiting, running, failed = collections.deque(todo), [], []
    try:
        while waiting or running:
            while waiting and len(running) < lanes:
                line, seed = waiting.popleft()
                running.append((begin(line, seed, threads=threads), line, seed))
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)  # until one of them has ended
            ended = [run for run in running if run[0].poll() is not None]
            running = [run for run in running if run not in ended]
            for process, line, seed in ended:
                try:
                    keep(line, seed, process.returncode, threads=threads)
                except ToolchainError as error:
                    errors.say("benchmarks.studies.training", str(error))
                    failed.append(error)
    finally:  # Ctrl-C reaches them too: each keeps what it has, for the next time
        for process, _, _ in running:
            process.wait()
    return failed


def check_data(networks: Iterable[str]) -> None:
    """Raise InputMissing unless the data of each of `networks` is at hand, and the data the table is about."""
    for load in {mnist.load if architecture(network).contract == DIGIT else cifar10.load for network in networks}:
        if (name := load().name) not in DATA:
            raise InputMissing(f"the data is {name}, wanted {', '.join(DATA)}; name a folder in EDGEPROOF_DATA")


def begin(line: Line, seed: int, *, threads: int) -> subprocess.Popen:
    """Begin to train one run in a process of its own, on `threads` threads; its log lies beside its folder."""
    print(f"{line.name}, seed {seed}", file=sys.stderr)
    environment = os.environ | {"TF_NUM_INTRAOP_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    folder = line.folder(seed)
    folder.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".log").open("w") as output:
        return subprocess.Popen(line.command(seed), env=environment, stdout=output, stderr=output)


def keep(line: Line, seed: int, code: int, *, threads: int) -> None:
    """Keep the figures of a run that ended with `code`. Raises ToolchainError where it failed."""
    folder = line.folder(seed)
    if code:
        how = f"ended with {code}" if code > 0 else f"killed: {signal.strsignal(-code)}"
        failed = ToolchainError(f"{line.name}, seed {seed}: {how}; {folder.with_suffix('.log')} says why")
        failed.exit_code = code if code > 0 else ToolchainError.exit_code
        raise failed
    result = json.loads((folder / "result.json").read_text())
    kept = result | {"recipe": dataclasses.asdict(line.recipe_for(seed)), "threads": threads}
    write_atomic(str(FIGURES / f"{line.name}-{seed}.json"), json.dumps(kept, indent=1).encode() + b"\n")


def figures(line: Line, seed: int) -> dict[str, Any] | None:
    """The kept figures of a run; None where there are none, or only those of another recipe."""
    path = FIGURES / f"{line.name}-{seed}.json"
    if not path.exists():
        return None
    kept = json.loads(path.read_text())
    try:
        before = Recipe(**kept["recipe"])  # a setting that has come since was at its usual value
    except TypeError:
        return None
    return kept if before == line.recipe_for(seed) else None


def table(lines: tuple[Line, ...] | list[Line]) -> str:
    """The Markdown table of all runs there are figures for, a line a row; those without any say so."""
    head = (
        "network", "recipe", "reported %", "goal", "top-1 %", "s.d.", "runs", "parameters", "epochs", "seconds", "CPU s",
        "threads", "examples/s", "peak MiB", "data", "machine",
    )  # fmt: skip
    rows = [head, tuple("---" if i < 4 else "--:" for i in range(len(head)))]
    return "\n".join(f"| {' | '.join(row)} |" for row in [*rows, *(_row(line) for line in lines)])


def _row(line: Line) -> tuple[str, ...]:
    found = [kept for seed in line.seeds if (kept := figures(line, seed))]
    recipe = f"{line.recipe} {line.label}".strip()
    usual = recipe_book.REPORTED.get(line.network, "") if line.recipe == "documented" else ""
    reported = usual if line.reported is None else line.reported
    if not found:
        return (f"`{line.network}`", recipe, reported, line.goal, "not run yet", *[""] * 11)
    top1 = [100 * kept["top1"] for kept in found]

    def mean(name: str) -> str:
        return f"{statistics.mean(kept[name] for kept in found):,.0f}" if all(name in kept for kept in found) else ""

    first = found[0]
    return (
        f"`{line.network}`", recipe, reported, line.goal, f"{statistics.mean(top1):.2f}",
        f"{statistics.stdev(top1):.2f}" if len(top1) > 1 else "", f"{len(found)} of {len(line.seeds)}",
        f"{first['n_parameters']:,}", f"{first['epochs']:.1f}", mean("seconds"), mean("cpu_seconds"), str(first["threads"]),
        mean("examples_per_second"), f"{max(kept['peak_rss_mib'] for kept in found):,}", first["data"],
        "; ".join(dict.fromkeys(f"{kept['machine']}, {kept.get('backend', 'tensorflow')}" for kept in found)),
    )  # fmt: skip


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies.training", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="LINE", help="lines to run (default: all that are not done)")
    parser.add_argument("--lanes", type=int, choices=(1, 2, 4), default=1, help="runs side by side, sharing the cores")
    parser.add_argument("--list", action="store_true", help="name the lines")
    parser.add_argument("--table", action="store_true", help="write the table from the figures there are; run nothing")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(errors.run(main, "benchmarks.studies.training"))
