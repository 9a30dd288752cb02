"""The Interpreter interface that LiteRT and tflite-runtime share; it verifies a model's structure before running it."""

from typing import Any

import numpy as np

from edge.artifact import Artifact
from edge.confidence import Confidence
from edge.contract import ModelContract
from edge.engines import foreign
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
        foreign.check_ends(artifact, len(inputs), len(outputs))
        self._input, self._outputs = inputs[0], outputs
        self._n_values = int(np.prod(self._input["shape"]))
        self._channels_first = False
        if artifact.contract is None:
            self.describe()  # raises for what cannot be fed
            (height, width, channels), self._channels_first = foreign.image_form(self._input["shape"].tolist())
            self._image_shape = height, width, channels

    @property
    def kernels(self) -> str:
        """ "XNNPACK" if it took over at least one operator."""
        # The only source, and not a public one.
        operators: list[dict[str, object]] = getattr(self._interpreter, "_get_ops_details", list)()
        return "XNNPACK" if any(op["op_name"] == "DELEGATE" for op in operators) else "built-in"

    def run(self, pixels: bytes) -> bytes:
        """The raw outputs for one image, uint8 [H, W, C] as bytes, one behind the other."""
        image = np.frombuffer(pixels, np.uint8)
        if image.size != self._n_values:
            raise ModelError(f"{self._path}: takes {self._n_values} values and was given {image.size}")
        if self._channels_first:
            image = image.reshape(self._image_shape).transpose(2, 0, 1)
        tensor = as_input(image.reshape(self._input["shape"]), self._input["dtype"])
        try:
            self._interpreter.set_tensor(self._input["index"], tensor)
            self._interpreter.invoke()
            return b"".join([_as_signed(self._interpreter.get_tensor(output["index"])) for output in self._outputs])
        except (RuntimeError, ValueError) as error:  # a division by zero, an index out of range
            raise ModelError(f"{self._path}: fails in {self.name} ({first_line(error)})") from None

    def describe(self) -> ModelContract:
        """The contract that the model itself describes. Raises ModelError if it does not take an image."""
        enters, (leaves, *more) = self._input, self._outputs
        is_unsigned = leaves["dtype"] is np.uint8
        try:
            for what, dtype in (("takes", enters["dtype"]), ("gives", leaves["dtype"])):
                if dtype not in (np.uint8, np.int8, np.float32):
                    raise ValueError(f"{what} {dtype.__name__} numbers; uint8, int8 and float32 are run")
            if enters["dtype"] is np.int8 and enters["quantization"][1] != -128:
                zero = enters["quantization"][1]
                raise ValueError(
                    f"takes int8 numbers with zero point {zero}, where pixels have -128; export it with a uint8 input"
                )
            # -1 is a size left open, which the shape itself gives as 1.
            input_shape, output_shape = (tensor.get("shape_signature", tensor["shape"]).tolist() for tensor in (enters, leaves))
            return foreign.contract(
                kind="tflite",
                n_bytes=self._n_bytes,
                input_shape=input_shape or enters["shape"].tolist(),
                input_dtype=enters["dtype"].__name__,
                output_shape=output_shape or leaves["shape"].tolist(),
                output_dtype="int8" if is_unsigned else leaves["dtype"].__name__,
                output_scale=_coding(leaves)[0],
                output_zero_point=_coding(leaves)[1],
                confidence=_extra(more[0], leaves) if more else None,
            )
        except ValueError as error:
            raise ModelError(f"{self._path}: {error}") from None


def _as_signed(answer: np.ndarray) -> bytes:
    """The bytes of an output; uint8 scores are given as int8 ones: both 128 less, scores and zero point."""
    return bytes(answer ^ _PIXEL_TO_INT8 if answer.dtype == np.uint8 else answer)


def _coding(output: dict[str, Any]) -> tuple[float, int]:
    scale, zero_point = output["quantization"]
    return float(scale) or 1.0, int(zero_point) - (128 if output["dtype"] is np.uint8 else 0)


def _extra(output: dict[str, Any], logits: dict[str, Any]) -> Confidence:
    """What a second `output` says. Raises ValueError for one of another type than the `logits`."""
    if output["dtype"] is not logits["dtype"]:
        raise ValueError(f"gives {logits['dtype'].__name__} and {output['dtype'].__name__} numbers; wanted one type for both")
    scale, zero_point = _coding(output)
    return Confidence(extra=foreign.n_classes(output["shape"].tolist()), extra_scale=scale, extra_zero_point=zero_point)
