"""The engines that run a model, and the choice between them. A new one is a module and an entry in `ENGINES`."""

import importlib
import importlib.util

from edge.artifact import Artifact
from edge.contract import ModelContract
from edge.errors import EngineMissing, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Engine(Protocol):
        """A loaded model. `run` takes one picture, uint8 [H, W, C] as bytes, and returns the raw output tensor.

        `describe()` is the account a foreign model gives of itself. Loading raises ModelError where the library
        refuses the model. Not thread-safe: one engine a thread.
        """

        name: str
        version: str

        def run(self, pixels: bytes) -> bytes: ...

        def describe(self) -> ModelContract: ...


class EngineChoice:
    """Where an engine is, the library it needs, the kind of model it runs, and what to install for it."""

    __slots__ = ("extra", "kind", "library", "module", "title")

    def __init__(self, module: str, *, title: str, library: str, kind: str, extra: str) -> None:
        self.module, self.title, self.library, self.kind, self.extra = module, title, library, kind, extra


# The first of a kind that is installed is the default.
ENGINES = {
    "litert": EngineChoice("edge.litert", title="LiteRT", library="ai_edge_litert", kind="tflite", extra="edgeproof"),
    "onnxruntime": EngineChoice(
        "edge.onnx_runtime", title="ONNX Runtime", library="onnxruntime", kind="onnx", extra="edgeproof[onnx]"
    ),
}


def load(artifact: Artifact, *, name: str | None = None, threads: int = 1) -> "Engine":
    """An engine with the model of `artifact` loaded.

    Raises UsageError where the engine `name` does not run this kind of model, EngineMissing where its library is not
    installed, ModelError where the library refuses the model.
    """
    if name is not None and name not in ENGINES:
        raise UsageError(f"no engine is called {name!r}; there are {', '.join(ENGINES)}")
    able = {n: choice for n, choice in ENGINES.items() if choice.kind == artifact.kind}
    if name is not None and name not in able:
        raise UsageError(f"{artifact.path}: {name} does not run {artifact.kind} models; {', '.join(able)} does")
    wanted = [name] if name else list(able)
    for candidate in wanted:
        choice = able[candidate]
        if importlib.util.find_spec(choice.library) is not None:
            made: Engine = importlib.import_module(choice.module).load(artifact, threads=threads)
            return made
    raise EngineMissing(f"{artifact.path} needs {choice.title}, which is not installed: pip install '{choice.extra}'")


def foreign_contract(
    name: str, *, kind: str, n_bytes: int, input_shape: list[int], input_dtype: str, output_shape: list[int],
    output_dtype: str, output_scale: float, output_zero_point: int,
) -> ModelContract:  # fmt: skip
    """The contract of a model that brings none: pixels 0 to 255 resized to its input, classes named by number.

    Raises ValueError where the model does not take one picture and give one score a class.
    """
    from edge.contract import InputContract

    if len(input_shape) != 4 or input_shape[0] != 1 or len(output_shape) != 2:
        raise ValueError(f"takes {input_shape} and gives {output_shape}; wanted [1, H, W, C] and [1, K]")
    _, height, width, channels = input_shape
    return ModelContract(
        name=name,
        kind=kind,
        model_bytes=n_bytes,
        input=InputContract(height=height, width=width, channels=channels, fit="resize"),
        input_dtype=input_dtype,
        output_dtype=output_dtype,
        output_scale=output_scale,
        output_zero_point=output_zero_point,
        n_classes=output_shape[1],
    )
