"""contract.txt says all a prediction needs, and reads back to the same value."""

import pytest

from edge.contract import DIGIT, InputContract, ModelContract

KERAS = InputContract(height=64, width=48, channels=3, fit="resize", resize="bilinear", exif="ignore", alpha="drop")
TORCHVISION = InputContract(
    height=64, width=48, channels=3, fit="resize", resize="bilinear-antialias", aspect="resize-crop", shorter_side=73
)


def contract(**changes) -> ModelContract:
    values = {
        "name": "lenet5-relu-mnist-int8",
        "kind": "tflite",
        "model_bytes": 105_896,
        "input": DIGIT,
        "input_dtype": "int8",
        "output_dtype": "int8",
        "output_scale": 0.10726668685674667,
        "output_zero_point": -15,
        "n_classes": 10,
    }
    return ModelContract(**values | changes)


def test_the_text_reads_back_to_the_same_contract():
    text = contract().to_text()
    assert ModelContract.from_text(text).items() == contract().items()
    assert ModelContract.from_text(text).output_scale == 0.10726668685674667


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("edgeproof 1", "edgeproof 4", "not format 1, 2 or 3"),
        ("edgeproof 1", "edgeproof 2", "not as format 2 is written"),
        ("classes 10", "classes 10\nresize nearest", "unknown key 'resize'"),
        ("height 28\n", "", "no line for 'height'"),
        ("fit digit", "fit stretch", "fit 'stretch'"),
        ("classes 10", "classes ten", "wanted a whole number"),
        ("classes 10", "classes 10\nmean 0.5", "unknown key 'mean'"),
        ("kind tflite", "kind", "not `key value`"),
        ("output-scale 0.1", "output-scale -0.1", "output scale -0.1"),
        ("output-scale 0.10726668685674667", "output-scale 1e+308", r"output scale 1e\+308"),
        ("output-scale 0.10726668685674667", "output-scale nan", "output scale nan"),
        ("output-scale 0.1", "output-scale 00.1", "wanted a number in its shortest form"),
        ("output-zero-point -15", "output-zero-point 128", "zero point 128 are not those of an int8 tensor"),
        ("output-zero-point -15", f"output-zero-point {'9' * 5000}", "wanted a whole number"),
        ("output-dtype int8", "output-dtype float32", "float32 output with scale 0.107"),
        ("height 28", "height 12000", "a digit contract is|over 4,194,304 pixels"),
        ("height 28", "height +28", "wanted a whole number"),
        ("height 28", "height 2_8", "wanted a whole number"),
        ("classes 10", "classes 65537", "65537 classes"),
        ("name lenet5", "name \x1b[2J", "wanted 1 to 300 printable characters"),
        ("name lenet5", "name\x0blenet5", "not `key value`|no line for"),
        # Of a contract as Keras reads pictures.
        ("resize bilinear", "resize lanczos", "resize 'lanczos'; known are edgeproof, nearest"),
        ("resize bilinear", "kernel bilinear", "unknown key 'kernel'; a newer edgeproof may know it"),
        ("alpha drop", "alpha auto", "what is usual is not stated"),
        ("edgeproof 2", "edgeproof 1", "unknown key 'alpha'"),
        ("fit resize", "fit exact", "fit exact with resize"),
        ("alpha drop", "alpha drop\nshorter-side 73", "shorter-side 73; wanted none"),
        ("exif ignore", "aspect resize-crop\nexif ignore", "shorter-side 0; wanted 64 to 1024"),
    ],
)
def test_a_contract_that_says_something_else_is_refused(was, becomes, says):
    text = next(text for text in (contract().to_text(), contract(input=KERAS).to_text()) if was in text)
    with pytest.raises(ValueError, match=says):
        ModelContract.from_text(text.replace(was, becomes))


def test_a_digit_contract_is_light_on_dark_28_by_28():
    with pytest.raises(ValueError, match="28x28x1, light on dark"):
        InputContract(height=32, width=32, channels=1, fit="digit", polarity="light-on-dark")


@pytest.mark.parametrize("input", [KERAS, TORCHVISION])
def test_how_pictures_become_pixels_is_format_2_and_reads_back(input):
    text = contract(input=input).to_text()
    assert text.startswith("edgeproof 2\n")
    assert ModelContract.from_text(text).input == input
    assert ModelContract.from_text(text).input != DIGIT


def test_the_keys_may_come_in_the_order_of_a_manifest():
    lines = sorted(contract(input=TORCHVISION).to_text().splitlines(keepends=True))
    assert ModelContract.from_text("".join(lines)).input == TORCHVISION


def test_only_what_differs_from_the_usual_way_is_stated():
    assert contract(input=KERAS).to_text().endswith("classes 10\nresize bilinear\nexif ignore\nalpha drop\n")
    usual = InputContract(height=64, width=48, channels=3, fit="resize", resize="edgeproof", alpha="auto")
    assert contract(input=usual).to_text().startswith("edgeproof 1\n")
