"""Models that others exported: the common forms run and answer right, the rest is refused in words."""

import numpy as np
import pytest

import edge
from conftest import run
from edge.engines import foreign
from edge.errors import ModelError
from tests.edge.engines.foreign_models import model, tflite
from tests.edge.on_device import COMMAND, SEVEN

# 2 x 3 pixels of three channels, the value of each its place as height, width, channel.
PIXELS = bytes(range(18))
CHANNELS_FIRST = [float(v) for v in np.arange(18).reshape(2, 3, 3).transpose(2, 0, 1).ravel()]


def loaded(content: bytes, tmp_path, name: str):
    path = tmp_path / name
    path.write_bytes(content)
    return edge.load(path, allow_unverified=True)


@pytest.mark.parametrize(
    "content",
    [
        model([1, 2, 3, 3], [1, 18]),
        model(["batch", 2, 3, 3], ["batch", 18]),
        model([None, 2, 3, 3], [1, 18, 1, 1]),
        model([1, 2, 3, 3], [18]),
        model(["N", 2, 3, 3], ["N", 18], dtype="float16"),
    ],
    ids=["plain", "named", "unknown", "flat", "float16"],
)
def test_an_onnx_model_of_a_common_form_gets_the_pixels(content, tmp_path):
    ready = loaded(content, tmp_path, "m.onnx")
    assert (ready.contract.input.height, ready.contract.input.width, ready.contract.input.channels) == (2, 3, 3)
    assert ready.answer(PIXELS).logits == [float(v) for v in PIXELS]


def test_channels_first_are_fed_first(tmp_path):
    ready = loaded(model(["batch", 3, 2, 3], ["batch", 18]), tmp_path, "torch.onnx")
    # 3 x 2 x 3 is read as channels last, where either could be meant; 3 x 4 x 5 is not.
    assert ready.contract.input.channels == 3 and ready.answer(PIXELS).logits == [float(v) for v in PIXELS]
    ready = loaded(model([1, 3, 4, 5], [1, 60]), tmp_path, "torch.onnx")
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    assert (ready.contract.input.height, ready.contract.input.width) == (4, 5)
    assert ready.answer(pixels.tobytes()).logits == pixels.transpose(2, 0, 1).ravel().tolist()
    ready = loaded(tflite([1, 3, 4, 5]), tmp_path, "torch.tflite")
    assert ready.answer(pixels.tobytes()).logits == pixels.transpose(2, 0, 1).ravel().tolist()
    ready = loaded(model([1, 28, 28], [1, 784]), tmp_path, "grey.onnx")
    assert ready.contract.input.channels == 1


@pytest.mark.parametrize(
    ("dtype", "entry"), [("float32", (0.0, 0)), ("uint8", (1.0, 0)), ("int8", (1.0, -128)), ("uint8", (0.5, 128))]
)
def test_a_tflite_model_of_a_common_type_gets_the_pixels(dtype, entry, tmp_path):
    ready = loaded(tflite([1, 2, 3, 3], dtype=dtype, entry=entry, open_batch=True), tmp_path, "m.tflite")
    scale, zero = entry if entry[0] else (1.0, 0)
    offset = 128 if dtype == "int8" else 0
    assert ready.answer(PIXELS).logits == [scale * (v - offset - zero) for v in PIXELS]
    assert ready.answer(PIXELS).index == 17


