"""Convert a trained network to .tflite at any precision.

TensorFlow's converter writes the float model; litert-quantizer quantizes it with ranges that we measure
(docs/decisions/0004). An int8 model takes pixels minus 128, any other pixels from 0 to 255.
"""

import re
from collections.abc import Callable, Container, Iterator
from copy import copy
from dataclasses import dataclass
from functools import cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from litert_quantizer.algorithm_manager import AlgorithmName as Algorithm
from litert_quantizer.qtyping import QuantGranularity as Granularity
from litert_quantizer.qtyping import TFLOperationName as Kind
from litert_quantizer.quantizer import Quantizer

from convert import tflite_pieces
from convert.calibration.images import CalibrationSet
from convert.calibration.ranges import Range, TensorRanges
from convert.layers import fused_into, layer_in
from convert.plan import Plan
from edge.engines.interpreter import as_input
from edge.errors import Refused
from train.architectures.widen import Units, with_units

# Operators without a fast integer kernel in LiteRT. The operators of a layer that has one stay in float with it, but for its
# convolutions: converting at every step of a normalization costs more than it saves (docs/lrn.md).
ROOTS = {"RSQRT", "SQRT", "POW", "LOG", "EXP", "DIV"}
PRODUCTS = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}


@dataclass(frozen=True)
class LayerOperator:
    """An operator of the float .tflite: its kind, the name of its output tensor, its Keras layer ("" where unknown)."""

    kind: str
    output: str
    layer: str


