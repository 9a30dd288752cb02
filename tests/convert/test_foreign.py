"""A foreign .keras file: it runs nothing, what cannot be converted is named, and what can be answers as it did."""

import contextlib
import io
import json
import pickle
import zipfile

import h5py
import keras
import numpy as np
import pytest
from PIL import Image

from convert import foreign, keras_config, keras_file
from edge.contract import InputContract
from edge.errors import InputError, InputMissing, ModelError

L = keras.layers
ops = keras.ops
SAYS_DARK = ([[-10.0, 10.0]], [5.0, -5.0])  # of the mean of pixels from 0 to 1: dark below a half, else light


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Twenty dark and twenty light grey pictures of 16x16."""
    folder = tmp_path_factory.mktemp("foreign") / "tones"
    rng = np.random.default_rng(0)
    for name, low in (("dark", 0), ("light", 140)):
        (folder / name).mkdir(parents=True)
        for index in range(20):
            Image.fromarray(rng.integers(low, low + 116, (16, 16), np.uint8)).save(folder / name / f"{index:02}.png")
    return folder


def tone_layers(activation="softmax"):
    dense = L.Dense(2, activation=activation, name="answer")
    dense.build((None, 1))
    dense.set_weights([np.array(value) for value in SAYS_DARK])
    return [L.GlobalAveragePooling2D(), dense]


def saved(path, *layers, shape=(16, 16, 1)):
    keras.Sequential([keras.Input(shape), *layers]).save(path)
    return path


@pytest.fixture
def plain(tmp_path):
    """A sound classifier with its scaling inside."""
    return saved(tmp_path / "Tones v2.keras", L.Rescaling(1 / 255), *tone_layers())


def edited(path, change=None, *, weights=None, more=()):
    """The file at `path` with its config changed by `change(config)`, its weights or its list of members."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    if change:
        config = json.loads(members["config.json"])
        change(config)
        members["config.json"] = json.dumps(config).encode()
    if weights is not None:
        members["model.weights.h5"] = weights
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (*members.items(), *more):
            archive.writestr(name, content)
    return path


def refusal(path, kind=ModelError) -> str:
    with pytest.raises(kind) as raised:
        keras_file.read(path)
    said = str(raised.value)
    assert "\n" not in said and str(path) in said and len(said) < 900
    return said


# Hostile files. Each would leave `ran` in the test's folder.


def layer(module, kind, config, **more):
    return {"module": module, "class_name": kind, "config": config, "registered_name": None} | more


def test_a_lambda_layer_does_not_run(tmp_path):
    ran = tmp_path / "ran"
    code = eval(f"lambda x: [open({str(ran)!r}, 'w').close(), x][1]")
    path = saved(tmp_path / "lambda.keras", L.Lambda(code, output_shape=(16, 16, 1), name="trap"), *tone_layers())
    ran.unlink(missing_ok=True)
    said = refusal(path)
    assert "layer 'trap' (Lambda): holds Python code, which is never run; say it with Keras's own layers" in said
    assert not ran.exists()
    # The payload is a live one.
    keras.saving.load_model(path, safe_mode=False)(np.zeros((1, 16, 16, 1)))
    assert ran.exists()


@pytest.mark.parametrize(
    ("module", "kind", "config"),
    [
        ("os", "system", {"command": "touch {ran}"}),
        ("subprocess", "Popen", {"args": "touch {ran}", "shell": True}),
        ("builtins", "exec", {"source": "open('{ran}', 'w')"}),
        ("keras.utils", "get_file", {"fname": "{ran}", "origin": "http://127.0.0.1:9/x"}),
        ("keras.layers", "TFSMLayer", {"filepath": "{ran}", "name": "saved_model"}),
        ("keras.layers", "StringLookup", {"vocabulary": "{ran}", "name": "words"}),
        ("keras.src.saving.saving_lib", "DiskIOStore", {"root_path": "{ran}"}),
        (None, "Dense", {"units": 2}),
        (["os"], {"system": 1}, {}),
    ],
)
def test_a_class_that_is_not_on_the_list_is_not_looked_up(plain, tmp_path, module, kind, config):
    ran = tmp_path / "ran"
    config = {key: value.replace("{ran}", str(ran)) if isinstance(value, str) else value for key, value in config.items()}
    edited(plain, lambda whole: whole["config"]["layers"].insert(1, layer(module, kind, config)))
    assert "cannot be converted: " in refusal(plain)
    assert not ran.exists()


