"""Small int8 models made operator by operator, and their programs beside LiteRT's Interpreter."""

import ctypes
import math
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from convert import tflite_pieces, to_c
from edge import compiler
from edge.errors import EngineMissing

SCALE, ZERO_POINT = 0.05, 3  # of a tensor, unless said otherwise
SAME, VALID = schema.Padding.SAME, schema.Padding.VALID
RELU, RELU6 = schema.ActivationFunctionType.RELU, schema.ActivationFunctionType.RELU6

# The operators' versions that take int8; 2 for the others.
_VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "RESHAPE": 1, "HARD_SWISH": 1, "RELU_N1_TO_1": 1}


class Made:
    """A model in the making: tensors are numbers, 0 is the image; `rng` draws weights."""

    def __init__(self, *shape: int, seed: int = 0, scale: float = 1.0, zero_point: int = -128) -> None:
        self.rng = np.random.default_rng(seed)
        self._model = schema.ModelT()
        self._model.version, self._model.operatorCodes = 3, []
        self._model.buffers = [schema.BufferT()]
        self._graph = schema.SubGraphT()
        self._graph.tensors, self._graph.operators = [], []
        self._model.subgraphs = [self._graph]
        self.tensor((1, *shape), scale=scale, zero_point=zero_point)

    def tensor(self, shape, *, scale=SCALE, zero_point=ZERO_POINT, data=None, kind=schema.TensorType.INT8) -> int:
        """A tensor; `scale` may be one per output channel, and None for a float or an index."""
        made, quantization = schema.TensorT(), schema.QuantizationParametersT()
        made.shape, made.type, made.name, made.buffer = list(shape), kind, f"t{len(self._graph.tensors)}", 0
        if scale is not None:
            quantization.scale = np.atleast_1d(scale).astype(np.float32)
            quantization.zeroPoint = np.full(len(quantization.scale), zero_point, np.int64)
            made.quantization = quantization
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            made.buffer = len(self._model.buffers)
            self._model.buffers.append(buffer)
        self._graph.tensors.append(made)
        return len(self._graph.tensors) - 1

    def indices(self, values) -> int:
        values = np.asarray(values, np.int32)
        return self.tensor(values.shape, scale=None, data=values, kind=schema.TensorType.INT32)

    def shape(self, tensor: int) -> tuple[int, ...]:
        return tuple(self._graph.tensors[tensor].shape)

    def scale(self, tensor: int) -> np.float32:
        return self._graph.tensors[tensor].quantization.scale[0]

    def run(self, kind: str, inputs, out: int, options: str | None = None, **values) -> int:
        """One operator with `options`, such as "Pool2DOptions"; returns its output."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), _VERSIONS.get(kind, 2)
        self._model.operatorCodes.append(code)
        node = schema.OperatorT()
        node.opcodeIndex, node.inputs, node.outputs = len(self._model.operatorCodes) - 1, list(inputs), [out]
        if options:
            node.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            node.builtinOptions = getattr(schema, f"{options}T")()
            for name, value in values.items():
                assert hasattr(node.builtinOptions, name), name
                setattr(node.builtinOptions, name, value)
        self._graph.operators.append(node)
        return out

    def convolve(self, source, n, kernel, *, stride=1, padding=SAME, activation=0, depthwise=False, **out) -> int:
        """A convolution with random weights of every size, one scale per output."""
        _, height, width, channels = self.shape(source)
        shape = (1, kernel, kernel, n) if depthwise else (n, kernel, kernel, channels)
        taps = kernel * kernel * (1 if depthwise else channels)
        scales = (self.rng.uniform(0.3, 1.5, n) * 1.5 / (self.scale(source) * 74 * math.sqrt(taps) * 40)).astype(np.float32)
        weights = self.rng.integers(-127, 128, shape).astype(np.int8)
        filters = self.tensor(shape, scale=scales, zero_point=0, data=weights)
        self._graph.tensors[filters].quantization.quantizedDimension = 3 if depthwise else 0
        biases = self._biases(n, self.scale(source) * scales)
        if padding == SAME:
            height, width = -(-height // stride), -(-width // stride)
        else:
            height, width = (height - kernel) // stride + 1, (width - kernel) // stride + 1
        result = self.tensor((1, height, width, n), **out)
        more = {"depthMultiplier": 1} if depthwise else {}
        return self.run(
            "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", (source, filters, biases), result,
            "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions", strideH=stride, strideW=stride, padding=padding,
            dilationHFactor=1, dilationWFactor=1, fusedActivationFunction=activation, **more,
        )  # fmt: skip

    def dense(self, source, n, *, activation=0, **out) -> int:
        depth = math.prod(self.shape(source)[1:])
        scales = (self.rng.uniform(0.3, 1.5, n) / (self.scale(source) * 74 * math.sqrt(depth) * 40)).astype(np.float32)
        filters = self.tensor(
            (n, depth), scale=scales, zero_point=0, data=self.rng.integers(-127, 128, (n, depth)).astype(np.int8)
        )
        inputs = (source, filters, self._biases(n, self.scale(source) * scales))
        result = self.tensor((1, n), **out)
        return self.run("FULLY_CONNECTED", inputs, result, "FullyConnectedOptions", fusedActivationFunction=activation)

    def _biases(self, n, scales) -> int:
        return self.tensor(
            (n,),
            scale=scales,
            zero_point=0,
            data=self.rng.integers(-9000, 9000, n).astype(np.int32),
            kind=schema.TensorType.INT32,
        )

    def pool(self, kind, source, size, stride, padding=VALID) -> int:
        _, height, width, channels = self.shape(source)
        if padding == SAME:
            height, width = -(-height // stride), -(-width // stride)
        else:
            height, width = (height - size) // stride + 1, (width - size) // stride + 1
        quantization = self._graph.tensors[source].quantization
        out = self.tensor((1, height, width, channels), scale=quantization.scale, zero_point=quantization.zeroPoint[0])
        return self.run(
            kind, (source,), out, "Pool2DOptions", filterHeight=size, filterWidth=size, strideH=stride, strideW=stride,
            padding=padding,
        )  # fmt: skip

    def flat(self, *tensors) -> int:
        """All of `tensors` in one row, in one quantization."""
        rows = []
        for tensor in tensors:
            same = self.run(
                "QUANTIZE", (tensor,), self.tensor(self.shape(tensor), scale=0.06, zero_point=-5), "QuantizeOptions"
            )
            n = math.prod(self.shape(tensor))
            row = self.tensor((1, n), scale=0.06, zero_point=-5)
            rows.append(self.run("RESHAPE", (same, self.indices([1, n])), row, "ReshapeOptions", newShape=[1, n]))
        if len(rows) == 1:
            return rows[0]
        out = self.tensor((1, sum(self.shape(row)[1] for row in rows)), scale=0.06, zero_point=-5)
        return self.run("CONCATENATION", rows, out, "ConcatenationOptions", axis=1)

    def operator(self) -> bytes:
        """The .tflite whose output is that of the last operator."""
        self._graph.inputs, self._graph.outputs = [0], list(self._graph.operators[-1].outputs)
        return tflite_pieces.pack(self._model)

    def model(self, *tensors) -> bytes:
        """The .tflite whose output is `flat` of `tensors`."""
        self._graph.inputs, self._graph.outputs = [0], [self.flat(*tensors)]
        return tflite_pieces.pack(self._model)


def images(shape, *, n=40, seed=0) -> np.ndarray:
    """Constant, saturated and random images, uint8 [n + 10, H, W, C]."""
    rng = np.random.default_rng(seed)
    constant = [np.full(shape, level, np.uint8) for level in (0, 1, 127, 128, 255)]
    saturated = [rng.integers(0, 2, shape, np.uint8) * np.uint8(255) for _ in range(5)]
    return np.stack([*constant, *saturated, *rng.integers(0, 256, (n, *shape), np.uint8)])


def interpreted(model: bytes, pictures: np.ndarray) -> np.ndarray:
    """The Interpreter's outputs, [N, K], one behind the other, on one thread."""
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    (entry,), leaves = interpreter.get_input_details(), interpreter.get_output_details()
    answers = []
    for picture in pictures:
        interpreter.set_tensor(entry["index"], (picture ^ np.uint8(128)).view(np.int8)[None])
        interpreter.invoke()
        answers.append(np.concatenate([interpreter.get_tensor(each["index"])[0].ravel() for each in leaves]))
    return np.stack(answers)


def answers(model: bytes, pictures: np.ndarray, folder: Path, *flags: str, name="made") -> dict[str, np.ndarray]:
    """The program's outputs, [N, K], on each path that this machine has. No warning may come."""
    program = to_c.generate(model, name=name)
    (folder / f"{name}.c").write_text(program.source)
    (folder / f"{name}.h").write_text(program.header)
    library = folder / f"{name}.so"
    try:
        compiler.build(
            [str(folder / f"{name}.c")], str(library), "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", *flags
        )
    except EngineMissing as missing:
        pytest.skip(str(missing))
    loaded = ctypes.CDLL(str(library))
    path_name, predict = getattr(loaded, f"{program.symbol}_path"), getattr(loaded, f"{program.symbol}_predict_on")
    path_name.restype = ctypes.c_char_p
    context = ctypes.create_string_buffer(program.context_bytes)
    found, number = {}, 0
    while path := path_name(number):
        rows = [ctypes.create_string_buffer(1 << 17) for _ in pictures]
        ran = [predict(number, context, picture.tobytes(), row) for picture, row in zip(pictures, rows, strict=True)]
        if all(ran):
            found[path.decode()] = np.stack([np.frombuffer(row, np.int8) for row in rows])
        number += 1
    return found
