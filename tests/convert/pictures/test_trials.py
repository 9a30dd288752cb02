"""Without the owner's answers, training pictures speak for another convention or class order; or nothing is advised."""

import dataclasses
import json
from argparse import Namespace

import keras
import numpy as np
import pytest

from convert.calibration.images import CalibrationSet
from convert.inputs import check_pixels
from convert.pictures import conventions, trials
from convert.pictures.arithmetic import Arithmetic
from convert.pictures.presets import PRESETS
from edge.contract import InputContract
from edge.errors import InputError, Refused
from edge.pictures import read_pixels
from tests.convert.pictures.owned import CLASSES, SIZE, by_colour, colours, owned

L = keras.layers


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("colours")
    colours(folder)
    return folder


def refusal(network) -> str:
    with pytest.raises(InputError) as refused:
        trials.check("my.keras", network)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_what_agrees_with_the_pictures_passes_in_silence(pictures, capsys):
    trials.check("my.keras", owned(by_colour(), pictures))
    assert capsys.readouterr().err == ""


def test_bgr_is_named_with_the_words_to_say_it_and_said_so_it_passes(pictures):
    message = refusal(owned(by_colour("bgr"), pictures))
    asked = message.partition("say so with --contract contract.json, which holds ")[2]
    assert "with channels in BGR; say so" in message
    assert json.loads(asked) == {"order": "bgr", "scale": 1.0, "offset": 0.0}
    trials.check("my.keras", owned(by_colour("bgr"), pictures, arithmetic=Arithmetic("bgr")))


def test_inverted_pixels_are_named_and_the_advice_keeps_the_sizes_that_the_network_leaves_open(pictures):
    """Trained on 255 - x: each colour is the channel that was weakest."""
    inverting = by_colour(softness=-40.0, side=None)
    asked = refusal(owned(inverting, pictures)).partition("which holds ")[2]
    assert json.loads(asked) == {"height": SIZE, "width": SIZE, "scale": -1.0, "offset": 255.0}
    trials.check("my.keras", owned(inverting, pictures, arithmetic=Arithmetic(scale=(-1.0,), offset=(255.0,))))


def test_advice_says_what_the_preset_said_otherwise(pictures):
    """`--pixels opencv`, for the owner's code begins with cv2.imread; that it then turns BGR to RGB was not said."""
    told = owned(by_colour(), pictures, arithmetic=Arithmetic("bgr"), resize="bilinear", alpha="drop")
    asked = refusal(told).partition("which holds ")[2]
    assert json.loads(asked) == {"order": "rgb", "resize": "bilinear", "alpha": "drop", "scale": 1.0, "offset": 0.0}
    usual = InputContract(height=SIZE, width=SIZE, channels=3, fit="resize")
    ask = conventions.Search(told, [])._named(usual, Arithmetic("bgr", (0.5,))).ask
    assert '{"resize": "edgeproof", "alpha": "auto", "order": "bgr", "scale": 0.5, "offset": 0.0}' in ask


def test_a_preset_is_asked_for_without_what_a_contract_says_otherwise(pictures):
    message = refusal(owned(by_colour(), pictures, arithmetic=Arithmetic("bgr", (0.5,))))
    asked = conventions.Search(owned(by_colour("bgr"), pictures), [])._named(
        PRESETS["opencv"].contract(SIZE, SIZE, 3), Arithmetic("bgr")
    )
    assert "--pixels edgeproof; say so with --pixels edgeproof, and nothing in --contract that says otherwise" in message
    assert asked.words == asked.ask == "--pixels opencv"  # nothing was given that would say otherwise


def test_a_way_that_one_picture_stops_is_said_to_be_untried(pictures, monkeypatch, capsys):
    """As a photo of 50 megapixels does, which only `edgeproof` takes."""

    def limited(path, contract):
        if contract.resize != "edgeproof":
            raise InputError(f"{path}: 50.3 megapixels; at most 16 are read: make the picture smaller")
        return read_pixels(path, contract)

    monkeypatch.setattr(conventions, "read_pixels", limited)
    assert "with channels in BGR; say so" in refusal(owned(by_colour("bgr"), pictures))
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "50.3 megapixels" in said and "that way is not tried" in said


def test_what_agrees_on_more_pictures_is_named_before_what_chance_may_explain(pictures, monkeypatch):
    """Neither is told from the best at p = 0.05; but one agrees on four in a hundred fewer."""
    hits = {"given": 100, "early": 176, "near": 183, "best": 184}

    def tried(self, convention, found, wanted):
        agrees = np.arange(200) < hits[convention.words]
        if convention.words == "early":
            agrees = np.roll(agrees, 16)  # so that each agrees on some that the other does not
        found[convention.words] = conventions.Found(convention, wanted, agrees)

    ways = [conventions.Convention(name, None, Arithmetic(), name) for name in hits]
    monkeypatch.setattr(conventions.Search, "_try", tried)
    monkeypatch.setattr(conventions.Search, "_beside", lambda self, base: ways[1:])
    monkeypatch.setattr(conventions.Search, "_presets", lambda self: [])
    search = conventions.Search(owned(by_colour(), pictures), [])
    search.given = ways[0]
    found = search.best(np.zeros(200, int))
    assert [(each.convention.words, each.n_tried) for each in found] == [("near", 3), ("best", 3), ("early", 3)]


