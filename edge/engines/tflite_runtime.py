"""tflite-runtime 2.14, the last of its line: Python 3.11 at most, numpy 1, and the only one for 32-bit Arm."""

from tflite_runtime import __version__
from tflite_runtime.interpreter import Interpreter

from edge.artifact import Artifact
from edge.engines.interpreter import InterpreterEngine


def load(artifact: Artifact, *, threads: int) -> InterpreterEngine:
    """The engine for `artifact`. Raises ModelError if tflite-runtime refuses it."""
    return InterpreterEngine(Interpreter, artifact, name="tflite-runtime", version=__version__, threads=threads)
