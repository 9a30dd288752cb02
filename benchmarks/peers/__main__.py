"""Our predictor beside the bare libraries: same model, same pictures, in turn in one run; and whole commands likewise.

    python -m benchmarks.peers --models FILE... [--tflite-runtime PYTHON] [--tf-lite] [--write docs/peers.md]

Every contender is a process of its own that waits for its turn (contender.py). In a round each has one turn and gives its
median call, and what is compared is the ratio of two of them in the same round (benchmarks/signed_ranks.py).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks import pages
from benchmarks.limits import work
from benchmarks.processes import cold_start
from benchmarks.signed_ranks import fewest_rounds, ratio
from edge import artifact, errors
from edge.artifact import Artifact
from edge.bench.process import measure_from_small
from edge.device import host
from edge.errors import ModelError, ToolchainError, UsageError

MOST_S = 0.25  # a turn
REFERENCE = {"tflite": "litert-c", "onnx": "onnxruntime"}  # what our predictor runs a trusted model with
TITLES = {
    "litert-c": "**edgeproof**, litert-c", "litert": "edgeproof, litert", "onnxruntime": "**edgeproof**, onnxruntime",
    "ai_edge_litert": "LiteRT Interpreter", "tflite_runtime": "tflite-runtime Interpreter",
    "tensorflow": "tf.lite Interpreter", "bare onnxruntime": "ONNX Runtime",
}  # fmt: skip


@dataclass(frozen=True)
class ContenderResult:
    """One contender on one model: what ran, the class of each picture, the median call of each round in ns.

    One that does not run the model says so in `about`, and has no rounds.
    """

    model: Artifact
    title: str
    about: str
    classes: list[int]
    rounds_ns: list[float]

    @property
    def us(self) -> float:
        return statistics.median(self.rounds_ns) / 1e3

    @property
    def precision(self) -> str:
        return f"{self.model.contract.name.rpartition('-')[2]} {self.model.kind}"


class GaveUp(ToolchainError):
    """A contender's process ended: its library does not run this model."""


class Contender:
    """A running process, waiting for its turns. `close` ends it."""

    def __init__(self, library: str, model: Artifact, pictures: str, *, python: str) -> None:
        self.library, self.model = library, model
        self._errors = tempfile.TemporaryFile(mode="w+")  # noqa: SIM115 (lives as long as the process)
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "contender.py")
        argv = [python, script, library, os.path.abspath(model.path), pictures, str(model.contract.input.n_values)]
        pipe = subprocess.PIPE
        try:
            self._child = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=self._errors, text=True, bufsize=1)
        except OSError as error:
            raise errors.missing(python, error) from None
        self.hello = json.loads(self._line())

    def turn(self, *, warm_up: int, calls: int) -> float:
        """The median of `calls` calls, in ns."""
        with suppress(BrokenPipeError):  # it is gone; its last words come below
            self._child.stdin.write(f"{warm_up} {calls} {MOST_S}\n")
        return float(self._line())

    def close(self) -> None:
        """End it; it need not be alive any more."""
        self._child.kill()
        self._child.communicate()
        self._errors.close()

    def _line(self) -> str:
        if line := self._child.stdout.readline():
            return line
        self._child.wait()
        self._errors.seek(0)
        said = (self._errors.read().strip().splitlines() or ["killed"])[-1]
        raise GaveUp(f"{self.model.path}: {self.library} gave up: {errors.one_line(said)}")


