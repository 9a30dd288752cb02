"""The engines that run a model, and the choice between them. A new engine is a module and an entry in `ENGINES`."""

import sys

from edge.artifact import Artifact
from edge.contract import ModelContract
from edge.errors import EngineMissing, EngineUnavailable, ModelError, ToolchainError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Engine(Protocol):
        """A loaded model. Not thread-safe: use one engine per thread.

        `kernels` names what computes ("XNNPACK", "not all XNNPACK", "built-in", "MLAS"), as far as the library reports it.
        """

        name: str
        version: str
        kernels: str

        def run(self, pixels: bytes) -> bytes:
            """The raw outputs for one image, uint8 [H, W, C] as bytes: the logits, then the extra values if there are any."""

        def describe(self) -> ModelContract:
            """The contract that the model itself describes: what a foreign model takes and gives."""


MAX_THREADS = 1024


class EngineChoice:
    """An engine: its module, its library, what pip installs, its kind of model. If not verifying, it runs trusted ones only."""

    __slots__ = ("kind", "library", "module", "packages", "title", "verifies")

    def __init__(self, module: str, *, title: str, library: str, kind: str, packages: str = "", verifies: bool = True) -> None:
        self.module, self.title, self.library, self.kind, self.verifies = module, title, library, kind, verifies
        self.packages = packages or library.replace("_", "-")


# The first permitted, installed engine of the model's kind runs it.
ENGINES = {
    "litert-c": EngineChoice("edge.engines.litert_c", title="LiteRT", library="ai_edge_litert", kind="tflite", verifies=False),
    "litert": EngineChoice("edge.engines.litert", title="LiteRT", library="ai_edge_litert", kind="tflite"),
    "tflite-runtime": EngineChoice(
        "edge.engines.tflite_runtime",
        title="tflite-runtime",
        library="tflite_runtime",
        kind="tflite",
        packages="tflite-runtime 'numpy<2'",
    ),
    "onnxruntime": EngineChoice("edge.engines.onnx_runtime", title="ONNX Runtime", library="onnxruntime", kind="onnx"),
    "c": EngineChoice("edge.engines.c_program", title="a C compiler", library="", kind="c", verifies=False),
}


class Loaded:
    """An engine with its model, and why the engines before it in the table were passed over."""

    __slots__ = ("engine", "passed_over")

    def __init__(self, engine: "Engine", passed_over: list[str]) -> None:
        self.engine, self.passed_over = engine, passed_over


OUTSIDE = "which no seal covers; save it again with its weights inside"  # what is said of a model that names other files

# These import Python libraries, which may be broken, and run models whose structure is sound and whose arithmetic need not be.
VERIFYING = tuple(name for name, choice in ENGINES.items() if choice.verifies)


def load(
    artifact: Artifact, *, name: str | None = None, threads: int = 1, trusted: bool = False, apart: tuple[str, ...] = ()
) -> Loaded:
    """The engine `name`, or the first permitted and installed one, with its model; `trusted`: the structure was verified.

    The engines named in `apart` run in a child process. Raises UsageError if `name` may not run it, EngineMissing, and
    ModelError if the library refuses it or it is not what its contract says.
    """
    if name is not None and name not in ENGINES:
        raise UsageError(f"no engine is called {name!r}; there are {', '.join(ENGINES)}")
    if type(threads) is not int or not 1 <= threads <= MAX_THREADS:
        raise UsageError(f"threads={threads!r}; wanted a whole number from 1 to {MAX_THREADS}")
    able = [n for n, choice in ENGINES.items() if choice.kind == artifact.kind]
    if name is not None and name not in able:
        raise UsageError(f"{artifact.path}: {name} does not run {artifact.kind} models; {' and '.join(able)} do")
    passed_over, hindrances = [], []
    for candidate in [name] if name else able:
        choice = ENGINES[candidate]
        reason = "" if choice.verifies else _obstacle(artifact, threads=threads, trusted=trusted)
        if reason:
            if name or len(able) == 1:
                raise UsageError(f"{artifact.path}: {candidate} {reason}")
            passed_over.append(f"{candidate} {reason}")
            continue
        try:
            return Loaded(_start(choice, artifact, threads=threads, apart=candidate in apart), passed_over)
        except EngineUnavailable as error:
            hindrances.append(str(error))
            passed_over.append(hindrances[-1])
        except EngineMissing as error:
            passed_over.append(str(error))
    choice = ENGINES[name or able[0]]
    if hindrances:
        more = "" if artifact.kind == "c" else "; see python -m edge doctor"
        raise EngineMissing(f"{artifact.path} needs {choice.title}: {'; '.join(hindrances)}{more}")
    raise EngineMissing(f"{artifact.path} needs {choice.title}, which is not installed: pip install {choice.packages}")


