"""The work of one prediction, counted from the model file: multiply-adds and bytes of each operator.

The convention is the field's (MLPerf Tiny's 12.5 million for ResNet-8): a multiplication and the addition to its sum are
one multiply-add; zeros padded at an image's border count, because the kernels multiply them too; biases, activation functions,
pooling and element-wise operators count as none.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema

from edge.artifact import Artifact
from edge.errors import ModelError

NARROW = ("int8", "uint8", "int4", "uint4")
_TFLITE_KINDS = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
_TFLITE_TYPES = {code: name.lower() for name, code in vars(schema.TensorType).items() if isinstance(code, int)}
# They have multiply-adds too; no network here needs them counted.
_UNCOUNTED = {"BATCH_MATMUL", "TRANSPOSE_CONV", "CONV_3D", "ConvTranspose", "Einsum", "LSTM", "GRU"}
_CODES = ("QuantizeLinear", "DequantizeLinear")


@dataclass(frozen=True)
class SizedTensor:
    """A tensor's shape and data type, and whether its values are in the file."""

    shape: tuple[int, ...]
    data_type: str
    constant: bool

    @property
    def n_bytes(self) -> int:
        bits = {"int4": 4, "uint4": 4}.get(self.data_type) or 8 * np.dtype(self.data_type).itemsize
        return math.prod(self.shape) * bits // 8


@dataclass(frozen=True)
class OperatorWork:
    """One operator: its multiply-adds and their data type, the bytes of its weights and of the activations read and written."""

    kind: str
    macs: int
    data_type: str  # of the products: `int8` or `float32`
    weight_bytes: int
    activation_bytes: int
    output_shape: tuple[int, ...]
    depth: int  # products summed in one output
    input_channels: int


@dataclass(frozen=True)
class Work:
    """A network's operators, and the bytes of its input and its output."""

    operators: tuple[OperatorWork, ...]
    ends_bytes: int

    @property
    def macs(self) -> int:
        return sum(operator.macs for operator in self.operators)

    @property
    def weight_bytes(self) -> int:
        return sum(operator.weight_bytes for operator in self.operators)

    @property
    def least_bytes(self) -> int:
        """What every engine must read or write: each weight once, the image and the answer. The rest may stay in registers."""
        return self.weight_bytes + self.ends_bytes

    def macs_in(self, data_type: str) -> int:
        """Multiply-adds done in `data_type`."""
        return sum(operator.macs for operator in self.operators if operator.data_type == data_type)