def contest(models: Sequence[Artifact], pythons: dict[str, str], *, rounds: int, calls: int) -> list[ContenderResult]:
    """All contenders on all of `models`, in turn, `rounds` times. The reference comes twice: the second shows the noise.

    Raises ModelError where a model carries no pictures, GaveUp where our own predictor does not run it.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        entered, absent = [], []
        for number, model in enumerate(models):
            pictures = os.path.join(folder, str(number))
            Path(pictures).write_bytes(b"".join(picture for picture, _ in model.goldens()))
            if not os.path.getsize(pictures):
                raise ModelError(f"{model.path}: carries no goldens to measure with; zeros would flatter it")
            for library in libraries(model.kind, pythons):
                errors.say("benchmarks.peers", f"{model.path}: {library}")
                try:
                    contender = Contender(library, model, pictures, python=pythons.get(library, sys.executable))
                except GaveUp as error:
                    if library not in pythons:
                        raise
                    absent.append(ContenderResult(model, TITLES[library], str(error), [], []))
                    continue
                stack.callback(contender.close)
                entered.append(contender)
        for contender in entered:
            contender.turn(warm_up=calls, calls=calls)
        taken = [[contender.turn(warm_up=20, calls=calls) for contender in entered] for _ in range(rounds)]
    seen, named = [], set()
    for contender, rounds_ns in zip(entered, zip(*taken, strict=True), strict=True):
        key = contender.model.path, contender.library
        title = TITLES[contender.library] + (", again" if key in named else "")
        named.add(key)
        seen.append(
            ContenderResult(contender.model, title, contender.hello["about"], contender.hello["classes"], list(rounds_ns))
        )
    return seen + absent


def libraries(kind: str, pythons: dict[str, str]) -> list[str]:
    """Who runs a .tflite, or an .onnx; our own first, and once more."""
    ours = REFERENCE[kind]
    if kind == "onnx":
        return [ours, ours, "bare onnxruntime"]
    return [ours, ours, "litert", "ai_edge_litert", *pythons]


def table(seen: list[ContenderResult]) -> str:
    """A row for each contender, models apart."""
    lines = ["| model | contender | version | µs, median of the rounds | × edgeproof (95 % interval) | same class |"]
    lines.append("|---|---|---|--:|--:|--:|")
    for first, each in _with_reference(seen):
        cells = (each.precision, each.title, each.about, "does not run it", "", "")
        if each.rounds_ns:
            same = sum(map(int.__eq__, first.classes, each.classes))
            beside = "1" if each is first else str(ratio(first.rounds_ns, each.rounds_ns))
            cells = (*cells[:3], f"{each.us:,.1f}", beside, f"{same} of {len(first.classes)}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def precisions(seen: list[ContenderResult]) -> list[str]:
    """A sentence for each format that is there in float32 and in int8: which of the two this machine runs faster."""
    ours = {each.precision: each for first, each in _with_reference(seen) if each is first}
    sentences = []
    for kind in REFERENCE:
        if (narrow := ours.get(f"int8 {kind}")) and (wide := ours.get(f"float32 {kind}")):
            found = ratio(wide.rounds_ns, narrow.rounds_ns)
            word = "faster" if found.high < 1 else "**slower**" if found.low > 1 else "neither faster nor slower"
            times = f"int8 takes {found} times as long as float32"
            if found.high < 1:  # said of the one that takes longer
                times = f"float32 takes {ratio(narrow.rounds_ns, wide.rounds_ns)} times as long"
            sentences.append(f"As .{kind}, int8 is {word} than float32 here: {times}.")
    return sentences


def _with_reference(seen: list[ContenderResult]) -> list[tuple[ContenderResult, ContenderResult]]:
    first: dict[str, ContenderResult] = {}
    return [(first.setdefault(each.model.path, each), each) for each in seen]


def commands(device: str, *, runs: int, tf_lite: bool) -> str:
    """Whole processes in turn, picture in, answer out: the table. Scripts are those of benchmarks.processes.cold_start."""
    wanted = cold_start.commands(device, "")
    ours = "edge-predict seven.png"
    chosen = {name: argv for name, argv in wanted.items() if name.startswith(("script:", "python -c")) or name == ours}
    if not tf_lite:
        chosen = {name: argv for name, argv in chosen.items() if "tf.lite" not in name}
    measured = [{name: measure_from_small(argv) for name, argv in chosen.items()} for _ in range(runs + 1)][1:]
    lines = ["| whole process | median ms | × edge-predict (95 % interval) | peak MiB |", "|---|--:|--:|--:|"]
    reference = [turn[ours][0] for turn in measured]
    for name in chosen:
        times, peaks = zip(*(turn[name] for turn in measured), strict=True)
        beside = "1" if name == ours else str(ratio(reference, times))
        lines.append(f"| {name} | {statistics.median(times):.1f} | {beside} | {max(peaks):.1f} |")
    return "\n".join(lines)


def page(groups: dict[str, list[Artifact]], pythons: dict[str, str], flags: argparse.Namespace) -> str:
    """Every network's table, then the whole commands', as Markdown."""
    here = host.read()
    parts = [
        f"{here.cpu_model or 'processor unknown'}, {here.machine}, one thread; {flags.rounds} rounds of {flags.calls} calls. "
        "Over 1: slower than our predictor. *again*: the same once more, what of a ratio is noise."
    ]
    for network, models in groups.items():
        seen = contest(models, pythons, rounds=flags.rounds, calls=flags.calls)
        shape = f"{work.count(models[0]).macs / 1e6:,.2f} million multiply-adds"
        parts += [f"### {network}: {shape}", table(seen), " ".join(precisions(seen))]
    if flags.processes:
        parts += ["### Whole commands", commands(flags.device, runs=flags.processes, tf_lite=flags.tf_lite)]
    return "\n\n".join(part for part in parts if part)


def main() -> int:
    flags = _flags()
    fewest = fewest_rounds(0.025)  # on either side of a 95 % interval
    if flags.rounds < fewest or 0 < flags.processes < fewest or flags.calls < 1:
        raise UsageError(f"--rounds and --processes want {fewest} or more, for fewer have no interval; --calls 1 or more")
    groups: dict[str, list[Artifact]] = {}
    for path in flags.models:
        model = artifact.read(path)
        groups.setdefault(model.contract.name.rpartition("-")[0], []).append(model)
    pythons = {"tflite_runtime": flags.tflite_runtime} if flags.tflite_runtime else {}
    pythons |= {"tensorflow": sys.executable} if flags.tf_lite else {}
    text = page(groups, pythons, flags)
    print(text)
    if flags.write:
        pages.write(flags.write, text)
    return 0


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", required=True, metavar="FILE", help="edgeproof models, .tflite or .onnx")
    parser.add_argument("--rounds", type=int, default=25, metavar="N", help="turns of each contender (default: %(default)s)")
    parser.add_argument("--calls", type=int, default=200, metavar="N", help="calls in a turn (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=15, metavar="N", help="runs of each whole command; 0: none")
    parser.add_argument("--device", default=os.path.dirname(sys.executable), metavar="BIN", help="as in processes.cold_start")
    parser.add_argument(
        "--tflite-runtime", metavar="PYTHON", help="the Python of an environment with tflite-runtime and numpy 1"
    )
    parser.add_argument("--tf-lite", action="store_true", help="tf.lite as well, which takes seconds to start")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables between the marks on this page, too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(errors.run(main, "benchmarks.peers"))
