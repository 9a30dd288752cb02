"""Convert a trained network to .onnx at any precision: uint8 pixels in, float32 logits out.

tf2onnx writes the float graph. ONNX Runtime's quantizer puts QuantizeLinear/DequantizeLinear pairs around its operators, with
ranges that we measure; its engine fuses them into integer kernels (docs/decisions/0004).
"""

import logging
import tempfile
from collections.abc import Callable, Iterator
from copy import copy
from functools import cache
from pathlib import Path

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from onnx import helper, numpy_helper, version_converter
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.calibrate import TensorsData, save_tensors_data
from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry
from onnxruntime.quantization.shape_inference import quant_pre_process

from convert.calibration.images import CalibrationSet
from convert.calibration.ranges import Range, TensorRanges
from convert.layers import fused_into, layer_in
from convert.plan import Plan
from convert.to_onnx.canonical import canonical
from convert.to_onnx.fold_batchnorm import fold_batchnorm
from convert.to_onnx.fold_scaling import MOVES, fold_scaling, with_uint8_input
from convert.to_onnx.tanh_as_sigmoid import RANGE as TANH_RANGE
from convert.to_onnx.tanh_as_sigmoid import tanh_as_sigmoid
from convert.to_onnx.weight_only import PRODUCTS, as_float16, as_int4, store_weights
from edge.engines.onnx_runtime import exact_session
from edge.errors import Refused
from train.architectures.widen import Units, with_units

OPSET = 17  # ONNX Runtime 1.13 and later run it, old enough for any Pi
OPSET_INT4 = 21  # the first with 4-bit integers: ONNX Runtime 1.18
INPUT, OUTPUT, UNITS = "pixels", "logits", "units"
# As in to_tflite: the operators of a layer that has one of these stay in float with it, but for its convolutions.
ROOTS = {"Sqrt", "Reciprocal", "Pow", "Log", "Exp", "Div"}