class Converter:
    """One network, batch size 1, with the images that set its activation ranges; `layers` are those that compute, in order.

    `units`, which are none of them, are a second output.
    """

    kind = "tflite"

    def __init__(self, model: keras.Model, calibration: CalibrationSet, *, units: Units | None = None) -> None:
        widened = with_units(model, units) if units else model
        self._n_classes, self._units = model.output_shape[-1], units
        converted = bytes(tf.lite.TFLiteConverter.from_keras_model(widened).convert())
        self._floating = _in_one_piece(converted, self._n_classes) if units else converted
        self._outputs = [detail["name"] for detail in Interpreter(model_content=self._floating).get_output_details()]
        self._operators = _operators(self._floating, fused_into(model))
        self.layers = tuple(dict.fromkeys(operator.layer for operator in self._operators if operator.layer))
        self._calibrate(calibration)

    def calibrated(self, calibration: CalibrationSet) -> "Converter":
        """The same converter with ranges by other images; the float model is not made again."""
        other = copy(self)
        other._calibrate(calibration)
        return other

    def _calibrate(self, calibration: CalibrationSet) -> None:
        self._measured = TensorRanges(lambda: _values(self._floating, calibration.images))
        self._ranges = cache(self._find_ranges)

    def convert(self, plan: Plan) -> bytes:
        """The .tflite of `plan`. Raises Refused where LiteRT cannot run it, or an int8 input's scale is not exactly 1."""
        if plan.precision == "float32":
            return self._floating
        quantized = self._quantized(plan)
        if overflowing := _overflowing(quantized):
            quantized = self._quantized(plan, in_float=overflowing)
        return quantized

    def _quantized(self, plan: Plan, in_float: Container[str] = ()) -> bytes:
        """The .tflite of `plan`, with the operators that make the tensors `in_float` left in float."""
        quantizer = Quantizer(bytearray(self._floating))
        _PRECISIONS[plan.precision](quantizer, Granularity.CHANNELWISE if plan.per_channel else Granularity.TENSORWISE)
        floats = {
            operator.output
            for operator in self._operators
            if operator.layer in plan.in_float or operator.output in in_float or self._stays_in_float(operator)
        }
        if floats.intersection(self._outputs):
            floats.update(self._outputs)  # both outputs have one type
        for name in sorted(floats):
            quantizer.update_quantization_recipe(re.escape(name), Kind.ALL_SUPPORTED, None, Algorithm.NO_QUANTIZE)
        ranges = {
            name: {"min": np.array([low], np.float32), "max": np.array([high], np.float32)}
            for name, (low, high) in (self._ranges(plan.method) if plan.calibrated else {}).items()
        }
        quantized = _in_one_piece(
            quantizer.quantize(ranges, enable_progress_bar=False, enable_progress_report=False).quantized_model,
            self._n_classes,
        )
        _check(quantized, plan)
        return quantized

    def layer_outputs(self, plan: Plan, images: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        """The float outputs of each layer of the model of `plan`, by name, for each of `images`: uint8 [n, H, W, C]."""
        last = self._last()
        for values in _values(self.convert(plan), images):
            yield {layer: values[output] for layer, output in last.items() if output in values}

    def ranges(self, plan: Plan) -> dict[str, Range]:
        """The range of each layer's output, measured on the calibration images."""
        return {layer: self._ranges(plan.method)[output] for layer, output in self._last().items()}

    def _last(self) -> dict[str, str]:
        return {operator.layer: operator.output for operator in self._operators if operator.layer}

    def _find_ranges(self, method: str) -> dict[str, Range]:
        ranges = self._measured.by(method)
        # Pixels lie from 0 to 255 whatever the calibration images hold.
        entry = Interpreter(model_content=self._floating).get_input_details()[0]["name"]
        # Units are greatest for images that no calibration set holds.
        more = {self._outputs[1]: (0.0, self._units.highest)} if self._units else {}
        return ranges | {entry: (0.0, 255.0)} | more

    def _stays_in_float(self, operator: LayerOperator) -> bool:
        if operator.kind in PRODUCTS:
            return False
        return any(other.kind in ROOTS and other.layer == operator.layer for other in self._operators)


def _int16x8(quantizer: Quantizer, granularity: Granularity) -> None:
    quantizer.add_static_config(".*", Kind.ALL_SUPPORTED, 16, 8, granularity)
    # The device feeds pixels and reads float logits, not 16-bit integers.
    for end in (Kind.INPUT, Kind.OUTPUT):
        quantizer.update_quantization_recipe(".*", end, None, Algorithm.NO_QUANTIZE)


_PRECISIONS: dict[str, Callable[[Quantizer, Granularity], None]] = {
    "float16": lambda q, g: q.add_weight_only_config(".*", Kind.ALL_SUPPORTED, 16, g, Algorithm.FLOAT_CASTING),
    "dynamic": lambda q, g: q.add_dynamic_config(".*", Kind.ALL_SUPPORTED, 8, g),
    "int8": lambda q, g: q.add_static_config(".*", Kind.ALL_SUPPORTED, 8, 8, g),
    "int16x8": _int16x8,
    "int4": lambda q, g: q.add_dynamic_config(".*", Kind.ALL_SUPPORTED, 4, g),
}


def _operators(floating: bytes, fused: dict[str, str]) -> list[LayerOperator]:
    interpreter = _interpreter(floating)
    names = {detail["index"]: detail["name"] for detail in interpreter.get_tensor_details()}
    operators, made = [], {detail["index"] for detail in interpreter.get_input_details()}
    for detail in interpreter._get_ops_details():
        output = names[detail["outputs"][0]]
        # The last operator's output has the model's name; its weights have the layer's.
        candidates = [output, *(names[i] for i in detail["inputs"] if i in names and i not in made)]
        made |= set(detail["outputs"])
        operators.append(LayerOperator(detail["op_name"], output, fused.get(layer_in(candidates, fused), "")))
    return operators


def _values(model: bytes, images: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    """Every operator's output by name, dequantized, for each of `images`: uint8 [n, H, W, C]."""
    interpreter = _interpreter(model)
    details = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    (entry,) = interpreter.get_input_details()
    wanted = [i for detail in interpreter._get_ops_details() for i in detail["outputs"]]
    for image in images:
        interpreter.set_tensor(entry["index"], as_input(image[None], entry["dtype"]))
        interpreter.invoke()
        yield {details[i]["name"]: _decoded(interpreter.get_tensor(i), details[i]) for i in wanted}


def _decoded(tensor: np.ndarray, detail: dict[str, Any]) -> np.ndarray:
    scale, zero_point = detail["quantization"]
    return tensor if not scale else np.float32(scale) * (tensor.astype(np.int32) - zero_point).astype(np.float32)


def _interpreter(model: bytes) -> Interpreter:
    # A delegate would hide the values inside it.
    interpreter = Interpreter(
        model_content=model,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    return interpreter


def _overflowing(quantized: bytes) -> set[str]:
    """The outputs of operators whose bias overflows int32 in steps of input scale times weight scale.

    The quantizer saturates it there, even where activations have 16 bits and biases 64, and flips the sign of a positive one.
    """
    interpreter = _interpreter(quantized)
    details = {detail["index"]: detail for detail in interpreter.get_tensor_details()}
    overflowing = set()
    for operator in interpreter._get_ops_details():
        if operator["op_name"] in PRODUCTS and len(operator["inputs"]) == 3 and operator["inputs"][2] >= 0:
            bias = interpreter.get_tensor(operator["inputs"][2])
            if bias.dtype in (np.int32, np.int64) and np.abs(bias.astype(np.int64)).max() >= np.iinfo(np.int32).max:
                overflowing.add(details[operator["outputs"][0]]["name"])
    return overflowing


def _in_one_piece(model: bytes, n_classes: int) -> bytes:
    """`model` with every weight inside its flatbuffer, and the output of `n_classes` values first.

    The quantizer puts the weights of larger models behind it, at absolute offsets that would be wrong in an artifact.
    """
    tables = schema.ModelT.InitFromPackedBuf(model)
    (graph,) = tables.subgraphs
    outputs = sorted((int(at) for at in graph.outputs), key=lambda at: graph.tensors[at].shape[-1] != n_classes)
    graph.outputs = outputs
    for signature in tables.signatureDefs or ():  # LiteRT's C interface counts outputs by these
        signature.outputs.sort(key=lambda output: outputs.index(output.tensorIndex))
    for buffer in tables.buffers:
        if buffer.offset:
            buffer.data = np.frombuffer(model, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    return tflite_pieces.pack(tables)


def _check(quantized: bytes, plan: Plan) -> None:
    try:
        interpreter = Interpreter(model_content=quantized)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise Refused(f"LiteRT does not run this network at {plan.precision}: {reason}") from None
    scale, zero_point = interpreter.get_input_details()[0]["quantization"]
    if plan.precision == "int8" and (scale, zero_point) != (1.0, -128):
        raise Refused(
            f"the int8 input came out with scale {scale} and zero point {zero_point}; the device feeds pixels minus 128, "
            "which wants 1 and -128"
        )
