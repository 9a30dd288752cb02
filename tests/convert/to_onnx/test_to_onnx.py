"""The ONNX graph: pixels stay bytes up to the first weights, which do the scaling, and everything else is int8 that can be."""

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from keras import layers

from convert.calibration.images import CalibrationSet
from convert.operators import inventory
from convert.plan import Plan
from convert.to_onnx import OPSET_INT4, Converter
from convert.to_onnx.weight_only import as_int4, store_weights
from edge.artifact import Artifact
from edge.engines import onnx_runtime
from train.architectures import architecture


def pictures(model: keras.Model) -> np.ndarray:
    """A hundred of every brightness, the first ones too: uint8 [100, H, W, C]."""
    rng = np.random.default_rng(0)
    noise = rng.uniform(0, 256, (100, *model.input_shape[1:]))
    return (noise * rng.uniform(0, 1, (100, 1, 1, 1))).astype(np.uint8)


def converter(model: keras.Model) -> Converter:
    return Converter(model, CalibrationSet(pictures(model), (), 0))


def network(*between: layers.Layer, channels: int = 3, padding: str = "same") -> keras.Model:
    """A convolution and a dense layer behind `between`, with weights and biases far from zero."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, channels), batch_size=1, name="pixels"),
            *between,
            layers.Conv2D(8, 3, padding=padding, activation="relu", bias_initializer="random_normal", name="conv"),
            layers.Flatten(name="flatten"),
            layers.Dense(4, bias_initializer="random_normal", name="logits"),
        ],
        name="small",
    )
    return model


def kinds(model: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(model).graph.node]


def largest_difference(model: keras.Model, converted: bytes) -> float:
    """From the Keras model's logits, as a share of their span, in the engine that the device uses."""
    engine = onnx_runtime.load(Artifact("small.onnx", converted, "0" * 64, {}), threads=1)
    images = pictures(model)[:20]
    values = np.stack([np.frombuffer(engine.run(image.tobytes()), np.float32) for image in images])
    expected = np.concatenate([np.asarray(model(image[None].astype(np.float32))) for image in images])
    return float(np.abs(values - expected).max() / np.ptp(expected))


NORM = ("gamma_initializer", "beta_initializer", "moving_mean_initializer", "moving_variance_initializer")

SCALINGS = {
    "factor": [layers.Rescaling(1 / 255, name="scale")],
    "factor and offset": [layers.Rescaling(1 / 127.5, offset=-1, name="scale")],
    "offset that pads with a pixel between two": [layers.Rescaling(1 / 100, offset=-0.507, name="scale")],
    "padding before": [layers.ZeroPadding2D(1, name="pad"), layers.Rescaling(1 / 127.5, offset=-1, name="scale")],
    "padding after": [layers.Rescaling(1 / 255, name="scale"), layers.ZeroPadding2D(1, name="pad")],
    "crop before": [layers.Cropping2D(1, name="crop"), layers.Rescaling(1 / 127.5, offset=-1, name="scale")],
    "two": [layers.Rescaling(1 / 255, name="a"), layers.Rescaling(2.0, offset=-1, name="b")],
}


# Each scaling meets both paddings and both numbers of channels; the other pairs of them are in `make check-full`.
SCALED = [
    pytest.param(
        between, channels, padding, id=f"{name}, {channels}, {padding}",
        marks=[] if (number + (channels == 3) + (padding == "valid")) % 2 == 0 else pytest.mark.long,
    )
    for number, (name, between) in enumerate(SCALINGS.items())
    for channels in (1, 3)
    for padding in ("same", "valid")
]  # fmt: skip


@pytest.mark.parametrize(("between", "channels", "padding"), SCALED)
def test_scaling_goes_into_the_first_weights_and_changes_no_logit(between, channels, padding):
    model = network(*between, channels=channels, padding=padding)
    source = converter(model)
    floating, quantized = source.convert(Plan("float32")), source.convert(Plan("int8"))
    assert not {"Mul", "Add", "Sub", "Div"} & set(kinds(floating))
    assert largest_difference(model, floating) < 1e-5
    # Nothing codes the pixels, which are codes already.
    assert not {"Cast", "Mul", "Add"} & set(kinds(quantized))
    assert largest_difference(model, quantized) < 0.03  # a step of the logits is 0.004 of their span


UNTOUCHED = {
    "zero is no pixel": [layers.Rescaling(1 / 255, offset=1, name="scale")],
    "zeros around scaled pixels": [layers.Rescaling(1 / 127.5, offset=-1, name="scale"), layers.ZeroPadding2D(1, name="pad")],
    "a number for each channel": [layers.Rescaling([0.01, 0.02, 0.03], offset=[0.0, 0.1, 0.2], name="scale")],
    "something else between": [layers.Rescaling(1 / 255, name="scale"), layers.ReLU(name="relu")],
}


