"""What `Predictor` adds to a bare engine call after loading.

    python -m benchmarks.processes.warm

The shipped model, the pixels of one picture, one thread. Rounds of 2,000 calls in turns; each figure is the median round.
"""

import argparse
import statistics
import sys
import timeit

from benchmarks.processes.cold_start import EXAMPLES
from edge import errors, predictor
from edge.locate import shipped_model
from edge.pictures import read_pixels

CALLS, ROUNDS = 2000, 25


def main() -> None:
    argparse.ArgumentParser(prog="python -m benchmarks.processes.warm", description=__doc__.splitlines()[0]).parse_args()
    print(f"{'engine':10} engine call   + class  + ranking   µs, median of {ROUNDS} rounds of {CALLS:,} calls")
    for engine in ("litert-c", "litert"):
        ready = predictor.load(shipped_model(), engine_name=engine, trusted=True)
        pixels = read_pixels(f"{EXAMPLES}/seven.png", ready.contract.input)
        calls = (
            lambda run=ready.engine.run, pixels=pixels: run(pixels),
            lambda answer=ready.answer, pixels=pixels: answer(pixels).index,
            lambda answer=ready.answer, pixels=pixels: answer(pixels).ranking,
        )
        rounds = [[1e6 / CALLS * timeit.timeit(call, number=CALLS) for call in calls] for _ in range(ROUNDS + 2)][2:]
        bare, with_class, with_ranking = map(statistics.median, zip(*rounds, strict=True))
        added = f"class: +{100 * (with_class / bare - 1):.1f} %"
        print(f"{engine:10} {bare:11.2f} {with_class:9.2f} {with_ranking:10.2f}   {added}")


if __name__ == "__main__":
    sys.exit(errors.run(main, "benchmarks.processes.warm"))
