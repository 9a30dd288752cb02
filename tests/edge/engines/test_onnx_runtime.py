"""ONNX Runtime answers alike on every processor, also where its fastest 8-bit kernel saturates (x86-64 without VNNI)."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge.artifact import Artifact
from edge.engines import onnx_runtime

N = 64  # pixels, and outputs of each layer
SCALE = np.float32(255 * 127 * N / 255)  # of a layer's outputs: the largest sum is 255 steps


def network(*, layers: int) -> Artifact:
    """Dense 8-bit layers one after the other, all with one weight matrix of 127s."""
    constants = {
        "unit": np.float32(1), "scale": SCALE, "zero": np.uint8(0), "weight_zero": np.int8(0),
        "weight": np.full((N, N), 127, np.int8), "flat": np.array([1, N]),
    }  # fmt: skip
    nodes = [
        helper.make_node("Reshape", ["pixels", "flat"], ["codes0"]),
        helper.make_node("DequantizeLinear", ["weight", "unit", "weight_zero"], ["matrix"]),
    ]
    for layer in range(layers):
        nodes += [
            helper.make_node("DequantizeLinear", [f"codes{layer}", "unit", "zero"], [f"values{layer}"]),
            helper.make_node("MatMul", [f"values{layer}", "matrix"], [f"sums{layer}"]),
            helper.make_node("QuantizeLinear", [f"sums{layer}", "scale", "zero"], [f"codes{layer + 1}"]),
        ]
    nodes.append(helper.make_node("DequantizeLinear", [f"codes{layers}", "unit", "zero"], ["logits"]))
    graph = helper.make_graph(
        nodes, "dense",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, [1, 8, 8, 1])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, N])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return Artifact("dense.onnx", model.SerializeToString(), "0" * 64, {})


@pytest.mark.parametrize("layers", [1, 2])  # two layers share the weight
def test_sums_of_large_products_do_not_saturate(layers):
    engine = onnx_runtime.load(network(layers=layers), threads=1)
    logits = np.frombuffer(engine.run(bytes([255]) * N), np.float32)
    assert set(logits) == {255.0}
