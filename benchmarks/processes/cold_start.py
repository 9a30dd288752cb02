"""Time whole processes, picture in, answer out: what a user waits for.

    python -m benchmarks.processes.cold_start [--runs N] [--device BIN]

BIN is the bin/ of an environment where edgeproof is installed as on a device (`make cold-start` makes one): an editable
install, as in development, adds imports of its own. The commands take turns, so that a busy moment of the machine falls on
all of them. This process stays small, because a child's peak memory includes what its parent held when it was started.
"""

import os
import statistics
import subprocess
import sys
import tempfile

from edge import errors
from edge.bench.process import measure

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLES = os.path.join(ROOT, "examples")
SHIPPED = os.path.join(ROOT, "edge", "models", "lenet5-relu-mnist-int8.tflite")
DEEP = os.path.join(ROOT, "artifacts", "deep-mnist-mnist-int8.tflite")
ONNX = os.path.join(ROOT, "artifacts", "lenet5-relu-mnist-int8.onnx")

# What everyone writes: an interpreter, numpy and Pillow. argv: model, picture.
INTERPRETER = """
import sys
import numpy as np
from PIL import Image
{imports}
interpreter = {make}
interpreter.allocate_tensors()
(picture,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
pixels = np.asarray(Image.open(sys.argv[2]).convert("L"), np.int16)[None, ..., None] - 128
interpreter.set_tensor(picture["index"], pixels.astype(np.int8))
interpreter.invoke()
print(interpreter.get_tensor(answer["index"])[0].argmax())
"""
LITERT = INTERPRETER.format(
    imports="from ai_edge_litert.interpreter import Interpreter", make="Interpreter(sys.argv[1], num_threads=1)"
)
TF_LITE = INTERPRETER.format(imports="import tensorflow as tf", make="tf.lite.Interpreter(sys.argv[1], num_threads=1)")
ONNX_RUNTIME = """
import sys
import numpy as np
import onnxruntime
from PIL import Image
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
pixels = np.asarray(Image.open(sys.argv[2]).convert("L"), np.uint8)[None, ..., None]
print(session.run(None, {"pixels": pixels})[0].argmax())
"""
# The same page in the two forms the target names, made by Pillow in a process of its own.
PAGES = """
import sys
from PIL import Image
page = Image.open(sys.argv[1])
page.save(sys.argv[2] + "/page.jpg", quality=90)
page.convert("RGBA").save(sys.argv[2] + "/page.png")
"""


def commands(device: str, folder: str) -> dict[str, list[str]]:
    """What is measured: a name and an argument vector each, an empty Python first."""
    python, predict = os.path.join(device, "python"), os.path.join(device, "edge-predict")
    seven = os.path.join(EXAMPLES, "seven.png")
    found = {
        "python -c pass": [python, "-c", "pass"],
        "edge-predict seven.png": [predict, seven],
        "edge-predict page.jpg, 300x200": [predict, os.path.join(folder, "page.jpg")],
        "edge-predict page.png, 300x200 RGBA": [predict, os.path.join(folder, "page.png")],
        "edge-predict four-photo.jpg, 1600x1200": [predict, os.path.join(EXAMPLES, "four-photo.jpg")],
        "edge-predict --model lenet5 (Interpreter)": [predict, seven, "--model", SHIPPED],
    }
    if os.path.exists(DEEP):
        found["edge-predict --trust deep-mnist (3.3 MB)"] = [predict, seven, "--trust", "--model", DEEP]
    found["script: litert + numpy + Pillow"] = [python, "-c", LITERT, SHIPPED, seven]
    if os.path.exists(ONNX):
        found["script: onnxruntime + numpy + Pillow"] = [sys.executable, "-c", ONNX_RUNTIME, ONNX, seven]
    found["script: tf.lite + numpy + Pillow"] = [sys.executable, "-c", TF_LITE, SHIPPED, seven]
    return found


def main(*, runs: int, device: str) -> None:
    """Print the table: n = `runs` of each command, in turn; of tf.lite's, which takes seconds, a tenth."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", PAGES, os.path.join(EXAMPLES, "seven-page.png"), folder], check=True)
        seen: dict[str, list[tuple[float, float]]] = {name: [] for name in commands(device, folder)}
        for turn in range(runs):
            for name, argv in commands(device, folder).items():
                if "tf.lite" not in name or turn % 10 == 0:
                    seen[name].append(measure(argv))
    empty = statistics.median(ms for ms, _ in next(iter(seen.values())))
    print("| whole process, one thread | min ms | median ms | × empty | peak MiB | n |\n|---|--:|--:|--:|--:|--:|")
    for name, results in seen.items():
        times = [ms for ms, _ in results]
        median, peak = statistics.median(times), max(mib for _, mib in results)
        print(f"| {name} | {min(times):.1f} | {median:.1f} | {median / empty:.2f} | {peak:.1f} | {len(results)} |")


def settings(arguments: list[str], *, text: str | None) -> dict[str, int | str]:
    """The options in `arguments`, as `main` takes them; --help prints `text` and ends the process. Raises UsageError.

    Not argparse: this process is small.
    """
    if "--help" in arguments or "-h" in arguments:
        print(text, end="")
        sys.exit()
    given = dict(zip(arguments[::2], arguments[1::2], strict=False))
    runs = given.get("--runs", "50")
    if len(arguments) % 2 or not given.keys() <= {"--runs", "--device"} or not (runs.isdigit() and int(runs)):
        raise errors.UsageError(f"{errors.one_line(' '.join(arguments))}: wanted --runs N or --device BIN; see --help")
    return {"runs": int(runs), "device": given.get("--device", os.path.dirname(sys.executable))}


if __name__ == "__main__":
    sys.exit(errors.run(lambda: main(**settings(sys.argv[1:], text=__doc__)), "benchmarks.processes.cold_start"))
