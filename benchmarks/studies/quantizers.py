"""Which quantizer makes the better int8 file: TensorFlow's converter or litert-quantizer with our ranges; likewise for ONNX.

    python -m benchmarks.studies.quantizers --checkpoint RUN [RUN...] [--data-dir DIR] [--n-images N] [--write PAGE]

Bytes, top-1 and microseconds of each on LiteRT and ONNX Runtime, one thread, all files of a network in turns.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from benchmarks import pages
from benchmarks.studies.lrn import TimedModel, by_tensorflow, drop_in_words, in_litert, in_onnx_runtime, measure
from convert import to_onnx, to_tflite
from convert.calibration.images import CalibrationSet, draw_calibration_set
from convert.judging.verify import compare
from convert.plan import Plan
from edge import errors
from edge.device import host
from edge.silence import silence_native_output
from train import checkpoint, datasets, markdown

HEAD = ("network", "engine", "made by", "precision", "bytes", "µs", "top-1, %", "drop, points (95 %)", "n")


def timed_models(trained: checkpoint.Checkpoint, calibration: CalibrationSet) -> list[TimedModel]:
    """The float32 and int8 files of a network, each in its engine."""
    model, plan = trained.build(batch_size=1), Plan("int8")
    tflite, onnx = to_tflite.Converter(model, calibration), to_onnx.Converter(model, calibration)
    return [
        in_litert("TensorFlow's converter", "float32", tflite.convert(Plan("float32"))),
        in_litert("TensorFlow's converter", "int8", by_tensorflow(model, calibration)),
        in_litert("litert-quantizer, our ranges", "int8", tflite.convert(plan)),
        in_onnx_runtime("tf2onnx", "float32", onnx.convert(Plan("float32"))),
        in_onnx_runtime("ONNX Runtime's, our ranges", "int8", onnx.convert(plan)),
    ]


def rows(run: Path, *, data_dir: str | None, n_images: int) -> list[tuple[str, ...]]:
    """The rows of the table for one run."""
    trained = checkpoint.load(run)
    data = datasets.load_again(trained.data, data_dir, digest=trained.data_digest, contract=trained.contract)
    images, labels = data.test.images[:n_images], data.test.labels[:n_images]
    with silence_native_output():
        models = timed_models(trained, draw_calibration_set(data.train, apart_from=[data.test]))
    measure(models)
    reference = trained.build().predict(images.astype(np.float32), batch_size=250, verbose=0)
    table = []
    for model in models:
        verification = compare(np.array([model.logits(image) for image in images]), labels, reference)
        table.append(
            (trained.name, model.engine, model.what, model.precision, f"{model.n_bytes:,}", f"{model.microseconds:.0f}",
             f"{100 * verification.top1:.2f}", drop_in_words(verification), f"{verification.n_images:,}")
        )  # fmt: skip
    return table


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies.quantizers", description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True, nargs="+", metavar="RUN", help="run folders")
    parser.add_argument("--data-dir", metavar="DIR", help="where the data is (default: $EDGEPROOF_DATA, the cache, a download)")
    parser.add_argument("--n-images", type=int, default=2_000, metavar="N", help="test images (default: %(default)s)")
    pages.add_write(parser)
    flags = parser.parse_args()
    runs = " ".join(map(str, flags.checkpoint))
    table = [row for run in flags.checkpoint for row in rows(run, data_dir=flags.data_dir, n_images=flags.n_images)]
    command = f"`python -m benchmarks.studies.quantizers --checkpoint {runs} --n-images {flags.n_images}`"
    text = f"{command}:\none thread, {host.read().cpu_model}.\n\n{markdown.table(HEAD, table, align='llllr')}"
    return pages.show(text, flags.write)


if __name__ == "__main__":
    sys.exit(errors.run(main, "benchmarks.studies.quantizers"))
