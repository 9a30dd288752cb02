"""Weights stored in fewer bits than they compute in, each decoded by nodes in front of it: float16 and 4-bit .onnx.

ONNX Runtime decodes them once, as it loads the file, because it folds constants. It does not fold a DequantizeLinear, which
would run again at every prediction.
"""

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

PRODUCTS = {"Conv", "MatMul", "Gemm"}


def as_float16(model: onnx.ModelProto, tensor: TensorProto, axis: int | None) -> list[onnx.NodeProto]:
    """The nodes that decode `tensor`, stored as float16."""
    halved = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), f"{tensor.name}_float16")
    model.graph.initializer.append(halved)
    return [helper.make_node("Cast", [halved.name], [tensor.name], to=TensorProto.FLOAT)]


def as_int4(model: onnx.ModelProto, tensor: TensorProto, axis: int | None) -> list[onnx.NodeProto]:
    """The nodes that decode `tensor`, stored as int4 with a scale for each slice along `axis`; None: one scale for all."""
    weights = numpy_helper.to_array(tensor)
    across = tuple(a for a in range(weights.ndim) if a != axis)
    scale = np.maximum(np.abs(weights).max(axis=across, keepdims=True), np.finfo(np.float32).tiny) / 7  # -7 to 7, symmetric
    steps = np.round(weights / scale).astype(np.int8)
    names = [f"{tensor.name}_{role}" for role in ("int4", "scale", "steps")]
    model.graph.initializer.extend(
        [
            helper.make_tensor(names[0], TensorProto.INT4, steps.shape, steps.ravel().tolist()),
            numpy_helper.from_array(scale.astype(np.float32), names[1]),
        ]
    )
    return [
        helper.make_node("Cast", names[:1], names[2:], to=TensorProto.FLOAT),
        helper.make_node("Mul", names[:0:-1], [tensor.name]),
    ]


def store_weights(
    model: onnx.ModelProto,
    store: Callable[[onnx.ModelProto, TensorProto, int | None], list[onnx.NodeProto]],
    in_float: list[str],
    *,
    per_channel: bool,
) -> onnx.ModelProto:
    """`model`, changed in place: the weights of its products are stored by `store` and decoded by the nodes it returns, but for
    those of the nodes `in_float`. `store` gets the axis of the output channels, None where they share one scale."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in [node for node in model.graph.node if node.op_type in PRODUCTS and node.name not in in_float]:
        tensor = constants.pop(node.input[1], None)
        if tensor is not None:
            # Output channels come first in a convolution and a transposed Gemm, last in any other product.
            first = node.op_type == "Conv" or any(a.name == "transB" and a.i for a in node.attribute)
            axis = 0 if first else len(tensor.dims) - 1
            for decoder in reversed(store(model, tensor, axis if per_channel else None)):
                model.graph.node.insert(0, decoder)
            model.graph.initializer.remove(tensor)
    return model
