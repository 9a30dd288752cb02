"""A foreign .keras file: what cannot be converted is named, and what can be answers as it did."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

from convert.pictures.arithmetic import Arithmetic
from convert.sources import from_keras
from convert.sources.flatten import flatten
from edge.contract import InputContract
from edge.errors import InputError, ModelError
from tests.convert.sources.keras_files import edited, saved, tone_layers

L = keras.layers


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


# What can and what cannot be converted.


def test_a_sound_file_answers_as_before_and_ends_in_logits(plain, pictures):
    loaded = from_keras.load(plain, pictures)
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
    first = from_keras.load(plain, pictures)
    model = keras.saving.load_model(plain)
    model.save(tmp_path / "again.keras")
    assert from_keras.load(tmp_path / "again.keras", pictures).digest == first.digest
    model.layers[-1].bias.assign([5.0, -5.5])
    model.save(tmp_path / "again.keras")
    assert from_keras.load(tmp_path / "again.keras", pictures).digest != first.digest


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
    network = from_keras.load(tmp_path / "nested.keras", pictures).build()
    names = [part.name for part in network.layers]
    assert len(set(names)) == len(names) and {"same_name", "same_name-again-1"} <= set(names)
    kinds = {type(part).__name__ for part in network.layers}
    assert not kinds & {"Dropout", "Functional", "RandomFlip", "Sequential", "Softmax", "Activation"}
    assert {variable.dtype for variable in network.weights} == {"float32"}
    np.testing.assert_allclose(network.predict_on_batch(np.full((1, 16, 16, 1), 255.0)), [[-5, 5]], atol=1e-5)


def of_one_output(end):
    """The probability of light, by `end`, from the mean of pixels from 0 to 1."""
    pixels = keras.Input((16, 16, 1))
    logit = L.Dense(1, name="answer", activation="sigmoid" if end == "inside" else None)
    x = logit(L.GlobalAveragePooling2D()(L.Rescaling(1 / 255)(pixels)))
    ends = {
        "a layer": L.Activation("sigmoid"),
        "an operation": keras.ops.sigmoid,
        "behind other layers": lambda x: L.Activation("sigmoid")(L.ReLU(negative_slope=1.0)(x)),
        "before a Reshape, by name": lambda x: {"answer": L.Reshape((1,))(L.Activation("sigmoid")(x))},
    }
    network = keras.Model(pixels, ends.get(end, lambda x: x)(x))
    logit.set_weights([np.array([[20.0]]), np.array([-10.0])])
    return network


@pytest.mark.parametrize(
    "end", ["inside", "a layer", "an operation", "behind other layers", "before a Reshape, by name", "a logit"]
)
def test_one_output_becomes_two_logits_exactly(end, pictures, tmp_path, capsys):
    network = of_one_output(end)
    network.save(tmp_path / "one.keras")
    loaded = from_keras.load(tmp_path / "one.keras", pictures)
    high, low = ("above 0", "below 0") if end == "a logit" else ("near 1", "near 0")
    assert f"one output, taken as 'light' where it is {high} and as 'dark' where it is {low}" in capsys.readouterr().err
    flat = loaded.build()
    logits = flat.predict_on_batch(np.full((1, 16, 16, 1), 255.0))
    np.testing.assert_allclose(logits, [[0, 10]], atol=1e-5)  # by hand: 20 * 1 - 10
    if not end.startswith("be"):
        kernel, bias = flat.layers[-1].get_weights()
        assert (kernel.tolist(), bias.tolist()) == ([[0, 20]], [0, -10]) and flat.layers[-1].name == "answer"


def test_a_fixed_batch_is_left_behind(pictures, tmp_path):
    pixels = keras.Input((16, 16, 1), batch_size=8)
    x = L.Rescaling(1 / 255)(pixels)
    for part in tone_layers():
        x = part(x)
    keras.Model(pixels, x).save(tmp_path / "eight.keras")
    assert from_keras.load(tmp_path / "eight.keras", pictures).build(batch_size=1).input_shape == (1, 16, 16, 1)


def test_pictures_without_an_axis_for_channels_get_one(pictures, tmp_path):
    network = keras.Sequential([keras.Input((16, 16)), L.Rescaling(1 / 255), L.Flatten(), L.Dense(2)])
    network.save(tmp_path / "flat.keras")
    loaded = from_keras.load(tmp_path / "flat.keras", pictures).build()
    pixels = np.arange(256, dtype=np.float32).reshape(1, 16, 16)
    np.testing.assert_allclose(loaded.predict_on_batch(pixels[..., None]), network.predict_on_batch(pixels), atol=1e-5)


def test_a_layer_that_would_fill_the_memory_is_refused(pictures, tmp_path):
    path = saved(tmp_path / "wide.keras", L.UpSampling2D(1_000, name="wide"), *tone_layers())
    with pytest.raises(ModelError, match=r"layer 'wide' puts out 256,000,000 numbers an image; wanted at most 33,554,432"):
        from_keras.load(path, pictures)
    keras.Sequential([keras.Input((16, 16, 1), batch_size=1 << 30), L.Flatten(), L.Dense(2)]).save(path)
    with pytest.raises(ModelError, match=r"takes 1,073,741,824 images at once"):
        from_keras.load(path, pictures)


PIXELWISE = L.Normalization(axis=(1, 2, 3), mean=np.zeros((16, 16, 1)), variance=np.ones((16, 16, 1)), name="n")


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([L.Flatten(), L.Dense(1, activation="softmax")], "ends in softmax; wanted sigmoid, or nothing after the last Dense"),
        ([L.Flatten(), L.Dense(3, activation="sigmoid")], "multi-label: it ends in sigmoid, a yes or no for each of 3 classes"),
        ([L.Flatten(), L.Dense(3, activation="tanh")], "ends in tanh; wanted softmax, or nothing after the last Dense layer"),
        ([L.Flatten(), L.Dense(1001)], "1001 classes; wanted 2 to 1000"),
        ([L.Conv2D(2, 1)], "output (None, 16, 16, 2); wanted one of [None, classes]"),
        ([L.Reshape((16, 16)), L.LSTM(2, name="memory")], "layer 'memory' (LSTM): recurrent layers have no int8 form"),
        ([L.Resizing(8, 8, "bicubic", name="r"), L.Flatten(), L.Dense(2)], "layer 'r' (Resizing): interpolates bicubic"),
        ([L.Solarization(name="sun"), L.Flatten(), L.Dense(2)], "layer 'sun' (Solarization): keras.layers.Solarization is not"),
        ([L.Flatten(), L.Dense(4, activation="celu", name="g"), L.Dense(2)], "layer 'g' (Dense): activation 'celu' is not"),
        ([PIXELWISE, L.Flatten(), L.Dense(2)], "layer 'n' (Normalization): keeps a mean for each pixel; wanted one a channel"),
        ([L.Flatten(), L.Dense(2), L.Softmax(), L.ReLU()], "its answers are probabilities, and no softmax is last"),
        ([L.Flatten(), L.Dense(1, activation="sigmoid"), L.Rescaling(-1, 1)], "output is from 0 to 1 for every picture"),
        # Said by the file, which is changed afterwards.
        ([L.Conv2D(2, 1, name="to be channels first")], "layer 'to be channels first' (Conv2D): keeps channels first"),
        (
            [L.Rescaling(1, name="to be long")],
            "layer 'to be long' (Rescaling): holds a list of 20,000; no small",
        ),
    ],
)
def test_what_cannot_be_converted_is_named(layers, message, pictures, tmp_path):
    path = saved(tmp_path / "odd.keras", *layers)
    for name, change in (("to be channels first", {"data_format": "channels_first"}), ("to be long", {"scale": [1] * 20_000})):
        if name in message:
            edited(path, lambda model, change=change: model["config"]["layers"][-1]["config"].update(change))
    with pytest.raises(ModelError) as refused:
        from_keras.load(path, pictures)
    assert message in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("shape", [(16, 16, 2), (7, 8, 1), (400, 400, 3)])
def test_an_input_that_is_no_small_picture_is_refused(shape, pictures, tmp_path):
    with pytest.raises(ModelError, match=r"takes|input"):
        from_keras.load(saved(tmp_path / "odd.keras", L.Flatten(), L.Dense(2), shape=shape), pictures)


def test_another_number_of_classes_than_the_folder_has_is_refused(pictures, tmp_path):
    path = saved(tmp_path / "three.keras", L.Flatten(), L.Dense(3))
    with pytest.raises(InputError, match=r"2 classes, and .*three\.keras tells 3 apart; wanted a sub-folder for each"):
        from_keras.load(path, pictures)


# Scaling.


def contract(tmp_path, **keys):
    (tmp_path / "contract.json").write_text(json.dumps(keys))
    return tmp_path / "contract.json"


def test_with_the_scaling_it_was_told_the_network_takes_pixels(pictures, tmp_path):
    path = saved(tmp_path / "bare.keras", *tone_layers(activation=None))
    file = contract(tmp_path, height=16, width=16, channels=1, fit="exact", scale=1 / 255)
    loaded = from_keras.load(path, pictures, contract_file=file)
    assert loaded.contract.fit == "exact"
    white = np.full((1, 16, 16, 1), 255, np.float32)
    np.testing.assert_allclose(loaded.build().predict_on_batch(white), [[-5, 5]], atol=1e-5)


def test_a_network_of_any_size_takes_the_contracts(pictures, tmp_path):
    path = saved(tmp_path / "any.keras", L.Rescaling(1 / 255), *tone_layers(), shape=(None, None, 1))
    with pytest.raises(InputError, match=r"takes any height; say which in a contract: .*32"):
        from_keras.load(path, pictures)
    loaded = from_keras.load(path, pictures, contract_file=contract(tmp_path, height=20, width=24))
    assert loaded.build(batch_size=1).input_shape == (1, 20, 24, 1)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"scale": "1/255"}, "scale '1/255'; wanted a number, such as 0.00392156862745098 for 1/255"),
        ({"scale": 0}, "scale 0; wanted a number"),
        ({"scale": [1, 2, 3]}, "scale of 3 numbers for 1 channels; wanted a number"),
        ({"offset": [0, None]}, "offset [0, None]; wanted a number"),
        ({"order": "bgr"}, "order 'bgr' of 1 channels; wanted rgb, or bgr of 3"),
        ({"height": 32}, "height 32, and "),
        ({"mean": 0.5}, "unknown key 'mean'; known are height, width, channels, fit, polarity, order, scale, offset"),
        ({"fit": "stretch"}, "fit 'stretch' with polarity 'any'; known are"),
        ({"resize": "lanczos"}, "resize 'lanczos'; known are edgeproof, nearest"),
        ({"alpha": ["drop"]}, "alpha ['drop']; known are auto, drop, black, white"),
        ({"aspect": "resize-crop"}, "shorter-side 0; wanted 16 to 1024 with aspect resize-crop"),
        ({"fit": "exact", "aspect": "crop"}, "fit exact with aspect; wanted fit resize"),
    ],
)
def test_a_contract_that_says_something_else_is_refused(plain, pictures, tmp_path, keys, message):
    with pytest.raises(InputError) as refused:
        from_keras.load(plain, pictures, contract_file=contract(tmp_path, **keys))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("preset", "keys", "wanted"),
    [
        ("keras", {}, "16x16x1 resize any resize bilinear exif ignore alpha drop"),
        ("keras", {"resize": "bicubic", "exif": "apply"}, "16x16x1 resize any resize bicubic alpha drop"),
        ("keras", {"fit": "exact"}, "16x16x1 exact any exif ignore alpha drop"),
        ("torchvision", {"aspect": "squash", "scale": 1, "offset": 0},
         "16x16x1 resize any resize bilinear-antialias exif ignore alpha drop"),
        ("", {}, "16x16x1 resize any"),
    ],
)  # fmt: skip
def test_a_preset_says_how_pictures_become_pixels_where_the_contract_file_does_not(
    plain, pictures, tmp_path, preset, keys, wanted
):
    file = contract(tmp_path, **keys) if keys else None
    assert repr(from_keras.load(plain, pictures, contract_file=file, preset=preset).contract) == wanted


MEAN, DEVIATION = np.array([104, 117, 124]), np.array([50, 60, 70])


@pytest.mark.parametrize(
    ("first", "told", "kinds"),
    [
        ([L.Conv2D(4, 3)], Arithmetic("bgr"), ["Conv2D"]),  # the first convolution's weights are turned
        ([L.Rescaling(1 / 255), L.Conv2D(4, 3)], Arithmetic("bgr", (0.5,), (1.0,)), ["Rescaling", "Rescaling", "Conv2D"]),
        ([L.DepthwiseConv2D(3)], Arithmetic("bgr"), ["Conv2D", "DepthwiseConv2D"]),  # a convolution of 1x1 turns the pixels
        ([L.Conv2D(4, 3)], Arithmetic("bgr", tuple(1 / DEVIATION), tuple(-MEAN / DEVIATION)), ["Conv2D", "Conv2D"]),
        ([L.Conv2D(4, 3)], Arithmetic(scale=(-1 / 255,), offset=(1.0,)), ["Rescaling", "Conv2D"]),  # inverted
        ([L.Conv2D(4, 3)], Arithmetic("rgb", tuple(1 / DEVIATION), tuple(-MEAN / DEVIATION)), ["Conv2D", "Conv2D"]),
    ],
)
def test_declared_order_and_scales_are_in_the_network(first, told, kinds):
    model = keras.Sequential([keras.Input((16, 16, 3)), *first, L.GlobalAveragePooling2D(), L.Dense(2)])
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
    fed = images[..., ::-1] if told.order == "bgr" else images
    wanted = model.predict_on_batch(fed * np.array(told.scale) + np.array(told.offset))
    flat = flatten(model, InputContract(height=16, width=16, channels=3, fit="resize"), told, batch_size=None)
    assert [type(layer).__name__ for layer in flat.layers[1:-2]] == kinds
    np.testing.assert_allclose(flat.predict_on_batch(images.astype(np.float32)), wanted, rtol=1e-4, atol=1e-4)
