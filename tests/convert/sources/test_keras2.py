"""Files of Keras 2, and .h5 files of either: they answer as their weights say, and claim nothing that they do not hold."""

import json

import h5py
import keras
import numpy as np
import pytest

from convert.sources import keras_file, keras_weights
from edge.errors import ModelError
from tests.convert.sources.keras_files import edited, saved, tone_layers

L = keras.layers
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (4, 8, 8, 3)).astype(np.float32)
KERNEL, BIAS = RNG.normal(0, 0.1, (3, 3, 3, 4)).astype(np.float32), np.float32([0.1, -0.2, 0.3, 0])
GAMMA, BETA, MEAN, VARIANCE = np.float32([[1, 2, 3, 4], [0.5, 0, -0.5, 1], [1, 0, -1, 2], [1, 4, 2, 0.5]])
DENSE = RNG.normal(0, 1, (4, 2)).astype(np.float32), np.float32([0.5, -0.5])


def layer(kind, name, *nodes, **config):
    """As Keras 2 wrote a layer into model_config."""
    usual = {"name": name, "trainable": True, "dtype": "float32"} | config
    return {"class_name": kind, "config": usual, "name": name, "inbound_nodes": list(nodes)}


def pixels(name):
    return layer("InputLayer", name, batch_input_shape=[None, 8, 8, 3], sparse=False, ragged=False)


def model(name, layers, first, last):
    config = {"name": name, "layers": layers, "input_layers": [[first, 0, 0]], "output_layers": [[last, 0, 0]]}
    return {"class_name": "Functional", "config": config}


SEED = {"class_name": "GlorotUniform", "config": {"seed": None}}
INNER = model(
    "inner",
    [
        pixels("input_2"),
        layer("Conv2D", "block/conv", [["input_2", 0, 0, {}]], filters=4, kernel_size=[3, 3], strides=[1, 1], padding="valid",
              data_format="channels_last", dilation_rate=[1, 1], groups=1, activation="linear", use_bias=True,
              kernel_initializer=SEED, kernel_regularizer={"class_name": "L2", "config": {"l2": 1e-4}}),
        layer("BatchNormalization", "norm", [["block/conv", 0, 0, {}]], axis=[3], momentum=0.9, epsilon=1e-3, center=True,
              scale=True),
        layer("TFOpLambda", "tf.nn.relu", ["norm", 0, 0, {"name": None}], function="nn.relu"),
    ],
    "input_2",
    "tf.nn.relu",
)  # fmt: skip
# preprocess_input in caffe mode, augmentation, a model in the model, x * 0.5 + x, and tf.nn.softmax as activation.
WHOLE = model(
    "model",
    [
        pixels("input_1"),
        {"class_name": "Sequential", "config": {"name": "augment", "layers": [
            pixels("flip_input"), layer("RandomFlip", "flip", rng_type="stateful", mode="horizontal", seed=None),
            layer("RandomHeight", "taller", factor=0.2)]}, "name": "augment", "inbound_nodes": [[["input_1", 0, 0, {}]]]},
        layer("SlicingOpLambda", "tf.__operators__.getitem",
              ["augment", 1, 0, {"slice_spec": [{"class_name": "__ellipsis__"}, {"start": None, "stop": None, "step": -1}]}],
              function="__operators__.getitem"),
        layer("TFOpLambda", "tf.nn.bias_add",
              ["tf.__operators__.getitem", 0, 0, {"bias": [-104.0, -117.0, -124.0], "data_format": "NHWC"}],
              function="nn.bias_add"),
        INNER | {"name": "inner", "inbound_nodes": [[["tf.nn.bias_add", 0, 0, {"training": False}]]]},
        layer("TFOpLambda", "tf.math.multiply", ["inner", 1, 0, {"y": 0.5, "name": None}], function="math.multiply"),
        layer("TFOpLambda", "add", ["tf.math.multiply", 0, 0, {"y": ["inner", 1, 0], "name": None}],
              function="__operators__.add"),
        layer("GlobalAveragePooling2D", "pool", [["add", 0, 0, {}]], data_format="channels_last", keepdims=False),
        layer("Dense", "answer", [["pool", 0, 0, {}]], units=2, activation="softmax", use_bias=True, kernel_initializer=SEED),
    ],
    "input_1",
    "answer",
)  # fmt: skip