def test_a_registered_class_does_not_run(plain, tmp_path):
    ran = tmp_path / "ran"

    @keras.saving.register_keras_serializable("trap")
    class Payload(keras.layers.Layer):
        def __init__(self, **settings):
            super().__init__(**settings)
            ran.touch()

    try:
        own = layer(__name__, "Payload", {"name": "own"}) | {"registered_name": "trap>Payload"}
        disguised = layer("keras.layers", "Dropout", {"rate": 0.1, "name": "own"}) | {"registered_name": "trap>Payload"}
        for trap in (own, disguised):
            edited(plain, lambda whole, trap=trap: whole["config"]["layers"].insert(1, trap))
            assert "layer 'own'" in refusal(plain)
            assert not ran.exists()
    finally:
        keras.saving.get_custom_objects().pop("trap>Payload")


@pytest.mark.parametrize(
    "activation",
    [
        {"class_name": "function", "module": "builtins", "config": "exec", "registered_name": "exec"},
        {"class_name": "function", "module": "os", "config": "relu", "registered_name": "relu"},
        {"class_name": "function", "module": "builtins", "config": "relu", "registered_name": "trap>f"},
        {"class_name": "function", "module": "keras.utils", "config": "get_file", "registered_name": "get_file"},
        {"class_name": "__lambda__", "config": {"value": ["4wAAAA==", None, None]}},
        {"class_name": "__typespec__", "module": "os", "registered_name": None, "spec_name": "system", "config": []},
        "trap>f",
    ],
)
def test_a_function_hidden_in_a_layer_is_refused_with_the_layers_name(plain, activation):
    edited(plain, lambda whole: whole["config"]["layers"][-1]["config"].update(activation=activation))
    assert "layer 'answer' (Dense): " in refusal(plain)


def test_what_the_model_was_compiled_with_is_not_read(plain, tmp_path):
    loss = layer("os", "system", {"command": f"touch {tmp_path / 'ran'}"})
    edited(plain, lambda whole: whole.update(compile_config={"loss": loss, "optimizer": loss}))
    assert not keras_file.read(plain).model.compiled
    assert not (tmp_path / "ran").exists()


def test_a_pickle_called_keras_is_not_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    path = tmp_path / "model.keras"
    path.write_bytes(pickle.dumps(Trap()))
    assert refusal(path).endswith("a pickle, not a .keras file; save the model with Keras 3: model.save('my.keras')")
    assert not (tmp_path / "ran").exists()


def test_an_h5_file_under_either_name_is_refused_with_what_to_do(tmp_path):
    h5py.File(tmp_path / "model.h5", "w").close()
    assert "only a .keras file can be checked before it is loaded; save the model with" in refusal(tmp_path / "model.h5")
    renamed = (tmp_path / "model.h5").rename(tmp_path / "model.keras")
    assert "an HDF5 file, not a .keras file" in refusal(renamed)
    (tmp_path / "saved_model").mkdir()
    assert "only a .keras file can be checked" in refusal(tmp_path / "saved_model")
    assert "no such file" in refusal(tmp_path / "gone.keras", InputMissing)


@pytest.mark.parametrize("name", ["../ran", "assets/vocabulary.txt", "model.weights.npz", "config.json"])
def test_a_member_that_does_not_belong_is_refused(plain, tmp_path, name):
    with pytest.warns(UserWarning, match="Duplicate") if name == "config.json" else contextlib.nullcontext():
        edited(plain, more=[(name, b"{}")])
    said = refusal(plain)
    assert "each once" in said if name == "config.json" else f"holds {name!r}; wanted metadata.json, config.json" in said
    assert not (tmp_path / "ran").exists() and not (tmp_path.parent / "ran").exists()