class Converter:
    """One network, batch size 1, with the images that set its activation ranges; `layers` are those that compute, in order.

    `units`, which are none of them, are a second output.
    """

    kind = "onnx"

    def __init__(self, model: keras.Model, calibration: CalibrationSet, *, units: Units | None = None) -> None:
        self._model, self._units = model, units
        self._fused_into = fused_into(model)
        widened = with_units(model, units) if units else model
        self._floating = with_own_weights(fold_scaling(fold_batchnorm(_prepared(float_graph(widened)))))
        self.layers = tuple(dict.fromkeys(filter(None, map(self._layer, self._floating.graph.node))))
        self._calibrate(calibration)

    def calibrated(self, calibration: CalibrationSet) -> "Converter":
        """The same converter with ranges by other images; the float model is not made again."""
        other = copy(self)
        other._calibrate(calibration)
        return other

    def _calibrate(self, calibration: CalibrationSet) -> None:
        tensors = [output for node in self._floating.graph.node for output in node.output]
        self._measured = TensorRanges(lambda: _values(self._floating, calibration.images, tensors))
        self._ranges = cache(self._find_ranges)

    def convert(self, plan: Plan) -> bytes:
        """The serialized model of `plan`. Raises Refused where ONNX Runtime cannot run it."""
        quantized = with_uint8_input(self._quantized(plan))
        quantized.producer_name = "edgeproof"  # embed_magic looks for it
        final = canonical(quantized, name=self._model.name, layers=[*self._fused_into, UNITS])
        return bytes(final.SerializeToString(deterministic=True))

    def layer_outputs(self, plan: Plan, images: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        """The float outputs of each layer of the model of `plan`, by name, for each of `images`: uint8 [n, H, W, C]."""
        last = self._last()
        model = self._quantized(plan)
        made = {output for node in model.graph.node for output in node.output}
        # The next layer takes the dequantized value, where there is one.
        tensors = {
            layer: name if (name := f"{output}_DequantizeLinear_Output") in made else output for layer, output in last.items()
        }
        for values in _values(model, images, [name for name in tensors.values() if name in made]):
            yield {layer: values[name] for layer, name in tensors.items() if name in values}

    def ranges(self, plan: Plan) -> dict[str, Range]:
        """The range of each layer's output, measured on the calibration images."""
        return {layer: self._ranges(plan.method)[output] for layer, output in self._last().items()}

    def _last(self) -> dict[str, str]:
        return {self._layer(node): node.output[0] for node in self._floating.graph.node if self._layer(node)}

    def _quantized(self, plan: Plan) -> onnx.ModelProto:
        copy = onnx.ModelProto()
        copy.CopyFrom(self._floating)
        return _PRECISIONS[plan.precision](self, copy, plan)

    def _int8(self, model: onnx.ModelProto, plan: Plan) -> onnx.ModelProto:
        with tempfile.TemporaryDirectory() as folder:
            ranges, quantized = Path(folder, "ranges.json"), str(Path(folder, "int8.onnx"))
            bounds = {name: (np.float32(low), np.float32(high)) for name, (low, high) in self._ranges(plan.method).items()}
            save_tensors_data(TensorsData(CalibrationMethod.MinMax, bounds), ranges)
            quantize_static(
                model,
                quantized,
                None,
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=sorted({*QDQRegistry, *QLinearOpsRegistry, "Tanh"}),  # all that it knows, and Tanh
                per_channel=plan.per_channel,
                weight_type=QuantType.QInt8,
                # Unsigned, so that pixels are their own quantized values. On x86-64 ONNX Runtime's kernels want unsigned
                # tensors; where a tensor has two consumers it converts only half of a signed graph and runs the rest in float.
                activation_type=QuantType.QUInt8,
                nodes_to_exclude=[*self._in_float(plan), *(node.name for node in model.graph.node if node.op_type == "Pad")],
                calibration_cache_path=ranges,
            )
            return tanh_as_sigmoid(onnx.load(quantized), self._in_float(plan))

    def _dynamic(self, model: onnx.ModelProto, plan: Plan) -> onnx.ModelProto:
        with tempfile.TemporaryDirectory() as folder:
            quantized = str(Path(folder, "dynamic.onnx"))
            # Unsigned: with dynamic activations ONNX Runtime multiplies uint8 by uint8 several times as fast as by int8.
            quantize_dynamic(
                model,
                quantized,
                per_channel=plan.per_channel,
                weight_type=QuantType.QUInt8,
                nodes_to_exclude=self._in_float(plan),
            )
            return onnx.load(quantized)

    def _int16x8(self, model: onnx.ModelProto, plan: Plan) -> onnx.ModelProto:
        raise Refused("ONNX Runtime has no CPU kernels for 16-bit activations: it would compute in float, slower than float32")

    def _in_float(self, plan: Plan) -> list[str]:
        nodes = self._floating.graph.node
        with_root = {self._layer(node) for node in nodes if node.op_type in ROOTS}
        return [
            node.name
            for node in nodes
            if self._layer(node) in plan.in_float or (self._layer(node) in with_root and node.op_type not in PRODUCTS)
        ]

    def _layer(self, node: onnx.NodeProto) -> str:
        # A convolution that tf2onnx fused has no layer's name; its weights have.
        return self._fused_into.get(layer_in([node.name, *node.output, *node.input[1:]], self._fused_into), "")

    def _find_ranges(self, method: str) -> dict[str, Range]:
        ranges = self._measured.by(method)
        # Pixels lie from 0 to 255 whatever the calibration images hold.
        ranges[INPUT] = (0.0, 255.0)
        for node in self._floating.graph.node:
            if node.op_type in MOVES | {"Pad"}:
                ranges[node.output[0]] = ranges[node.input[0]]
            elif node.op_type == "Tanh":
                ranges[node.output[0]] = TANH_RANGE
            elif self._units and UNITS in node.output:  # greatest for images that no calibration set holds
                ranges[node.input[0]] = ranges[UNITS] = (0.0, self._units.highest)
        return ranges


def output_step(model: bytes) -> float:
    """The greatest quantization step of an output: the scale of its DequantizeLinear, 0.0 without one."""
    graph = onnx.load_from_string(model).graph
    outputs = {output.name for output in graph.output}
    scales = {node.input[1] for node in graph.node if node.op_type == "DequantizeLinear" and outputs & {*node.output}}
    values = [numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.name in scales]
    return float(max(values, default=0.0))


def float_graph(model: keras.Model) -> onnx.ModelProto:
    """The graph that tf2onnx writes, the logits first. Raises Refused where ONNX has no operators for a layer that TFLite may
    well have."""
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)
    pixels = (tf.TensorSpec(model.input_shape, tf.float32, name=INPUT),)
    names = (OUTPUT, UNITS)[: len(model.outputs)]
    answers = tf.function(lambda pixels: dict(zip(names, tf.nest.flatten(model(pixels, training=False)), strict=True)))
    try:
        graph: onnx.ModelProto = tf2onnx.convert.from_function(answers, input_signature=pixels, opset=OPSET)[0]
        graph.graph.output.sort(key=lambda output: names.index(output.name))
    except MemoryError:
        raise
    except Exception as error:  # it raises whatever it meets, a KeyError of StatefulPartitionedCall among them
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise Refused(f"tf2onnx cannot write this network ({reason}); --formats tflite leaves ONNX out") from None
    layers = {layer.name: type(layer).__name__ for layer in model.layers}
    for node in graph.graph.node:
        if not onnx.defs.has(node.op_type, node.domain):
            layer = layer_in([node.name, *node.output], layers)
            where = f"layer {layer!r} ({layers[layer]})" if layer else "this network"
            raise Refused(f"{where}: tf2onnx writes no ONNX for it ({node.op_type}); --formats tflite leaves ONNX out")
    return graph