def test_a_missing_scale_is_named_and_no_advice_is_near_one_class(pictures):
    bare = keras.Sequential([keras.Input((SIZE, SIZE, 3)), L.GlobalAveragePooling2D(), L.Dense(3)])
    # On 0 to 255 the third class always wins; on 0 to 1 the colour does.
    bare.layers[-1].set_weights([np.eye(3)[:, ::-1] * 40.0 + [[0, 0, 9.0]], np.array([0, 0, -12.0])])
    message = refusal(owned(bare, pictures))
    assert "answers 3" in message and "with pixels divided by 255; say so" in message  # a third, of three classes


def test_a_network_that_knows_nothing_gets_no_advice(pictures):
    blind = keras.Sequential([keras.Input((SIZE, SIZE, 3)), L.GlobalAveragePooling2D(), L.Dense(3)])
    blind.layers[-1].set_weights([np.zeros((3, 3)), np.array([0, 1.0, 0])])
    network = owned(blind, pictures)
    trials.check("my.keras", network)
    with pytest.raises(InputError, match="8 test pictures of 2 classes cannot tell a network from guessing"):
        trials.check_chance("x", np.arange(8) % 2, np.arange(8) % 2)
    with pytest.raises(Refused, match=r"no better than guessing on 120 test pictures: top-1 33\.3 %, balanced over 3"):
        trials.check_chance("my", np.ones(120, int), network.dataset.test.labels)


def test_right_on_a_set_of_one_common_class_is_not_called_chance():
    labels = np.repeat([0, 1], [970, 30]).astype(np.uint8)
    answers = labels.astype(int)
    answers[:3] = 1
    trials.check_chance("my", answers, labels)


def test_another_class_order_is_refused_with_the_order(pictures):
    network = owned(by_colour(), pictures)
    dense = network.model.layers[-1]
    weights, bias = dense.get_weights()
    dense.set_weights([weights[:, [2, 0, 1]], bias])  # trained as red, blue, green
    message = refusal(network)
    assert "were the classes in the order red, blue, green; rename the sub-folders" in message
    assert message.endswith("00-red, 01-blue, 02-green")


def test_two_classes_turned_round_may_be_pixels_or_their_order(tmp_path):
    colours(tmp_path, names=("blue", "green"))
    dense = L.Dense(2, activation="softmax")
    model = keras.Sequential([keras.Input((SIZE, SIZE, 3)), L.Rescaling(1 / 255), L.GlobalAveragePooling2D(), dense])
    dense.set_weights([np.array([[0, 0], [40, 0], [0, 40]]), np.zeros(2)])  # green first
    message = refusal(owned(model, tmp_path))
    assert "with pixels inverted; say so" in message and "; or 100% were the classes in the order green, blue" in message


def test_with_few_pictures_a_class_order_that_fits_by_chance_is_not_advised(tmp_path):
    colours(tmp_path, n=7)
    network = owned(by_colour(softness=0.0), tmp_path)  # all answers are blue
    trials.check("my.keras", network)
    assert network.class_names == CLASSES


def test_another_resize_is_named_where_pictures_have_another_size(tmp_path):
    """Stripes finer than the network's input: the nearest pixel and the mean of several differ."""
    rng = np.random.default_rng(0)
    from PIL import Image

    for split in ("train", "test"):
        for name in ("flat", "striped"):
            (tmp_path / split / name).mkdir(parents=True)
            for i in range(40):
                pixels = rng.integers(100, 150, (64, 64, 3))
                if name == "striped":
                    pixels[:, ::2] += 60
                Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / split / name / f"{i}.png")
    from train.datasets import folder

    sampled = InputContract(height=16, width=16, channels=3, fit="resize", resize="nearest", exif="ignore", alpha="drop")
    light = folder.load(tmp_path, sampled).train
    bright = [light.images[light.labels == k].mean() for k in (0, 1)]
    model = keras.Sequential([keras.Input((16, 16, 3)), L.GlobalAveragePooling2D(), L.Dense(2)])
    sign = np.sign(bright[1] - bright[0])
    middle = (bright[0] + bright[1]) / 2 * 3
    model.layers[-1].set_weights([np.array([[-sign, sign]] * 3), np.array([sign * middle, -sign * middle])])
    network = owned(model, tmp_path)
    message = refusal(network)
    assert "--pixels keras-load-img" in message
    told = dataclasses.replace(network, contract=sampled, dataset=folder.load(tmp_path, sampled))
    trials.check("my.keras", told)


def test_what_the_owner_measured_is_a_rule_of_one_point():
    trials.check_top1("my", 0.9061, 450, expected=0.916)
    with pytest.raises(Refused, match=r"my: float top-1 80\.20 % \(n = 450\); 91\.60 % was expected, 11\.40 points off"):
        trials.check_top1("my", 0.802, 450, expected=0.916)
    assert "80.2 % (n = 450). Is that what you measured? --expect-top1" in trials.question(0.802, 450)


def test_folders_in_another_order_explain_answers_by_name_that_differ(pictures, tmp_path):
    network = owned(by_colour(), pictures)
    dense = network.model.layers[-1]
    weights, bias = dense.get_weights()
    dense.set_weights([weights[:, [2, 0, 1]], bias])
    test = network.dataset.test_files
    (tmp_path / "a.csv").write_text("".join(f"{file},{file.split('/')[1]}\n" for file in test))
    settings = Namespace(model="my.keras", data=pictures, reference=tmp_path / "a.csv")
    with pytest.raises(InputError, match=r"my\.keras: .* in the order red, blue, green; rename"):
        check_pixels(network, CalibrationSet(network.dataset.train.images[:1], (), 0), settings, tmp_path / "my.png")
