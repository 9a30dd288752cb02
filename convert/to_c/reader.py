"""Read the operators and tensors of an int8 .tflite, as its flatbuffer has them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edge.errors import Refused

_KINDS = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
_TYPES = {value: name.lower() for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
_DTYPES = {"int8": np.int8, "int32": np.int32, "float32": np.float32}


@dataclass(frozen=True, eq=False)
class Tensor:
    """`data` is None for what the network computes. `scales` has one element, or one per channel; none for float."""

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    scales: np.ndarray
    zero_point: int
    data: np.ndarray | None

    @property
    def scale(self) -> np.float32:
        return np.float32(self.scales[0])


@dataclass(frozen=True, eq=False)
class Node:
    """One operator: its TFLite name, its options by name, its tensors (an input left out is None)."""

    kind: str
    options: dict[str, Any]
    inputs: tuple[Tensor | None, ...]
    output: Tensor


@dataclass(frozen=True, eq=False)
class Graph:
    """The operators in the order in which they run; one image enters, and a vector of logits leaves.

    `exits` are the logits and, where there are any, extra values: one type and, in the program, one array.
    """

    entry: Tensor
    exits: tuple[Tensor, ...]
    nodes: tuple[Node, ...]


def read(model: bytes) -> Graph:
    """The graph of `model`. Raises Refused if it is not one image in, one output or two out, batch 1."""
    tables = schema.ModelT.InitFromPackedBuf(model)
    if len(tables.subgraphs) != 1:
        raise Refused(f"C takes a model of one graph; this one has {len(tables.subgraphs)}")
    (graph,) = tables.subgraphs
    tensors = [_tensor(index, table, tables.buffers) for index, table in enumerate(graph.tensors)]
    if len(graph.inputs) != 1 or len(graph.outputs) not in (1, 2):
        raise Refused(f"C takes one input and one or two outputs; the model has {len(graph.inputs)} and {len(graph.outputs)}")
    nodes = []
    for node in graph.operators:
        code = tables.operatorCodes[node.opcodeIndex]
        kind = _KINDS[max(code.builtinCode, code.deprecatedBuiltinCode)]  # the latter holds all but the newest
        if len(node.outputs) != 1:
            raise Refused(f"operator {kind} has {len(node.outputs)} outputs; C takes one")
        inputs = tuple(tensors[index] if index >= 0 else None for index in node.inputs)
        nodes.append(Node(kind, vars(node.builtinOptions or schema.ReshapeOptionsT()), inputs, tensors[node.outputs[0]]))
    entry, exits = tensors[graph.inputs[0]], tuple(tensors[at] for at in graph.outputs)
    if entry.dtype != "int8" or {each.dtype for each in exits} not in ({"int8"}, {"float32"}):
        gives = " and ".join(each.dtype for each in exits)
        raise Refused(f"C takes int8 models; this one takes {entry.dtype} and gives {gives}: convert it with --int8")
    return Graph(entry, exits, tuple(nodes))


def _tensor(index: int, table: Any, buffers: Any) -> Tensor:
    dtype, shape = _TYPES[table.type], tuple(int(n) for n in (table.shape if table.shape is not None else ()))
    quantization, raw = table.quantization, buffers[table.buffer].data
    quantized = quantization is not None and quantization.scale is not None and len(quantization.scale)
    scales = np.asarray(quantization.scale if quantized else [], np.float32)
    zero_points = quantization.zeroPoint if quantized else (0,)
    data = None
    if raw is not None and len(raw):
        if dtype not in _DTYPES:
            raise Refused(f"tensor {table.name.decode()} is {dtype}; C takes {', '.join(_DTYPES)}")
        data = np.frombuffer(bytes(raw), np.dtype(_DTYPES[dtype]).newbyteorder("<")).reshape(shape)
    return Tensor(index, table.name.decode(), dtype, shape, scales, int(zero_points[0]), data)
