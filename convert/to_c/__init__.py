"""An int8 .tflite as one C file and its header: `read` its operators, `plan` and `fuse` steps, `lay_out` memory, emit text.

The answers are those of LiteRT's XNNPACK kernels, byte for byte. Equal models give equal files.
"""

import re
from dataclasses import dataclass

from convert.to_c import program
from convert.to_c.emit import layers
from convert.to_c.fuse import fuse
from convert.to_c.layout import lay_out
from convert.to_c.plan import plan
from convert.to_c.reader import read
from convert.to_c.steps import Convolve, Float
from edge.errors import Refused

VERSION = 5  # changes whenever the same model gives another file
MAX_WEIGHT_BYTES = 4 << 20


@dataclass(frozen=True)
class Program:
    """`source` and `header` are the text of NAME.c and NAME.h; `symbol` begins every name they export.

    `paths` are the names of the instruction paths, the fastest first; `layers` the layers' names in their order.
    """

    source: str
    header: str
    symbol: str
    layers: tuple[str, ...]
    paths: tuple[str, ...]
    weight_bytes: int
    context_bytes: int
    has_floats: bool  # float islands


def generate(model: bytes, *, name: str) -> Program:
    """The C program of `model`, an int8 .tflite, to be written as `name`.c and `name`.h.

    A second output stands behind the logits. Raises Refused where an operator, a data type or the size is not one that C is
    generated for.
    """
    graph = read(model)
    planned = plan(graph)
    has_floats = any(isinstance(step, Float) for step in planned)
    steps = fuse(planned)
    weight_bytes = sum(step.weights.size for step in steps if isinstance(step, Convolve))
    if weight_bytes > MAX_WEIGHT_BYTES:
        raise Refused(f"{weight_bytes:,} bytes of weights; C is generated up to {MAX_WEIGHT_BYTES:,}: use the .tflite")
    steps, n_bytes, n_floats = lay_out(steps)
    written = layers(steps)
    symbol = re.sub(r"\W", "_", name)
    symbol = symbol if not symbol[0].isdigit() else f"network_{symbol}"
    source, header, paths = program.text(written, graph, name=name, symbol=symbol, n_bytes=n_bytes, n_floats=n_floats)
    return Program(source, header, symbol, written.names, paths, weight_bytes, n_bytes + 4 * n_floats, has_floats)
