"""Where the time of a .tflite goes: the model cut behind each of its operators, the pieces timed in turn.

An operator's time is the difference of two neighbouring pieces, so short operators are measured roughly. Where LiteRT fuses an
operator into the one before it, their time is counted with the earlier one.
"""

import math
import statistics
import timeit
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from convert import tflite_pieces
from edge.artifact import Artifact
from edge.silence import silence_native_output

ROUNDS, CALLS = 15, 40


def operator_us(model: Artifact) -> list[float]:
    """Microseconds of an empty call, then of each operator in the file's order, in LiteRT on one thread."""
    image = np.frombuffer(model.goldens()[0][0], np.uint8)
    part = _part(model)
    n_operators = len(schema.ModelT.InitFromPackedBuf(part).subgraphs[0].operators)
    with silence_native_output():
        pieces = [tflite_pieces.load(tflite_pieces.cut(part, end), image) for end in range(n_operators + 1)]
    until_us = _in_turn(pieces)
    return [until_us[0], *(max(after - before, 0.0) for before, after in pairwise(until_us))]


def channels_us(model: Artifact, at: int, channels: Sequence[int]) -> list[float]:
    """Microseconds of the convolution `at` alone with each number of input `channels`; its weights are drawn at random."""
    pieces = []
    for n_channels in channels:
        piece = schema.ModelT.InitFromPackedBuf(_part(model))
        graph = piece.subgraphs[0]
        (operator,) = graph.operators = [graph.operators[at]]
        source, weights = (graph.tensors[int(index)] for index in operator.inputs[:2])
        for tensor in (source, weights):
            tensor.shape = np.array([*tensor.shape[:3], n_channels], np.int32)
            tensor.shapeSignature = None
        drawn = np.random.default_rng(0).integers(-127, 128, math.prod(weights.shape))
        dtype = np.int8 if weights.type == schema.TensorType.INT8 else np.float32
        piece.buffers[weights.buffer].data = drawn.astype(dtype).view(np.uint8)
        graph.inputs, graph.outputs = [int(operator.inputs[0])], [int(operator.outputs[0])]
        with silence_native_output():
            pieces.append(tflite_pieces.load(piece, np.zeros(math.prod(source.shape), np.uint8)))
    return _in_turn(pieces)


def _part(model: Artifact) -> bytes:
    assert model.contract
    return model.data[: model.contract.model_bytes]


def _in_turn(pieces: Sequence[Interpreter]) -> list[float]:
    # The first calls bring the weights back into the caches.
    rounds = [[timeit.repeat(piece.invoke, number=1, repeat=CALLS)[CALLS // 4 :] for piece in pieces] for _ in range(ROUNDS)]
    return [1e6 * statistics.median(map(statistics.median, column)) for column in zip(*rounds, strict=True)]
