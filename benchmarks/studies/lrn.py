"""What local response normalization costs in each form that a converter or quantizer offers, in one trained cifar-lrn.

    python -m benchmarks.studies.lrn --checkpoint RUN [--data-dir DIR] [--write docs/lrn.md]

Exits with 1 if our int8 model on LiteRT takes more than 1.25 times as long as without the layers, or if the gate does not pass
it. Takes two minutes.
"""

import argparse
import math
import statistics
import sys
import timeit
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from benchmarks import pages
from convert import to_onnx, to_tflite  # before TensorFlow
from convert.calibration.images import CalibrationSet, draw_calibration_set
from convert.judging.gate import LIMITS, Gate
from convert.judging.verify import Verification, compare
from convert.plan import Plan
from edge import errors
from edge.device import host
from edge.engines.interpreter import as_input
from edge.silence import silence_native_output
from train import checkpoint, datasets, markdown
from train.architectures.cifar_lrn import LocalResponseNormalization

MOST_TIMES = 1.25
HEAD = ("engine", "LRN", "precision", "µs", "× without", "bytes", "top-1, %", "drop, points (95 %)", "largest logit difference")
N_ROUNDS, N_CALLS = 40, 50
OURS, WITHOUT = "ours: roots and products in float", "without the layers, same weights"
NATIVE, ALL = "the format's own operator", "ours, every operator that can be int8"


class NativeNormalization(keras.layers.Layer):
    """`LocalResponseNormalization` as TensorFlow's own operator."""

    def call(self, x):
        ours = LocalResponseNormalization
        return tf.nn.local_response_normalization(x, depth_radius=ours.radius, bias=1, alpha=ours.alpha, beta=0.75)


class AllInIntegersTflite(to_tflite.Converter):
    """Without the rule that what surrounds a root stays in float."""

    def _stays_in_float(self, operator: to_tflite.LayerOperator) -> bool:
        return False


class AllInIntegersOnnx(to_onnx.Converter):
    """Without the rule that what surrounds a root stays in float."""

    def _in_float(self, plan: Plan) -> list[str]:
        return list(plan.in_float)


@dataclass(eq=False)
class TimedModel:
    """One model in one engine: `invoke` is timed, `logits` gives the logits of an image, uint8 [H, W, C]."""

    engine: str
    what: str
    precision: str
    n_bytes: int
    invoke: Callable[[], object]
    logits: Callable[[np.ndarray], np.ndarray]
    microseconds: float = math.inf


