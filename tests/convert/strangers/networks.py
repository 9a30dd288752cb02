"""Sixty usual networks, each as its owner would have written and saved it, and some that must be refused."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.convert.strangers.kinds import SIZE, Kind

Part = Callable[[Any], Any]


def head(keras: Any, x: Any, n: int = 3, **settings: Any) -> Any:
    return keras.layers.Dense(n, **settings)(keras.layers.GlobalAveragePooling2D()(x))


def body(keras: Any, x: Any) -> Any:
    return keras.layers.Conv2D(8, 3, strides=2, activation="relu")(x)


def plain(n: int = 3, end: str | None = "softmax", shape: tuple[int | None, ...] = (SIZE, SIZE, 3), **entry: Any) -> Part:
    """A functional network that scales, convolves and ends in Dense(n)."""

    def build(keras: Any) -> Any:
        pixels = keras.Input(shape, **entry)
        return keras.Model(pixels, head(keras, body(keras, keras.layers.Rescaling(1 / 255)(pixels)), n, activation=end))

    return build


def sequential(*, entry: bool = True, n: int = 3, end: str | None = "softmax", augmented: bool = False) -> Part:
    def build(keras: Any) -> Any:
        layers = keras.layers
        parts = [layers.RandomFlip("horizontal"), layers.RandomRotation(0.1), layers.RandomZoom(0.1)] if augmented else []
        parts += [layers.Rescaling(1 / 255), layers.Conv2D(8, 3, activation="relu"), layers.MaxPooling2D(), layers.Dropout(0.2)]
        parts += [layers.Flatten(), layers.Dense(8, activation="relu"), layers.Dense(n, activation=end)]
        model = keras.Sequential([keras.Input((SIZE, SIZE, 3)), *parts] if entry else parts)
        if not entry:
            model(np.zeros((2, SIZE, SIZE, 3), np.float32))
        return model

    return build


def around(first: Callable[[Any, Any], Any] | None = None, last: Callable[[Any, Any], Any] | None = None, n: int = 3) -> Part:
    """`first(keras, pixels)` before the convolution, scaled where it is left out, and `last(keras, logits)` behind the end."""

    def build(keras: Any) -> Any:
        pixels = keras.Input((SIZE, SIZE, 3))
        x = first(keras, pixels) if first else keras.layers.Rescaling(1 / 255)(pixels)
        logits = head(keras, body(keras, x), n)
        return keras.Model(pixels, last(keras, logits) if last else logits)

    return build


def middle(change: Callable[[Any, Any], Any]) -> Part:
    """`change(keras, x)` between the first convolution and the end."""

    def build(keras: Any) -> Any:
        pixels = keras.Input((SIZE, SIZE, 3))
        return keras.Model(pixels, head(keras, change(keras, body(keras, keras.layers.Rescaling(1 / 255)(pixels)))))

    return build


def without_channels(keras: Any) -> Any:
    """As Keras's first page on MNIST has it: rows of numbers."""
    layers = keras.layers
    parts = [layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(8, activation="relu"), layers.Dense(2)]
    return keras.Sequential([keras.Input((SIZE, SIZE)), *parts])


def prepared(mode: str) -> Part:
    """The `preprocess_input` of Keras's own networks inside the model."""
    return around(lambda keras, x: keras.applications.imagenet_utils.preprocess_input(x, mode=mode))


def on_a_base(keras: Any) -> Any:
    """A base that is not trained, as a tutorial on transfer learning has it, behind augmentation and preprocess_input."""
    layers = keras.layers
    entry = keras.Input((SIZE, SIZE, 3))
    x = layers.BatchNormalization()(layers.Conv2D(12, 3, strides=2, use_bias=False)(entry))
    x = layers.DepthwiseConv2D(3, padding="same")(layers.ReLU(6.0)(x))
    base = keras.Model(entry, layers.Conv2D(12, 1)(x), name="base")
    base.trainable = False
    pixels = keras.Input((SIZE, SIZE, 3))
    x = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.2)])(pixels)
    x = base(keras.applications.imagenet_utils.preprocess_input(x, mode="tf"), training=False)
    return keras.Model(pixels, head(keras, layers.Dropout(0.2)(x), 1))


def teachable(keras: Any) -> Any:
    """As Teachable Machine saves: a Sequential of Sequentials, the first of them around a model."""
    layers = keras.layers
    base = keras.Sequential([plain_base(keras), layers.GlobalAveragePooling2D()])
    top = keras.Sequential([layers.Dense(10, activation="relu", input_shape=(8,)), layers.Dense(3, activation="softmax")])
    return keras.Sequential([base, top])


def plain_base(keras: Any) -> Any:
    pixels = keras.Input((SIZE, SIZE, 3))
    return keras.Model(pixels, keras.layers.ReLU(6.0)(body(keras, pixels)))


def residual(keras: Any, x: Any) -> Any:
    layers = keras.layers
    y = layers.Activation("relu")(layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(x)))
    return layers.Add()([x, layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(y))])


def half(keras: Any) -> Any:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        return around(last=lambda keras, x: keras.layers.Activation("softmax", dtype="float32")(x))(keras)
    finally:
        keras.config.set_dtype_policy("float32")


