"""LiteRT's Python Interpreter: it verifies a model's structure before running it."""

import numpy as np
from ai_edge_litert import __version__ as version
from ai_edge_litert.interpreter import Interpreter

from edge.artifact import Artifact
from edge.contract import ModelContract
from edge.engine import foreign_contract
from edge.errors import ModelError
from edge.quiet import NativeChatterHidden

_PIXEL_TO_INT8 = np.uint8(0x80)  # p - 128 as a two's-complement byte is p with its top bit flipped


class LiteRT:
    """One .tflite model, ready to run with XNNPACK."""

    name = "litert"
    version = version

    def __init__(self, artifact: Artifact, *, threads: int) -> None:
        try:
            # XNNPACK announces itself on stderr.
            with NativeChatterHidden():
                self._interpreter = Interpreter(model_content=artifact.data, num_threads=threads)
                self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"{artifact.path}: LiteRT refuses the model ({str(error).splitlines()[0]})") from None
        self._path, self._n_bytes = artifact.path, len(artifact.data)
        (self._input,) = self._interpreter.get_input_details()[:1]
        (self._output,) = self._interpreter.get_output_details()[:1]

    def run(self, pixels: bytes) -> bytes:
        """The raw output tensor for one picture, uint8 [H, W, C] as bytes."""
        picture = np.frombuffer(pixels, np.uint8).reshape(self._input["shape"])
        if self._input["dtype"] is np.int8:
            picture = (picture ^ _PIXEL_TO_INT8).view(np.int8)
        elif self._input["dtype"] is np.float32:
            picture = picture.astype(np.float32)
        self._interpreter.set_tensor(self._input["index"], picture)
        self._interpreter.invoke()
        return bytes(self._interpreter.get_tensor(self._output["index"]))

    def describe(self) -> ModelContract:
        """The model's own account. Raises ModelError where it does not take pixels."""
        enters, leaves = self._input, self._output
        scale, zero_point = leaves["quantization"]
        try:
            if enters["dtype"] is np.int8 and enters["quantization"][1] != -128:
                raise ValueError(f"its int8 input has zero point {enters['quantization'][1]}, wanted -128")
            return foreign_contract(
                "foreign",
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


def load(artifact: Artifact, *, threads: int) -> LiteRT:
    """The engine for `artifact`. Raises ModelError where LiteRT refuses it."""
    return LiteRT(artifact, threads=threads)
