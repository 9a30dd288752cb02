"""How far the engines agree: every MNIST test image through each engine installed here.

    python -m benchmarks.studies.engines NAME... [--data-dir DIR] [--tflite-python PYTHON]

NAME is a published model without its ending (artifacts/deep-mnist-mnist-int8); its .tflite and .onnx are compared.
tflite-runtime needs its own environment: name the Python of that environment.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np

from edge import errors, predictor
from edge.errors import EngineMissing
from train import datasets, markdown

ROOT = Path(__file__).resolve().parents[2]
LOGITS = """
import struct, sys
from edge import predictor
ready = predictor.load(sys.argv[1], engine_name="tflite-runtime")
data, n = sys.stdin.buffer.read(), ready.contract.input.n_values
for at in range(0, len(data), n):
    logits = ready.answer(data[at : at + n]).logits
    sys.stdout.buffer.write(struct.pack(f"<{len(logits)}d", *logits))
"""


def logits_of(model: Path, engine: str, images: np.ndarray) -> np.ndarray:
    """The logits, float64 [N, K], of `engine` on `images`, uint8 [N, H, W, C]."""
    ready = predictor.load(str(model), engine_name=engine, trusted=True)
    return np.array([ready.answer(image.tobytes()).logits for image in images])


def logits_elsewhere(python: str, model: Path, images: np.ndarray) -> np.ndarray:
    """The same of tflite-runtime in the environment of `python`."""
    argv = [python, "-c", LOGITS, str(model.resolve())]
    done = subprocess.run(argv, input=images.tobytes(), capture_output=True, check=True, cwd=ROOT)
    return np.frombuffer(done.stdout, np.float64).reshape(len(images), -1)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies.engines", description="Compare the engines' answers.")
    parser.add_argument("names", nargs="+", metavar="NAME", help="a published model without its ending")
    parser.add_argument("--data-dir", metavar="DIR", help="folder with MNIST (default: $EDGEPROOF_DATA)")
    parser.add_argument("--tflite-python", metavar="PYTHON", help="the Python of an environment with tflite-runtime")
    flags = parser.parse_args()
    images = datasets.mnist.load(flags.data_dir).test.images
    rows = []
    for name in flags.names:
        tflite, onnx = Path(f"{name}.tflite"), Path(f"{name}.onnx")
        reference = logits_of(tflite, "litert", images)
        step = predictor.load(str(tflite)).contract.output_scale
        others = {"litert-c": lambda tflite=tflite: logits_of(tflite, "litert-c", images)}
        if flags.tflite_python:
            others["tflite-runtime"] = lambda tflite=tflite: logits_elsewhere(flags.tflite_python, tflite, images)
        if onnx.exists():
            others["onnxruntime"] = lambda onnx=onnx: logits_of(onnx, "onnxruntime", images)
        for engine, measure in others.items():
            try:
                logits = measure()
            except EngineMissing as error:
                print(error, file=sys.stderr)
                continue
            # A logit is a multiple of the step on every engine; float32 and float64 round it differently.
            steps = np.rint((logits - reference) / step).astype(int)
            same = np.mean(logits.argmax(axis=1) == reference.argmax(axis=1))
            shares = [np.mean(np.abs(steps).max(axis=1) <= most) for most in (0, 1)]
            rows.append((tflite.stem, engine, f"{shares[0]:.2%}", f"{shares[1]:.2%}", f"{same:.2%}", f"{len(images):,}"))
    head = ("model", "engine", "identical logits", "within 1 step", "same class as litert", "n")
    print(markdown.table(head, rows, align="llr"))
    return 0


if __name__ == "__main__":
    sys.exit(errors.run(main, "benchmarks.studies.engines"))