def count(model: Artifact) -> Work:
    """The work of one prediction. Raises ModelError for an operator that is not counted, or an open batch size."""
    if model.kind == "c":
        raise ModelError(f"{model.path}: a C program's multiply-adds are counted in its .tflite")
    part = model.data[: model.contract.model_bytes] if model.contract else model.data
    try:
        return _tflite(part) if model.kind == "tflite" else _onnx(part)
    except (ValueError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(f"{model.path}: its multiply-adds cannot be counted: {error}") from None


def _tflite(part: bytes) -> Work:
    model = schema.ModelT.InitFromPackedBuf(part)
    (graph,) = model.subgraphs
    tensors = {at: _tflite_tensor(tensor, model) for at, tensor in enumerate(graph.tensors)} | {-1: None}
    operators = []
    for node in graph.operators:
        code = model.operatorCodes[node.opcodeIndex]
        kind = _TFLITE_KINDS[max(code.builtinCode, code.deprecatedBuiltinCode)]
        inputs, outputs = ([tensors[at] for at in side if tensors[at]] for side in (node.inputs, node.outputs))
        if kind == "DEQUANTIZE" and inputs[0].constant:
            # Weights stored in float16: engines widen them once, at load, and read float32 from then on.
            tensors[int(node.outputs[0])] = SizedTensor(inputs[0].shape, outputs[0].data_type, constant=True)
            inputs = []
        depth = {
            "CONV_2D": lambda weights: math.prod(weights.shape[1:]),
            "DEPTHWISE_CONV_2D": lambda weights: math.prod(weights.shape[1:3]),
            "FULLY_CONNECTED": lambda weights: weights.shape[1],
        }.get(kind)
        # With float activations and int8 weights LiteRT quantizes the activations, so the products are int8.
        operators.append(_operator(kind, inputs, outputs, depth(inputs[1]) if depth else 0, both_int8=False))
    return Work(tuple(operators), sum(tensors[int(at)].n_bytes for at in [*graph.inputs, *graph.outputs]))


def _tflite_tensor(tensor: schema.TensorT, model: schema.ModelT) -> SizedTensor:
    shape = tuple(map(int, tensor.shape if tensor.shape is not None else ()))
    return SizedTensor(shape, _TFLITE_TYPES[tensor.type], constant=model.buffers[tensor.buffer].data is not None)


def _onnx(part: bytes) -> Work:
    graph = onnx.shape_inference.infer_shapes(onnx.load_model_from_string(part), strict_mode=True, data_prop=True).graph
    tensors = {value.name: _onnx_tensor(value) for value in [*graph.input, *graph.value_info, *graph.output]}
    for value in graph.initializer:
        data_type = onnx.TensorProto.DataType.Name(value.data_type).lower()
        tensors[value.name] = SizedTensor(tuple(value.dims), {"float": "float32"}.get(data_type, data_type), constant=True)
    ends_bytes = sum(tensors[value.name].n_bytes for value in [*graph.input, *graph.output])
    # Engines fuse QuantizeLinear and DequantizeLinear with their neighbours: the tensors between them are stored as int8.
    for node in reversed(graph.node):
        if node.op_type == "QuantizeLinear":
            tensors[node.input[0]] = tensors[node.output[0]]
    for node in graph.node:
        if node.op_type == "DequantizeLinear":
            tensors[node.output[0]] = tensors[node.input[0]]
        elif _widens(node, tensors):
            tensors[node.output[0]] = replace(tensors[node.output[0]], constant=True)
    return Work(tuple(_onnx_operators(graph, tensors)), ends_bytes)


def _onnx_operators(graph: onnx.GraphProto, tensors: dict[str, SizedTensor]) -> Iterator[OperatorWork]:
    for node in graph.node:
        if node.op_type in _CODES or _widens(node, tensors):
            continue
        inputs, outputs = ([tensors[name] for name in side if name] for side in (node.input, node.output))
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        depth = 0
        if node.op_type in ("Conv", "ConvInteger", "QLinearConv"):
            depth = math.prod(inputs[3 if node.op_type == "QLinearConv" else 1].shape[1:])  # [out, in / groups, h, w]
        elif node.op_type == "Gemm":
            depth = inputs[0].shape[0 if attributes.get("transA") else 1]
        elif node.op_type in ("MatMul", "MatMulInteger"):
            depth = inputs[0].shape[-1]
        yield _operator(node.op_type, inputs, outputs, depth, both_int8=True)


def _widens(node: onnx.NodeProto, tensors: dict[str, SizedTensor]) -> bool:
    """Whether the node widens weights stored in float16 (see _tflite)."""
    return node.op_type == "Cast" and tensors[node.input[0]].constant


def _onnx_tensor(value: onnx.ValueInfoProto) -> SizedTensor:
    kind = value.type.tensor_type
    if any(not dim.HasField("dim_value") for dim in kind.shape.dim):
        raise ValueError(f"{value.name} has no fixed shape")
    data_type = onnx.TensorProto.DataType.Name(kind.elem_type).lower()
    shape = tuple(dim.dim_value for dim in kind.shape.dim)
    return SizedTensor(shape, {"float": "float32"}.get(data_type, data_type), constant=False)


def _operator(kind: str, inputs: list[SizedTensor], outputs: list[SizedTensor], depth: int, *, both_int8: bool) -> OperatorWork:
    """`depth` is 0 for an operator without multiply-adds; `both_int8`: products are int8 only if the activations are, too."""
    if kind in _UNCOUNTED:
        raise ValueError(f"{kind} is not counted")
    if any(size < 1 for tensor in outputs for size in tensor.shape):
        raise ValueError(f"{kind} has no fixed shape")
    # int32 constants are biases if something is multiplied, else shapes and axes, as int64 ones always are.
    weights = [t for t in inputs if t.constant and t.data_type != "int64" and (depth or t.data_type != "int32")]
    if depth and any(tensor.data_type == "int16" for tensor in inputs[:2]):
        raise ValueError(f"{kind} takes int16, and no peak was measured for that")
    factors = inputs[:2] if both_int8 else inputs[1:2]
    is_int8 = bool(depth) and all(tensor.data_type in NARROW for tensor in factors)
    return OperatorWork(
        kind,
        macs=math.prod(outputs[0].shape) * depth,
        data_type="int8" if is_int8 else "float32",
        weight_bytes=sum(tensor.n_bytes for tensor in weights),
        activation_bytes=sum(tensor.n_bytes for tensor in [*inputs, *outputs] if not tensor.constant),
        output_shape=outputs[0].shape,
        depth=depth,
        input_channels=inputs[0].shape[-1] if inputs and inputs[0].shape else 0,
    )
