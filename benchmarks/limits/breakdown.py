"""Where the time of a .tflite goes: the model cut behind each of its operators, the pieces timed in turn.

Differences of neighbouring pieces, so small operators come out rough; an operator that the next one would have absorbed
counts with the earlier of the two.
"""

import math
import statistics
import time
from collections.abc import Sequence
from itertools import pairwise

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edge.artifact import Artifact
from edge.engines.interpreter import as_input
from edge.silence import silence_native_output

ROUNDS, CALLS = 15, 40


def operator_us(model: Artifact) -> list[float]:
    """Microseconds of an empty call, then of each operator in the file's order, in LiteRT on one thread."""
    picture = np.frombuffer(model.goldens()[0][0], np.uint8)
    n_operators = len(_opened(model).subgraphs[0].operators)
    pieces = []
    for end in range(n_operators + 1):
        whole = _opened(model)
        graph = whole.subgraphs[0]
        graph.operators = graph.operators[:end]
        graph.outputs = [int(graph.operators[-1].outputs[0])] if end else list(graph.inputs)
        pieces.append(_loaded(whole, picture))
    upto = _in_turn(pieces)
    return [upto[0], *(max(after - before, 0.0) for before, after in pairwise(upto))]


def channels_us(model: Artifact, at: int, channels: Sequence[int]) -> list[float]:
    """Microseconds of the convolution `at` alone, had its input each of `channels`; the weights are drawn at random."""
    pieces = []
    for n_channels in channels:
        whole = _opened(model)
        graph = whole.subgraphs[0]
        (operator,) = graph.operators = [graph.operators[at]]
        enters, weights = (graph.tensors[int(index)] for index in operator.inputs[:2])
        for tensor in (enters, weights):
            tensor.shape = np.array([*tensor.shape[:3], n_channels], np.int32)
            tensor.shapeSignature = None
        drawn = np.random.default_rng(0).integers(-127, 128, math.prod(weights.shape))
        dtype = np.int8 if weights.type == schema.TensorType.INT8 else np.float32
        whole.buffers[weights.buffer].data = drawn.astype(dtype).view(np.uint8)
        graph.inputs, graph.outputs = [int(operator.inputs[0])], [int(operator.outputs[0])]
        pieces.append(_loaded(whole, np.zeros(math.prod(enters.shape), np.uint8)))
    return _in_turn(pieces)


def _opened(model: Artifact) -> schema.ModelT:
    return schema.ModelT.InitFromPackedBuf(model.data[: model.contract.model_bytes])


def _loaded(whole: schema.ModelT, picture: np.ndarray) -> Interpreter:
    whole.signatureDefs = []  # they name the tensors of the whole
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(whole.Pack(builder), file_identifier=b"TFL3")
    with silence_native_output():
        interpreter = Interpreter(model_content=bytes(builder.Output()), num_threads=1)
        interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    interpreter.set_tensor(entry["index"], as_input(picture, entry["dtype"]).reshape(entry["shape"]))
    return interpreter


def _in_turn(pieces: Sequence[Interpreter]) -> list[float]:
    rounds = [[_call_us(piece) for piece in pieces] for _ in range(ROUNDS)]
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def _call_us(interpreter: Interpreter) -> float:
    times = []
    for _ in range(CALLS):
        started = time.perf_counter_ns()
        interpreter.invoke()
        times.append(time.perf_counter_ns() - started)
    return statistics.median(times[CALLS // 4 :]) / 1e3  # the first ones bring the weights back into the caches
