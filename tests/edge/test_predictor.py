"""From pixels to a ranking, on real engines and real artifacts."""

import concurrent.futures
import itertools
import math
import struct
from pathlib import Path
from types import SimpleNamespace

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edge import artifact, locate, predictor
from edge.contract import DIGIT, ModelContract
from edge.device import selftest
from edge.errors import ModelError, UsageError
from edge.predictor import Prediction
from train import datasets

CONTRACT = {"name": "x", "kind": "tflite", "model_bytes": 1, "input": DIGIT, "input_dtype": "int8", "n_classes": 10}
LABELS = tuple("abcdefghij")


def answer_with(logits: list[float]) -> Prediction:
    return Prediction(struct.pack("<10f", *logits), ModelContract(**CONTRACT, output_dtype="float32"), LABELS)


@pytest.fixture(scope="module")
def pictures():
    return datasets.digits.load().test


@pytest.fixture(params=["tflite", "onnx"])
def sealed(request) -> Path:
    return request.getfixturevalue(request.param)


@pytest.fixture
def plain(sealed, tmp_path) -> Path:
    """The same model as somebody else would have it: without our archive and mark."""
    model = artifact.read(str(sealed))
    path = tmp_path / sealed.name
    part = model.data[: model.contract.model_bytes].replace(b"edgeproof", b"otherwise")
    path.write_bytes(part if model.contract.n_outputs == model.contract.n_classes else one_output(part, model.kind))
    return path


