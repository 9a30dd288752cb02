"""Fold the scaling of pixels into the first layer's weights, and give an ONNX graph a uint8 input.

ONNX Runtime has no integer product with a constant, so x/255 or x/127.5 - 1 would be a pass over the image in float.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MOVES = {"Reshape", "Transpose", "Slice"}  # they change no value
# The scale and offset of scale·x + offset behind an operator with a constant.
LINEAR: dict[str, Callable[[Any, Any, Any], tuple[Any, Any]]] = {
    "Mul": lambda scale, offset, number: (scale * number, offset * number),
    "Div": lambda scale, offset, number: (scale / number, offset / number),
    "Add": lambda scale, offset, number: (scale, offset + number),
    "Sub": lambda scale, offset, number: (scale, offset - number),
}


def fold_scaling(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model`, equal up to float rounding. Products and sums with one number, between the pixels and the first convolution or
    dense layer, are in the weights and bias of that layer. `model` itself where anything else stands between.

    Where an offset is folded, a convolution can no longer pad with zeros: a Pad adds the pixel value that was scaled to zero.
    """
    folded = onnx.ModelProto()
    folded.CopyFrom(model)
    graph, tensor = folded.graph, folded.graph.input[0].name
    constants = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
    scale, offset, scaling = 1.0, 0.0, []
    while True:
        consumers = [node for node in graph.node if tensor in node.input]
        if len(consumers) != 1:
            return model
        (node,) = consumers
        if node.op_type in ("Conv", "Gemm", "MatMul"):
            break
        if node.op_type in LINEAR and node.input[0] == tensor and constants.get(node.input[1], np.empty(0)).size == 1:
            scale, offset = LINEAR[node.op_type](scale, offset, float(constants[node.input[1]].item()))
            scaling.append(node)
        elif node.op_type not in MOVES and not (_pads_with_zeros(node, constants) and offset == 0):
            return model
        tensor = node.output[0]
    if not scaling or scale == 0 or not _fold(graph, node, scale, offset):
        return model
    for linear in scaling:
        _replace(graph, linear.output[0], linear.input[0])
        graph.node.remove(linear)
    return onnx.shape_inference.infer_shapes(folded)


def _fold(graph: onnx.GraphProto, node: onnx.NodeProto, scale: float, offset: float) -> bool:
    """Make `node` compute from x what it computed from scale·x + offset. False, and no change, where that is impossible."""
    constants = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
    own = [name for name in node.input if name in constants and sum(name in other.input for other in graph.node) == 1]
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    pads, zero = attributes.get("pads", []), -offset / scale
    if own != list(node.input[1:]) or attributes.get("alpha", 1.0) != 1 or attributes.get("beta", 1.0) != 1:
        return False
    if offset and (node.op_type == "MatMul" or attributes.get("auto_pad", b"NOTSET") != b"NOTSET" or not 0 <= zero <= 255):
        return False
    weights = constants[node.input[1]].astype(np.float64)
    set_weights(graph, node, 1, weights * scale)
    if offset:
        outputs_first = node.op_type == "Conv" or attributes.get("transB", 0)
        sums = weights.sum(axis=tuple(range(1, weights.ndim)) if outputs_first else 0)
        set_weights(graph, node, 2, offset * sums + (constants[own[1]] if len(own) > 1 else 0))
    if offset and any(pads):
        sides = f"{node.input[1]}_pads", f"{node.input[1]}_zero"
        half = len(pads) // 2
        graph.initializer.extend(
            [
                numpy_helper.from_array(np.array([0, 0, *pads[:half], 0, 0, *pads[half:]], np.int64), sides[0]),
                numpy_helper.from_array(np.array(zero, np.float32), sides[1]),
            ]
        )
        padded = f"{node.output[0]}_padded"
        graph.node.insert(
            list(graph.node).index(node), helper.make_node("Pad", [node.input[0], *sides], [padded], f"{node.name}/Pad")
        )
        node.input[0] = padded
        next(attribute for attribute in node.attribute if attribute.name == "pads").ints[:] = [0] * len(pads)
    return True


def _pads_with_zeros(node: onnx.NodeProto, constants: dict[str, np.ndarray]) -> bool:
    if node.op_type != "Pad" or any(attribute.name == "mode" and attribute.s != b"constant" for attribute in node.attribute):
        return False
    return len(node.input) < 3 or not node.input[2] or not constants.get(node.input[2], np.ones(1)).any()


def set_weights(graph: onnx.GraphProto, node: onnx.NodeProto, position: int, values: np.ndarray) -> None:
    """Make `values` the constant at input `position` of `node`, as float32. A position behind the last adds a bias."""
    name = node.input[position] if position < len(node.input) else f"{node.input[1]}_bias"
    for constant in [constant for constant in graph.initializer if constant.name == name]:
        graph.initializer.remove(constant)
    graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), name))
    if position == len(node.input):
        node.input.append(name)


def _replace(graph: onnx.GraphProto, tensor: str, by: str) -> None:
    for node in graph.node:
        node.input[:] = [by if name == tensor else name for name in node.input]


def with_uint8_input(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model`, changed in place to take uint8 pixels. Up to the first layer they are moved and padded as bytes, which are
    their own quantized values; where that layer wants float, a Cast stands in front instead."""
    graph = model.graph
    (entry,) = graph.input
    entry.type.tensor_type.elem_type = TensorProto.UINT8
    constants = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
    moving, tensor = [], entry.name
    while len(consumers := [node for node in graph.node if tensor in node.input]) == 1:
        (node,) = consumers
        if node.op_type not in MOVES | {"Pad"} and not (
            node.op_type in ("QuantizeLinear", "DequantizeLinear")
            and _is_identity(*(constants[name] for name in node.input[1:]))
        ):
            break
        moving.append(node)
        tensor = node.output[0]
    while moving and moving[-1].op_type != "QuantizeLinear":
        moving.pop()
    if not moving:
        _replace(graph, entry.name, f"{entry.name}_float")
        cast = helper.make_node("Cast", [entry.name], [f"{entry.name}_float"], name="cast", to=TensorProto.FLOAT)
        graph.node.insert(0, cast)
    for node in moving:
        if node.op_type == "Pad" and len(node.input) > 2:
            byte = np.clip(np.rint(constants[node.input[2]]), 0, 255).astype(np.uint8)
            filler = numpy_helper.from_array(byte, f"{node.input[2]}_byte")
            graph.initializer.append(filler)
            node.input[2] = filler.name
        elif node.op_type not in MOVES | {"Pad"}:
            _replace(graph, node.output[0], node.input[0])
            graph.node.remove(node)
    for value in [value for value in graph.value_info if any(value.name in node.output for node in moving)]:
        graph.value_info.remove(value)  # it says float
    return model


def _is_identity(scale: np.ndarray, zero_point: np.ndarray) -> bool:
    return zero_point.dtype == np.uint8 and scale.size == 1 and (scale.item(), zero_point.item()) == (1.0, 0)