def answers():
    """Of WHOLE, worked out in numpy."""
    x = IMAGES[..., ::-1] - np.float32([104, 117, 124])
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))  # [N, H, W, C, 3, 3]
    x = np.einsum("nhwcij,ijck->nhwk", windows, KERNEL) + BIAS
    x = np.maximum((x - MEAN) / np.sqrt(VARIANCE + 1e-3) * GAMMA + BETA, 0)
    logits = (x * 1.5).mean(axis=(1, 2)) @ DENSE[0] + DENSE[1]
    exps = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exps / exps.sum(axis=1, keepdims=True)


def hdf5(path, config, **groups):
    """An .h5 file as Keras 2 wrote one; `groups`: by layer, its arrays by name in Keras's order."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config).encode()
        file.attrs["keras_version"] = b"2.15.0"
        file.attrs["training_config"] = b"{}"
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [name.encode() for name in groups]
        for name, arrays in groups.items():
            group = weights.create_group(name)
            group.attrs["weight_names"] = [each.encode() for each in arrays]
            for each, array in arrays.items():
                group.create_dataset(each, data=array)
        file.create_dataset("optimizer_weights/large", (1 << 40,), np.float32)  # not read
    return path


NORM = {"norm/gamma:0": GAMMA, "norm/beta:0": BETA, "norm/moving_mean:0": MEAN, "norm/moving_variance:0": VARIANCE}
CONV = {"block/conv/kernel:0": KERNEL, "block/conv/bias:0": BIAS}
ANSWER = {"answer/kernel:0": DENSE[0], "answer/bias:0": DENSE[1]}


@pytest.mark.parametrize("inner", [CONV | NORM, NORM | CONV], ids=["as saved", "in another order"])
def test_an_h5_file_of_keras_2_answers_as_its_weights_say(tmp_path, inner):
    read = keras_file.read(hdf5(tmp_path / "old.h5", WHOLE, inner=inner, answer=ANSWER))
    assert read.saved_with == "2.15.0"
    np.testing.assert_allclose(read.model.predict_on_batch(IMAGES), answers(), atol=1e-4)


def test_a_keras_file_of_keras_2_does_too(tmp_path):
    modern = keras_file.read(hdf5(tmp_path / "old.h5", WHOLE, inner=CONV | NORM, answer=ANSWER)).model
    modern.save(tmp_path / "old.keras")  # Keras 3 lays the weights out as Keras 2.13 did
    account = {"keras_version": "2.15.0", "date_saved": "2024-01-01@00:00:00"}
    whole = WHOLE | {"module": "keras.src.engine.functional", "registered_name": "Functional", "compile_config": {}}
    edited(tmp_path / "old.keras", members={"config.json": json.dumps(whole), "metadata.json": json.dumps(account)})
    np.testing.assert_allclose(keras_file.read(tmp_path / "old.keras").model.predict_on_batch(IMAGES), answers(), atol=1e-4)


def test_an_h5_file_of_keras_3_answers_as_before(tmp_path):
    flip = keras.Sequential([keras.Input((8, 8, 3)), L.RandomFlip(), L.Conv2D(3, 1)], name="part")
    flip.trainable = False
    network = keras.Sequential(
        [keras.Input((8, 8, 3), batch_size=8), flip, L.Rescaling(1 / 255), *tone_layers()[:1], L.Dense(2)]
    )
    network.save(tmp_path / "new.h5")
    images = np.concatenate([IMAGES, IMAGES])
    read = keras_file.read(tmp_path / "new.h5").model
    np.testing.assert_allclose(read.predict_on_batch(images), network.predict_on_batch(images), atol=1e-5)


def test_a_sequential_that_does_not_say_its_input_takes_the_contracts(tmp_path):
    config = {"class_name": "Sequential", "config": [layer("Flatten", "flat"), layer("Dense", "answer", units=2)]}
    path = hdf5(tmp_path / "old.h5", config, answer={"answer/kernel:0": np.ones((48, 2)), "answer/bias:0": np.zeros(2)})
    with pytest.raises(ModelError, match=r"a Sequential that does not say what it takes; .* with --contract: .*\"height\""):
        keras_file.read(path)
    assert keras_file.read(path, image=(4, 4, 3)).model.predict_on_batch(np.ones((1, 4, 4, 3))).tolist() == [[48, 48]]
    with pytest.raises(ModelError, match=r"layer 'answer' claims 128 parameters, and the file holds 98 in all"):
        keras_file.read(path, image=(8, 8, 1))


# What a file claims and does not hold.


def test_layers_get_no_more_parameters_than_the_file_holds(tmp_path):
    """390 KB took 17 GB: 65,536 numbers to as many units."""
    path = saved(tmp_path / "huge.keras", L.Flatten(), L.Dense(1, name="huge"), L.Dense(2), shape=(256, 256, 1))
    edited(path, lambda model: model["config"]["layers"][2]["config"].update(units=65_536))
    with pytest.raises(ModelError, match=r"layer 'huge' claims 4,294,967,296 parameters, and the file holds 65,5\d\d in all"):
        keras_file.read(path)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"shape": (1 << 40,)}, "wanted numbers that fit in the file"),
        ({"shape": (1 << 30,), "chunks": (1 << 20,), "compression": "gzip"}, "in chunks; wanted plain numbers"),
        ({"shape": (1 << 30,), "fillvalue": 1.0}, "wanted numbers that fit in the file"),
    ],
)
def test_an_array_larger_than_the_file_is_not_read(tmp_path, settings, problem):
    path = hdf5(tmp_path / "old.h5", WHOLE, inner=CONV | NORM, answer=ANSWER)
    with h5py.File(path, "a") as file:
        file["model_weights"].create_dataset("claimed", dtype=np.float32, **settings)
    with pytest.raises(ModelError, match=problem):
        keras_file.read(path)


def test_groups_that_lead_to_each_other_by_many_names_are_not_followed_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(keras_weights, "_MAX_ITEMS", 500)
    path = hdf5(tmp_path / "old.h5", WHOLE, inner=CONV | NORM, answer=ANSWER)
    with h5py.File(path, "a") as file:
        for k in range(30):  # 2 to the 30th ways
            group = file.require_group(f"deep/{k}")
            group["left"] = group["right"] = file.require_group(f"deep/{k + 1}")
        file["model_weights/first"] = file["deep/0"]
    with pytest.raises(ModelError, match=r"more than 500 groups and arrays"):
        keras_file.read(path)


def test_many_arrays_that_the_file_does_not_hold_are_counted_together(tmp_path):
    path = hdf5(tmp_path / "old.h5", WHOLE, inner=CONV | NORM, answer=ANSWER)
    with h5py.File(path, "a") as file:
        for k in range(40):
            file.create_dataset(f"model_weights/claimed/{k}", (path.stat().st_size // 8,), np.float32)
    with pytest.raises(ModelError, match="wanted numbers that fit in the file"):
        keras_file.read(path)


# What is refused.


@pytest.mark.parametrize(
    ("kind", "config", "problem"),
    [
        ("Lambda", {"function": ["4wEAAAA", None, None]}, "holds Python code, which is never run"),
        ("TFOpLambda", {"function": "io.read_file"}, "TensorFlow's function io.read_file"),
        ("TensorFlowOpLayer", {"node_def": {}}, "TensorFlowOpLayer is no class of Keras, and code of others is never run"),
        ("Mine", {}, "Mine"),
        ({"a": 1}, {}, "is no class of Keras, and code of others is never run"),
    ],
)
def test_what_keras_2_would_have_run_is_refused_by_its_layer(tmp_path, kind, config, problem):
    odd = layer(kind, "odd", ["input_1", 0, 0, {}], **config)
    whole = model("model", [pixels("input_1"), odd], "input_1", "odd")
    with pytest.raises(ModelError) as refused:
        keras_file.read(hdf5(tmp_path / "old.h5", whole))
    assert problem in str(refused.value) and "layer 'odd'" in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "change", [{"config": 1}, {"config": {"layers": [1]}}, {"class_name": ["Functional"]}, {"config": [[]]}]
)
def test_a_config_that_is_no_models_is_refused(tmp_path, change):
    with pytest.raises(ModelError, match=r"cannot be converted|cannot rebuild"):
        keras_file.read(hdf5(tmp_path / "old.h5", WHOLE | change))


def test_weights_of_another_model_are_refused(tmp_path):
    wrong = {"answer/kernel:0": DENSE[0].T, "answer/bias:0": np.zeros(4)}
    with pytest.raises(ModelError, match=r"layer 'answer' takes weights .*, and the file holds"):
        keras_file.read(hdf5(tmp_path / "old.h5", WHOLE, inner=CONV | NORM, answer=wrong))
