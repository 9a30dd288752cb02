"""Sealed models that are sound in form and fail on a white picture; of ONNX operators, so that a real library runs them."""

from pathlib import Path

from edge import artifact
from edge.contract import InputContract, ModelContract

SIDE = 4
BLACK, WHITE = bytes(SIDE * SIDE), b"\xff" * SIDE * SIDE
_FRONT = """
<ir_version: 8, opset_import: ["" : 17], producer_name: "edgeproof">
wrong (uint8[1,4,4,1] pixels) => (float[1,2] logits) {
  row = Constant<value = int64[2] {1, 16}>()
  first = Constant<value = int64[1] {0}>()
  square = Constant<value = int64[2] {1, 1}>()
  top = Constant<value = float[1] {255.0}>()
  one_long = Constant<value = int64[1] {1}>()
  no_shape = Constant<value = int64[0] {}>()
  one = Constant<value = float[1] {1.0}>()
  hundred = Constant<value = float[1] {100.0}>()
  pixel_row = Reshape(pixels, row)
  pixel = Gather<axis = 1>(pixel_row, first)
  number = Cast<to = 1>(pixel)
  white = Div(number, top)
  dark = Sub(one, white)
"""
# By kind: how `bad`, float32 [1, 1], comes of `white`, which is 0 for a black first pixel and 1 for a white one.
KINDS = {
    "not-a-number": "negative = Neg(white) bad = Sqrt(negative)",
    "infinite": "bad = Log(dark)",
    "out-of-range": "far = Mul(white, hundred) index = Cast<to = 7>(far) rest = Reshape(index, one_long)"
    " table = Constant<value = float[2] {0.0, 0.0}>() taken = Gather<axis = 0>(table, rest) bad = Reshape(taken, square)",
    "divided-by-zero": "whole = Cast<to = 7>(dark) hundreds = Cast<to = 7>(hundred) many = Div(hundreds, whole)"
    " floats = Cast<to = 1>(many) bad = Sub(floats, hundred)",
    "endless": "times = Constant<value = int64 {4611686018427387904}>() flat = Reshape(white, no_shape)"
    " go = Cast<to = 9>(flat) bad = Loop(times, go, white) <body = body (int64 n, bool before, float[1,1] x)"
    " => (bool again, float[1,1] y) { again = Identity(before) y = Identity(x) }>",
    "huge": "gib = Constant<value = float[1] {1073741824.0}>() floats = Mul(white, gib) long = Cast<to = 7>(floats)"
    " shape = Reshape(long, one_long) many = ConstantOfShape(shape) total = ReduceSum<keepdims = 0>(many)"
    " bad = Reshape(total, square)",
}


def write(folder: Path, kind: str, **manifest: object) -> Path:
    """The file of a model of `kind` in `folder`. Its golden is a black picture, and is answered right."""
    from onnx import parser

    made = parser.parse_model(f"{_FRONT}  {KINDS[kind]}\n  logits = Concat<axis = 1>(bad, white)\n}}")
    model = artifact.embed_magic(made.SerializeToString(), "onnx")
    contract = ModelContract(
        name=f"wrong-{kind}", kind="onnx", model_bytes=len(model), n_classes=2, input_dtype="uint8", output_dtype="float32",
        input=InputContract(height=SIDE, width=SIDE, channels=1, fit="resize"),
    )  # fmt: skip
    path = folder / f"{kind}.onnx"
    accounts = {"labels": ("no", "yes"), "goldens": [(BLACK, bytes(8))], "manifest": manifest, "report": ""}
    path.write_bytes(artifact.seal(model, contract, **accounts))
    return path
