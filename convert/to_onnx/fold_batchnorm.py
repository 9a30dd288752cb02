"""Fold batch norms behind dense layers of an ONNX graph; tf2onnx and ONNX Runtime fold only those behind convolutions."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from convert.to_onnx.fold_scaling import LINEAR, set_weights

_DEFAULTS = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0}


def fold_batchnorm(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model`, equal up to float rounding. Products and sums behind a dense layer, with one constant for all of its outputs or
    one for each, are in its weights and bias."""
    folded = onnx.ModelProto()
    folded.CopyFrom(model)
    for node in [node for node in folded.graph.node if node.op_type in ("Gemm", "MatMul")]:
        _fold(folded.graph, node)
    return onnx.shape_inference.infer_shapes(folded)


def _fold(graph: onnx.GraphProto, dense: onnx.NodeProto) -> None:
    constants = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
    own = [name for name in dense.input[1:] if name in constants and sum(name in node.input for node in graph.node) == 1]
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in dense.attribute}
    if _DEFAULTS | attributes != _DEFAULTS or own != list(dense.input[1:]) or _rank(graph, dense.output[0]) != 2:
        return
    weights, *bias = (constants[name].astype(np.float64) for name in own)
    shape = weights.shape[1:]
    scale, offset = np.ones(shape), bias[0] if bias else np.zeros(shape)
    tensor, folding = dense.output[0], []
    while len(consumers := [node for node in graph.node if tensor in node.input]) == 1:
        (node,) = consumers
        if node.op_type not in LINEAR or node.input[0] != tensor or node.input[1] not in constants:
            break
        constant = constants[node.input[1]]
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
