"""What runs in a converted model: its operators by data type, and the float islands inside an int8 one, with what they cost.

Read from the file itself: a .tflite's operators in their order; an .onnx's as ONNX Runtime's optimizer leaves them, whose
kernels are integer ones only where it could make them so.
"""

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
# They change nothing but the code of a number; beside an island they belong to its price.
_CODES = {"QUANTIZE", "DEQUANTIZE", "QuantizeLinear", "DequantizeLinear", "Cast"}
# Which input holds the weights. Stored ones that no kernel takes are decoded first, by an operator of their own.
_WEIGHTS_AT = {
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "BATCH_MATMUL"), 1),
    **dict.fromkeys(("Conv", "FusedConv", "NhwcFusedConv", "ConvTranspose", "ConvInteger", "MatMul", "FusedMatMul"), 1),
    **dict.fromkeys(("Gemm", "FusedGemm", "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "MatMulNBits"), 1),
    **dict.fromkeys(("QLinearConv", "QLinearMatMul", "QGemm"), 3),  # behind the input, its scale and its zero point
    **dict.fromkeys(("DEQUANTIZE", "DequantizeLinear", "Cast"), 0),
}


@dataclass(frozen=True)
class Operator:
    """One operator that runs: its kind, the data type it puts out, and that of its weights (None: it has none)."""

    kind: str
    data_type: str
    weights: str | None = None

    @property
    def label(self) -> str:
        return self.data_type if self.weights in (None, self.data_type) else f"{self.data_type} with {self.weights} weights"


@dataclass(frozen=True)
class Island:
    """Operators in a row that compute in float inside an int8 model, and their share of a prediction's time, 0 to 1."""

    operators: tuple[str, ...]
    share: float


@dataclass(frozen=True)
class Inventory:
    """How many operators run in each data type, and the float islands."""

    by_type: dict[str, int]
    islands: tuple[Island, ...]

    @property
    def share(self) -> float:
        """What the islands take of a prediction's time together, 0 to 1."""
        return sum(island.share for island in self.islands)

    @property
    def counted(self) -> str:
        """`8 int8, 5 float32`."""
        return ", ".join(f"{count} {kind}" for kind, count in self.by_type.items())

    @property
    def in_words(self) -> str:
        """`12 int8` or `8 int8, 5 float32; float islands take 21 % of the time`."""
        return f"{self.counted}; float islands take {100 * self.share:.0f} % of the time" if self.islands else self.counted


def inventory(model: bytes, *, kind: str, precision: str, picture: np.ndarray) -> Inventory:
    """What runs in `model`, a .tflite or .onnx, timed on `picture` (uint8 [H, W, C]). Islands are sought in int8 ones.

    An island's time is the difference of two: the model's cut behind it and before it, on one thread, each the median of
    N_ROUNDS times N_CALLS calls, in turns. So it has nothing of a call's own time, but all of a small difference's
    uncertainty: where islands are a few microseconds, read their share to within a few points.
    """
    operators, cut = _tflite(model, picture) if kind == "tflite" else _onnx(model, picture)
    spans = _islands(operators) if precision == "int8" else []
    ends = sorted({len(operators), *(end for span in spans for end in span)}) if spans else []
    taken_us = dict(zip(ends, _median_us([cut(end) for end in ends]), strict=True))
    islands = []
    for start, end in spans:
        names = tuple(operator.kind for operator in operators[start:end])
        islands.append(Island(names, _share(taken_us[end] - taken_us[start], taken_us[len(operators)])))
    return Inventory(dict(Counter(operator.label for operator in operators).most_common()), tuple(islands))


def _islands(operators: list[Operator]) -> list[tuple[int, int]]:
    """[start, end) of each run of float operators in which something is computed: coding at a model's ends is none."""
    runs, at = [], 0
    for is_float, members in groupby(operators, lambda o: o.data_type in _FLOATS or o.kind in _CODES):
        group = list(members)
        if is_float and any(operator.kind not in _CODES for operator in group):
            runs.append((at, at + len(group)))
        at += len(group)
    return runs


def _share(part: float, whole: float) -> float:
    # A difference of times may come out below zero, and a coarse clock may see no time pass at all.
    return min(1.0, max(0.0, part / whole)) if whole else 0.0


def _median_us(calls: Sequence[Callable[[], object]]) -> list[float]:
    """Microseconds of each of `calls`, made in turns, so that a busy machine slows them alike."""
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(N_ROUNDS):
        for call, times in zip(calls, taken, strict=True):
            for number in range(-3, N_CALLS):
                start = time.perf_counter_ns()
                call()
                if number >= 0:  # the first ones bring the weights back into the caches
                    times.append((time.perf_counter_ns() - start) / 1000)
    return [statistics.median(times) for times in taken]


def _tflite(model: bytes, picture: np.ndarray) -> tuple[list[Operator], Callable[[int], Callable[[], object]]]:
    """The operators of `model`, and what calls it cut behind its first so many."""
    # Not the interpreter's own account of tensors, where int4 reads int8.
    kinds, types = _names(schema.BuiltinOperator), _names(schema.TensorType)
    whole = schema.ModelT.InitFromPackedBuf(model)
    graph = whole.subgraphs[0]
    variable = {int(at) for at in graph.inputs} | {int(at) for node in graph.operators for at in node.outputs}
    operators = []
    for node in graph.operators:
        code = whole.operatorCodes[node.opcodeIndex]
        kind = kinds[max(code.builtinCode, code.deprecatedBuiltinCode)]  # the latter holds all but the newest
        at = int(node.inputs[_WEIGHTS_AT[kind]]) if kind in _WEIGHTS_AT else -1
        has_weights = at >= 0 and at not in variable and len(graph.tensors[at].shape) > 1
        weights = types[graph.tensors[at].type].lower() if has_weights else None
        operators.append(Operator(kind, types[graph.tensors[node.outputs[0]].type].lower(), weights))

    def cut(end: int) -> Callable[[], object]:
        invoke: Callable[[], object] = tflite_pieces.load(tflite_pieces.cut(model, end), picture).invoke
        return invoke

    return operators, cut


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


def _onnx(model: bytes, picture: np.ndarray) -> tuple[list[Operator], Callable[[int], Callable[[], object]]]:
    """The operators that ONNX Runtime makes of `model`, and what calls it cut behind its first so many.

    Not from its profile, which leaves out the inputs it has packed for its kernels, the weights, and whose microseconds are
    whole ones with its own in them.
    """
    fused = _fused(model)
    made = [node.output[0] for node in fused.graph.node]
    types = {value.name: value.type.removeprefix("tensor(").removesuffix(")") for value in _loaded(fused, made).get_outputs()}
    constants = {tensor.name: tensor for tensor in fused.graph.initializer}
    operators = [
        Operator(node.op_type, {"float": "float32"}.get(types[name], types[name]), _onnx_weights(node, constants))
        for node, name in zip(fused.graph.node, made, strict=True)
    ]
    return operators, lambda end: _onnx_cut(fused, end, picture)


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
    # Packed in bytes: MatMulNBits says how many bits each has.
    bits = {attribute.name: attribute.i for attribute in node.attribute}.get("bits")
    name = f"int{bits}" if bits else TensorProto.DataType.Name(tensor.data_type).lower()
    return {"float": "float32"}.get(name, name)


def _loaded(model: onnx.ModelProto, outputs: list[str]) -> onnxruntime.InferenceSession:
    """`model` with these outputs, its operators left as they are."""
    asked = onnx.ModelProto()
    asked.CopyFrom(model)
    del asked.graph.output[:]
    asked.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in outputs)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return onnxruntime.InferenceSession(asked.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _onnx_cut(fused: onnx.ModelProto, end: int, picture: np.ndarray) -> Callable[[], object]:
    part = onnx.ModelProto()
    part.CopyFrom(fused)
    del part.graph.node[end:]
    (entry,) = part.graph.input
    later = {name for node in fused.graph.node[end:] for name in node.input} | {value.name for value in fused.graph.output}
    made = [name for node in part.graph.node for name in node.output if name in later] or [entry.name]
    session, fed = _loaded(part, made), {entry.name: onnxruntime.OrtValue.ortvalue_from_numpy(picture[None])}
    return lambda: session.run_with_ort_values(made, fed)
