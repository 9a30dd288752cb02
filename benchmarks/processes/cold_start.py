"""Time whole processes from a picture to the answer, as a user waits for them.

    python -m benchmarks.processes.cold_start [--runs N] [--device BIN]

BIN is the bin/ of an environment where edgeproof is installed as on a device, and ONNX Runtime for the script that needs it
(`make cold-start` makes one): an editable install adds imports of its own. The commands run in turns, so that a busy moment of
the machine affects all of them. This process stays small, because a child's peak memory includes the memory of its parent at
the start.
"""

import os
import statistics
import subprocess
import sys
import tempfile

from edge import errors
from edge.bench.process import measure
from train import markdown

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLES = os.path.join(ROOT, "examples")
SHIPPED = os.path.join(ROOT, "edge", "models", "lenet5-relu-mnist-int8.tflite")
DEEP = os.path.join(ROOT, "artifacts", "deep-mnist-mnist-int8.tflite")
ONNX = os.path.join(ROOT, "artifacts", "lenet5-relu-mnist-int8.onnx")

# The usual script: an interpreter, numpy and Pillow. argv: model, picture.
INTERPRETER = """
import sys
import numpy as np
from PIL import Image
{imports}
interpreter = {make}
interpreter.allocate_tensors()
picture, answer = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
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
# The same page as JPEG and as RGBA, written by Pillow in another process.
PAGES = """
import sys
from PIL import Image
page = Image.open(sys.argv[1])
page.save(sys.argv[2] + "/page.jpg", quality=90)
page.convert("RGBA").save(sys.argv[2] + "/page.png")
"""


def commands(device: str, folder: str) -> dict[str, list[str]]:
    """The commands to measure by name, an empty Python first."""
    python, predict = os.path.join(device, "python"), os.path.join(device, "edge-predict")
    seven = os.path.join(EXAMPLES, "seven.png")
    every = {
        "python -c pass": [python, "-c", "pass"],
        "edge-predict seven.png": [predict, seven],
        "edge-predict page.jpg, 300x200": [predict, os.path.join(folder, "page.jpg")],
        "edge-predict page.png, 300x200 RGBA": [predict, os.path.join(folder, "page.png")],
        "edge-predict four-photo.jpg, 1600x1200": [predict, os.path.join(EXAMPLES, "four-photo.jpg")],
        "edge-predict --model lenet5 (Interpreter)": [predict, seven, "--model", SHIPPED],
    }
    if os.path.exists(DEEP):
        every["edge-predict --trust deep-mnist (3.3 MB)"] = [predict, seven, "--trust", "--model", DEEP]
    every["script: litert + numpy + Pillow"] = [python, "-c", LITERT, SHIPPED, seven]
    if os.path.exists(ONNX):
        every["script: onnxruntime + numpy + Pillow"] = [python, "-c", ONNX_RUNTIME, ONNX, seven]
    every["script: tf.lite + numpy + Pillow"] = [sys.executable, "-c", TF_LITE, SHIPPED, seven]
    return every


def main(*, runs: int, device: str) -> None:
    """Print the table of `runs` runs of each command, in turns; a tenth of them for tf.lite, which takes seconds."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", PAGES, os.path.join(EXAMPLES, "seven-page.png"), folder], check=True)
        measured: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands(device, folder)}
        for turn in range(runs):
            for name, argv in commands(device, folder).items():
                if "tf.lite" not in name or turn % 10 == 0:
                    measured[name].append(measure(argv))
    empty = statistics.median(ms for ms, _, _ in next(iter(measured.values())))
    rows = []
    for name, results in measured.items():
        times = [ms for ms, _, _ in results]
        median, peak = statistics.median(times), max(mib for _, mib, _ in results)
        rows.append((name, f"{min(times):.1f}", f"{median:.1f}", f"{median / empty:.2f}", f"{peak:.1f}", str(len(results))))
    head = ("whole process, one thread", "min ms", "median ms", "× empty", "peak MiB", "n")
    print(markdown.table(head, rows, align="lr"))


def settings(arguments: list[str], *, text: str | None) -> dict[str, int | str]:
    """The options in `arguments` for `main`; --help prints `text` and ends the process. Raises UsageError.

    Without argparse, because this process must stay small.
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
