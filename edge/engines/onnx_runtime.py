"""ONNX Runtime: it checks a model's graph before running it."""

from typing import Any

import numpy as np
import onnxruntime

from edge.artifact import Artifact
from edge.confidence import Confidence
from edge.contract import ModelContract
from edge.engines import OUTSIDE, foreign, onnx_tensors
from edge.errors import ModelError, first_line

_FLOATS: dict[str, Any] = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
_DTYPES: dict[str, Any] = {"tensor(uint8)": np.uint8, **_FLOATS}


class OnnxRuntime:
    """One .onnx model, ready to run on the CPU."""

    name = "onnxruntime"
    version = onnxruntime.__version__
    kernels = "MLAS"

    def __init__(self, artifact: Artifact, *, threads: int) -> None:
        _check_whole(artifact)
        try:
            self._session = exact_session(artifact.data, threads=threads)
        except Exception as error:  # ONNX Runtime's exceptions have no base class of their own
            raise ModelError(f"{artifact.path}: ONNX Runtime refuses the model ({first_line(error)})") from None
        self._path, self._n_bytes = artifact.path, len(artifact.data)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        foreign.check_ends(artifact, len(inputs), len(outputs))
        self._input, self._outputs, self._names = inputs[0], outputs, [output.name for output in outputs]
        dtype = _DTYPES.get(self._input.type)
        if dtype is None:
            raise ModelError(f"{artifact.path}: takes {_plain(self._input.type)} numbers; uint8 and floats are run")
        self._dtype = dtype
        try:
            (height, width, channels), self._channels_first = foreign.image_form(self._input.shape)
        except ValueError as error:
            raise ModelError(f"{artifact.path}: {error}") from None
        self._image_shape = height, width, channels
        # What is left open is the batch.
        self._shape = [size if isinstance(size, int) and size > 0 else 1 for size in self._input.shape]

    def run(self, pixels: bytes) -> bytes:
        """The raw outputs for one image, uint8 [H, W, C] as bytes, one behind the other."""
        try:
            image = np.frombuffer(pixels, np.uint8).reshape(self._image_shape)
            if self._channels_first:
                image = image.transpose(2, 0, 1)
            tensor = np.ascontiguousarray(image).reshape(self._shape).astype(self._dtype, copy=False)
            answers = self._session.run(self._names, {self._input.name: tensor})
            return b"".join([bytes(answer.astype(np.float32, copy=False)) for answer in answers])
        except Exception as error:  # ONNX Runtime's exceptions have no base class of their own
            raise ModelError(f"{self._path}: fails in {self.name} ({first_line(error)})") from None

    def describe(self) -> ModelContract:
        """The contract that the model itself describes. Raises ModelError if it does not take an image."""
        try:
            leaves, *more = self._outputs
            if odd := [output.type for output in self._outputs if output.type not in _FLOATS]:
                raise ValueError(f"gives {_plain(odd[0])} numbers; export it with float scores")
            return foreign.contract(
                kind="onnx",
                n_bytes=self._n_bytes,
                input_shape=list(self._input.shape),
                input_dtype="uint8" if self._dtype is np.uint8 else "float32",
                output_shape=list(leaves.shape),
                output_dtype="float32",
                output_scale=1.0,
                output_zero_point=0,
                confidence=Confidence(extra=foreign.n_classes(list(more[0].shape))) if more else None,
            )
        except ValueError as error:
            raise ModelError(f"{self._path}: {error}") from None


def _check_whole(artifact: Artifact) -> None:
    """Raises ModelError for a model of which other files are part, or that is no .onnx."""
    try:
        if artifact.data[4:8] == b"ORTM":
            raise ValueError("ONNX Runtime's own format")
        outside = onnx_tensors.names_files(artifact.data)
    except ValueError as error:
        raise ModelError(f"{artifact.path}: ONNX Runtime refuses the model (no .onnx: {error})") from None
    if outside:
        raise ModelError(f"{artifact.path}: keeps weights in other files, {OUTSIDE}")


def _plain(tensor_type: str) -> str:
    return tensor_type.removeprefix("tensor(").removesuffix(")")


def exact_session(model: bytes, *, threads: int = 0) -> onnxruntime.InferenceSession:
    """A session that gives the same integers on every processor; `threads` 0: all cores. Raises ONNX Runtime's errors."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong comes back as an exception
    # Without VNNI, x86-64 adds products of bytes in 16 bits, where they saturate: this takes an exact kernel there.
    options.add_session_config_entry("session.x64quantprecision", "1")
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception:
        # 1.31 and 1.32 fail to prepare the exact kernel for a weight that two operators share. Unfused, they compute in
        # float: the same answers, slowly. A model that is refused for another reason is refused again.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def load(artifact: Artifact, *, threads: int) -> OnnxRuntime:
    """The engine for `artifact`. Raises ModelError if ONNX Runtime refuses it."""
    return OnnxRuntime(artifact, threads=threads)
