"""Compute tanh in an int8 .onnx as a sigmoid, for which ONNX Runtime has an integer kernel."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

RANGE = (-1.0, 127 / 128)  # of a tanh's output, as in TFLite: scale 1/128, zero point 128


def tanh_as_sigmoid(model: onnx.ModelProto, in_float: list[str]) -> onnx.ModelProto:
    """`model`, changed in place: every quantized tanh is a sigmoid, but for the nodes `in_float`.

    tanh x = 2 sigmoid(2x) - 1, so the sigmoid quantized at scale 1/256 and zero point 0 is the tanh at 1/128 and 128.
    """
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    decoders = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    tanhs = [node for node in graph.node if node.op_type == "Tanh" and node.name not in in_float]
    for node in [node for node in tanhs if node.input[0] in decoders]:
        consumers = [each for each in graph.node if node.output[0] in each.input]
        grids = [[constants[name].item() for name in each.input[1:]] for each in consumers if each.op_type == "QuantizeLinear"]
        if len(consumers) > 1 or grids != [[1 / 128, 128]]:
            continue
        code, scale, zero_point = decoders[node.input[0]].input
        own = [f"{node.output[0]}_sigmoid_{role}" for role in ("x_scale", "y_scale", "y_zero_point", "x")]
        values = 2 * constants[scale], np.float32(1 / 256), np.uint8(0)
        graph.initializer.extend(numpy_helper.from_array(np.asarray(v), name) for v, name in zip(values, own, strict=False))
        doubled = helper.make_node("DequantizeLinear", [code, own[0], zero_point], own[3:])
        graph.node.insert(list(graph.node).index(node), doubled)
        node.op_type, node.input[0], consumers[0].input[1:] = "Sigmoid", own[3], own[1:3]
    return model
