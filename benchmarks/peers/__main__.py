"""Our predictor beside the bare libraries, on the same models and images, in turns; and whole commands likewise.

    python -m benchmarks.peers --models FILE... [--tflite-runtime PYTHON] [--tf-lite] [--write docs/peers.md]

Every contender runs in its own process (contender.py). In each round every contender has one turn and reports its median
call; two contenders are compared by the ratio of their medians in the same round (benchmarks/signed_ranks.py).
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks import pages
from benchmarks.limits import work
from benchmarks.processes import cold_start
from benchmarks.signed_ranks import fewest_rounds, ratio
from benchmarks.worker_process import WorkerEnded, WorkerProcess
from edge import artifact, errors
from edge.artifact import Artifact
from edge.bench.process import measure_from_small
from edge.device import host
from edge.errors import ModelError, UsageError
from train import markdown

MOST_S = 0.25  # the longest turn
REFERENCE = {"tflite": "litert-c", "onnx": "onnxruntime"}  # what our predictor runs a trusted model with
TITLES = {
    "litert-c": "**edgeproof**, litert-c", "litert": "edgeproof, litert", "onnxruntime": "**edgeproof**, onnxruntime",
    "ai_edge_litert": "LiteRT Interpreter", "tflite_runtime": "tflite-runtime Interpreter",
    "tensorflow": "tf.lite Interpreter", "bare onnxruntime": "ONNX Runtime",
}  # fmt: skip


@dataclass(frozen=True)
class ContenderResult:
    """One contender on one model: the library's version, the class of each image, the median call of each round in ns.

    If it cannot run the model, `about` says why and there are no rounds.
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


class Contender(WorkerProcess):
    """`library` with `model` in its own process, which waits for its turns. Raises WorkerEnded if it cannot run the model."""

    def __init__(self, library: str, model: Artifact, images: str, *, python: str) -> None:
        self.library, self.model = library, model
        script = str(Path(__file__).with_name("contender.py"))
        argv = [python, script, library, os.path.abspath(model.path), images, str(model.contract.input.n_values)]
        super().__init__(argv, failure=f"{model.path}: {library} gave up")
        self.hello = json.loads(self.read())

    def turn(self, *, warm_up: int, calls: int) -> float:
        """The median of `calls` calls, in ns."""
        return float(self.ask(f"{warm_up} {calls} {MOST_S}"))


def write_goldens(model: Artifact, path: str) -> None:
    """The images that `model` carries, one behind the other in the file `path`. Raises ModelError where it carries none."""
    Path(path).write_bytes(b"".join(image for image, _ in model.goldens()))
    if not os.path.getsize(path):
        raise ModelError(f"{model.path}: carries no goldens to measure with; zeros would flatter it")


