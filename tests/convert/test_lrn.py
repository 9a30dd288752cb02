"""Local response normalization: our rewrite is the operator of TensorFlow and of ONNX, and stays fast where it is int8."""

import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from onnx import TensorProto, helper

from convert import to_onnx, to_tflite
from convert.calibration.images import CalibrationSet
from convert.operators import inventory
from convert.plan import Plan
from edge.engines.interpreter import as_input
from edge.engines.onnx_runtime import exact_session
from train.architectures import architecture
from train.architectures.cifar_lrn import LocalResponseNormalization

ALPHA, SIZE = LocalResponseNormalization.alpha, 9
PICTURES = np.random.default_rng(0).integers(0, 256, (100, 32, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def maps():
    """What a network may put out: float32 [1, 6, 6, 64], some of it far from zero."""
    return np.random.default_rng(1).normal(0, 30, (1, 6, 6, 64)).astype(np.float32)


@pytest.fixture(scope="module")
def ours(maps):
    return np.asarray(LocalResponseNormalization()(maps))


@pytest.fixture(scope="module")
def network():
    return architecture("cifar-lrn").build(batch_size=1)


@pytest.fixture(scope="module")
def converters(network):
    calibration = CalibrationSet(PICTURES, (), 0)
    return {module.Converter.kind: module.Converter(network, calibration) for module in (to_tflite, to_onnx)}


def test_our_layer_is_tensorflows_operator(maps, ours):
    theirs = tf.nn.local_response_normalization(maps, depth_radius=4, bias=1, alpha=0.001 / 9, beta=0.75)  # as documented
    # float32 holds 7 digits; the values go up to 100.
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    assert np.abs(ours - maps).max() > 1  # it does something to such maps


def native_onnx(alpha: float, maps: np.ndarray) -> np.ndarray:
    """ONNX's own LRN on NHWC maps."""
    node = helper.make_node("LRN", ["x"], ["y"], alpha=alpha, beta=0.75, bias=1.0, size=SIZE)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 64, 6, 6]) for name in "xy"]
    graph = helper.make_graph([node], "lrn", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", to_onnx.OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": maps.transpose(0, 3, 1, 2)})[0].transpose(0, 2, 3, 1)


def test_onnxs_operator_is_ours_where_its_alpha_is_ours_times_the_window(maps, ours):
    np.testing.assert_allclose(ours, native_onnx(ALPHA * SIZE, maps), rtol=1e-5, atol=1e-5)
    assert np.abs(ours - native_onnx(ALPHA, maps)).max() > 1


def test_int8_tflite_takes_pixels_minus_128_and_convolves_in_integers(converters):
    model = converters["tflite"].convert(Plan("int8"))
    interpreter = Interpreter(model_content=model)
    (entry,) = interpreter.get_input_details()
    assert (entry["dtype"], entry["quantization"]) == (np.int8, (1.0, -128))
    types = {detail["index"]: np.dtype(detail["dtype"]).name for detail in interpreter.get_tensor_details()}
    made = {(op["op_name"], types[op["outputs"][0]]) for op in interpreter._get_ops_details()}
    assert {kind for kind, made_of in made if made_of == "int8"} >= {"CONV_2D", "FULLY_CONNECTED", "MAX_POOL_2D"}
    assert ("CONV_2D", "float32") not in made
    assert {kind for kind, made_of in made if made_of == "float32"} >= {"RSQRT", "SQRT", "MUL"}
    assert not {kind for kind, made_of in made if made_of == "int8"} & {"RSQRT", "SQRT"}


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_the_report_names_the_roots_as_float_islands_and_no_convolution(converters, kind):
    counts = inventory(converters[kind].convert(Plan("int8")), kind=kind, precision="int8", image=PICTURES[0])
    islands = {operator.upper() for island in counts.islands for operator in island.operators}
    assert "SQRT" in islands
    assert not islands & {"CONV", "CONV_2D", "FULLY_CONNECTED", "MATMUL", "GEMM"}


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_the_int8_network_answers_as_the_float_one_up_to_a_few_steps(converters, network, kind):
    float_logits, logits = (
        np.array([answer(converters[kind].convert(Plan(precision)), kind, picture) for picture in PICTURES[:8]])
        for precision in ("float32", "int8")
    )
    expected = np.asarray(network(PICTURES[:1].astype(np.float32)))[0]
    np.testing.assert_allclose(float_logits[0], expected, rtol=0, atol=1e-5 * np.ptp(float_logits))
    assert np.abs(logits - float_logits).max() < 0.05 * np.ptp(float_logits)


def answer(model: bytes, kind: str, picture: np.ndarray) -> np.ndarray:
    """The logits, decoded."""
    if kind == "onnx":
        return exact_session(model).run(None, {"pixels": picture[None]})[0][0]
    interpreter = Interpreter(model_content=model)
    interpreter.allocate_tensors()
    (entry,), (end,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.set_tensor(entry["index"], as_input(picture[None], entry["dtype"]))
    interpreter.invoke()
    raw = interpreter.get_tensor(end["index"])[0].astype(np.float32)
    scale, zero_point = end["quantization"]
    return scale * (raw - zero_point) if scale else raw


def test_int16x8_runs_where_the_native_operator_would_not_convert(converters):
    model = converters["tflite"].convert(Plan("int16x8"))
    counts = inventory(model, kind="tflite", precision="int16x8", image=PICTURES[0])
    assert counts.by_type["int16 with int8 weights"] == 7  # two convolutions, two sums over neighbours, three dense layers


def test_in_onnx_no_two_convolutions_share_a_weight(converters):
    """Both normalizations add up 64 channels alike, and for a shared weight ONNX Runtime has no exact int8 kernel."""
    graph = onnx.load_from_string(converters["onnx"].convert(Plan("int8"))).graph
    stored = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    weights = [stored[node.input[1]] for node in graph.node if node.op_type == "Conv"]
    assert len(weights) == len(set(weights)) == 4