def one_output(model: bytes, kind: str) -> bytes:
    """`model` without its second output."""
    if kind == "onnx":
        import onnx

        graph = onnx.load_from_string(model)
        del graph.graph.output[1:]
        return graph.SerializeToString()
    tables = schema.ModelT.InitFromPackedBuf(model)
    tables.subgraphs[0].outputs = tables.subgraphs[0].outputs[:1]
    tables.signatureDefs = []
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(tables.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def test_the_goldens_replay_bit_for_bit_where_they_were_made(sealed):
    replay = selftest.replay(predictor.load(str(sealed)))
    assert (replay.n_goldens, replay.n_exact, replay.first_difference) == (10, 10, None)


def test_a_golden_that_differs_is_named_with_both_answers(tflite):
    ready = predictor.load(str(tflite))
    goldens = ready.artifact.goldens()
    _, n_pixels, n_output = struct.unpack_from("<3L", ready.artifact.members["goldens.bin"])
    wrong = bytes(n_output * [100])
    ready.artifact.members["goldens.bin"] = struct.pack("<3L", 1, n_pixels, n_output) + goldens[0][0] + wrong
    replay = selftest.replay(ready)
    assert not replay.passed
    assert replay.first_difference.startswith("picture 0: expected (100, 100, 100")


def test_an_answer_that_is_not_a_number_is_a_difference(onnx):
    ready = predictor.load(str(onnx))
    n = ready.contract.n_outputs
    ready.engine = SimpleNamespace(run=lambda pixels: struct.pack(f"<{n}f", *[math.nan] * n))
    assert not selftest.replay(ready).passed


def test_a_whole_step_is_allowed_where_the_output_is_int8_inside(onnx):
    ready = predictor.load(str(onnx))
    step = ready.artifact.golden_tolerance()
    (picture, output) = ready.artifact.goldens()[0]
    outputs = struct.Struct(f"<{ready.contract.n_outputs}f")
    values = outputs.unpack(output)
    steps = [min((b - a for a, b in itertools.pairwise(sorted(set(part)))), default=0.0) for part in (values[:10], values[10:])]
    assert step / 1.01 <= max(steps) * 1.001
    for by, passes in ((0.99, True), (1.5, False)):
        moved = outputs.pack(*(value + by * step / 1.01 for value in values))
        ready.engine = SimpleNamespace(run=lambda pixels, moved=moved: moved)
        ready.artifact.members["goldens.bin"] = struct.pack("<3L", 1, len(picture), len(output)) + picture + output
        for name in [name for name in ready.artifact.members if name.startswith("pictures/")]:
            del ready.artifact.members[name]  # the one output is no answer to those
        assert selftest.replay(ready).passed is passes


def test_both_engines_give_the_same_class_on_every_test_digit(tflite, onnx, pictures):
    answers = [
        [ready.answer(image.tobytes()).index for image in pictures.images]
        for ready in (predictor.load(str(tflite)), predictor.load(str(onnx)))
    ]
    assert np.mean(np.equal(*answers)) >= 0.995
    assert np.mean(answers[0] == pictures.labels) >= 0.97


def test_the_ranking_is_softmax_in_falling_order():
    ranking = answer_with([0.0, 3.0, 1.0] + [-50.0] * 7).ranking
    assert [index for _, index, _ in ranking[:3]] == [1, 2, 0]
    # softmax by hand: e^3 / (e^3 + e^1 + e^0), the rest vanishes
    assert ranking[0][2] == pytest.approx(20.0855 / (20.0855 + 2.71828 + 1), abs=1e-5)
    assert sum(share for _, _, share in ranking) == pytest.approx(1)


def test_of_equal_logits_the_lower_class_comes_first():
    answer = answer_with([0.0, 1.0, 1.0] + [0.0] * 7)
    assert answer.index == 1 and [index for _, index, _ in answer.ranking[:2]] == [1, 2]


def test_int8_logits_are_scaled_and_compared_as_signed_numbers():
    contract = ModelContract(**CONTRACT, output_dtype="int8", output_scale=0.5, output_zero_point=-3)
    answer = Prediction(bytes([0xFB, 0x05, 0x80, 0x05] + [0xFF] * 6), contract, LABELS)  # -5 5 -128 5 -1…
    assert answer.logits[:4] == [-1.0, 4.0, -62.5, 4.0]
    assert (answer.index, answer.label) == (1, "b")


def test_an_engine_that_does_not_run_this_kind_is_a_usage_error(tflite):
    with pytest.raises(UsageError, match="onnxruntime does not run tflite models; litert-c and litert and tflite-runtime do"):
        predictor.load(str(tflite), engine_name="onnxruntime")
    with pytest.raises(UsageError, match="no engine is called 'tpu'; there are litert-c, litert, tflite-runtime, onnxruntime"):
        predictor.load(str(tflite), engine_name="tpu")


def test_a_foreign_model_describes_itself_and_answers(sealed, plain, pictures):
    ready = predictor.load(str(plain), allow_unverified=True)
    assert ready.contract.input.fit == "resize"
    pixels = pictures.images[0].tobytes()
    answer = predictor.load(str(sealed)).answer(pixels)
    assert ready.answer(pixels).logits == answer.logits and len(answer.logits) == 10


def test_a_foreign_model_cut_short_is_refused_by_the_engine(plain):
    plain.write_bytes(plain.read_bytes()[: plain.stat().st_size // 2])
    with pytest.raises(ModelError, match="refuses the model"):
        predictor.load(str(plain), allow_unverified=True)


def test_threads_that_share_a_predictor_get_their_own_answers(tflite, pictures):
    ready = predictor.load(str(tflite), trusted=True)
    images = [image.tobytes() for image in pictures.images[:30]]
    alone = [ready.answer(image).logits for image in images]

    def ask(first: int) -> int:
        order = [(first + number) % len(images) for number in range(1500)]
        return sum(ready.answer(images[number]).logits == alone[number] for number in order)

    with concurrent.futures.ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(ask, range(6))) == 9000


def test_an_answer_of_another_length_than_the_contract_says_is_none():
    ready = predictor.load(locate.shipped_model(), trusted=True)
    n = ready.contract.n_output_bytes
    for raw in (b"", b"\0" * (n - 1), b"\x7f" * (n + 1)):
        ready._run = lambda pixels, raw=raw: raw
        with pytest.raises(ModelError, match=rf"answers {len(raw)} bytes; its contract says {n}"):
            ready.answer(bytes(784))


@pytest.mark.parametrize("threads", [0, -1, 2000, 1.5, "2", True])
def test_a_number_of_threads_that_is_none_is_refused(threads):
    with pytest.raises(UsageError, match="wanted a whole number from 1 to 1024"):
        predictor.load(locate.shipped_model(), threads=threads)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_an_answer_that_is_not_a_finite_number_is_none(value):
    answer = answer_with([0.0, value] + [0.0] * 8)
    for what in ("index", "label", "ranking", "probability"):
        with pytest.raises(ModelError, match="not a finite number"):
            getattr(answer, what)