def test_a_bomb_is_not_unpacked(plain, monkeypatch):
    monkeypatch.setitem(keras_file.MEMBERS, "model.weights.h5", 1 << 20)
    edited(plain, weights=bytes(200 << 20))
    assert plain.stat().st_size < 1 << 20
    assert refusal(plain).endswith("model.weights.h5 unpacks to more than 1,048,576 bytes; no small classifier's does")


def test_an_account_nested_without_end_is_refused(plain):
    deep = b"[" * 100_000 + b"]" * 100_000
    with zipfile.ZipFile(plain) as archive:
        weights = archive.read("model.weights.h5")
    with zipfile.ZipFile(plain, "w") as archive:
        for name, content in (("metadata.json", b"{}"), ("config.json", deep), ("model.weights.h5", weights)):
            archive.writestr(name, content)
    assert "config.json cannot be read" in refusal(plain)


def external_link(file, secret):
    file["_layer"] = h5py.ExternalLink(secret, "/numbers")


def external_storage(file, secret):
    file.create_dataset("numbers", (4,), np.float32, external=[(secret, 0, 16)])


def virtual(file, secret):
    layout = h5py.VirtualLayout((4,), np.float32)
    layout[:] = h5py.VirtualSource(secret, "numbers", (4,))
    file.create_virtual_dataset("numbers", layout)


def soft_link(file, _):
    file["loop"] = h5py.SoftLink("/")


def a_group_in_itself(file, _):
    group = file.create_group("self")
    group["again"] = group


def larger_than_the_file(file, _):
    file.create_dataset("huge", (1 << 40,), np.float32)


def objects(file, _):
    file.create_dataset("words", data=["x"], dtype=h5py.string_dtype())


@pytest.mark.parametrize(
    "trap", [external_link, external_storage, virtual, soft_link, a_group_in_itself, larger_than_the_file, objects]
)
def test_weights_that_refer_to_something_else_are_refused(plain, tmp_path, trap):
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["numbers"] = np.arange(4, dtype=np.float32)
    with zipfile.ZipFile(plain) as archive:
        weights = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(weights, "a") as file:
        trap(file, str(tmp_path / "secret.h5"))
    edited(plain, weights=weights.getvalue())
    assert "model.weights.h5 is refused (" in refusal(plain)


# What can and what cannot be converted.


def test_a_sound_file_answers_as_before_and_ends_in_logits(plain, pictures):
    loaded = foreign.load(plain, pictures)
    network = loaded.build(batch_size=1)
    assert [type(part).__name__ for part in network.layers] == ["InputLayer", "Rescaling", "GlobalAveragePooling2D", "Dense"]
    assert network.input_shape == (1, 16, 16, 1) and network.output_shape == (1, 2)
    white = np.full((1, 16, 16, 1), 255, np.float32)
    np.testing.assert_allclose(network.predict_on_batch(white), [[-5, 5]], atol=1e-5)  # by hand, from SAYS_DARK
    assert (loaded.network, loaded.data, loaded.class_names) == ("tones-v2", "tones", ("dark", "light"))
    assert repr(loaded.contract) == "16x16x1 resize any"
    assert loaded.name == "tones-v2-tones" and loaded.provenance == {
        "model_sha256": loaded.digest,
        "trained_with": {"keras": keras.__version__},
        "declared_scaling": {"scale": 1.0, "offset": 0.0},
        "split": "stratified, 30% to test, seed 0",
    }
    assert loaded.data_digest == loaded.dataset.digest and len(loaded.digest) == 64


