"""Time each operation from a file to an answer: load, first call, seal, decode, fit, inference, decision.

`make benchmarks` runs it. pytest-benchmark writes a table and JSON; `python -m benchmarks` puts the figures into its report.
"""

import pytest

from conftest import ROOT
from edge import artifact, predictor
from edge.locate import shipped_model
from edge.pictures import decode, read_pixels
from edge.predictor import Prediction

PICTURE = str(ROOT / "examples" / "seven.png")
PAGE = str(ROOT / "examples" / "seven-page.png")
ENGINES = ("litert-c", "litert", "onnxruntime")


@pytest.fixture(params=ENGINES)
def engine(request, benchmark):
    """An engine's name and a model for it."""
    path = str(request.getfixturevalue("onnx")) if request.param == "onnxruntime" else shipped_model()
    return request.param, path


@pytest.fixture
def ready(engine, benchmark):
    name, path = engine
    loaded = predictor.load(path, engine_name=name, trusted=True)
    benchmark.extra_info["engine"] = f"{loaded.engine.name} {loaded.engine.version}"
    return loaded


@pytest.fixture(scope="module")
def shipped():
    return predictor.load(shipped_model(), trusted=True)


@pytest.fixture(scope="module")
def pixels(shipped):
    return read_pixels(PICTURE, shipped.contract.input)


def test_load(benchmark, engine):
    name, path = engine
    assert benchmark(predictor.load, path, engine_name=name, trusted=True).engine.name == name


def test_first_call(benchmark, engine, pixels):
    name, path = engine

    def anew():
        return (predictor.load(path, engine_name=name, trusted=True), pixels), {}

    # Each call is the first of a newly loaded model, in a process that has the library loaded.
    label = benchmark.pedantic(lambda ready, pixels: ready.answer(pixels).label, setup=anew, rounds=50)
    assert label == "7"


def test_inference(benchmark, ready, pixels):
    assert len(benchmark(ready.engine.run, pixels)) == ready.contract.n_output_bytes


def test_pixels_to_label(benchmark, ready, pixels):
    assert benchmark(lambda: ready.answer(pixels).label) == "7"


def test_file_to_label(benchmark, ready):
    assert benchmark(lambda: ready.predict(PICTURE).label) == "7"


def test_seal_check(benchmark, shipped):
    data = shipped.artifact.data
    assert benchmark(artifact.parse, "shipped", data).digest == shipped.artifact.digest


def test_decode_a_plain_png(benchmark, shipped):
    assert len(benchmark(read_pixels, PICTURE, shipped.contract.input)) == shipped.contract.input.n_values


def test_decode_a_page(benchmark, shipped):
    with open(PAGE, "rb") as file:
        data = file.read()
    assert benchmark(decode.decode, data, shipped.contract.input).size[0] > 28


def test_fit_a_digit(benchmark, shipped):
    with open(PAGE, "rb") as file:
        page = decode.decode(file.read(), shipped.contract.input)
    assert len(benchmark(decode.fit, page, shipped.contract.input)) == shipped.contract.input.n_values


def test_decision(benchmark, shipped, pixels):
    raw = shipped.engine.run(pixels)
    assert benchmark(lambda: Prediction(raw, shipped.contract, shipped.labels).label) == "7"


def test_ranking(benchmark, shipped, pixels):
    raw = shipped.engine.run(pixels)
    assert benchmark(lambda: Prediction(raw, shipped.contract, shipped.labels).ranking)[0][0] == "7"