@pytest.mark.parametrize("between", UNTOUCHED.values(), ids=UNTOUCHED)
def test_a_scaling_that_would_change_what_is_padded_stays_where_it_is(between):
    model = network(*between)
    floating = converter(model).convert(Plan("float32"))
    assert "Mul" in kinds(floating)
    assert largest_difference(model, floating) < 1e-5


def test_a_scaling_that_two_layers_take_stays_where_it_is():
    pixels = keras.Input((8, 8, 3), batch_size=1, name="pixels")
    scaled = layers.Rescaling(1 / 255, name="scale")(pixels)
    sides = [layers.Conv2D(4, 3, name=name)(scaled) for name in ("left", "right")]
    logits = layers.Dense(4, name="logits")(layers.Flatten(name="flatten")(layers.Add(name="add")(sides)))
    model = keras.Model(pixels, logits, name="two-sided")
    source = converter(model)
    assert largest_difference(model, source.convert(Plan("float32"))) < 1e-5
    assert largest_difference(model, source.convert(Plan("int8"))) < 0.05


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("last", [True, False])
def test_a_scaling_before_and_a_batch_norm_behind_a_dense_layer_go_into_its_weights(bias, last):
    random = {name: keras.initializers.RandomUniform(0.5, 3.0, seed=i) for i, name in enumerate(NORM)}
    hidden = [
        layers.Dense(6, use_bias=bias, bias_initializer="random_normal", name="dense"),
        layers.BatchNormalization(**random),
    ]
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), batch_size=1, name="pixels"),
            layers.Rescaling(1 / 255, name="scale"),
            layers.Flatten(name="flatten"),
            *(hidden if last else [*hidden, layers.ReLU(name="relu"), layers.Dense(4, name="logits")]),
        ],
        name="normed",
    )
    source = converter(model)
    floating, quantized = source.convert(Plan("float32")), source.convert(Plan("int8"))
    assert not {"Mul", "Add", "Sub", "BatchNormalization"} & set(kinds(floating))
    assert largest_difference(model, floating) < 1e-5
    assert not {"Mul", "Add"} & set(kinds(quantized)) and largest_difference(model, quantized) < 0.03
    assert source.layers == (("flatten", "dense") if last else ("flatten", "dense", "relu", "logits"))


def test_a_product_that_another_layer_takes_too_keeps_its_norm():
    pixels = keras.Input((8, 8, 1), batch_size=1, name="pixels")
    dense = layers.Dense(4, name="dense")(layers.Flatten(name="flatten")(pixels))
    normed = layers.BatchNormalization(gamma_initializer=keras.initializers.Constant(3.0), name="norm")(dense)
    model = keras.Model(pixels, layers.Add(name="logits")([dense, normed]), name="shared")
    floating = converter(model).convert(Plan("float32"))
    assert "Mul" in kinds(floating)
    assert largest_difference(model, floating) < 1e-5


@pytest.mark.parametrize("name", ["lenet5-relu", "resnet8"])
def test_no_float_runs_inside_an_int8_network_without_roots(name):
    model = architecture(name).build(batch_size=1)
    counts = inventory(converter(model).convert(Plan("int8")), kind="onnx", precision="int8", image=pictures(model)[0])
    assert counts.islands == ()
    # The logits alone are decoded.
    assert {label: count for label, count in counts.by_type.items() if label.startswith("float")} == {"float32": 1}


def squashed() -> keras.Model:
    """Two convolutions, and a tanh as a layer of its own between them and one before what only moves."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1), batch_size=1, name="pixels"),
            layers.Rescaling(1 / 64, name="scale"),
            layers.Conv2D(8, 3, bias_initializer="random_normal", name="conv"),
            layers.Activation("tanh", name="squash"),
            layers.Conv2D(4, 3, activation="tanh", name="second"),
            layers.Flatten(name="flatten"),
            layers.Dense(4, name="logits"),
        ],
        name="squashed",
    )


def test_a_tanh_is_looked_up_and_ends_half_a_step_from_the_tanh_of_its_input():
    model = squashed()
    source = converter(model)
    quantized = source.convert(Plan("int8"))
    assert "Tanh" not in kinds(quantized)
    assert inventory(quantized, kind="onnx", precision="int8", image=pictures(model)[0]).islands == ()
    assert largest_difference(model, quantized) < 0.05
    reached = []
    for values in source.layer_outputs(Plan("int8"), pictures(model)[:20]):
        expected = np.clip(np.tanh(values["conv"]), -1, 127 / 128)
        np.testing.assert_allclose(values["squash"], expected, rtol=0, atol=1 / 256 + 1e-5)  # a step is 1/128
        reached.append(values["squash"])
    assert np.ptp(reached) > 1.9  # from one end to the other


def test_a_tanh_left_in_float_or_given_another_range_stays_a_tanh(monkeypatch):
    source = converter(squashed())
    assert kinds(source.convert(Plan("int8", in_float=("squash",)))).count("Tanh") == 1
    values = source._ranges("min-max")
    squash = source._last()["squash"]
    assert values[squash] == (-1.0, 127 / 128)
    monkeypatch.setattr(source, "_ranges", lambda method: values | {squash: (-0.5, 0.5)})
    assert kinds(source.convert(Plan("int8"))).count("Tanh") == 1


def test_pixels_keep_their_codes_whatever_the_calibration_images_hold():
    model = network(layers.Rescaling(1 / 255, name="scale"))
    dark = Converter(model, CalibrationSet(pictures(model) // 4, (), 0)).convert(Plan("int8"))
    assert "Cast" not in kinds(dark)
    brightest = np.full((1, 8, 8, 3), 255, np.uint8)
    session = onnxruntime.InferenceSession(dark, providers=["CPUExecutionProvider"])
    # Clipped pixels would give what a quarter as bright ones give.
    assert np.abs(session.run(None, {"pixels": brightest})[0] - session.run(None, {"pixels": brightest // 4})[0]).max() > 0


def weights_in(converted: bytes) -> dict[str, str]:
    """Each layer's weights, by the numbers they are stored in."""
    stored = {}
    for tensor in onnx.load_from_string(converted).graph.initializer:
        if np.prod(tensor.dims) > max(tensor.dims, default=1):  # neither a bias nor a scale a channel
            stored[tensor.name.split("/")[0]] = onnx.TensorProto.DataType.Name(tensor.data_type)
    return stored