@pytest.mark.parametrize("form", ["onnx", "onnx uint8", "float32", "uint8", "int8"])
def test_probabilities_are_not_put_through_softmax_again(form, tmp_path):
    if form.startswith("onnx"):
        ready = loaded(
            model(["N", 1, 4, 1], ["N", 4], dtype=form.partition(" ")[2] or "float", softmax=True), tmp_path, "m.onnx"
        )
    else:
        entry = {"uint8": (1.0, 0), "int8": (1.0, -128)}.get(form, (0.0, 0))
        ready = loaded(tflite([1, 1, 4, 1], dtype=form, entry=entry, softmax=True), tmp_path, "m.tflite")
    answer = ready.predict(np.array([[10, 12, 10, 10]], np.uint8))  # by hand: e^2 / (e^2 + 3) = 0.711
    assert (answer.index, answer.label) == (1, "1")
    assert answer.probability == pytest.approx(0.711, abs=0.001 if "float" in form or "onnx" in form else 0.004)
    assert sum(share for _, _, share in answer.ranking) == pytest.approx(1)
    # 9 apart they are all but certain, and still a distribution.
    assert ready.predict(np.array([[0, 0, 9, 0]], np.uint8)).probability > 0.995


def test_scores_that_are_no_distribution_go_through_softmax(tmp_path):
    ready = loaded(model([1, 1, 4, 1], [1, 4]), tmp_path, "m.onnx")
    assert ready.predict(np.array([[10, 12, 10, 10]], np.uint8)).probability == pytest.approx(0.711, abs=0.001)


@pytest.mark.parametrize(
    ("content", "name", "says"),
    [
        (model([8, 2, 3, 3], [8, 18]), "m.onnx", "takes 8 pictures at once .*; export it with a batch of 1"),
        (model([1, "h", "w", 3], [1, 18]), "m.onnx", r"leaves the size of its pictures open \(1 x \? x \? x 3\)"),
        (model([1, 18], [1, 18]), "m.onnx", "takes 1 x 18, no picture"),
        (model([1, 2, 3, 5], [1, 30]), "m.onnx", "wanted pictures of 1 or 3 channels"),
        (model([1, 2, 3, 3], [1, 6, 3]), "m.onnx", "not a score for each class; detectors"),
        (model([1, 1, 1, 1], [1, 1]), "m.onnx", "gives one number"),
        (model([1, 2, 3, 3], [1, 18], dtype="int32"), "m.onnx", "takes int32 numbers; uint8 and floats are run"),
        (model([1, 2, 3, 3], [1, 18], dtype="uint8"), "m.onnx", "gives uint8 numbers; export it with float scores"),
        (tflite([1, 2, 3, 3], dtype="int8", entry=(1.0, 0)), "m.tflite", "zero point 0, where pixels have -128"),
        (tflite([1, 2, 3, 3], dtype="int16"), "m.tflite", "takes int16 numbers; uint8, int8 and float32 are run"),
    ],
)  # fmt: skip
def test_other_forms_are_refused_in_words(content, name, says, tmp_path):
    with pytest.raises(ModelError, match=says):
        loaded(content, tmp_path, name)


def test_the_installed_command_runs_one_and_says_what_it_assumes(tmp_path):
    (tmp_path / "m.onnx").write_bytes(model(["batch", 1, 2, 3], ["batch", 6], softmax=True))
    done = run(COMMAND, SEVEN, "--model", tmp_path / "m.onnx", "--allow-unverified")
    assert (done.returncode, done.stderr) == (
        0,
        f"edge-predict: {tmp_path}/m.onnx: unverified: pixels from 0 to 255 are assumed\n",
    )
    (tmp_path / "m.onnx").write_bytes(model([8, 2, 3, 3], [8, 18]))
    done = run(COMMAND, SEVEN, "--model", tmp_path / "m.onnx", "--allow-unverified")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (78, "", 1)
    assert "takes 8 pictures at once" in done.stderr


@pytest.mark.parametrize(
    ("shape", "form"),
    [
        ([1, 28, 28, 1], ((28, 28, 1), False)),
        ([1, 3, 224, 224], ((224, 224, 3), True)),
        ([1, 1, 28, 28], ((28, 28, 1), True)),
        (["N", 32, 32, 3], ((32, 32, 3), False)),
        ([-1, 28, 28], ((28, 28, 1), False)),
    ],
)
def test_where_the_channels_are_is_told_by_their_number(shape, form):
    assert foreign.image_form(shape) == form
