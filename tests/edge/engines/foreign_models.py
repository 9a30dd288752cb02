"""Tiny models as other people export them: what enters is laid out in a row and given back, by softmax if wanted."""

import flatbuffers
import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper

_TFLITE_TYPES = {"float32": 0, "int32": 2, "uint8": 3, "int16": 7, "int8": 9}


def tflite(
    shape: list[int],
    *,
    dtype: str = "float32",
    entry: tuple[float, int] = (1.0, 0),
    softmax: bool = False,
    open_batch: bool = False,
) -> bytes:
    """A .tflite that takes `shape` in `dtype`, quantized by `entry` (scale, zero point), and gives it in one row."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.description = 3, "foreign"
    row = [1, int(np.prod(shape[1:]))]
    end = {"uint8": (1 / 256, 0), "int8": (1 / 256, -128)}.get(dtype, (0.0, 0))
    sized = np.array(row, np.int32)
    model.buffers = [schema.BufferT(), schema.BufferT()]
    model.buffers[1].data = np.frombuffer(sized.tobytes(), np.uint8)
    forms = [("pixels", shape, dtype, entry, 0), ("row", row, dtype, entry, 0), ("form", [2], "int32", None, 1)]
    graph.tensors = [_tensor(*form) for form in [*forms, ("scores", row, dtype, end, 0)]]
    if open_batch:
        graph.tensors[0].shapeSignature = [-1, *shape[1:]]
    graph.inputs, graph.outputs = [0], [3 if softmax else 1]
    model.operatorCodes = [_code(22, 1), _code(25, 2 if dtype == "int8" else 1)]
    reshape, soft = schema.OperatorT(), schema.OperatorT()
    reshape.opcodeIndex, reshape.inputs, reshape.outputs = 0, [0, 2], [1]
    soft.opcodeIndex, soft.inputs, soft.outputs = 1, [1], [3]
    soft.builtinOptionsType, soft.builtinOptions = schema.BuiltinOptions.SoftmaxOptions, schema.SoftmaxOptionsT()
    soft.builtinOptions.beta = 1.0
    graph.operators = [reshape, soft] if softmax else [reshape]
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _code(number: int, version: int) -> schema.OperatorCodeT:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = number
    code.version = version
    return code


def _tensor(name: str, shape: list[int], dtype: str, quantized: tuple[float, int] | None, buffer: int) -> schema.TensorT:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name, shape, _TFLITE_TYPES[dtype], buffer
    if quantized and dtype in ("int8", "uint8"):
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [quantized[0]], [quantized[1]]
    return tensor


def model(shape: list[int | str | None], row: list[int | str | None], *, dtype: str = "float", softmax: bool = False) -> bytes:
    """An .onnx that takes `shape` in `dtype` and gives it as `row`."""
    kinds = {"float": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8, "int32": TensorProto.INT32}
    kind = kinds[dtype]
    size = [n if isinstance(n, int) else 1 for n in row]
    nodes = [helper.make_node("Reshape", ["pixels", "size"], ["row"])]
    out_kind = kind
    if softmax:
        if dtype != "float":
            nodes.append(helper.make_node("Cast", ["row"], ["floats"], to=TensorProto.FLOAT))
            out_kind = TensorProto.FLOAT
        nodes.append(helper.make_node("Softmax", [nodes[-1].output[0]], ["scores"], axis=-1))
    graph = helper.make_graph(
        nodes, "foreign",
        [helper.make_tensor_value_info("pixels", kind, shape)],
        [helper.make_tensor_value_info(nodes[-1].output[0], out_kind, row)],
        [helper.make_tensor("size", TensorProto.INT64, [len(size)], size)],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())
