"""A model's row: what half of its test split says, or a dash where that is too little."""

from pathlib import Path

import numpy as np

from benchmarks.studies.confidence import HEAD, row
from convert.confidence import judge


def answers(n: int) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(n) % 10
    return np.eye(10, dtype=np.float32)[labels] * 9, labels


def test_a_row_has_the_figures_and_dashes_where_nothing_could_be_checked():
    many = row(Path("deep-mnist-mnist-int8.tflite"), judge(*answers(1_000)))
    few = row(Path("m-int8.onnx"), judge(*answers(100)))
    assert len(many) == len(few) == len(HEAD)
    assert many[:2] == ("deep-mnist-mnist", "tflite") and many[-2:] == ("100.00 % (99.26 to 100.00)", "1.000")
    assert many[5] == "0.00 % (0.00 to 0.74)" and many[8:10] == ("100.00", "100.00")
    assert few[:2] == ("m", "onnx") and few[5:8] == ("-", "-", "-") and few[-2:] == ("-", "-")
