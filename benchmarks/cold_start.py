"""Time whole processes, picture in, answer out: what a user waits for.

    python -m benchmarks.cold_start [--runs 50]

The commands take turns, so that a busy moment of the machine falls on all of them. This process stays small, because a
child's peak memory includes what its parent held when it was started.
"""

import os
import statistics
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
EXAMPLES = os.path.join(ROOT, "examples")
COMMAND = os.path.join(os.path.dirname(sys.executable), "edge-predict")
SHIPPED = os.path.join(ROOT, "edge", "models", "lenet5-relu-mnist-int8.tflite")

# What everyone writes: the maintained interpreter, numpy and Pillow.
USUAL_SCRIPT = """
import sys
import numpy as np
from PIL import Image
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(sys.argv[1], num_threads=1)
interpreter.allocate_tensors()
(picture,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
pixels = np.asarray(Image.open(sys.argv[2]).convert("L"), np.int16)[None, ..., None] - 128
interpreter.set_tensor(picture["index"], pixels.astype(np.int8))
interpreter.invoke()
print(interpreter.get_tensor(answer["index"])[0].argmax())
"""


def commands() -> dict[str, list[str]]:
    """What is measured: a name and an argument vector each, an empty Python first."""
    return {
        "python -c pass": [sys.executable, "-c", "pass"],
        "edge-predict seven.png (28x28 grey)": [COMMAND, os.path.join(EXAMPLES, "seven.png")],
        "edge-predict seven-page.png (300x200 RGB)": [COMMAND, os.path.join(EXAMPLES, "seven-page.png")],
        "edge-predict four-photo.jpg (1600x1200)": [COMMAND, os.path.join(EXAMPLES, "four-photo.jpg")],
        "script: litert + numpy + Pillow": [sys.executable, "-c", USUAL_SCRIPT, SHIPPED, os.path.join(EXAMPLES, "seven.png")],
    }


def measure(argv: list[str]) -> tuple[float, float]:
    """Wall time in ms and peak memory in MiB of one run. Raises RuntimeError where the command fails."""
    null = os.open(os.devnull, os.O_WRONLY)
    started = time.perf_counter()
    child = os.posix_spawn(argv[0], argv, dict(os.environ), file_actions=[(os.POSIX_SPAWN_DUP2, null, n) for n in (1, 2)])
    _, status, usage = os.wait4(child, 0)
    elapsed_ms = 1000 * (time.perf_counter() - started)
    os.close(null)
    if status:
        raise RuntimeError(f"{argv} ended with {os.waitstatus_to_exitcode(status)}")
    return elapsed_ms, usage.ru_maxrss / 1024


def main(runs: int) -> None:
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in commands()}
    for _ in range(runs):
        for name, argv in commands().items():
            seen[name].append(measure(argv))
    empty = statistics.median(ms for ms, _ in next(iter(seen.values())))
    print(f"{'whole process, one thread':44} {'min ms':>8} {'median ms':>10} {'x empty':>8} {'peak MiB':>9}   n = {runs}")
    for name, results in seen.items():
        times = [ms for ms, _ in results]
        median, peak = statistics.median(times), max(mib for _, mib in results)
        print(f"{name:44} {min(times):8.1f} {median:10.1f} {median / empty:8.2f} {peak:9.1f}")


if __name__ == "__main__":
    if len(sys.argv) not in (1, 3) or (len(sys.argv) == 3 and (sys.argv[1] != "--runs" or not sys.argv[2].isdigit())):
        sys.exit(__doc__)
    main(int(sys.argv[2]) if len(sys.argv) == 3 else 50)
