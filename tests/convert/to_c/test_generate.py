"""The generator: what it refuses, and what it makes of the model in the wheel."""

import os
import shutil

import numpy as np
import pytest

from conftest import run
from convert import to_c
from convert.to_c.fuse import fuse
from convert.to_c.plan import plan
from convert.to_c.reader import read
from convert.to_c.steps import Convolve, Enter, LookUp
from edge import artifact, locate
from edge.errors import Refused
from tests.convert.to_c.made import RELU, VALID, Made, answers, images, interpreted
from train import datasets


@pytest.fixture(scope="module")
def wheels_model() -> bytes:
    model = artifact.read(locate.shipped_model())
    return model.data[: model.contract.model_bytes]


def test_the_wheels_model_answers_as_in_litert_on_every_path(wheels_model, tmp_path):
    pictures = images((28, 28, 1), n=300)
    wanted = interpreted(wheels_model, pictures)
    for path, outputs in answers(wheels_model, pictures, tmp_path).items():
        assert (outputs[:, : wanted.shape[1]] == wanted).all(), path


def test_sanitizers_find_nothing(tmp_path):
    made = Made(9, 9, 3)
    model = made.model(made.convolve(made.convolve(0, 10, 3), 10, 3, depthwise=True))
    flags = ("-fsanitize=undefined", "-fno-sanitize-recover=all", "-std=c99", "-DFAST_PATHS=0")
    assert list(answers(model, images((9, 9, 3), n=2), tmp_path, *flags)) == ["plain"]


def test_equal_models_give_equal_files(wheels_model):
    assert to_c.generate(wheels_model, name="a-b") == to_c.generate(wheels_model, name="a-b")


def test_names_become_c_names(wheels_model):
    program = to_c.generate(wheels_model, name="5-digits.new")
    assert program.symbol == "network_5_digits_new"
    assert "void network_5_digits_new_predict(" in program.header


@pytest.mark.skipif(not shutil.which("gcc"), reason="no gcc on this machine")
def test_pedantic_c99_has_no_warning_and_x87_is_refused(wheels_model, tmp_path):
    program = to_c.generate(wheels_model, name="made")
    (tmp_path / "made.h").write_text(program.header)
    (tmp_path / "made.c").write_text(program.source)
    check = ["gcc", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "made.c"]
    assert run(*check, "-std=c99", "-pedantic", "-Wshadow", "-DFAST_PATHS=0", cwd=tmp_path).stderr == ""
    refused = run(*check, "-D__FLT_EVAL_METHOD__=2", "-Wno-builtin-macro-redefined", "-DFAST_PATHS=0", cwd=tmp_path)
    assert "compile with -std=c99" in refused.stderr


def test_an_unknown_operator_is_refused_by_name():
    made = Made(4, 4, 2)
    floor = made.run("ABS", (0,), made.tensor((1, 4, 4, 2)))
    with pytest.raises(Refused, match=r"operator ABS .* cannot be generated as C; supported: ADD, .*CONV_2D"):
        to_c.generate(made.model(floor), name="made")


def test_weights_over_four_megabytes_are_refused_with_their_size():
    made = Made(32, 32, 3)
    with pytest.raises(Refused, match=r"4,196,352 bytes of weights; C is generated up to 4,194,304"):
        to_c.generate(made.model(made.dense(0, 1366)), name="made")


def test_sums_that_can_leave_int32_are_refused():
    made = Made(8, 8, 1)
    made._biases = lambda n, scales: made.tensor((n,), scale=scales, data=np.full(n, 2**31 - 9, np.int32), kind=2)
    with pytest.raises(Refused, match="its sums can leave int32"):
        to_c.generate(made.model(made.convolve(0, 4, 3)), name="made")


def test_sums_of_scales_too_far_apart_are_refused():
    made = Made(8, 8, 1)
    total = made.run("ADD", (0, made.convolve(0, 1, 3)), made.tensor((1, 8, 8, 1), scale=0.001), "AddOptions")
    with pytest.raises(Refused, match=r"operator ADD .*: its scales are too far apart"):
        to_c.generate(made.model(total), name="made")


def test_crop_tables_pad_and_pool_are_fused():
    made = Made(10, 10, 1)
    index = made.indices
    crop = made.run(
        "STRIDED_SLICE", (0, index([0, 1, 1, 0]), index([0, 9, 9, 0]), index([1, 1, 1, 1])),
        made.tensor((1, 8, 8, 1), scale=1.0, zero_point=-128), "StridedSliceOptions", beginMask=9, endMask=9,
    )  # fmt: skip
    scaled = made.run("QUANTIZE", (crop,), made.tensor((1, 8, 8, 1), scale=2.0, zero_point=-100), "QuantizeOptions")
    padded_shape = made.tensor((1, 10, 10, 1), scale=2.0, zero_point=-100)
    padded = made.run("PAD", (scaled, index([[0, 0], [1, 1], [1, 1], [0, 0]])), padded_shape, "PadOptions")
    pooled = made.pool("MAX_POOL_2D", made.convolve(padded, 4, 3, padding=VALID, activation=RELU), 2, 2)
    steps = fuse(plan(read(made.model(pooled))))
    enter, convolve = steps[0], steps[1]
    assert isinstance(enter, Enter) and (enter.top, enter.left) == (1, 1) and enter.tables is not None
    assert isinstance(convolve, Convolve) and convolve.pool == 2 and convolve.pad == (1, 1)
    assert isinstance(steps[2], LookUp)


@pytest.mark.long
@pytest.mark.realdata
@pytest.mark.skipif(not os.environ.get("EDGEPROOF_DATA"), reason="EDGEPROOF_DATA names no folder with MNIST")
def test_the_wheels_model_answers_as_in_litert_on_the_whole_test_split(wheels_model, tmp_path):
    pictures = datasets.mnist.load().test.images
    wanted = interpreted(wheels_model, pictures)
    for path, outputs in answers(wheels_model, pictures, tmp_path).items():
        assert (outputs[:, : wanted.shape[1]] == wanted).all(), path
