"""One side of a comparison, run by that side's own Python: times predictions when told to, and says the median.

    python -I benchmarks/regression/worker.py MODEL-or-nothing PICTURE

Reads a line, writes a line: `pixels N` or `file N` gives the median ns of N predictions; `answers FILE` takes as many uint8
pictures as the file holds and gives their classes; `model` gives the path of the model. It must run under older versions
of edgeproof, so it uses little: load, predict, answer.
"""

import gc
import statistics
import sys
import time

from edge import predictor
from edge.locate import shipped_model

model, picture = sys.argv[1] or shipped_model(), sys.argv[2]
ready = predictor.load(model, trusted=True)
size = ready.contract.input.height * ready.contract.input.width * ready.contract.input.channels
pixels = ready.artifact.goldens()[0][0]
calls = {"pixels": lambda: ready.answer(pixels).label, "file": lambda: ready.predict(picture).label}


def timed(call, n):
    clock, times = time.perf_counter_ns, []
    for _ in range(n):
        started = clock()
        call()
        times.append(clock() - started)
    return statistics.median(times)


gc.disable()
for line in sys.stdin:
    what, _, argument = line.strip().partition(" ")
    if what == "model":
        print(model, flush=True)
    elif what == "answers":
        with open(argument, "rb") as file:
            data = file.read()
        print(*(ready.answer(data[at : at + size]).index for at in range(0, len(data), size)), flush=True)
    else:
        print(timed(calls[what], int(argument)), flush=True)