def _prepared(floating: onnx.ModelProto) -> onnx.ModelProto:
    """`floating` with batch norms behind convolutions folded, constants folded and every shape inferred."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = (str(Path(folder, f"{stage}.onnx")) for stage in ("float", "prepared"))
        onnx.save(floating, before)
        # Every shape is known; symbolic inference would need sympy.
        quant_pre_process(before, after, skip_symbolic_shape=True)
        return onnx.load(after)


def with_own_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model`, where products that share a weight have one each, as tf2onnx merges equal ones.

    Without VNNI, ONNX Runtime 1.31 and 1.32 prepare no exact int8 kernel for a weight that two products share: they computed in
    float, and cifar-lrn took nine times as long.
    """
    weights, taken = {tensor.name: tensor for tensor in model.graph.initializer}, set()
    for node in model.graph.node:
        if node.op_type in PRODUCTS and (shared := node.input[1]) in weights:
            if shared in taken:
                node.input[1] = f"{node.output[0]}/W"
                model.graph.initializer.append(numpy_helper.from_array(numpy_helper.to_array(weights[shared]), node.input[1]))
            taken.add(shared)
    return model


def _values(model: onnx.ModelProto, images: np.ndarray, tensors: list[str]) -> Iterator[dict[str, np.ndarray]]:
    """The named tensors of `model`, whose input is float pixels, for each of `images`: uint8 [n, H, W, C]."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    del watched.graph.output[:]
    watched.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in tensors)
    session = exact_session(watched.SerializeToString())
    for image in images:
        yield dict(zip(tensors, session.run(tensors, {INPUT: image[None].astype(np.float32)}), strict=True))


_PRECISIONS: dict[str, Callable[[Converter, onnx.ModelProto, Plan], onnx.ModelProto]] = {
    "float32": lambda converter, model, plan: model,
    "float16": lambda converter, model, plan: store_weights(
        model, as_float16, converter._in_float(plan), per_channel=plan.per_channel
    ),
    "dynamic": Converter._dynamic,
    "int8": Converter._int8,
    "int16x8": Converter._int16x8,
    "int4": lambda converter, model, plan: store_weights(
        version_converter.convert_version(model, OPSET_INT4), as_int4, converter._in_float(plan), per_channel=plan.per_channel
    ),
}
