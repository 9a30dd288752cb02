"""The Interpreter interface that LiteRT and tflite-runtime share; it verifies a model's structure before running it."""

from typing import Any

import numpy as np

from edge.artifact import Artifact
from edge.contract import ModelContract
from edge.engines import foreign_contract
from edge.errors import ModelError, first_line
from edge.silence import silence_native_output

_PIXEL_TO_INT8 = np.uint8(0x80)  # p - 128 as a two's-complement byte is p with its top bit flipped


def as_input(pixels: np.ndarray, dtype: Any) -> np.ndarray:
    """uint8 `pixels` as an input tensor of `dtype` takes them: int8 minus 128, any other type as numbers from 0 to 255."""
    if dtype is np.int8:
        return (pixels ^ _PIXEL_TO_INT8).view(np.int8)
    return pixels.astype(dtype, copy=False)


class InterpreterEngine:
    """One .tflite model in `interpreter_class`, of the library `name` at `version`."""

    def __init__(self, interpreter_class: Any, artifact: Artifact, *, name: str, version: str, threads: int) -> None:
        self.name, self.version = name, version
        self._path, self._n_bytes = artifact.path, len(artifact.data)
        try:
            # XNNPACK announces itself on stderr.
            with silence_native_output():
                self._interpreter = interpreter_class(model_content=artifact.data, num_threads=threads)
                self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"{artifact.path}: {name} refuses the model ({first_line(error)})") from None
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        if len(inputs) != 1 or len(outputs) != 1:
            raise ModelError(f"{artifact.path}: takes {len(inputs)} tensors and gives {len(outputs)}; wanted one of each")
        self._input, self._output = inputs[0], outputs[0]
        self._n_values = int(np.prod(self._input["shape"]))

    @property
    def kernels(self) -> str:
        """ "XNNPACK" if it took over at least one operator."""
        # The only source, and not a public one.
        operators: list[dict[str, object]] = getattr(self._interpreter, "_get_ops_details", list)()
        return "XNNPACK" if any(op["op_name"] == "DELEGATE" for op in operators) else "built-in"

    def run(self, pixels: bytes) -> bytes:
        """The raw output tensor for one image, uint8 [H, W, C] as bytes."""
        image = np.frombuffer(pixels, np.uint8)
        if image.size != self._n_values:
            raise ModelError(f"{self._path}: takes {self._n_values} values and was given {image.size}")
        tensor = as_input(image.reshape(self._input["shape"]), self._input["dtype"])
        try:
            self._interpreter.set_tensor(self._input["index"], tensor)
            self._interpreter.invoke()
            return bytes(self._interpreter.get_tensor(self._output["index"]))
        except (RuntimeError, ValueError) as error:  # a division by zero, an index out of range
            raise ModelError(f"{self._path}: fails in {self.name} ({first_line(error)})") from None

    def describe(self) -> ModelContract:
        """The contract that the model itself describes. Raises ModelError if it does not take an image."""
        enters, leaves = self._input, self._output
        scale, zero_point = leaves["quantization"]
        try:
            if enters["dtype"] is np.int8 and enters["quantization"][1] != -128:
                raise ValueError(f"its int8 input has zero point {enters['quantization'][1]}, wanted -128")
            return foreign_contract(
                kind="tflite",
                n_bytes=self._n_bytes,
                input_shape=enters["shape"].tolist(),
                input_dtype=enters["dtype"].__name__,
                output_shape=leaves["shape"].tolist(),
                output_dtype=leaves["dtype"].__name__,
                output_scale=float(scale) or 1.0,
                output_zero_point=int(zero_point),
            )
        except ValueError as error:
            raise ModelError(f"{self._path}: not an image classifier we can feed ({error})") from None
