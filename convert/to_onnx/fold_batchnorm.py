"""Batch norms behind dense layers in an ONNX graph: tf2onnx and ONNX Runtime fold those behind convolutions alone."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from convert.to_onnx.fold_scaling import LINEAR, set_weights

_PLAIN = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0}


def with_norms_in_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model`, equal up to float rounding, with the products and sums behind each dense layer, by a constant for all of its
    outputs or for each, in its weights and bias."""
    folded = onnx.ModelProto()
    folded.CopyFrom(model)
    for node in [node for node in folded.graph.node if node.op_type in ("Gemm", "MatMul")]:
        _fold(folded.graph, node)
    return onnx.shape_inference.infer_shapes(folded)


def _fold(graph: onnx.GraphProto, dense: onnx.NodeProto) -> None:
    numbers = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
    own = [name for name in dense.input[1:] if name in numbers and sum(name in node.input for node in graph.node) == 1]
    plain = _PLAIN | {attribute.name: helper.get_attribute_value(attribute) for attribute in dense.attribute} == _PLAIN
    if not plain or own != list(dense.input[1:]) or _rank(graph, dense.output[0]) != 2:
        return
    weights, *bias = (numbers[name].astype(np.float64) for name in own)
    shape = weights.shape[1:]
    scale, offset = np.ones(shape), bias[0] if bias else np.zeros(shape)
    tensor, folding = dense.output[0], []
    while len(takers := [node for node in graph.node if tensor in node.input]) == 1:
        (node,) = takers
        if node.op_type not in LINEAR or node.input[0] != tensor or node.input[1] not in numbers:
            break
        constant = numbers[node.input[1]]
        if constant.shape not in ((), shape):
            break
        scale, offset = LINEAR[node.op_type](scale, offset, constant)
        tensor = node.output[0]
        folding.append(node)
    if not folding:
        return
    set_weights(graph, dense, 1, weights * scale)
    if bias or offset.any():
        set_weights(graph, dense, 2, offset)
        dense.op_type = "Gemm"
    for node in folding:
        graph.node.remove(node)
    dense.output[0] = tensor


def _rank(graph: onnx.GraphProto, tensor: str) -> int:
    return next((len(info.type.tensor_type.shape.dim) for info in graph.value_info if info.name == tensor), 0)
