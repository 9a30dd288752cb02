"""Damage a model in every way a card or a cable does; `edge-predict` must never answer from it.

    python -m tests.promises.damaged --count 10000 --format tflite

Each case is a real process of the installed command. It must end with 78, nothing on stdout and one line on stderr. A third
run with `--trust` and a third with `--allow-unverified`, which vouch for a model or take a foreign one, but never a
damaged one of ours. The .tflite is the model in the wheel; the .onnx is made here: one dense layer, sealed as `convert` does.
"""

import os
import sys
import tempfile
from pathlib import Path
from random import Random

from edge import artifact
from edge.contract import DIGIT, ModelContract
from tests.promises.asking import COMMAND, SEVEN, SHIPPED, Tally, ask, environment, flags, in_lanes

VOUCHING: tuple[list[str], ...] = ([], ["--trust"], ["--allow-unverified"])
BLOCK = 512


def main() -> int:
    parser = flags("damaged", __doc__, count=10_000)
    parser.add_argument("--format", choices=("tflite", "onnx"), default="tflite", help="default: %(default)s")
    given = parser.parse_args()
    tally = Tally()
    with tempfile.TemporaryDirectory() as scratch:
        surroundings = environment(scratch)
        whole = sealed_onnx() if given.format == "onnx" else Path(SHIPPED).read_bytes()
        n_model = artifact.parse("whole", whole).contract.model_bytes
        control = os.path.join(scratch, f"whole.{given.format}")
        Path(control).write_bytes(whole)
        answered = ask([COMMAND, SEVEN, "--model", control], surroundings)
        if answered.code or not answered.out:
            print(f"the undamaged model does not answer: {answered}", file=sys.stderr)
            return 1

        def case(number: int, folder: str) -> None:
            random = Random(f"{given.seed} {number}")
            kind = list(DAMAGES)[number % len(DAMAGES)]
            damaged = DAMAGES[kind](random, whole, n_model)
            while damaged == whole:
                damaged = DAMAGES[kind](random, whole, n_model)
            path = os.path.join(folder, f"m.{given.format}")
            Path(path).write_bytes(damaged)
            ended = ask([COMMAND, SEVEN, "--model", path, *random.choice(VOUCHING)], surroundings)
            tally.add(ended, kind)
            if ended.code != 78 or not ended.refused:
                tally.broken.append(f"case {number} of seed {given.seed}, {kind}: {ended}")

        in_lanes(case, given.count, lanes=given.lanes)
    return tally.tell(f"{given.format}: {given.count:,} damaged models in {len(tally.seen)} ways")


def _anywhere(random: Random, first: int, end: int, data: bytes) -> bytes:
    """One to eight bytes of `data[first:end]` written over, or one bit of them flipped."""
    damaged = bytearray(data)
    for _ in range(random.choice((0, 1, 2, 8))):
        damaged[random.randrange(first, end)] = random.randrange(256)
    damaged[random.randrange(first, end)] ^= 1 << random.randrange(8)
    return bytes(damaged)


def _block(random: Random, data: bytes, filling: bytes) -> bytes:
    """Some blocks of a card, at a block's border, that hold something else."""
    at = random.randrange(0, len(data), BLOCK)
    lost = data[at : at + BLOCK * random.choice((1, 1, 2, 8, 64))]
    return data[:at] + (filling * BLOCK * 64)[: len(lost)] + data[at + len(lost) :]


def _swapped(random: Random, data: bytes) -> bytes:
    a, b = sorted(random.sample(range(0, len(data) - BLOCK, BLOCK), 2))
    return data[:a] + data[b : b + BLOCK] + data[a + BLOCK : b] + data[a : a + BLOCK] + data[b + BLOCK :]


def _lost_or_doubled(random: Random, data: bytes) -> bytes:
    at = random.randrange(len(data))
    return data[:at] + data[at : at + 1] * random.choice((0, 2)) + data[at + 1 :]


def _zero_tail(random: Random, data: bytes) -> bytes:
    # The front with its mark stays: with nothing left of us, it is no damaged model of ours but a file of zeros.
    at = random.randrange(64, len(data))
    return data[:at] + bytes(len(data) - at)


def _member(random: Random, data: bytes, n_model: int) -> bytes:
    """A digit of the contract or the manifest replaced by another, or a letter by its capital."""
    spots = [at for at in range(n_model, len(data) - 64) if chr(data[at]).isalnum()]
    at = random.choice(spots)
    new = str(random.randrange(10)).encode() if chr(data[at]).isdigit() else bytes([data[at] ^ 0x20])
    return data[:at] + new + data[at + 1 :]


# By name: (random, the whole file, the length of its model part) → the damaged file.
DAMAGES = {
    "cut short": lambda r, d, n: d[: r.choice((r.randrange(len(d)), len(d) - r.randrange(1, 200), n, n - n % BLOCK))],
    "front lost": lambda r, d, n: d[r.randrange(1, n) :],
    "tail of zeros": lambda r, d, n: _zero_tail(r, d),
    "a bit flipped": lambda r, d, n: _anywhere(r, 0, len(d), d),
    "header edited": lambda r, d, n: _anywhere(r, 0, 64, d),
    "weights edited": lambda r, d, n: _anywhere(r, 64, n, d),
    "archive edited": lambda r, d, n: _anywhere(r, n, len(d) - 64, d),
    "directory edited": lambda r, d, n: _anywhere(r, len(d) - 400, len(d) - 64, d),
    "a member's text edited": _member,
    "seal edited": lambda r, d, n: _anywhere(r, len(d) - 64, len(d), d),
    "blocks of zeros": lambda r, d, n: _block(r, d, b"\0"),
    "blocks of ones": lambda r, d, n: _block(r, d, b"\xff"),
    "blocks of another file": lambda r, d, n: _block(r, d, r.randbytes(7)),
    "blocks swapped": lambda r, d, n: _swapped(r, d),
    "a byte lost or doubled": lambda r, d, n: _lost_or_doubled(r, d),
    "something behind it": lambda r, d, n: d + r.choice((b"\n", bytes(BLOCK), d, d[-64:])),
}


def sealed_onnx() -> bytes:
    """A sealed .onnx of one dense layer: uint8 [1, 28, 28, 1] in, 10 float32 logits out."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(0).normal(0, 0.01, (784, 10)).astype(np.float32)
    shape = numpy_helper.from_array(np.array([1, 784], np.int64), "shape")
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("Reshape", ["floats", "shape"], ["row"]),
            helper.make_node("MatMul", ["row", "weights"], ["logits"]),
        ],
        "dense",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, [1, 28, 28, 1])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 10])],
        [shape, numpy_helper.from_array(weights, "weights")],
    )
    made = helper.make_model(graph, producer_name="edgeproof", opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model = artifact.embed_magic(made.SerializeToString(), "onnx")
    contract = ModelContract(
        name="dense", kind="onnx", model_bytes=len(model), n_classes=10, input=DIGIT, input_dtype="uint8",
        output_dtype="float32",
    )  # fmt: skip
    return artifact.seal(model, contract, labels=tuple("0123456789"), goldens=[], manifest={}, report="")


if __name__ == "__main__":
    sys.exit(main())
