"""Every operator that C is generated for, beside LiteRT's Interpreter: all bytes, on each path this machine has."""

import numpy as np
import pytest

from tests.convert.to_c.made import RELU, RELU6, SAME, VALID, Made, answers, images, interpreted


def convolutions() -> bytes:
    """Kernels of 1, 3 and 5; strides; both paddings; channels that fill no vector."""
    made = Made(13, 11, 3, seed=1)
    first = made.convolve(0, 17, 3, activation=RELU, zero_point=-128)
    pooled = made.pool("MAX_POOL_2D", made.convolve(first, 6, 5, activation=RELU, zero_point=-128), 2, 2)
    odd = made.convolve(pooled, 24, 3, stride=2, padding=VALID)
    flat = made.convolve(first, 33, 1, activation=RELU6)
    point = made.convolve(0, 10, 1, stride=2)
    dense = made.dense(odd, 21, activation=RELU)
    return made.model(pooled, flat, point, dense, made.dense(dense, 8))


def depthwise() -> bytes:
    """Depthwise kernels of 3 and 5, strides, channels of one and of several blocks."""
    made = Made(12, 12, 3, seed=2)
    few = made.convolve(0, 3, 3, depthwise=True, activation=RELU)
    many = made.convolve(0, 40, 1)
    wide = made.convolve(many, 40, 3, depthwise=True, activation=RELU6)
    strided = made.convolve(many, 40, 5, stride=2, padding=VALID, depthwise=True)
    return made.model(few, wide, strided)


def tables() -> bytes:
    """Functions of one value, and constants added or multiplied: of one value, per channel and per row."""
    made = Made(16, 16, 2, seed=3)
    x = made.run("QUANTIZE", (0,), made.tensor((1, 16, 16, 2), scale=0.04 * 1.6, zero_point=-11), "QuantizeOptions")
    shape = made.shape(x)
    results = [
        made.run("LOGISTIC", (x,), made.tensor(shape, scale=1 / 256, zero_point=-128)),
        made.run("TANH", (x,), made.tensor(shape, scale=1 / 128, zero_point=0)),
        made.run("HARD_SWISH", (x,), made.tensor(shape, scale=0.03, zero_point=-110)),
        made.run("LEAKY_RELU", (x,), made.tensor(shape, scale=0.05, zero_point=-60), "LeakyReluOptions", alpha=0.2),
        made.run("RELU", (x,), made.tensor(shape, scale=0.05, zero_point=-128)),
        made.run("RELU6", (x,), made.tensor(shape, scale=6 / 255, zero_point=-128)),
    ]
    for kind, constant in (("ADD", ()), ("SUB", (2,)), ("MUL", (2,)), ("MUL", (1, 16, 1, 1)), ("ADD", (1, 16, 1, 1))):
        values = made.tensor(constant, scale=0.02, zero_point=4, data=made.rng.integers(-128, 128, constant).astype(np.int8))
        options = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions"}[kind]
        results.append(made.run(kind, (x, values), made.tensor(shape, scale=0.07, zero_point=9), options))
    return made.model(*results)


def planes() -> bytes:
    """Sums and products of two planes, pools of both kinds and paddings, pads, crops, joins, means, softmax."""
    made = Made(15, 15, 3, seed=4)
    a, b = made.convolve(0, 20, 3), made.convolve(0, 20, 1, zero_point=-40)
    shape = made.shape(a)
    total = made.run("ADD", (a, b), made.tensor(shape, scale=0.08, zero_point=-20), "AddOptions", fusedActivationFunction=RELU)
    difference = made.run("SUB", (a, b), made.tensor(shape, scale=0.09, zero_point=0), "SubOptions")
    product = made.run("MUL", (a, b), made.tensor(shape, scale=0.1, zero_point=5), "MulOptions")
    pools = [made.pool(kind, a, *how) for kind in ("MAX_POOL_2D", "AVERAGE_POOL_2D") for how in ((3, 2, SAME), (2, 2), (4, 3))]
    padded = made.run("PAD", (a, made.indices([[0, 0], [1, 2], [2, 1], [0, 0]])), made.tensor((1, 18, 18, 20)), "PadOptions")
    crop = made.run(
        "STRIDED_SLICE", (a, made.indices([0, 2, 3, 0]), made.indices([0, 9, 12, 0]), made.indices([1, 1, 1, 1])),
        made.tensor((1, 7, 9, 20)), "StridedSliceOptions", beginMask=9, endMask=9,
    )  # fmt: skip
    joined = made.run("CONCATENATION", (a, a), made.tensor((1, 15, 15, 40)), "ConcatenationOptions", axis=3)
    tall = made.run("CONCATENATION", (a, a), made.tensor((1, 30, 15, 20)), "ConcatenationOptions", axis=1)
    broad = made.run("CONCATENATION", (a, a, a), made.tensor((1, 15, 45, 20)), "ConcatenationOptions", axis=2)
    mean = made.run("MEAN", (joined, made.indices([1, 2])), made.tensor((1, 40), scale=0.03), "ReducerOptions")
    logits = made.dense(mean, 12)
    soft = made.run("SOFTMAX", (logits,), made.tensor((1, 12), scale=1 / 256, zero_point=-128), "SoftmaxOptions", beta=1.0)
    return made.model(
        total, difference, product, *pools, padded, made.convolve(padded, 7, 3, padding=VALID), tall, broad, crop, mean, soft
    )


MODELS = (convolutions, (13, 11, 3)), (depthwise, (12, 12, 3)), (tables, (16, 16, 2)), (planes, (15, 15, 3))


@pytest.mark.parametrize(("build", "shape"), MODELS)
def test_all_bytes_are_the_interpreters(build, shape, tmp_path):
    model, pictures = build(), images(shape)
    wanted = interpreted(model, pictures)
    found = answers(model, pictures, tmp_path)
    assert "plain" in found
    for path, outputs in found.items():
        differ = np.flatnonzero((outputs[:, : wanted.shape[1]] != wanted).any(axis=0))
        assert not len(differ), (path, differ[:20], wanted.shape)
    assert len(np.unique(wanted)) > 100  # the pictures reach most values
