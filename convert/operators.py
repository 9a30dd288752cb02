"""The operators of a converted model by data type (an .onnx's as optimized), and an int8 one's float islands."""

import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper

from convert import tflite_pieces

N_ROUNDS, N_CALLS = 8, 15
_FLOATS = {"float32", "float16"}
# They only convert between data types; beside an island they are part of its cost.
_CODES = {"QUANTIZE", "DEQUANTIZE", "QuantizeLinear", "DequantizeLinear", "Cast"}
# The input that holds the weights. Weights in a type that no kernel takes are decoded by an operator of their own.
_WEIGHTS_AT = {
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "BATCH_MATMUL"), 1),
    **dict.fromkeys(("Conv", "FusedConv", "NhwcFusedConv", "ConvTranspose", "ConvInteger", "MatMul", "FusedMatMul"), 1),
    **dict.fromkeys(("Gemm", "FusedGemm", "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "MatMulNBits"), 1),
    **dict.fromkeys(("QLinearConv", "QLinearMatMul", "QGemm"), 3),  # after the input, its scale and its zero point
    **dict.fromkeys(("DEQUANTIZE", "DequantizeLinear", "Cast"), 0),
}


@dataclass(frozen=True)
class Operator:
    """One operator that runs: its kind, the data type of its output, and that of its weights, None without weights."""

    kind: str
    data_type: str
    weights: str | None = None

    @property
    def label(self) -> str:
        return self.data_type if self.weights in (None, self.data_type) else f"{self.data_type} with {self.weights} weights"


@dataclass(frozen=True)
class Island:
    """Consecutive operators that compute in float inside an int8 model, and their share of a prediction's time, 0 to 1."""

    operators: tuple[str, ...]
    share: float


@dataclass(frozen=True)
class Inventory:
    """How many operators run in each data type, and the float islands."""

    by_type: dict[str, int]
    islands: tuple[Island, ...]

    @property
    def share(self) -> float:
        """All islands' share of a prediction's time, 0 to 1."""
        return sum(island.share for island in self.islands)

    @property
    def counted(self) -> str:
        """`8 int8, 5 float32`."""
        return ", ".join(f"{count} {kind}" for kind, count in self.by_type.items())

    @property
    def in_words(self) -> str:
        """`12 int8` or `8 int8, 5 float32; float islands take 21 % of the time`."""
        return f"{self.counted}; float islands take {100 * self.share:.0f} % of the time" if self.islands else self.counted


def inventory(model: bytes, *, kind: str, precision: str, image: np.ndarray) -> Inventory:
    """The operators of `model`, a .tflite or .onnx; of an int8 one also its islands, timed on `image`: uint8 [H, W, C].

    An island's time is the difference between the model cut behind it and before it, on one thread, each the median of
    N_ROUNDS times N_CALLS calls in turns. The overhead of a call cancels, but the difference of two medians is uncertain:
    where islands take a few microseconds, their share is right to a few points.
    """
    operators, cut = _tflite(model, image) if kind == "tflite" else _onnx(model, image)
    spans = _islands(operators) if precision == "int8" else []
    ends = sorted({len(operators), *(end for span in spans for end in span)}) if spans else []
    times_us = dict(zip(ends, _median_us([cut(end) for end in ends]), strict=True))
    islands = []
    for start, end in spans:
        names = tuple(operator.kind for operator in operators[start:end])
        islands.append(Island(names, _share(times_us[end] - times_us[start], times_us[len(operators)])))
    return Inventory(dict(Counter(operator.label for operator in operators).most_common()), tuple(islands))


def _islands(operators: list[Operator]) -> list[tuple[int, int]]:
    """[start, end) of each run of float operators that computes; conversions alone, as at a model's ends, do not."""
    runs, at = [], 0
    for is_float, members in groupby(operators, lambda o: o.data_type in _FLOATS or o.kind in _CODES):
        group = list(members)
        if is_float and any(operator.kind not in _CODES for operator in group):
            runs.append((at, at + len(group)))
        at += len(group)
    return runs


def _share(part: float, total: float) -> float:
    # A difference of times may be negative, and a coarse clock may measure 0.
    return min(1.0, max(0.0, part / total)) if total else 0.0


def _median_us(calls: Sequence[Callable[[], object]]) -> list[float]:
    """Median microseconds of each of `calls`, made in turns, so that a busy machine slows them alike."""
    times_us: list[list[float]] = [[] for _ in calls]
    for _ in range(N_ROUNDS):
        for call, times in zip(calls, times_us, strict=True):
            for number in range(-3, N_CALLS):
                start = time.perf_counter_ns()
                call()
                if number >= 0:  # the first three bring the weights back into the caches
                    times.append((time.perf_counter_ns() - start) / 1000)
    return [statistics.median(times) for times in times_us]


def _tflite(model: bytes, image: np.ndarray) -> tuple[list[Operator], Callable[[int], Callable[[], object]]]:
    """The operators of `model`, and a function from n to a call that runs its first n operators."""
    # Not from the interpreter, which reports int4 tensors as int8.
    kinds, types = _names(schema.BuiltinOperator), _names(schema.TensorType)
    tables = schema.ModelT.InitFromPackedBuf(model)
    graph = tables.subgraphs[0]
    computed = {int(at) for at in graph.inputs} | {int(at) for node in graph.operators for at in node.outputs}
    operators = []
    for node in graph.operators:
        code = tables.operatorCodes[node.opcodeIndex]
        kind = kinds[max(code.builtinCode, code.deprecatedBuiltinCode)]  # the latter holds all but the newest
        at = int(node.inputs[_WEIGHTS_AT[kind]]) if kind in _WEIGHTS_AT else -1
        has_weights = at >= 0 and at not in computed and len(graph.tensors[at].shape) > 1
        weights = types[graph.tensors[at].type].lower() if has_weights else None
        operators.append(Operator(kind, types[graph.tensors[node.outputs[0]].type].lower(), weights))
    return operators, lambda end: tflite_pieces.load(tflite_pieces.cut(model, end), image).invoke


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


def _onnx(model: bytes, image: np.ndarray) -> tuple[list[Operator], Callable[[int], Callable[[], object]]]:
    """The operators that ONNX Runtime makes of `model`, and a function from n to a call that runs the first n.

    Its profile will not do: it leaves out packed weights, and its whole microseconds include its own overhead.
    """
    fused = _fused(model)
    outputs = [node.output[0] for node in fused.graph.node]
    values = _loaded(fused, outputs).get_outputs()
    types = {value.name: value.type.removeprefix("tensor(").removesuffix(")") for value in values}
    constants = {tensor.name: tensor for tensor in fused.graph.initializer}
    operators = [
        Operator(node.op_type, {"float": "float32"}.get(types[name], types[name]), _onnx_weights(node, constants))
        for node, name in zip(fused.graph.node, outputs, strict=True)
    ]
    return operators, lambda end: _onnx_cut(fused, end, image)


def _fused(model: bytes) -> onnx.ModelProto:
    """`model` as ONNX Runtime's optimizer leaves it on this machine."""
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath, options.log_severity_level = str(Path(folder, "fused.onnx")), 3
        onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath)