def contest(models: Sequence[Artifact], pythons: dict[str, str], *, rounds: int, calls: int) -> list[ContenderResult]:
    """Every contender on each of `models`, in turns, `rounds` times. The reference runs twice: the second shows the noise.

    Raises ModelError if a model carries no goldens, WorkerEnded if our own predictor cannot run it.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        entered, absent = [], []
        for number, model in enumerate(models):
            images = os.path.join(folder, str(number))
            write_goldens(model, images)
            for library in libraries(model.kind, pythons):
                errors.say("benchmarks.peers", f"{model.path}: {library}")
                try:
                    contender = Contender(library, model, images, python=pythons.get(library, sys.executable))
                except WorkerEnded as error:
                    if library not in pythons:
                        raise
                    absent.append(ContenderResult(model, TITLES[library], str(error), [], []))
                    continue
                entered.append(stack.enter_context(contender))
        for contender in entered:
            contender.turn(warm_up=calls, calls=calls)
        taken = [[contender.turn(warm_up=20, calls=calls) for contender in entered] for _ in range(rounds)]
    results, named = [], set()
    for contender, rounds_ns in zip(entered, zip(*taken, strict=True), strict=True):
        key = contender.model.path, contender.library
        title = TITLES[contender.library] + (", again" if key in named else "")
        named.add(key)
        hello = contender.hello
        results.append(ContenderResult(contender.model, title, hello["about"], hello["classes"], list(rounds_ns)))
    return results + absent


def libraries(kind: str, pythons: dict[str, str]) -> list[str]:
    """The contenders for a .tflite or an .onnx; our own predictor first, twice."""
    ours = REFERENCE[kind]
    if kind == "onnx":
        return [ours, ours, "bare onnxruntime"]
    return [ours, ours, "litert", "ai_edge_litert", *pythons]


def table(results: list[ContenderResult]) -> str:
    """A row for each contender on each model."""
    head = ("model", "contender", "version", "µs, median of the rounds", "× edgeproof (95 % interval)", "same class")
    rows = []
    for first, each in _with_reference(results):
        cells = (each.precision, each.title, each.about, "does not run it", "", "")
        if each.rounds_ns:
            same = sum(map(int.__eq__, first.classes, each.classes))
            beside = "1" if each is first else str(ratio(first.rounds_ns, each.rounds_ns))
            cells = (*cells[:3], f"{each.us:,.1f}", beside, f"{same} of {len(first.classes)}")
        rows.append(cells)
    return markdown.table(head, rows, align="lllr")


def precisions(results: list[ContenderResult]) -> list[str]:
    """A sentence for each format measured in float32 and in int8: which of the two is faster on this machine."""
    ours = {each.precision: each for first, each in _with_reference(results) if each is first}
    sentences = []
    for kind in REFERENCE:
        if (narrow := ours.get(f"int8 {kind}")) and (wide := ours.get(f"float32 {kind}")):
            times = ratio(wide.rounds_ns, narrow.rounds_ns)
            word = "faster" if times.high < 1 else "**slower**" if times.low > 1 else "neither faster nor slower"
            figure = f"int8 takes {times} times as long as float32"
            if times.high < 1:
                figure = f"float32 takes {ratio(narrow.rounds_ns, wide.rounds_ns)} times as long"
            sentences.append(f"As .{kind}, int8 is {word} than float32 here: {figure}.")
    return sentences


def _with_reference(results: list[ContenderResult]) -> list[tuple[ContenderResult, ContenderResult]]:
    first: dict[str, ContenderResult] = {}
    return [(first.setdefault(each.model.path, each), each) for each in results]


def commands(device: str, *, runs: int, tf_lite: bool) -> str:
    """The table of whole processes, from a picture to the answer, in turns; the scripts of benchmarks.processes.cold_start."""
    ours = "edge-predict seven.png"
    every = cold_start.commands(device, "").items()
    chosen = {name: argv for name, argv in every if name.startswith(("script:", "python -c")) or name == ours}
    if not tf_lite:
        chosen = {name: argv for name, argv in chosen.items() if "tf.lite" not in name}
    measured = [{name: measure_from_small(argv) for name, argv in chosen.items()} for _ in range(runs + 1)][1:]
    rows = []
    reference = [turn[ours][0] for turn in measured]
    for name in chosen:
        times, peaks, _ = zip(*(turn[name] for turn in measured), strict=True)
        beside = "1" if name == ours else str(ratio(reference, times))
        rows.append((name, f"{statistics.median(times):.1f}", beside, f"{max(peaks):.1f}"))
    head = ("whole process", "median ms", "× edge-predict (95 % interval)", "peak MiB")
    return markdown.table(head, rows, align="lr")


def page(groups: dict[str, list[Artifact]], pythons: dict[str, str], flags: argparse.Namespace) -> str:
    """The table of every network, then that of the whole commands, as Markdown."""
    machine = host.read()
    parts = [
        f"{machine.cpu_model or 'processor unknown'}, {machine.machine}, one thread; "
        f"{flags.rounds} rounds of {flags.calls} calls. "
        "Above 1: slower than our predictor. *again*: our predictor a second time, so its ratio is noise."
    ]
    for network, models in groups.items():
        results = contest(models, pythons, rounds=flags.rounds, calls=flags.calls)
        shape = f"{work.count(models[0]).macs / 1e6:,.2f} million multiply-adds"
        parts += [f"### {network}: {shape}", table(results), " ".join(precisions(results))]
    if flags.processes:
        parts += ["### Whole commands", commands(flags.device, runs=flags.processes, tf_lite=flags.tf_lite)]
    return "\n\n".join(part for part in parts if part)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", required=True, metavar="FILE", help="edgeproof models, .tflite or .onnx")
    parser.add_argument("--rounds", type=int, default=25, metavar="N", help="turns of each contender (default: %(default)s)")
    parser.add_argument("--calls", type=int, default=200, metavar="N", help="calls in a turn (default: %(default)s)")
    parser.add_argument(
        "--processes", type=int, default=15, metavar="N", help="runs of each whole command; 0: none (default: %(default)s)"
    )
    device_help = "bin/ of an environment with edgeproof (see benchmarks.processes.cold_start)"
    parser.add_argument("--device", default=os.path.dirname(sys.executable), metavar="BIN", help=device_help)
    parser.add_argument(
        "--tflite-runtime", metavar="PYTHON", help="the Python of an environment with tflite-runtime and numpy 1"
    )
    parser.add_argument("--tf-lite", action="store_true", help="also measure tf.lite, which takes seconds to start")
    pages.add_write(parser)
    flags = parser.parse_args()
    fewest = fewest_rounds(0.025)  # on either side of a 95 % interval
    if flags.rounds < fewest or 0 < flags.processes < fewest or flags.calls < 1:
        raise UsageError(
            f"--rounds and --processes want {fewest} or more: fewer have no 95 % interval; --calls wants 1 or more"
        )
    groups: dict[str, list[Artifact]] = {}
    for path in flags.models:
        model = artifact.read(path)
        groups.setdefault(model.contract.name.rpartition("-")[0], []).append(model)
    pythons = {"tflite_runtime": flags.tflite_runtime} if flags.tflite_runtime else {}
    pythons |= {"tensorflow": sys.executable} if flags.tf_lite else {}
    text = page(groups, pythons, flags)
    return pages.show(text, flags.write)


if __name__ == "__main__":
    sys.exit(errors.run(main, "benchmarks.peers"))
