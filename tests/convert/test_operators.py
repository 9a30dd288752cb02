"""The account of what runs: weights are named by the type they have in memory, islands by their operators and their time."""

import keras
import numpy as np
import pytest
from keras import layers
from onnx import TensorProto, helper, numpy_helper

from convert import operators, to_onnx, to_tflite
from convert.calibration.images import CalibrationSet
from convert.operators import inventory
from convert.plan import Plan

PICTURES = np.random.default_rng(0).integers(0, 256, (100, 12, 12, 1), np.uint8)
CONVERTERS = {"tflite": to_tflite.Converter, "onnx": to_onnx.Converter}


@pytest.fixture(scope="module")
def sources():
    """A convolution and two dense layers, as each format's converter has them."""
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.Input((12, 12, 1), batch_size=1, name="pixels"),
            layers.Rescaling(1 / 255, name="scale"),
            layers.Conv2D(32, 3, activation="relu", name="conv"),
            layers.MaxPooling2D(name="pool"),
            layers.Flatten(name="flatten"),
            layers.Dense(64, activation="relu", name="dense"),
            layers.Dense(10, name="logits"),
        ],
        name="small",
    )
    return {kind: converter(network, CalibrationSet(PICTURES, (), 0)) for kind, converter in CONVERTERS.items()}


def account(source, plan: Plan) -> operators.Inventory:
    return inventory(source.convert(plan), kind=source.kind, precision=plan.precision, image=PICTURES[0])


def with_weights(counts: operators.Inventory) -> dict[str, int]:
    return {label: count for label, count in counts.by_type.items() if label.endswith(" weights")}


WEIGHTS = {
    ("tflite", "float32"): {},
    ("tflite", "float16"): {"float32 with float16 weights": 3},  # decoded, a layer each
    ("tflite", "dynamic"): {"float32 with int8 weights": 3},
    ("tflite", "int8"): {},
    ("tflite", "int16x8"): {"int16 with int8 weights": 3},
    ("tflite", "int4"): {"float32 with int4 weights": 3},
    ("onnx", "float32"): {},
    ("onnx", "float16"): {},  # these and the 4-bit ones ONNX Runtime decodes once, as it loads the file
    ("onnx", "dynamic"): {"int32 with uint8 weights": 1, "float32 with uint8 weights": 2},
    ("onnx", "int8"): {"uint8 with int8 weights": 3},
    ("onnx", "int4"): {},
}


@pytest.mark.parametrize(("kind", "precision"), WEIGHTS)
def test_the_account_names_the_weights_of_the_three_layers(sources, kind, precision):
    counts = account(sources[kind], Plan(precision))
    assert with_weights(counts) == WEIGHTS[kind, precision]
    if (kind, precision) == ("onnx", "dynamic"):
        # What codes the convolution's input puts out a zero point, which is no weight; the products code their own.
        assert counts.by_type["uint8"] == 1


def product(*, weights: np.ndarray, zero_point: np.ndarray) -> bytes:
    """An integer product of uint8 pixels with `weights`, `zero_point` being theirs, and none said for the pixels."""
    nodes = [
        helper.make_node("Reshape", ["pixels", "flat"], ["row"], "row"),
        helper.make_node("MatMulInteger", ["row", "w", "", "w_zero_point"], ["sums"], "product"),
        helper.make_node("Cast", ["sums"], ["logits"], "cast", to=TensorProto.FLOAT),
    ]
    constants = {"flat": np.array([1, -1]), "w": weights, "w_zero_point": zero_point}
    graph = helper.make_graph(
        nodes,
        "product",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, [1, 12, 12, 1])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, weights.shape[1]])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_an_input_left_out_does_not_put_another_in_the_place_of_the_weights(dtype):
    model = product(weights=np.ones((144, 3), dtype), zero_point=np.zeros(1, dtype))
    counts = inventory(model, kind="onnx", precision="dynamic", image=PICTURES[0])
    assert counts.by_type == {"uint8": 1, f"int32 with {np.dtype(dtype).name} weights": 1, "float32": 1}


@pytest.mark.parametrize(("kind", "layer"), [("tflite", "CONV_2D"), ("onnx", "Conv")])
def test_a_layer_left_in_float_is_the_one_island_and_has_its_share_of_the_time(sources, kind, layer, monkeypatch):
    def timed(calls):
        for call in calls:  # cut before the island, behind it, and the whole
            call()
        return [1.0, 4.0, 12.0]

    monkeypatch.setattr(operators, "_median_us", timed)
    counts = account(sources[kind], Plan("int8", in_float=("conv",)))
    (island,) = counts.islands
    assert any(layer in operator for operator in island.operators)
    assert island.share == 0.25
    assert counts.in_words == f"{counts.counted}; float islands take 25 % of the time"


@pytest.mark.parametrize("kind", CONVERTERS)
def test_nothing_is_timed_where_there_is_no_island_and_a_time_too_short_for_the_clock_is_no_share(sources, kind, monkeypatch):
    monkeypatch.setattr(operators.time, "perf_counter_ns", lambda: pytest.fail("timed"))
    counts = account(sources[kind], Plan("int8"))
    assert (counts.islands, counts.share, counts.in_words) == ((), 0, counts.counted)
    monkeypatch.setattr(operators.time, "perf_counter_ns", lambda: 0)
    (island,) = account(sources[kind], Plan("int8", in_float=("conv",))).islands
    assert island.share == 0


@pytest.mark.parametrize("ticks", [[0, 5000, 0, 1000], [0, 1000, 0, 5000]])
def test_the_shares_are_those_of_the_calls(ticks, monkeypatch):
    """Two calls in turns; the clock says how long each takes."""
    monkeypatch.setattr(operators, "N_CALLS", 1)
    monkeypatch.setattr(operators, "N_ROUNDS", 3)
    clock = iter(([0] * 3 + ticks[:2] + [0] * 3 + ticks[2:]) * 3)
    monkeypatch.setattr(operators.time, "perf_counter_ns", lambda: next(clock))
    calls = []
    taken = operators._median_us([lambda: calls.append("a"), lambda: calls.append("b")])
    assert taken == [ticks[1] / 1000, ticks[3] / 1000]
    assert "".join(calls) == "aaaabbbb" * 3