def _onnx_weights(node: onnx.NodeProto, constants: dict[str, TensorProto]) -> str | None:
    tensor = constants.get(node.input[_WEIGHTS_AT[node.op_type]]) if node.op_type in _WEIGHTS_AT else None
    if tensor is None or len(tensor.dims) < 2:
        return None
    # MatMulNBits packs weights in bytes; an attribute says how many bits each has.
    bits = {attribute.name: attribute.i for attribute in node.attribute}.get("bits")
    name = f"int{bits}" if bits else TensorProto.DataType.Name(tensor.data_type).lower()
    return {"float": "float32"}.get(name, name)


def _loaded(model: onnx.ModelProto, outputs: list[str]) -> onnxruntime.InferenceSession:
    """`model` on one thread with these outputs, not optimized further."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    del watched.graph.output[:]
    watched.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in outputs)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _onnx_cut(fused: onnx.ModelProto, end: int, image: np.ndarray) -> Callable[[], object]:
    part = onnx.ModelProto()
    part.CopyFrom(fused)
    del part.graph.node[end:]
    (entry,) = part.graph.input
    needed = {name for node in fused.graph.node[end:] for name in node.input} | {value.name for value in fused.graph.output}
    outputs = [name for node in part.graph.node for name in node.output if name in needed] or [entry.name]
    session, feed = _loaded(part, outputs), {entry.name: onnxruntime.OrtValue.ortvalue_from_numpy(image[None])}
    return lambda: session.run_with_ort_values(outputs, feed)
