"""One side of a comparison, run by that side's own Python: times predictions on request and prints the median.

    python -I benchmarks/regression/worker.py MODEL-or-nothing PICTURE

Each line on stdin gets a line on stdout: `pixels N` and `file N` the median ns of N predictions; `answers FILE` the classes of
all uint8 images in the file; `model` the path of the model. It also runs under older versions of edgeproof, so it uses only
names that all versions have: `edge.predictor.load`, and the one model in `edge/models`.
"""

import gc
import statistics
import sys
import time
from pathlib import Path

from edge import predictor

model, picture = sys.argv[1] or str(next(Path(predictor.__file__).parent.glob("models/*.tflite"))), sys.argv[2]
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