def _start(choice: EngineChoice, artifact: Artifact, *, threads: int, apart: bool) -> "Engine":
    """The engine with its model. Raises EngineMissing if its library is not installed, EngineUnavailable if that is broken."""
    advice = f"pip install --force-reinstall {choice.packages}"

    def bring() -> None:
        try:
            # Not importlib, whose own import adds half a millisecond to a cold start.
            __import__(choice.module)
        except (ToolchainError, MemoryError, OSError):
            raise
        except Exception as error:
            _absent(choice, error)
            # Installed, but built for a newer system or another numpy; the last line of the message says which.
            lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            numpy = "numpy" in lines[-1] or "_ARRAY_API" in lines[-1]
            broken = "does not fit the installed numpy" if numpy else "does not import"
            more = " numpy" if numpy and "numpy" not in advice else ""
            raise EngineUnavailable(f"{choice.title} {broken} ({lines[-1].strip()}): {advice}{more}") from None

    def with_model() -> "Engine":
        if artifact.kind == "tflite" and _names_files(artifact.data):
            raise ModelError(f"{artifact.path}: keeps weights in other files, {OUTSIDE}")
        try:
            engine: Engine = sys.modules[choice.module].load(artifact, threads=threads)
        except ModuleNotFoundError as error:
            _absent(choice, error)
            raise
        if choice.verifies and artifact.contract:
            _compare(artifact.path, artifact.contract, engine.describe())
        return engine

    if apart:
        from edge.engines.in_child import EngineInChild

        return EngineInChild(artifact, title=choice.title, advice=advice, threads=threads, bring=bring, load=with_model)
    bring()
    return with_model()


def _absent(choice: EngineChoice, error: Exception) -> None:
    if isinstance(error, ModuleNotFoundError) and error.name == choice.library:
        raise EngineMissing(f"{choice.title} is not installed") from None


def _names_files(model: bytes) -> bool:
    """Whether a .tflite has external buffers: LiteRT's fast engine would read them from files, wherever they lie.

    They are the ninth and tenth field of the root table (schema.fbs, table Model). True also where that is out of bounds.
    """
    from struct import error, unpack_from

    try:
        (root,) = unpack_from("<L", model)
        (back,) = unpack_from("<l", model, root)
        if (table := root - back) < 0:
            return True
        (size,) = unpack_from("<H", model, table)
        return any(unpack_from(f"<{min(max(size - 20, 0) // 2, 2)}H", model, table + 20))
    except error:
        return True


def _compare(path: str, claimed: ModelContract, actual: ModelContract) -> None:
    """Raises ModelError if a model is not what its contract says."""
    own, model = claimed.items(), actual.items()
    outputs = "output-dtype", "output-scale", "output-zero-point", "classes", "extra"
    for key in ("height", "width", "channels", "input-dtype", *outputs):
        if own.get(key) != model.get(key):
            raise ModelError(f"{path}: the contract says {key} {own.get(key, 'none')}, the model {model.get(key, 'none')}")


def _obstacle(artifact: Artifact, *, threads: int, trusted: bool) -> str:
    """Why an engine that does not verify a model's structure may not run this one; empty if it may."""
    if not artifact.contract:
        return "runs sealed models only"
    if threads > 1:
        return "runs on one thread"
    what = "builds and runs the code in the file" if artifact.kind == "c" else "does not verify a model's structure"
    return "" if trusted else f"{what}; --trust allows it"
