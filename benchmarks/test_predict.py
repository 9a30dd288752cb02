"""Time one prediction with each engine: decoded picture in, ranking out, one thread.

A first, thin suite: pytest-benchmark's own table and JSON. Run by `make benchmarks`.
"""

import pytest

from conftest import ROOT
from edge import predictor
from edge.cli import shipped_model
from edge.image import read_pixels

PICTURE = str(ROOT / "examples" / "seven.png")


@pytest.fixture(params=["litert-c", "litert", "onnxruntime"])
def ready(request):
    path = str(request.getfixturevalue("onnx")) if request.param == "onnxruntime" else shipped_model()
    return predictor.load(path, engine_name=request.param, trusted=True)


def test_a_decoded_picture_is_answered(benchmark, ready):
    pixels = read_pixels(PICTURE, ready.contract.input)
    benchmark.extra_info["engine"] = f"{ready.engine.name} {ready.engine.version}"
    assert benchmark(ready.answer, pixels).label == "7"


def test_a_picture_file_is_answered(benchmark, ready):
    benchmark.extra_info["engine"] = f"{ready.engine.name} {ready.engine.version}"
    assert benchmark(ready.predict, PICTURE).label == "7"
