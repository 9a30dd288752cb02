"""Every layer, operation and activation that a foreign Keras file may hold converts and answers the same."""

import keras
import numpy as np
import pytest

from convert.pictures.arithmetic import PLAIN
from convert.sources import from_keras, keras_allowlist
from edge.contract import InputContract
from edge.errors import Refused

L = keras.layers
ops = keras.ops
# Every layer, operation and activation that is let in.
GROUPS = {
    "shapes": [
        L.Resizing(20, 20), L.CenterCrop(12, 18), L.Cropping2D(1), L.ZeroPadding2D(1), L.UpSampling2D(2), L.MaxPooling2D(2),
        L.AveragePooling2D(3, 2, padding="same"), L.Permute((2, 1, 3)), L.Conv2DTranspose(3, 3, strides=2),
        L.Reshape((8, -1, 3)), L.Concatenate(), L.GlobalMaxPooling2D(), L.GlobalAveragePooling2D(keepdims=True), L.Flatten(),
        lambda x: ops.mean(x, axis=(1, 2)), lambda x: ops.max(x, axis=-1), lambda x: ops.reshape(x, (-1, 8, 96)),
        lambda x: ops.concatenate([x, x], axis=2), lambda x: x[..., ::-1], lambda x: x[:, 1:9, ::2],
        lambda x: ops.stack([x[..., 2], x[..., 0]], axis=-1), lambda x: ops.squeeze(ops.expand_dims(x, 1), 1),
        lambda x: ops.pad(x, ((0, 0), (1, 1), (2, 0), (0, 0))), lambda x: ops.transpose(x, (0, 2, 1, 3)),
    ],
    "arithmetic": [
        L.Rescaling([0.5, 1, 2]), L.Normalization(mean=[1, 2, 3], variance=[4, 5, 6]), L.BatchNormalization(), L.Add(),
        L.Average(), L.Maximum(), L.Multiply(), L.Minimum(), L.Subtract(), L.LayerNormalization(), L.GroupNormalization(3),
        L.DepthwiseConv2D(3, padding="same"), L.SeparableConv2D(3, 3), L.Conv2D(3, 3, dilation_rate=2), L.Dense(4),
        lambda x: 1.0 - (x + 1.0) * 0.5 / 0.3, lambda x: ops.divide(-x, 2.0), lambda x: ops.maximum(x, 0.1),
        lambda x: ops.minimum(x, 0.3), lambda x: ops.abs(x), lambda x: ops.square(x), lambda x: ops.clip(x, 0.1, 0.3),
        lambda x: ops.sum(x, axis=-1) / 3.0, lambda x: (x + 1.0) ** 2,
        lambda x: ops.sqrt(ops.abs(x) + 0.1), lambda x: x - np.float32([1, 2, 3]), lambda x: ops.cast(x, "float32") + 1.0,
        lambda x: x / ops.convert_to_tensor([2.0, 3.0, 4.0]),
    ],
    "activations": [
        L.ReLU(6), L.ReLU(negative_slope=0.1), L.LeakyReLU(), L.PReLU(shared_axes=[1, 2]), L.ELU(), L.Softmax(), ops.relu,
        ops.relu6, ops.leaky_relu, ops.silu, ops.hard_silu, ops.hard_sigmoid, ops.tanh, ops.sigmoid, ops.softmax, ops.elu,
        ops.selu, lambda x: ops.gelu(x + 1.0),
        lambda x: keras.activations.relu(x, max_value=3),
        *(L.Activation(name) for name in sorted(keras_allowlist.ACTIVATIONS)),
    ],
    "TFLite alone": [L.Conv2D(6, 3, groups=3)],
}  # fmt: skip
JOINS = L.Add | L.Average | L.Concatenate | L.Maximum | L.Minimum | L.Multiply | L.Subtract


@pytest.fixture(scope="module")
def grouped():
    """By group, a network in which all it names stand side by side."""
    built = {}
    for group, parts in GROUPS.items():
        keras.utils.set_random_seed(0)
        pixels = keras.Input((16, 16, 3))
        x = L.Conv2D(3, 3, padding="same")(L.Rescaling(1 / 255)(pixels))
        beside = L.Conv2D(3, 1)(x)
        sides = [L.Flatten()(part([x, beside] if isinstance(part, JOINS) else x)) for part in parts]
        built[group] = keras.Model(pixels, L.Dense(3, activation="softmax")(L.Concatenate()(sides)))
    return built


def test_every_layer_that_is_let_in_is_in_a_group(grouped):
    kinds = {type(part).__name__ for network in grouped.values() for part in network.operations}
    allowed = keras_allowlist.LAYERS.union(*keras_allowlist.OPERATIONS.values()) - keras_allowlist.TRAINING_ONLY
    assert allowed - kinds == set()


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_what_is_let_in_converts_to_the_formats_and_answers_the_same(grouped, group):
    import onnxruntime
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    from convert import to_onnx

    contract = InputContract(height=16, width=16, channels=3, fit="resize")
    loaded = from_keras.Foreign("n", (), contract, PLAIN, None, "", "", grouped[group])
    network = loaded.build(batch_size=1)
    images = np.random.default_rng(0).integers(0, 256, (8, 1, 16, 16, 3)).astype(np.float32)
    wanted = np.concatenate([network.predict_on_batch(image) for image in images])
    assert np.ptp(wanted, axis=0).max() > 1e-3  # ten times the tolerance: a network that says one thing proves nothing

    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    floating = Interpreter(model_content=converter.convert())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image] for image in images)
    quantized = Interpreter(model_content=converter.convert())
    for interpreter in (floating, quantized):
        interpreter.allocate_tensors()
        for image, row in zip(images, wanted, strict=True):
            interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
            interpreter.invoke()
            answer = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]
            assert np.isfinite(answer).all()
            if interpreter is floating:
                np.testing.assert_allclose(answer, row, atol=1e-4)

    if group == "TFLite alone":
        with pytest.raises(Refused, match="--formats tflite leaves ONNX out"):
            to_onnx.float_graph(network)
        return
    graph = to_onnx.float_graph(network)
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    for image, row in zip(images, wanted, strict=True):
        np.testing.assert_allclose(session.run(None, {to_onnx.INPUT: image})[0][0], row, atol=1e-4)


@pytest.mark.parametrize("kind", sorted(keras_allowlist.TRAINING_ONLY))
def test_what_only_training_needs_changes_no_answer_and_is_left_out(kind):
    settings = {
        "AlphaDropout": (0.5,), "Dropout": (0.5,), "GaussianDropout": (0.5,), "GaussianNoise": (0.5,),
        "SpatialDropout2D": (0.5,),
        "RandomBrightness": (0.5,), "RandomColorDegeneration": (0.5,), "RandomContrast": (0.5,), "RandomHue": (0.5,),
        "RandomPosterization": (4,), "RandomRotation": (0.5,), "RandomSaturation": (0.5,), "RandomSharpness": (0.5,),
        "RandomTranslation": (0.5, 0.5), "RandomZoom": (0.5,),
    }  # fmt: skip
    layer = getattr(L, kind)(*settings.get(kind, ()))
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(layer(images, training=False)), images, atol=1e-3)
    network = keras.Sequential([keras.Input((16, 16, 3)), layer, L.Flatten(), L.Dense(2)])
    contract = InputContract(height=16, width=16, channels=3, fit="resize")
    built = from_keras.Foreign("n", (), contract, PLAIN, None, "", "", network).build()
    assert [type(part).__name__ for part in built.layers] == ["InputLayer", "Flatten", "Dense"]