def in_litert(what: str, precision: str, model: bytes) -> TimedModel:
    """`model`, a .tflite, in LiteRT on one thread."""
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    (entry,), (end,) = interpreter.get_input_details(), interpreter.get_output_details()

    def logits(image: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(entry["index"], as_input(image[None], entry["dtype"]))
        interpreter.invoke()
        answer = interpreter.get_tensor(end["index"])[0].astype(np.float32)
        scale, zero_point = end["quantization"]
        return scale * (answer - zero_point) if scale else answer

    return TimedModel("LiteRT", what, precision, len(model), interpreter.invoke, logits)


def in_onnx_runtime(what: str, precision: str, model: bytes) -> TimedModel:
    """`model`, an .onnx, in ONNX Runtime on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    feed = {entry.name: np.zeros(entry.shape, np.uint8)}

    def logits(image: np.ndarray) -> np.ndarray:
        return session.run(None, {entry.name: image[None]})[0][0]

    return TimedModel("ONNX Runtime", what, precision, len(model), lambda: session.run(None, feed), logits)


def with_layers(model: keras.Model, replaced: Callable[[keras.layers.Layer], list[keras.layers.Layer]]) -> keras.Model:
    """`model` with each normalization replaced by the layers that `replaced` gives; the other layers are shared."""
    layers = [new for old in model.layers for new in (replaced(old) if isinstance(old, LocalResponseNormalization) else [old])]
    return keras.Sequential([keras.Input(batch_shape=model.input_shape, name="pixels"), *layers], name=model.name)


def by_tensorflow(model: keras.Model, calibration: CalibrationSet) -> bytes:
    """TensorFlow's converter with its default int8: float operators where there are no integer ones."""
    tf_converter = tf.lite.TFLiteConverter.from_keras_model(model)
    tf_converter.optimizations = [tf.lite.Optimize.DEFAULT]
    tf_converter.representative_dataset = lambda: ([image[None].astype(np.float32)] for image in calibration.images)
    tf_converter.inference_input_type = tf_converter.inference_output_type = tf.int8
    return bytes(tf_converter.convert())


def timed_models(model: keras.Model, calibration: CalibrationSet) -> list[TimedModel]:
    """Every form of the layers in both engines."""
    without = with_layers(model, lambda layer: [])
    native = with_layers(model, lambda layer: [NativeNormalization(name=layer.name)])
    models = []
    for module, everything, run in (
        (to_tflite, AllInIntegersTflite, in_litert),
        (to_onnx, AllInIntegersOnnx, in_onnx_runtime),
    ):
        for what, network in ((OURS, model), (WITHOUT, without), (NATIVE, native)):
            source = module.Converter(network, calibration)
            models.append(run(what, "float32", source.convert(Plan("float32"))))
            if what == NATIVE and module is to_tflite:
                models.append(run(f"{what}, by TensorFlow's converter", "int8", by_tensorflow(network, calibration)))
            else:
                models.append(run(what, "int8", source.convert(Plan("int8"))))
        models.append(run(ALL, "int8", everything(model, calibration).convert(Plan("int8"))))
    models.append(in_litert(f"{ALL}, by TensorFlow's converter", "int8", by_tensorflow(model, calibration)))
    return models


def measure(models: list[TimedModel]) -> None:
    """Set each `microseconds`: the least of N_ROUNDS medians of N_CALLS calls, the models taking turns."""
    for _ in range(N_ROUNDS):
        for model in models:
            seconds = timeit.repeat(model.invoke, number=1, repeat=N_CALLS)
            model.microseconds = min(model.microseconds, 1e6 * statistics.median(seconds))


def drop_in_words(verification: Verification) -> str:
    """Points of top-1 lost, with their 95 % interval."""
    lower, upper = verification.interval_points
    return f"{verification.drop_points:.2f} ({lower:.2f} to {upper:.2f})"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies.lrn", description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="RUN", help="run folder of a cifar-lrn")
    parser.add_argument("--data-dir", metavar="DIR", help="where CIFAR-10 is (default: $EDGEPROOF_DATA, the cache, a download)")
    pages.add_write(parser)
    flags = parser.parse_args()
    trained = checkpoint.load(flags.checkpoint)
    if trained.network != "cifar-lrn":
        raise errors.UsageError(f"--checkpoint {flags.checkpoint}: a {trained.network}; only cifar-lrn has such layers")
    data = datasets.load_again(trained.data, flags.data_dir, digest=trained.data_digest, contract=trained.contract)
    calibration = draw_calibration_set(data.train, apart_from=[data.test])
    model = trained.build(batch_size=1)
    with silence_native_output():
        models = timed_models(model, calibration)
    measure(models)
    reference = trained.build().predict(data.test.images.astype(np.float32), batch_size=250, verbose=0)
    gate = Gate(LIMITS.get(data.name, 1.0))
    rows, good = [], True
    for timed in models:
        logits = np.array([timed.logits(image) for image in data.test.images])
        verification = compare(logits, data.test.labels, reference)
        base = next(m for m in models if (m.engine, m.what, m.precision) == (timed.engine, WITHOUT, timed.precision))
        times = timed.microseconds / base.microseconds
        drop = drop_in_words(verification) if timed.what != WITHOUT else "another network"
        rows.append(
            (timed.engine, timed.what, timed.precision, f"{timed.microseconds:.0f}", f"{times:.2f}", f"{timed.n_bytes:,}",
             f"{100 * verification.top1:.2f}", drop, f"{verification.largest_logit_difference:.2g}")
        )  # fmt: skip
        if (timed.engine, timed.what, timed.precision) == ("LiteRT", OURS, "int8"):
            verdict = gate.judge(verification)
            good = times <= MOST_TIMES and verdict.passed
            conclusion = f"int8 on LiteRT: {times:.2f} times the time without the layers; the gate: {verdict.decision}"
    text = "\n".join(
        [
            f"`python -m benchmarks.studies.lrn --checkpoint {flags.checkpoint}`: "
            f"{len(data.test):,} test images of {data.name},",
            f"one thread, {host.read().cpu_model}; the least of {N_ROUNDS} medians of {N_CALLS} calls, in turns, one process.",
            "Times are of the engine alone; *× without* divides by the time without the layers, same engine and precision.",
            "",
            markdown.table(HEAD, rows, align="lllr"),
        ]
    )
    print(text, conclusion, sep="\n\n")
    if flags.write:
        pages.write(flags.write, text)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(errors.run(main, "benchmarks.studies.lrn"))
