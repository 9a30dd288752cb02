"""A hostile .keras file runs nothing and is refused in one line; each here would leave `ran` in the test's folder."""

import contextlib
import io
import pickle
import zipfile

import h5py
import keras
import numpy as np
import pytest

from convert.sources import keras_file
from edge.errors import InputMissing, ModelError
from tests.convert.sources.keras_files import edited, saved, tone_layers

L = keras.layers


def refusal(path, kind=ModelError) -> str:
    with pytest.raises(kind) as raised:
        keras_file.read(path)
    message = str(raised.value)
    assert "\n" not in message and str(path) in message and len(message) < 900
    return message


def layer(module, kind, config, **more):
    return {"module": module, "class_name": kind, "config": config, "registered_name": None} | more


def test_a_lambda_layer_does_not_run(tmp_path):
    ran = tmp_path / "ran"
    code = eval(f"lambda x: [open({str(ran)!r}, 'w').close(), x][1]")
    path = saved(tmp_path / "lambda.keras", L.Lambda(code, output_shape=(16, 16, 1), name="trap"), *tone_layers())
    ran.unlink(missing_ok=True)
    message = refusal(path)
    assert "layer 'trap' (Lambda): holds Python code, which is never run; say it with Keras's own layers" in message
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
    edited(plain, lambda model: model["config"]["layers"].insert(1, layer(module, kind, config)))
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
            edited(plain, lambda model, trap=trap: model["config"]["layers"].insert(1, trap))
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
    edited(plain, lambda model: model["config"]["layers"][-1]["config"].update(activation=activation))
    assert "layer 'answer' (Dense): " in refusal(plain)


def test_what_the_model_was_compiled_with_is_not_read(plain, tmp_path):
    loss = layer("os", "system", {"command": f"touch {tmp_path / 'ran'}"})
    edited(plain, lambda model: model.update(compile_config={"loss": loss, "optimizer": loss}))
    assert not keras_file.read(plain).model.compiled
    assert not (tmp_path / "ran").exists()


def test_a_pickle_called_keras_is_not_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    path = tmp_path / "model.keras"
    path.write_bytes(pickle.dumps(Trap()))
    assert refusal(path).endswith("a pickle, not a .keras file; save the whole model with Keras: model.save('my.keras')")
    assert not (tmp_path / "ran").exists()


def test_what_is_no_file_of_a_whole_model_is_refused_with_what_to_do(tmp_path):
    h5py.File(tmp_path / "model.h5", "w").close()
    assert "weights without a model; build it in your code, load_weights, and save the whole" in refusal(tmp_path / "model.h5")
    (tmp_path / "saved_model").mkdir()
    assert "a folder; wanted a .keras or .h5 file; where it is a SavedModel, load it" in refusal(tmp_path / "saved_model")
    (tmp_path / "net.pt").touch()
    assert "a PyTorch file; only .keras and .h5 files are checked before they are loaded" in refusal(tmp_path / "net.pt")
    assert "no such file" in refusal(tmp_path / "gone.keras", InputMissing)


@pytest.mark.parametrize("name", ["../ran", "assets/vocabulary.txt", "model.weights.npz", "config.json"])
def test_a_member_that_does_not_belong_is_refused(plain, tmp_path, name):
    with pytest.warns(UserWarning, match="Duplicate") if name == "config.json" else contextlib.nullcontext():
        edited(plain, more=[(name, b"{}")])
    message = refusal(plain)
    assert "each once" in message if name == "config.json" else f"holds {name!r}; wanted metadata.json, config.json" in message
    assert not (tmp_path / "ran").exists() and not (tmp_path.parent / "ran").exists()


def test_a_bomb_is_not_unpacked(plain, monkeypatch):
    monkeypatch.setitem(keras_file.MEMBERS, "model.weights.h5", 1 << 20)
    edited(plain, members={"model.weights.h5": bytes(200 << 20)})
    assert plain.stat().st_size < 1 << 20
    assert refusal(plain).endswith("model.weights.h5 unpacks to more than 1,048,576 bytes; no small classifier's does")


def test_an_account_nested_without_end_is_refused(plain):
    edited(plain, members={"config.json": b"[" * 100_000 + b"]" * 100_000})
    assert "config.json cannot be read" in refusal(plain)


def virtual(file, secret):
    layout = h5py.VirtualLayout((4,), np.float32)
    layout[:] = h5py.VirtualSource(secret, "numbers", (4,))
    file.create_virtual_dataset("numbers", layout)


TRAPS = {
    "external link": lambda file, secret: file.update({"_layer": h5py.ExternalLink(secret, "/numbers")}),
    "external storage": lambda file, secret: file.create_dataset("numbers", (4,), np.float32, external=[(secret, 0, 16)]),
    "virtual": virtual,
    "soft link": lambda file, _: file.update({"loop": h5py.SoftLink("/")}),
    "a group in itself": lambda file, _: file.update({"self/again": file.create_group("self")}),
    "larger than the file": lambda file, _: file.create_dataset("huge", (1 << 40,), np.float32),
    "objects": lambda file, _: file.create_dataset("words", data=["x"], dtype=h5py.string_dtype()),
}


@pytest.mark.parametrize("trap", TRAPS.values(), ids=TRAPS)
def test_weights_that_refer_to_something_else_are_refused(plain, tmp_path, trap):
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["numbers"] = np.arange(4, dtype=np.float32)
    with zipfile.ZipFile(plain) as archive:
        weights = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(weights, "a") as file:
        trap(file, str(tmp_path / "secret.h5"))
    edited(plain, members={"model.weights.h5": weights.getvalue()})
    assert "model.weights.h5 is refused (" in refusal(plain)
