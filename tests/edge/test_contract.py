"""contract.txt says all a prediction needs, and reads back to the same value."""

import pytest

from edge.contract import DIGIT, InputContract, ModelContract


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
        ("edgeproof 1", "edgeproof 2", "not format 1"),
        ("height 28\n", "", "no line for 'height'"),
        ("fit digit", "fit stretch", "fit 'stretch'"),
        ("classes 10", "classes ten", "invalid literal"),
        ("classes 10", "classes 10\nmean 0.5", "unknown key 'mean'"),
        ("kind tflite", "kind", "not `key value`"),
        ("output-scale 0.1", "output-scale -0.1", "output scale -0.1"),
    ],
)
def test_a_contract_that_says_something_else_is_refused(was, becomes, says):
    with pytest.raises(ValueError, match=says):
        ModelContract.from_text(contract().to_text().replace(was, becomes))


def test_a_digit_contract_is_light_on_dark_28_by_28():
    with pytest.raises(ValueError, match="28x28x1, light on dark"):
        InputContract(height=32, width=32, channels=1, fit="digit", polarity="light-on-dark")