@pytest.mark.parametrize(("precision", "small_number"), [("float16", "FLOAT16"), ("int4", "INT4")])
def test_a_layer_left_in_float_keeps_its_float32_weights(precision, small_number):
    source = converter(network(layers.Rescaling(1 / 255, name="scale")))
    assert weights_in(source.convert(Plan(precision))) == {"conv": small_number, "logits": small_number}
    left = source.convert(Plan(precision, in_float=("logits",)))
    assert weights_in(left) == {"conv": small_number, "logits": "FLOAT"}


@pytest.mark.parametrize("per_channel", [True, False])
def test_four_bit_weights_are_half_a_step_off_at_most_in_every_channel(per_channel):
    model = network(layers.Rescaling(1 / 255, name="scale"))
    reaches = {"conv": np.geomspace(0.01, 1, 8), "logits": np.geomspace(0.01, 1, 4)}
    kernels = {}
    for name, reach in reaches.items():
        kernel = np.asarray(model.get_layer(name).kernel)
        kernels[name] = kernel / np.abs(kernel).max(axis=tuple(range(kernel.ndim - 1))) * reach
        model.get_layer(name).kernel.assign(kernels[name])
    decoded = onnx.load_from_string(converter(model).convert(Plan("int4", per_channel=per_channel)))
    for node in [node for node in decoded.graph.node if node.op_type == "Mul"]:
        decoded.graph.output.append(onnx.helper.make_empty_tensor_value_info(node.output[0]))
    session = onnxruntime.InferenceSession(decoded.SerializeToString(), providers=["CPUExecutionProvider"])
    _, conv, logits = session.run(None, {"pixels": pictures(model)[:1]})
    values = {"conv": conv.transpose(2, 3, 1, 0) * 255, "logits": logits}  # the scaling went into the first weights
    for name, reach in reaches.items():
        across = tuple(range(kernels[name].ndim - 1))
        off = np.abs(values[name] - kernels[name]).max(axis=across)
        step = (reach if per_channel else np.full_like(reach, reach.max())) / 7
        assert np.all(off <= step / 2 * (1 + 1e-4))
        assert np.any(off > step[-1] / 10)  # they are rounded
        # The weakest channel reaches 0.01, less than half a step of the strongest.
        assert np.any(values[name][..., 0]) == per_channel


@pytest.mark.parametrize("turned", [0, 1])
def test_a_product_that_turns_its_weights_has_its_scales_along_its_outputs(turned):
    """tf2onnx writes none such today; a Gemm keeps its weights [outputs, inputs] where transB is set."""
    reach = np.geomspace(0.01, 1, 4).astype(np.float32)
    weights = np.random.default_rng(0).uniform(-1, 1, (16, 4)).astype(np.float32)
    weights = weights / np.abs(weights).max(axis=0) * reach
    stored = onnx.numpy_helper.from_array(weights.T.copy() if turned else weights, "w")
    entry, answer = (onnx.helper.make_tensor_value_info(*each) for each in (("x", 1, [1, 16]), ("y", 1, [1, 4])))
    node = onnx.helper.make_node("Gemm", ["x", "w"], ["y"], "gemm", transB=turned)
    graph = onnx.helper.make_graph([node], "g", [entry], [answer], [stored])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", OPSET_INT4)], ir_version=10)
    rounded = store_weights(model, as_int4, [], per_channel=True)
    session = onnxruntime.InferenceSession(rounded.SerializeToString(), providers=["CPUExecutionProvider"])
    values = np.concatenate([session.run(None, {"x": row[None]})[0] for row in np.eye(16, dtype=np.float32)])
    assert np.all(np.abs(values - weights).max(axis=0) <= reach / 14 * (1 + 1e-4))
