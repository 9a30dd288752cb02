"""The generated C program as an engine: built by this machine's compiler, loaded as a library. Anyone can seal a C file, and
building and running one runs its author's code: for trusted files only."""

import ctypes
import os
import tempfile

from edge import c_program, compiler
from edge.artifact import Artifact
from edge.contract import ModelContract
from edge.errors import ModelError

# Functions of the symbol $NAME that Python calls without knowing the C types.
_GLUE = """
#include "{header}"
#ifndef {upper}_OUTPUTS /* of an earlier generator */
#define {upper}_OUTPUTS {upper}_CLASSES
#endif
static {symbol}_context context;
int glue_run(const void *pixels, void *logits) {{ {symbol}_predict(&context, pixels, logits); return 0; }}
const char *glue_path(void)
{{
    static const uint8_t pixels[{upper}_HEIGHT * {upper}_WIDTH * {upper}_CHANNELS];
    double logits[{upper}_OUTPUTS];
    for (int path = 0; {symbol}_path(path); path++)
        if ({symbol}_predict_on(path, &context, pixels, (void *)logits))
            return {symbol}_path(path);
    return "none";
}}
"""


def load(artifact: Artifact, *, threads: int) -> "CEngine":
    """The engine for `artifact`, a sealed C program. Raises what `compiler.build` raises, and ModelError for another header."""
    return CEngine(artifact)


class CEngine:
    """One program, its library loaded; `version` is the compiler's, `kernels` the instruction path it chose."""

    name = "c"

    def __init__(self, artifact: Artifact) -> None:
        manifest = artifact.manifest()
        c_program.check_header(artifact.path, manifest)
        assert artifact.contract
        self._contract = artifact.contract
        symbol = str(c_program.made_of(manifest).get("symbol"))
        with tempfile.TemporaryDirectory() as folder:
            # Of the bytes whose seal was checked.
            program = c_program.copy(artifact.path, artifact.data, artifact.contract.name, folder)
            header = os.path.basename(c_program.header_path(program))
            glue, library = program + ".glue.c", program + ".so"
            with open(glue, "w") as text:
                text.write(_GLUE.format(header=header, symbol=symbol, upper=symbol.upper()))
            try:
                compiler.build([program, glue], library, "-shared", "-fPIC")
            except ModelError as error:
                raise ModelError(f"{artifact.path}: {error}") from None
            try:
                self._library = ctypes.CDLL(library)
            except OSError as error:
                raise compiler.foreign(error) from None
        self.version = compiler.version(compiler.find())
        self._library.glue_path.restype = ctypes.c_char_p
        self.kernels = self._library.glue_path().decode()
        self._run, self._answer = self._library.glue_run, ctypes.create_string_buffer(self._contract.n_output_bytes)
        self._run.argtypes = (ctypes.c_char_p, ctypes.c_void_p)
        self._path, self._n_values = artifact.path, self._contract.input.n_values

    def run(self, pixels: bytes) -> bytes:
        """The raw output tensor for one image, uint8 [H, W, C] as bytes."""
        if len(pixels) != self._n_values:
            raise ModelError(f"{self._path}: takes {self._n_values} values and was given {len(pixels)}")
        self._run(pixels, self._answer)
        return self._answer.raw

    def describe(self) -> ModelContract:
        """The contract that its manifest states."""
        return self._contract
