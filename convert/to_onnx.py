"""A trained network to an int8 .onnx: uint8 pixels in (a Cast in the graph), float32 logits out, QDQ in between.

tf2onnx writes the float graph and ONNX Runtime's quantizer puts QuantizeLinear/DequantizeLinear pairs around its
operators, from which its engine makes integer kernels.
"""

import logging
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from convert.calibration import CalibrationSet
from convert.canonical import canonical

OPSET = 17  # ONNX Runtime 1.13 and later run it, old enough for any Pi
INPUT, OUTPUT = "pixels", "logits"


def int8(model: keras.Model, calibration: CalibrationSet) -> bytes:
    """The bytes of the quantized `model` (batch size 1), ending where an archive may be appended."""
    with tempfile.TemporaryDirectory() as folder:
        floating, prepared, quantized = (str(Path(folder, f"{stage}.onnx")) for stage in ("float", "prepared", "int8"))
        onnx.save(_float_graph(model), floating)
        # The batch is 1 and every shape known: there is nothing symbolic to infer, for which sympy would be needed.
        quant_pre_process(floating, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            quantized,
            _Reader(calibration.images),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QInt8,
        )
        fed_bytes = _with_uint8_input(onnx.load(quantized))
    final = canonical(fed_bytes, name=model.name, layers=[layer.name for layer in model.layers])
    return bytes(final.SerializeToString(deterministic=True))


def output_step(model: bytes) -> float:
    """What one int8 step of the output is worth in logits: the scale of the last DequantizeLinear; 0.0 without one."""
    graph = onnx.load_from_string(model).graph
    scales = [node.input[1] for node in graph.node if node.op_type == "DequantizeLinear" and OUTPUT in node.output]
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.name in scales}
    return float(values[scales[0]]) if scales else 0.0


def _float_graph(model: keras.Model) -> onnx.ModelProto:
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)

    pixels = (tf.TensorSpec(model.input_shape, tf.float32, name=INPUT),)
    logits = tf.function(lambda pixels: {OUTPUT: model(pixels, training=False)})
    graph: onnx.ModelProto = tf2onnx.convert.from_function(logits, input_signature=pixels, opset=OPSET)[0]
    return graph


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, images: np.ndarray) -> None:
        self._rows = iter(images)

    def get_next(self) -> dict[str, Any] | None:
        image = next(self._rows, None)
        return None if image is None else {INPUT: image[None].astype(np.float32)}


def _with_uint8_input(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model` fed bytes: its float input becomes the output of a Cast. `producer_name` takes the artifact's mark."""
    (entry,) = model.graph.input
    as_float = f"{INPUT}_float"
    for node in model.graph.node:
        node.input[:] = [as_float if name == INPUT else name for name in node.input]
    model.graph.node.insert(0, onnx.helper.make_node("Cast", [INPUT], [as_float], name="cast", to=onnx.TensorProto.FLOAT))
    entry.type.tensor_type.elem_type = onnx.TensorProto.UINT8
    model.producer_name = "edgeproof"
    return model
