"""What runs in a converted model: its operators by data type, and the float islands inside an int8 one, with what they cost.

Read from the file itself: a .tflite's operators in their order; an .onnx's as ONNX Runtime's own profile names them, whose
kernels are integer ones only where its optimizer could make them so.
"""

import json
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import flatbuffers
import numpy as np
import onnxruntime
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

N_CALLS = 60
_FLOATS = {"float32", "float16"}
# They change nothing but the code of a number; beside an island they belong to its price.
_CODES = {"QUANTIZE", "DEQUANTIZE", "QuantizeLinear", "DequantizeLinear", "Cast"}


@dataclass(frozen=True)
class Operator:
    """One operator that runs: its kind, the data type it puts out, and that of its weights (None: it has none)."""

    kind: str
    data_type: str
    weights: str | None = None

    @property
    def label(self) -> str:
        return self.data_type if self.weights in (None, self.data_type) else f"{self.data_type}, {self.weights} weights"


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
    """What runs in `model`, a .tflite or .onnx, timed on `picture` (uint8 [H, W, C]). Islands are sought in int8 ones."""
    operators, time_us = _tflite(model, picture) if kind == "tflite" else _onnx(model, picture)
    by_type = dict(Counter(operator.label for operator in operators).most_common())
    islands = []
    if precision == "int8":
        total = time_us(0, len(operators))
        for start, end in _islands(operators):
            names = tuple(operator.kind for operator in operators[start:end])
            islands.append(Island(names, min(1.0, max(0.0, time_us(start, end) / total))))
    return Inventory(by_type, tuple(islands))


def _islands(operators: list[Operator]) -> list[tuple[int, int]]:
    """[start, end) of each run of float operators in which something is computed: coding at a model's ends is none."""
    runs, at = [], 0
    for is_float, members in groupby(operators, lambda o: o.data_type in _FLOATS or o.kind in _CODES):
        group = list(members)
        if is_float and any(operator.kind not in _CODES for operator in group):
            runs.append((at, at + len(group)))
        at += len(group)
    return runs


def _tflite(model: bytes, picture: np.ndarray) -> tuple[list[Operator], Callable[[int, int], float]]:
    interpreter = Interpreter(
        model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    types = {d["index"]: np.dtype(d["dtype"]).name for d in interpreter.get_tensor_details()}
    ranks = {d["index"]: len(d["shape"]) for d in interpreter.get_tensor_details()}
    details = interpreter._get_ops_details()
    made = {i for detail in details for i in detail["outputs"]} | {d["index"] for d in interpreter.get_input_details()}
    operators = []
    for detail in details:
        weights = [types[i] for i in detail["inputs"] if i in types and i not in made and ranks[i] > 1]
        # Constants of whole numbers are shapes and axes.
        kept = [name for name in weights if name != "int32"]
        operators.append(Operator(detail["op_name"], types[detail["outputs"][0]], kept[0] if kept else None))
    return operators, lambda start, end: _time_to(model, end, picture) - (_time_to(model, start, picture) if start else 0.0)


def _time_to(model: bytes, end: int, picture: np.ndarray) -> float:
    """Microseconds a prediction takes up to its operator `end`: the median of N_CALLS, the model being cut there."""
    whole = schema.ModelT.InitFromPackedBuf(model)
    graph = whole.subgraphs[0]
    graph.operators = graph.operators[:end]
    graph.outputs = [int(graph.operators[-1].outputs[0])]
    whole.signatureDefs = []
    builder = flatbuffers.Builder(len(model))
    builder.Finish(whole.Pack(builder), file_identifier=b"TFL3")
    interpreter = Interpreter(model_content=bytes(builder.Output()), num_threads=1)
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    shift = 128 if entry["dtype"] is np.int8 else 0
    interpreter.set_tensor(entry["index"], (picture[None].astype(np.int16) - shift).astype(entry["dtype"]))
    taken = []
    for _ in range(N_CALLS + 10):
        start = time.perf_counter_ns()
        interpreter.invoke()
        taken.append((time.perf_counter_ns() - start) / 1000)
    return statistics.median(taken[10:])


def _onnx(model: bytes, picture: np.ndarray) -> tuple[list[Operator], Callable[[int, int], float]]:
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.enable_profiling, options.profile_file_prefix = True, str(Path(folder, "profile"))
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        (entry,) = session.get_inputs()
        for _ in range(N_CALLS):
            session.run(None, {entry.name: picture[None]})
        events = json.loads(Path(session.end_profiling()).read_text())
    kernels = [event for event in events if event["name"].endswith("_kernel_time")]
    times: dict[str, list[float]] = {}
    for event in kernels:
        times.setdefault(event["name"], []).append(float(event["dur"]))
    first = {event["name"]: event["args"] for event in reversed(kernels)}
    operators = []
    for name in times:
        inputs, outputs = (
            [_name(kind) for entry in first[name][f"{side}_type_shape"] for kind in entry] for side in ("input", "output")
        )
        small = [kind for kind in inputs[1:] if kind in ("int8", "uint8", "int4")]
        operators.append(Operator(first[name]["op_name"], outputs[0], small[0] if small else None))
    medians = [statistics.median(taken) for taken in times.values()]
    return operators, lambda start, end: sum(medians[start:end])


def _name(onnx_type: str) -> str:
    return {"float": "float32"}.get(onnx_type, onnx_type)