def test_saved_again_it_has_the_same_digest_and_other_weights_another(plain, pictures, tmp_path):
    first = foreign.load(plain, pictures)
    model = keras.saving.load_model(plain)
    model.save(tmp_path / "again.keras")
    assert foreign.load(tmp_path / "again.keras", pictures).digest == first.digest
    model.layers[-1].bias.assign([5.0, -5.5])
    model.save(tmp_path / "again.keras")
    assert foreign.load(tmp_path / "again.keras", pictures).digest != first.digest


def test_models_in_models_come_out_flat_and_half_precision_whole(pictures, tmp_path):
    shared = L.Conv2D(1, 1, kernel_initializer="ones", name="same name")
    augment = keras.Sequential([keras.Input((16, 16, 1)), L.RandomFlip(), L.RandomRotation(0.1)], name="augment")
    inner_pixels = keras.Input((16, 16, 1))
    inner = keras.Model(inner_pixels, L.Conv2D(1, 1, kernel_initializer="ones", name="same name")(inner_pixels))
    keras.config.set_dtype_policy("mixed_float16")
    try:
        pixels = keras.Input((16, 16, 1))
        x = augment(pixels) / 255.0
        x = inner(shared(shared(x)), training=False) * 0.5 + x * 0.5
        for part in (L.Dropout(0.5), *tone_layers(activation=None), L.Activation("softmax", dtype="float32")):
            x = part(x)
        keras.Model(pixels, x).save(tmp_path / "nested.keras")
    finally:
        keras.config.set_dtype_policy("float32")
    network = foreign.load(tmp_path / "nested.keras", pictures).build()
    names = [part.name for part in network.layers]
    assert len(set(names)) == len(names) and {"same_name", "same_name-again-1"} <= set(names)
    kinds = {type(part).__name__ for part in network.layers}
    assert not kinds & {"Dropout", "Functional", "RandomFlip", "Sequential", "Softmax", "Activation"}
    assert {variable.dtype for variable in network.weights} == {"float32"}
    np.testing.assert_allclose(network.predict_on_batch(np.full((1, 16, 16, 1), 255.0)), [[-5, 5]], atol=1e-5)


PIXELWISE = L.Normalization(axis=(1, 2, 3), mean=np.zeros((16, 16, 1)), variance=np.ones((16, 16, 1)), name="n")


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ([L.Flatten(), L.Dense(1, activation="sigmoid")], "one output, a yes or no; wanted an output a class"),
        ([L.Flatten(), L.Dense(3, activation="sigmoid")], "ends in sigmoid, a yes or no for each of 3 classes"),
        ([L.Flatten(), L.Dense(3, activation="tanh")], "ends in tanh; wanted softmax, or nothing after the last Dense layer"),
        ([L.Flatten(), L.Dense(101)], "101 classes; wanted 2 to 100"),
        ([L.Conv2D(2, 1)], "output (None, 16, 16, 2); wanted one of [None, classes]"),
        ([L.Reshape((16, 16)), L.LSTM(2, name="memory")], "layer 'memory' (LSTM): recurrent layers have no int8 form"),
        (
            [L.Resizing(8, 8, "bicubic", name="r"), L.Flatten(), L.Dense(2)],
            "layer 'r' (Resizing): interpolates bicubic; wanted",
        ),
        ([L.Solarization(name="sun"), L.Flatten(), L.Dense(2)], "layer 'sun' (Solarization): keras.layers.Solarization is not"),
        ([L.Flatten(), L.Dense(4, activation="gelu", name="g"), L.Dense(2)], "layer 'g' (Dense): activation 'gelu' is not"),
        ([PIXELWISE, L.Flatten(), L.Dense(2)], "layer 'n' (Normalization): keeps a mean for each pixel; wanted one a channel"),
        (
            [L.Conv2D(2, 1), L.Conv2D(2, 1, groups=2, name="g"), L.Flatten(), L.Dense(2)],
            "layer 'g' (Conv2D): a convolution in 2",
        ),
        ([L.Flatten(), L.Dense(2), L.Softmax(), L.Reshape((2,))], "its answers are probabilities, and no softmax is last"),
        ([L.Conv2D(2, 1, groups=1, data_format="channels_first", name="c")], "layer 'c' (Conv2D): keeps channels first"),
    ],
)
def test_what_cannot_be_converted_is_named(layers, said, pictures, tmp_path):
    path = tmp_path / "odd.keras"
    if "channels first" in said:
        edited(
            saved(path, L.Conv2D(2, 1, name="c")),
            lambda whole: whole["config"]["layers"][-1]["config"].update(data_format="channels_first"),
        )
    else:
        saved(path, *layers)
    with pytest.raises(ModelError) as refused:
        foreign.load(path, pictures)
    assert said in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("shape", [(16, 16, 2), (8, 8, 1), (256, 256, 3)])
