"""When do more threads help, and when does a batch? The bare LiteRT Interpreter, in turns.

    python -m benchmarks.studies.threads --models FILE... [--rounds 15] [--write docs/threads.md]

Every setting is a process of its own (benchmarks/peers/contender.py). In each round each has one turn; the figure is the time
of an image over that of one thread without a batch in the same round, with its 95 % interval (benchmarks/signed_ranks.py).
"""

import argparse
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack

from benchmarks import pages
from benchmarks.peers.__main__ import Contender, write_goldens
from benchmarks.signed_ranks import fewest_rounds, ratio
from benchmarks.worker_process import WorkerEnded
from edge import artifact, errors
from edge.artifact import Artifact
from edge.device import host
from edge.errors import UsageError
from train import markdown

PROGRAM = "benchmarks.studies.threads"
LIBRARY = "ai_edge_litert"
THREADS, BATCHES = (1, 2, 4), (1, 8)
SETTINGS = [(threads, batch) for batch in BATCHES for threads in THREADS]
HEAD = (
    "model",
    "µs an image, 1 thread",
    "again",
    *(f"{t} thread{'s' * (t > 1)}{f', batch {b}' if b > 1 else ''}" for t, b in SETTINGS[1:]),
)


def row(model: Artifact, *, rounds: int, calls: int) -> tuple[str, ...]:
    """The times of one model at every setting, as ratios to the first. Raises ModelError if it carries no goldens."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        images = os.path.join(folder, "images")
        write_goldens(model, images)
        entered: list[Contender | None] = []
        for threads, batch in (SETTINGS[0], *SETTINGS):
            try:
                made = Contender(f"{LIBRARY}@{threads}x{batch}", model, images, python=sys.executable)
                entered.append(stack.enter_context(made))
            except WorkerEnded:
                entered.append(None)  # a shape inside the model holds its batch at 1
        batches = [SETTINGS[0][1], *(batch for _, batch in SETTINGS)]
        taken: list[list[float]] = [[] for _ in entered]
        for number in range(rounds + 1):
            for at, contender in enumerate(entered):
                if contender:
                    ns = contender.turn(warm_up=20, calls=calls) / batches[at]
                    taken[at] += [ns] * bool(number)  # the first round warms up
    first = taken[0]
    told = [str(ratio(first, each)) if each else "does not run" for each in taken[1:]]
    assert model.contract
    return f"{model.contract.name} {model.kind}", f"{statistics.median(first) / 1e3:,.1f}", *told


def main() -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {PROGRAM}", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", nargs="+", required=True, metavar="FILE", help="edgeproof .tflite models")
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="turns of each setting (default: 15)")
    parser.add_argument("--calls", type=int, default=200, metavar="N", help="calls in a turn (default: 200)")
    pages.add_write(parser)
    flags = parser.parse_args()
    if flags.rounds < fewest_rounds(0.025) or flags.calls < 1:
        raise UsageError(f"--rounds wants {fewest_rounds(0.025)} or more: fewer have no 95 % interval; --calls wants 1 or more")
    rows = []
    for path in flags.models:
        errors.say(PROGRAM, f"{path}: about {len(SETTINGS) * (flags.rounds + 1) * 0.25:.0f} s at most")
        rows.append(row(artifact.read(path), rounds=flags.rounds, calls=flags.calls))
    machine = host.read()
    intro = (
        f"{machine.cpu_model or 'processor unknown'}, {machine.n_cpus} cores; {flags.rounds} rounds of {flags.calls} calls. "
    )
    intro += "Times of an image over that of one thread without a batch; below 1: faster. *again*: noise."
    return pages.show(f"{intro}\n\n{markdown.table(HEAD, rows, align='lr')}\n", flags.write)


if __name__ == "__main__":
    sys.exit(errors.run(main, PROGRAM))
