"""LiteRT through its Python Interpreter, which verifies the file."""

from ai_edge_litert import __version__
from ai_edge_litert.interpreter import Interpreter

from edge.artifact import Artifact
from edge.engines.interpreter import InterpreterEngine


def load(artifact: Artifact, *, threads: int) -> InterpreterEngine:
    """The engine for `artifact`. Raises ModelError if LiteRT refuses it."""
    return InterpreterEngine(Interpreter, artifact, name="litert", version=__version__, threads=threads)
