"""Cut a .tflite behind one of its operators and load the piece in LiteRT, to time it."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from edge.engines.interpreter import as_input


def cut(model: bytes, end: int) -> schema.ModelT:
    """`model` with its first `end` operators; the last one's output becomes the model's. 0: a model without operators."""
    piece = schema.ModelT.InitFromPackedBuf(model)
    graph = piece.subgraphs[0]
    graph.operators = graph.operators[:end]
    graph.outputs = [int(graph.operators[-1].outputs[0])] if end else list(graph.inputs)
    return piece


def load(piece: schema.ModelT, image: np.ndarray) -> Interpreter:
    """`piece` in LiteRT on one thread, with `image`, uint8 [H, W, C], at its input."""
    piece.signatureDefs = []  # they name tensors that the piece may lack
    interpreter = Interpreter(model_content=pack(piece), num_threads=1)
    interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    interpreter.set_tensor(entry["index"], as_input(image, entry["dtype"]).reshape(entry["shape"]))
    return interpreter


def pack(model: schema.ModelT) -> bytes:
    """The .tflite of `model`."""
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())
