"""Functions of one int8 value, beside LiteRT's Interpreter: all 256 values, at random scales and zero points."""

import numpy as np
import pytest

from convert.to_c import arithmetic
from convert.to_c.reader import read
from tests.convert.to_c.made import Made, interpreted

EVERY = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
OPTIONS = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions"}


def one_operator(kind: str, rng: np.random.Generator) -> bytes:
    made = Made(16, 16, 1, scale=10 ** rng.uniform(-2, 0), zero_point=int(rng.integers(-128, 128)))
    scale, zero_point = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}.get(
        kind, (10 ** rng.uniform(-2, 0), int(rng.integers(-128, 128)))
    )
    out = made.tensor((1, 16, 16, 1), scale=scale, zero_point=zero_point)
    if kind in OPTIONS:
        constant = made.tensor(
            (1,), scale=10 ** rng.uniform(-2, 0), zero_point=7, data=rng.integers(-128, 128, 1).astype(np.int8)
        )
        made.run(kind, (0, constant), out, OPTIONS[kind], fusedActivationFunction=int(rng.choice([0, 1, 3])))
    elif kind == "LEAKY_RELU":
        made.run(kind, (0,), out, "LeakyReluOptions", alpha=float(rng.choice([0.01, 0.2, 0.5])))
    else:
        made.run(kind, (0,), out)
    return made.operator()


@pytest.mark.parametrize("kind", [*arithmetic.TABLES, *OPTIONS])
def test_all_values_are_the_interpreters(kind):
    rng = np.random.default_rng(sum(map(ord, kind)))
    for _ in range(12):
        model = one_operator(kind, rng)
        (node,) = read(model).nodes
        if kind in OPTIONS:
            compute = arithmetic.multiply if kind == "MUL" else arithmetic.add
            found = compute(arithmetic.EVERY, node.inputs[1].data.astype(np.int64), node)
        else:
            found = arithmetic.TABLES[kind](node)
        assert found.tolist() == interpreted(model, EVERY)[0].tolist()