def test_an_input_that_is_no_small_picture_is_refused(shape, pictures, tmp_path):
    with pytest.raises(ModelError, match=r"takes|input"):
        foreign.load(saved(tmp_path / "odd.keras", L.Flatten(), L.Dense(2), shape=shape), pictures)


def test_another_number_of_classes_than_the_folder_has_is_refused(pictures, tmp_path):
    path = saved(tmp_path / "three.keras", L.Flatten(), L.Dense(3))
    with pytest.raises(InputError, match=r"2 classes, and .*three\.keras tells 3 apart; wanted a sub-folder for each"):
        foreign.load(path, pictures)


# Every layer, operation and activation that is let in.
GROUPS = {
    "shapes": [
        L.Resizing(20, 20), L.CenterCrop(12, 18), L.Cropping2D(1), L.ZeroPadding2D(1), L.UpSampling2D(2), L.MaxPooling2D(2),
        L.AveragePooling2D(3, 2, padding="same"), L.Permute((2, 1, 3)), L.Conv2DTranspose(3, 3, strides=2),
        L.Reshape((8, -1, 3)), L.Concatenate(), L.GlobalMaxPooling2D(), L.GlobalAveragePooling2D(keepdims=True), L.Flatten(),
        lambda x: ops.mean(x, axis=(1, 2)),
    ],
    "arithmetic": [
        L.Rescaling([0.5, 1, 2]), L.Normalization(mean=[1, 2, 3], variance=[4, 5, 6]), L.BatchNormalization(), L.Add(),
        L.Average(), L.Maximum(), L.Multiply(), L.Minimum(), L.Subtract(), L.LayerNormalization(), L.GroupNormalization(3),
        L.DepthwiseConv2D(3, padding="same"), L.SeparableConv2D(3, 3), L.Conv2D(3, 3, dilation_rate=2), L.Dense(4),
        lambda x: 1.0 - (x + 1.0) * 0.5 / 0.3, lambda x: ops.divide(-x, 2.0), lambda x: ops.maximum(x, 0.1),
        lambda x: ops.minimum(x, 0.3),
    ],
    "activations": [
        L.ReLU(6), L.ReLU(negative_slope=0.1), L.LeakyReLU(), L.PReLU(shared_axes=[1, 2]), L.ELU(), L.Softmax(), ops.relu,
        ops.relu6, ops.leaky_relu, ops.silu, ops.hard_silu, ops.hard_sigmoid, ops.tanh, ops.sigmoid, ops.softmax,
        *(L.Activation(name) for name in sorted(keras_config.ACTIVATIONS)),
    ],
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
    allowed = keras_config.LAYERS.union(*keras_config.OPERATIONS.values()) - keras_config.TRAINING_ONLY
    assert allowed - kinds == set()


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_what_is_let_in_converts_to_both_formats_and_answers_the_same(grouped, group):
    import onnxruntime
    import tensorflow as tf
    import tf2onnx
    from ai_edge_litert.interpreter import Interpreter

    contract = InputContract(height=16, width=16, channels=3, fit="resize")
    loaded = foreign.Foreign("n", (), contract, 1.0, 0.0, None, "", "", grouped[group])
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

    signature = (tf.TensorSpec(network.input_shape, tf.float32, name="pixels"),)
    answer = tf.function(lambda pixels: network(pixels, training=False))
    graph = tf2onnx.convert.from_function(answer, input_signature=signature, opset=17)[0]
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    for image, row in zip(images, wanted, strict=True):
        np.testing.assert_allclose(session.run(None, {"pixels": image})[0][0], row, atol=1e-4)


@pytest.mark.parametrize("kind", sorted(keras_config.TRAINING_ONLY))
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
    built = foreign.Foreign("n", (), contract, 1.0, 0.0, None, "", "", network).build()
    assert [type(part).__name__ for part in built.layers] == ["InputLayer", "Flatten", "Dense"]


# Scaling.


def contract(tmp_path, **keys):
    (tmp_path / "contract.json").write_text(json.dumps(keys))
    return tmp_path / "contract.json"


def test_a_network_without_its_scaling_is_refused_with_the_scaling_it_wants(pictures, tmp_path):
    path = saved(tmp_path / "bare.keras", *tone_layers())
    with pytest.raises(InputError) as refused:
        foreign.load(path, pictures)
    assert str(refused.value).endswith(
        "answers 50% of 28 training pictures right, and 100% with pixels divided by 255; "
        'say so in contract.json, named with --contract: {"scale": 0.00392156862745098, "offset": 0.0}'
    )


def test_with_the_scaling_it_was_told_the_network_takes_pixels(pictures, tmp_path):
    path = saved(tmp_path / "bare.keras", *tone_layers(activation=None))
    file = contract(tmp_path, height=16, width=16, channels=1, fit="exact", scale=1 / 255)
    loaded = foreign.load(path, pictures, contract_file=file)
    assert loaded.contract.fit == "exact"
    white = np.full((1, 16, 16, 1), 255, np.float32)
    np.testing.assert_allclose(loaded.build().predict_on_batch(white), [[-5, 5]], atol=1e-5)


def test_a_network_of_any_size_takes_the_contracts(pictures, tmp_path):
    path = saved(tmp_path / "any.keras", L.Rescaling(1 / 255), *tone_layers(), shape=(None, None, 1))
    with pytest.raises(InputError, match=r"takes any height; say which in a contract: .*32"):
        foreign.load(path, pictures)
    loaded = foreign.load(path, pictures, contract_file=contract(tmp_path, height=20, width=24))
    assert loaded.build(batch_size=1).input_shape == (1, 20, 24, 1)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"scale": "1/255"}, "scale '1/255'; wanted a number, such as 0.00392156862745098 for 1/255"),
        ({"scale": 0}, "scale 0; wanted a number"),
        ({"height": 32}, "height 32, and "),
        ({"mean": 0.5}, "unknown key 'mean'; known are height, width, channels, fit, polarity, scale, offset"),
        ({"fit": "stretch"}, "fit 'stretch' with polarity 'any'; known are"),
    ],
)
def test_a_contract_that_says_something_else_is_refused(plain, pictures, tmp_path, keys, said):
    with pytest.raises(InputError) as refused:
        foreign.load(plain, pictures, contract_file=contract(tmp_path, **keys))
    assert said in str(refused.value)


def test_classes_in_another_order_than_the_folders_are_refused_with_the_order(pictures, tmp_path):
    gap, dense = tone_layers()
    dense.set_weights([-np.array(value) for value in SAYS_DARK])
    with pytest.raises(InputError) as refused:
        foreign.load(saved(tmp_path / "turned.keras", L.Rescaling(1 / 255), gap, dense), pictures)
    assert str(refused.value).endswith(
        "answers 0% of 28 training pictures right, and 100% were the classes in the order light, dark; "
        "rename the sub-folders so that they sort in that order: 00-light, 01-dark"
    )


def test_a_network_that_guesses_is_said_to(pictures, tmp_path, capsys):
    path = saved(tmp_path / "guess.keras", L.Rescaling(0.0), L.Flatten(), L.Dense(2))
    foreign.load(path, pictures)
    assert "guess.keras: answers 50% of 28 training pictures right, about what guessing does" in capsys.readouterr().err
