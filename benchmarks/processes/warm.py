"""What `Predictor` adds to a bare engine call after loading.

    python -m benchmarks.processes.warm

The shipped model, the pixels of one picture, one thread. Rounds of 2,000 calls in turns; each figure is the median round.
"""

import argparse
import statistics
import sys
import time

from benchmarks.processes.cold_start import EXAMPLES
from edge import errors, predictor
from edge.locate import shipped_model
from edge.pictures import read_pixels

CALLS, ROUNDS = 2000, 25


def microseconds(call) -> float:
    """Mean µs of one call over a round."""
    started = time.perf_counter()
    for _ in range(CALLS):
        call()
    return (time.perf_counter() - started) / CALLS * 1e6


def main() -> None:
    argparse.ArgumentParser(prog="python -m benchmarks.processes.warm", description=__doc__.splitlines()[0]).parse_args()
    print(
        f"{'engine':10} {'engine call':>12} {'+ class':>9} {'+ ranking':>10}   µs, median of {ROUNDS} rounds of {CALLS:,} calls"
    )
    for engine in ("litert-c", "litert"):
        ready = predictor.load(shipped_model(), engine_name=engine, trusted=True)
        pixels = read_pixels(f"{EXAMPLES}/seven.png", ready.contract.input)
        calls = {
            "bare": lambda run=ready.engine.run, pixels=pixels: run(pixels),
            "class": lambda answer=ready.answer, pixels=pixels: answer(pixels).index,
            "ranking": lambda answer=ready.answer, pixels=pixels: answer(pixels).ranking,
        }
        rounds = [{name: microseconds(call) for name, call in calls.items()} for _ in range(ROUNDS + 2)][2:]
        bare, with_class, with_ranking = (statistics.median(r[name] for r in rounds) for name in calls)
        print(
            f"{engine:10} {bare:12.2f} {with_class:9.2f} {with_ranking:10.2f}   class: +{100 * (with_class / bare - 1):.1f} %"
        )


if __name__ == "__main__":
    sys.exit(errors.run(main, "benchmarks.processes.warm"))
