"""Multiply-adds and bytes, against counts worked by hand."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from benchmarks.limits import work
from benchmarks.limits.work import Work
from edge import artifact
from edge.errors import ModelError
from train.architectures import architecture

# LeNet-5: 6 maps of 28x28 of 25 products; 16 of 14x14 of 25 x 6; 784 to 120; 120 to 10 and to 48 units.
LENET5 = 6 * 784 * 25 + 16 * 196 * 150 + 784 * 120 + 120 * 58
LENET5_WEIGHTS = 6 * 25 + 16 * 150 + 784 * 120 + 120 * 58
LENET5_BIASES = 6 + 16 + 120 + 58
# deep-mnist: 32 maps of 28x28 of 25; 64 of 14x14 of 25 x 32; 7 x 7 x 64 to 1,024; 1,024 to 10.
DEEP_MNIST = 32 * 784 * 25 + 64 * 196 * 800 + 3136 * 1024 + 1024 * 10
# ResNet-8: the first convolution, then of each stack both convolutions and the shortcut, then 64 to 10.
RESNET8 = (
    16 * 1024 * 27
    + 2 * 16 * 1024 * 144
    + 32 * 256 * (144 + 288 + 16)
    + 64 * 64 * (288 + 576 + 32)
    + 640
)  # fmt: skip


def counted(data: bytes, kind: str = "model") -> Work:
    return work.count(artifact.parse(kind, data, allow_unverified=True))


def untrained(name: str) -> Work:
    tf = pytest.importorskip("tensorflow")
    return counted(bytes(tf.lite.TFLiteConverter.from_keras_model(architecture(name).build(batch_size=1)).convert()))


def onnx_model(nodes, *, takes, gives, **constants: np.ndarray) -> bytes:
    """An .onnx of `nodes` from float32 `x` to float32 `y`."""
    enters, leaves = (helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", takes), ("y", gives)))
    held = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "graph", [enters], [leaves], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()


def test_lenet5_in_int8_as_tflite(tflite):
    found = work.count(artifact.read(str(tflite)))
    assert (found.macs, found.macs_in("int8"), found.macs_in("float32")) == (LENET5, LENET5, 0) == (689_040, 689_040, 0)
    assert found.weight_bytes == LENET5_WEIGHTS + 4 * LENET5_BIASES  # biases are int32
    assert found.least_bytes == found.weight_bytes + 784 + 58


def test_lenet5_in_int8_as_onnx(onnx):
    found = work.count(artifact.read(str(onnx)))
    assert (found.macs, found.macs_in("int8")) == (LENET5, LENET5)
    assert found.weight_bytes == LENET5_WEIGHTS + 4 * LENET5_BIASES
    assert found.ends_bytes == 784 + 4 * 58  # the answer is float32


def test_each_operator_has_its_own_count(tflite):
    found = work.count(artifact.read(str(tflite)))
    first, pool, *_ = found.operators
    (last,) = (each for each in found.operators if each.output_shape == (1, 10))
    assert (first.kind, first.macs, first.weight_bytes, first.depth) == ("CONV_2D", 117_600, 150 + 4 * 6, 25)
    assert first.activation_bytes == 784 + 6 * 784
    assert (pool.kind, pool.macs, pool.weight_bytes, pool.activation_bytes) == ("MAX_POOL_2D", 0, 0, 6 * 784 + 6 * 196)
    assert (last.kind, last.macs) == ("FULLY_CONNECTED", 1200)


@pytest.mark.slow
def test_deep_mnist():
    found = untrained("deep-mnist")
    assert found.macs == found.macs_in("float32") == DEEP_MNIST == 13_883_904
    # All of its parameters but the biases of both dense layers: untrained they are zeros, and the converter leaves them out.
    assert found.weight_bytes == 4 * (3_274_634 - 1024 - 10)


@pytest.mark.slow
def test_resnet8_has_the_multiply_adds_mlperf_tiny_gives_it():
    found = untrained("resnet8")
    assert found.macs == RESNET8 == 12_501_632  # "12.5 M"


def test_a_convolution_in_groups_sums_over_its_group_alone():
    weights = np.ones((6, 1, 3, 3), np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["y"], group=6, pads=[1, 1, 1, 1])
    found = counted(onnx_model([node], takes=[1, 6, 8, 8], gives=[1, 6, 8, 8], w=weights))
    assert found.macs == 6 * 64 * 9
    assert found.weight_bytes == 6 * 9 * 4


def test_int8_weights_beside_a_float_picture_are_float_products_in_onnx():
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "scale"], ["wide"]),
        helper.make_node("MatMul", ["x", "wide"], ["y"]),
    ]
    model = onnx_model(nodes, takes=[1, 32], gives=[1, 10], w=np.ones((32, 10), np.int8), scale=np.float32(0.5))
    found = counted(model)
    assert (found.macs_in("float32"), found.macs_in("int8"), found.weight_bytes) == (320, 0, 320)


def test_what_stands_between_two_codes_is_int8():
    zero = np.int8(0)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "scale", "zero"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "scale"], ["wide"]),
        helper.make_node("MatMul", ["xd", "wide"], ["m"]),
        helper.make_node("QuantizeLinear", ["m", "scale", "zero"], ["mq"]),
        helper.make_node("DequantizeLinear", ["mq", "scale", "zero"], ["y"]),
    ]
    constants = {"w": np.ones((32, 10), np.int8), "scale": np.float32(0.5), "zero": zero}
    (found,) = counted(onnx_model(nodes, takes=[1, 32], gives=[1, 10], **constants)).operators
    assert (found.data_type, found.macs, found.weight_bytes, found.activation_bytes) == ("int8", 320, 320, 32 + 10)


def test_weights_kept_in_float16_are_read_as_the_float32_they_are_widened_to():
    nodes = [helper.make_node("Cast", ["w"], ["wide"], to=TensorProto.FLOAT), helper.make_node("MatMul", ["x", "wide"], ["y"])]
    (found,) = counted(onnx_model(nodes, takes=[1, 32], gives=[1, 10], w=np.ones((32, 10), np.float16))).operators
    assert (found.kind, found.macs, found.data_type, found.weight_bytes) == ("MatMul", 320, "float32", 4 * 320)


def test_an_operator_nobody_counts_is_refused():
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"])
    model = onnx_model([node], takes=[1, 1, 4, 4], gives=[1, 1, 6, 6], w=np.ones((1, 1, 3, 3), np.float32))
    with pytest.raises(ModelError, match="model: its multiply-adds cannot be counted: ConvTranspose is not counted"):
        counted(model)


def test_an_open_batch_is_refused():
    model = onnx.load_model_from_string(onnx_model([helper.make_node("Relu", ["x"], ["y"])], takes=["N", 4], gives=["N", 4]))
    with pytest.raises(ModelError, match="x has no fixed shape"):
        counted(model.SerializeToString())