def tensorflows(name: str) -> Any:
    import tensorflow

    return getattr(tensorflow.nn, name)


def custom(keras: Any) -> Any:
    class Mine(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x * 2

    return middle(lambda keras, x: Mine(name="mine")(x))(keras)


def two_ends(keras: Any) -> Any:
    pixels = keras.Input((SIZE, SIZE, 3))
    x = body(keras, pixels)
    return keras.Model(pixels, [head(keras, x), head(keras, x, 1)])


def two_inputs(keras: Any) -> Any:
    pixels, age = keras.Input((SIZE, SIZE, 3)), keras.Input((1,))
    x = keras.layers.GlobalAveragePooling2D()(body(keras, pixels))
    return keras.Model([pixels, age], keras.layers.Dense(3)(keras.layers.Concatenate()([x, age])))


def claims(path: Path) -> None:
    """The last layer but one says it has 65,536 units for each of as many inputs, in a file of some KB."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    config["config"]["layers"][-2]["config"]["units"] = 1 << 30
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def renamed(name: str, content: bytes = b"") -> Callable[[Path], Path]:
    def spoil(path: Path) -> Path:
        other = path.with_name(name)
        other.write_bytes(content)
        return other

    return spoil


def as_folder(path: Path) -> Path:
    folder = path.with_name("saved_model")
    folder.mkdir()
    (folder / "saved_model.pb").touch()
    return folder


def weights_alone(keras: Any) -> Any:
    class Saving:
        """Saves as `model.save_weights` does."""

        def save(self, path: Path) -> None:
            plain()(keras).save_weights(path)

    return Saving()


def nothing(keras: Any) -> None:
    return None


SCALE = 1 / 127.5
MEAN, DEVIATION = np.float32([120, 115, 99]), np.float32([60, 50, 55])
HALVES = {"scale": SCALE, "offset": -1}
BOTH = ("--formats", "tflite,onnx")
NETWORKS = (
    Kind("functional, Rescaling inside, softmax", plain(), flags=BOTH),
    Kind("functional, logits", plain(end=None)),
    Kind("Sequential with Input", sequential()),
    Kind("Sequential without Input", sequential(entry=False)),
    Kind("Sequential with augmentation layers", sequential(augmented=True)),
    Kind("one sigmoid (cats and dogs)", sequential(n=1, end="sigmoid", augmented=True), classes=2, flags=BOTH),
    Kind("one logit", plain(1, None), classes=2),
    Kind("Activation('sigmoid') behind Dense(1)", around(last=lambda k, x: k.layers.Activation("sigmoid")(x), n=1), classes=2),
    Kind("keras.ops.sigmoid behind Dense(1)", around(last=lambda k, x: k.ops.sigmoid(x), n=1), classes=2),
    Kind("a sigmoid before a Reshape", classes=2, build=around(
        last=lambda k, x: k.layers.Reshape((1,))(k.layers.Activation("sigmoid")(x)), n=1)),
    Kind("two classes, softmax", plain(2), classes=2),
    Kind("Activation('softmax') as a layer", around(last=lambda k, x: k.layers.Activation("softmax")(x))),
    Kind("Softmax layer", around(last=lambda k, x: k.layers.Softmax()(x))),
    Kind("tf.nn.softmax as activation", lambda k: plain(end=tensorflows("softmax"))(k)),
    Kind("tf.nn.relu6 as activation", middle(lambda k, x: k.layers.Activation(tensorflows("relu6"))(x))),
    Kind("keras.ops.softmax in the graph", around(last=lambda k, x: k.ops.softmax(x))),
    Kind("keras.activations.softmax in the graph", around(last=lambda k, x: k.activations.softmax(x))),
    Kind("preprocess_input, tf mode, inside", prepared("tf")),
    Kind("preprocess_input, torch mode, inside", prepared("torch"), flags=BOTH),
    Kind("preprocess_input, caffe mode, inside", prepared("caffe"), flags=BOTH),
    Kind("x[..., ::-1] / 255 inside", around(lambda k, x: x[..., ::-1] / 255.0)),
    Kind("(x - mean) / std with arrays inside", around(lambda k, x: (x - MEAN) / DEVIATION)),
    Kind("a part of the picture: x[:, 2:-2, 2:-2] inside", around(lambda k, x: x[:, 2:-2, 2:-2] / 127.5 - 1.0)),
    Kind("Normalization layer", around(lambda k, x: k.layers.Normalization(mean=[120, 115, 100], variance=[9e3, 8e3, 7e3])(x))),
    Kind("a frozen base in the model, one logit", on_a_base, classes=2),
    Kind("residual with batch norms", middle(residual)),
    Kind("depthwise, ReLU6", middle(lambda k, x: k.layers.ReLU(6.0)(k.layers.DepthwiseConv2D(3)(x)))),
    Kind("separable convolution, swish", middle(lambda k, x: k.layers.SeparableConv2D(8, 3, activation="swish")(x))),
    Kind("GELU", middle(lambda k, x: k.layers.Conv2D(8, 3, activation="gelu")(x)), flags=BOTH),
    Kind("mish", middle(lambda k, x: k.layers.Conv2D(8, 3, activation="mish")(x))),
    Kind("hard-swish and squeeze-and-excitation", middle(lambda k, x: k.layers.Multiply()(
        [x, k.layers.Conv2D(8, 1, activation="hard_sigmoid")(k.layers.GlobalAveragePooling2D(keepdims=True)(x))]))),
    Kind("LeakyReLU, PReLU, average pooling", middle(lambda k, x: k.layers.AveragePooling2D(2)(
        k.layers.PReLU(shared_axes=[1, 2])(k.layers.LeakyReLU()(x))))),
    Kind("layer norm, 1x1 convolutions", middle(lambda k, x: k.layers.Conv2D(8, 1)(k.layers.LayerNormalization()(x)))),
    Kind("a grouped convolution", middle(lambda k, x: k.layers.Conv2D(8, 3, groups=4)(x))),
    Kind("a grouped convolution, for ONNX", middle(lambda k, x: k.layers.Conv2D(8, 3, groups=4)(x)),
         flags=("--formats", "onnx"), says="--formats tflite leaves ONNX out"),
    Kind("mixed_float16", half),
    Kind("a fixed batch of 8", plain(batch_size=8)),
    Kind("grey pictures, 1 channel", plain(2, shape=(SIZE, SIZE, 1)), classes=2, grey=True),
    Kind("grey pictures without an axis for channels", without_channels, classes=2, grey=True, fed=lambda x: x[..., 0]),
    Kind("8x8 pixels", plain(shape=(8, 8, 3)), size=8),
    Kind("160x160 pixels", plain(shape=(160, 160, 3)), size=160),
    Kind("320x320 pixels", plain(shape=(320, 320, 3)), size=320),
    Kind("400x400 pixels", plain(shape=(400, 400, 3)), says="wanted sides from 8 to 320", fitted=False),
    Kind("any size, told by --contract", plain(shape=(None, None, 3)), told={"height": SIZE, "width": SIZE}),
    Kind("any size, nothing told", plain(shape=(None, None, 3)), says="say which in a contract"),
    Kind("scaled to -1..1 outside, told", around(lambda k, x: x), fed=lambda x: x * SCALE - 1, told=HALVES),
    Kind("fed as BGR, told", plain(), fed=lambda x: x[..., ::-1], told={"order": "bgr"}),
    Kind(".h5 of Keras 3", plain(), file="model.h5"),
    Kind(".h5 of Keras 2, Sequential", sequential(), file="model.h5", library="tf_keras"),
    Kind(".h5 of Keras 2, one sigmoid", sequential(n=1, end="sigmoid"), file="model.h5", library="tf_keras", classes=2),
    Kind(".h5 of Keras 2, preprocess_input inside", prepared("caffe"), file="model.h5", library="tf_keras"),
    Kind(".h5 of Keras 2, a frozen base", on_a_base, file="model.h5", library="tf_keras", classes=2),
    Kind(".h5 as Teachable Machine saves it", teachable, file="keras_model.h5", library="tf_keras",
         fed=lambda x: x * SCALE - 1, told=HALVES),
    Kind(".keras of Keras 2, Sequential", sequential(), library="tf_keras"),
    Kind(".keras of Keras 2, a frozen base", on_a_base, library="tf_keras", classes=2),
    Kind("several sigmoids", plain(end="sigmoid"), says="multi-label"),
    Kind("a Lambda layer", middle(lambda k, x: k.layers.Lambda(lambda y: y * 2)(x)), says="never run"),
    Kind("a layer of one's own", custom, says="code of others is never run"),
    Kind("LSTM", middle(lambda k, x: k.layers.Reshape((11, 11, 1))(k.layers.LSTM(121)(k.layers.Reshape((121, 8))(x)))),
         says="recurrent layers"),
    Kind("attention", middle(lambda k, x: k.layers.Reshape((11, 11, 8))(
        k.layers.MultiHeadAttention(2, 4)(*[k.layers.Reshape((121, 8))(x)] * 2))), says="attention has no int8 form"),
    Kind("two inputs", two_inputs, says="wanted one of pictures", fitted=False),
    Kind("two outputs", two_ends, says="wanted one of [None, classes]", fitted=False),
    Kind("a picture as output", lambda k: k.Sequential([k.Input((SIZE, SIZE, 3)), k.layers.Conv2D(3, 1)]), fitted=False,
         says="wanted one of [None, classes]"),
    Kind("as many outputs as there are no folders", plain(4), says="tells 4 apart", fitted=False),
    Kind("weights without a model", weights_alone, file="model.weights.h5", says="weights without a model", fitted=False),
    Kind("a SavedModel folder", nothing, spoil=as_folder, fitted=False, says="where it is a SavedModel, load it with"),
    Kind("a PyTorch file", nothing, spoil=renamed("model.pt"), fitted=False, says="a PyTorch file; only .keras and .h5"),
    Kind("a file that claims 17 GB", sequential(), spoil=claims, says="and the file holds"),
    Kind("half a file", plain(), spoil=cut, says="a damaged .keras file"),
)  # fmt: skip
