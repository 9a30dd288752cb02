"""Run a .tflite model through the C library in the stock ai-edge-litert wheel: no numpy, a few milliseconds.

This engine **does not verify the file's structure**: a damaged model kills the process. It runs only models whose seal was
checked and that the user trusts; all others go through the verifying Interpreter (`edge/engines/litert.py`). Its answers
equal that Interpreter's bit for bit at one thread, because both run the XNNPACK kernels.
"""

import os
import struct
import sys

# Only the C half of ctypes: the Python half takes 2 ms to import, longer than loading LiteRT. If these names ever
# disappear, the import fails and the Interpreter takes over.
from _ctypes import FUNCFLAG_CDECL, CFuncPtr, _SimpleCData, byref, dlopen, dlsym

from edge.artifact import Artifact
from edge.contract import TOP_BIT_FLIPPED, ModelContract
from edge.errors import EngineUnavailable, ModelError
from edge.silence import silence_native_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# The C interface is not stable between releases (until 2.1.5 LiteRtCreateModelFromBuffer took no environment), and
# a wrong argument crashes instead of failing. So only tested releases are used.
TESTED_VERSIONS = ("2.1.6", "2.2.0", "2.3.0")

_CPU = 1  # LiteRtHwAccelerators: a bit mask, 1 CPU, 2 GPU, 4 NPU
_HOST_MEMORY = 1  # LiteRtTensorBufferType
_ELEMENTS = {"float32": 1, "uint8": 3, "int8": 9}  # LiteRtElementType
_ELEMENT_BYTES = {1: 4, 3: 1, 9: 1}

# Two LiteRtEnvOption {int tag; LiteRtAny {int type; int64 value}}, 24 bytes each, as little-endian 64-bit words; type 2 is
# an integer. Tag 24: the accelerators to register. It must hold the CPU bit, or LiteRT quietly runs
# its built-in kernels: other int8 answers, by a step, and slower. Tag 25: the least severity logged; 4 is silent.
_ENVIRONMENT_OPTIONS = (24, 2, _CPU, 25, 2, 4)

_loaded: tuple[int, str] | None = None  # the library's handle and version


class _Pointer(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "P"


class _Size(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "L"


class _Int(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "i"


class _Long(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "q"


class _Char(_SimpleCData):  # type: ignore[type-arg]
    _type_ = "c"


class _Function(CFuncPtr):
    _flags_ = FUNCFLAG_CDECL
    _restype_ = _Int


class LiteRtC:
    """One model with one input and one or two outputs on one CPU thread. Not thread-safe."""

    name = "litert-c"

    def __init__(self, model: bytes, contract: ModelContract) -> None:
        """Compile `model`, whose seal the caller has checked. Raises EngineUnavailable, with the reason."""
        self._owned: list[tuple[str, _Pointer]] = []
        self._library, self.version = _load_library()
        self._model = model  # LiteRT reads weights from these very bytes for as long as it lives.
        self._contract = contract
        self._encode = _ENCODERS[contract.input_dtype]
        try:
            self._compile()
        except BaseException:
            self.close()
            raise

    def run(self, pixels: bytes) -> bytes:
        """The raw outputs for one image, uint8 [H, W, C] as bytes, one behind the other. Raises ModelError for another size."""
        if not self._owned:
            raise ValueError("the engine is closed")
        encoded = self._encode(pixels)
        # The memory behind `_input` is LiteRT's: a wrong length must not reach it.
        if len(encoded) != len(self._input):
            raise ModelError(f"the model takes {len(self._input)} bytes of input and was given {len(encoded)}")
        self._input[:] = encoded
        status = self._invoke(*self._arguments)
        if status:
            raise ModelError(f"{self._contract.name}: fails in litert-c (status {status})")
        return b"".join(self._outputs)

    def describe(self) -> ModelContract:
        """The contract it was loaded with: only sealed models come here."""
        return self._contract

    def close(self) -> None:
        """Release everything; `run` then raises ValueError."""
        while self._owned:
            destroy, handle = self._owned.pop()
            self._function(destroy)(handle)

    def __del__(self) -> None:
        self.close()

    def _compile(self) -> None:
        options = (_Long * 6)(*_ENVIRONMENT_OPTIONS)
        environment = self._create("Environment", _Int(2), options)
        model = self._create("ModelFromBuffer", environment, self._model, _Size(len(self._model)))
        settings = self._create("Options")
        self._call("LiteRtSetOptionsHardwareAccelerators", settings, _Int(_CPU))
        # XNNPACK announces itself on stderr, past every logging option.
        with silence_native_output():
            compiled = self._create("CompiledModel", environment, model, settings)
        graph = _Pointer()
        self._call("LiteRtGetModelSubgraph", model, _Size(0), byref(graph))
        claimed = self._contract
        image = (1, claimed.input.height, claimed.input.width, claimed.input.channels)
        inputs, self._input = self._tensor("Input", environment, compiled, graph, claimed.input_dtype, image)
        shapes = [(1, claimed.n_classes)]
        if claimed.confidence and claimed.confidence.extra:
            shapes.append((1, claimed.confidence.extra))
        outputs = (_Pointer * len(shapes))()
        self._outputs: list[memoryview] = []
        for at, shape in enumerate(shapes):
            outputs[at], memory = self._tensor(
                "Output", environment, compiled, graph, claimed.output_dtype, shape, at=at, n=len(shapes)
            )
            self._outputs.append(memory)
        accelerated = _Char()
        self._call("LiteRtCompiledModelIsFullyAccelerated", compiled, byref(accelerated))
        # LiteRT's own kernels run the operators that XNNPACK did not take.
        self.kernels = "XNNPACK" if accelerated.value != b"\0" else "not all XNNPACK"
        one, first = _Size(1), _Size(0)
        self._invoke = self._function("LiteRtRunCompiledModel")
        self._arguments = (compiled, first, one, byref(inputs), _Size(len(shapes)), outputs)

    def _tensor(
        self, side: str, environment: _Pointer, compiled: _Pointer, graph: _Pointer, dtype: str, shape: tuple[int, ...], *,
        at: int = 0, n: int = 1,
    ) -> tuple[_Pointer, memoryview]:  # fmt: skip
        """The buffer of input or output `at` of `n`, and the memory in it. ModelError unless it is `dtype` of `shape`."""
        first, index, number = _Size(0), _Size(at), _Size()
        self._call(f"LiteRtGetNumSubgraph{side}s", graph, byref(number))
        if number.value != n:
            raise EngineUnavailable(f"the model has {number.value} {side.lower()}s, not {n}")
        tensor, needs, address = _Pointer(), _Pointer(), _Pointer()
        size, kind = _Size(), _Int()
        # LiteRtRankedTensorType {int element; LiteRtLayout {unsigned rank:7, has_strides:1; int dimensions[8]; unsigned
        # strides[8]}} is 18 words. The extra room is for releases that add to it.
        tensor_type = (_Int * 64)()
        self._call(f"LiteRtGetSubgraph{side}", graph, index, byref(tensor))
        self._call("LiteRtGetRankedTensorType", tensor, tensor_type)
        self._call(f"LiteRtGetCompiledModel{side}BufferRequirements", compiled, first, index, byref(needs))
        self._call("LiteRtGetTensorBufferRequirementsBufferSize", needs, byref(size))
        actual, expected = tuple(tensor_type[2 : 2 + min(tensor_type[1] & 0x7F, 8)]), _ELEMENT_BYTES.get(tensor_type[0], 0)
        if actual != shape or tensor_type[0] != _ELEMENTS[dtype]:
            wanted = f"{dtype} {list(shape)}, its {side.lower()} is {list(actual)} of type {tensor_type[0]}"
            raise ModelError(f"{self._contract.name}: the contract says {wanted}")
        for dimension in actual:
            expected *= dimension
        if expected != size.value or not expected:
            raise EngineUnavailable(f"an {side.lower()} tensor of an unknown form ({list(tensor_type[:10])})")
        buffer = self._create("ManagedTensorBufferFromRequirements", environment, tensor_type, needs)
        self._call("LiteRtGetTensorBufferType", buffer, byref(kind))
        if kind.value != _HOST_MEMORY:
            raise EngineUnavailable(f"LiteRT offers a buffer of kind {kind.value}; ordinary memory is needed")
        self._call("LiteRtGetTensorBufferHostMemory", buffer, byref(address))
        memory = (_Char * size.value).from_address(address.value or 0)
        return buffer, memoryview(memory).cast("B")

    def _create(self, what: str, *arguments: object) -> _Pointer:
        """A new handle, owned by this object; `close` destroys handles in reverse order."""
        handle = _Pointer()
        self._call(f"LiteRtCreate{what}", *arguments, byref(handle))
        kind = "TensorBuffer" if "TensorBuffer" in what else "Model" if what == "ModelFromBuffer" else what
        self._owned.append((f"LiteRtDestroy{kind}", handle))
        return handle

    def _call(self, name: str, *arguments: object) -> None:
        status = self._function(name)(*arguments)
        if status:
            raise EngineUnavailable(f"{name} failed with status {status}")

    def _function(self, name: str) -> _Function:
        try:
            return _Function(dlsym(self._library, name))
        except OSError:
            raise EngineUnavailable(f"libLiteRt.so has no {name}") from None


def _find() -> tuple[str, str | None]:
    # Searches as `import` does; importlib would take longer than reading the first line.
    for folder in sys.path:
        package = os.path.join(folder, "ai_edge_litert")
        try:
            file = os.open(os.path.join(package, "__init__.py"), os.O_RDONLY)
        except OSError:
            continue
        try:
            line = os.read(file, 100).split(b"\n")[0]
        finally:
            os.close(file)
        quoted = line.decode("ascii", "replace").split('"')
        return package, quoted[1] if line.startswith(b"__version__") and len(quoted) == 3 else "unknown"
    return "", None


def load(artifact: Artifact, *, threads: int) -> LiteRtC:
    """The engine for `artifact`, which must be sealed. Raises EngineUnavailable, with the reason."""
    assert artifact.contract and threads == 1
    return LiteRtC(artifact.data, artifact.contract)


# A whole number up to 255 as a float32 has its lower two bytes zero; tables for the upper two are ten times as fast as packing.
_TABLES: "list[bytes]" = []


def _float32(pixels: bytes) -> bytes:
    if not _TABLES:
        words = struct.pack("<256f", *range(256))
        _TABLES.extend((words[2::4], words[3::4]))
    floats = bytearray(4 * len(pixels))
    floats[2::4], floats[3::4] = (pixels.translate(table) for table in _TABLES)
    return bytes(floats)


_ENCODERS: "dict[str, Callable[[bytes], bytes]]" = {
    "uint8": bytes,
    "int8": lambda pixels: pixels.translate(TOP_BIT_FLIPPED),
    "float32": _float32,
}


def _load_library() -> tuple[int, str]:
    global _loaded
    if not _loaded:
        # The option words and the layouts above hold for 64-bit little-endian Linux: x86-64 and aarch64.
        if sys.platform != "linux" or sys.byteorder != "little" or sys.maxsize < 2**32:
            raise EngineUnavailable("the C engine runs on 64-bit Linux only")
        package, version = _find()
        if version is None:
            raise ModuleNotFoundError("ai-edge-litert is not installed", name="ai_edge_litert")
        if version not in TESTED_VERSIONS:
            tested = ", ".join(TESTED_VERSIONS)
            raise EngineUnavailable(f"ai-edge-litert {version} was not tested with the C engine ({tested} were)")
        try:
            library = os.path.join(package, "libLiteRt.so")
            _check_complete(library)
            _loaded = dlopen(library), version
        except OSError as error:
            raise EngineUnavailable(f"libLiteRt.so of ai-edge-litert {version} does not load: {error}") from None
    return _loaded


def _check_complete(library: str) -> None:
    """Raise OSError if the ELF file is shorter than its header says: loading an incomplete one kills the process."""
    file = os.open(library, os.O_RDONLY)
    try:
        header, size = os.read(file, 64), os.fstat(file).st_size
    finally:
        os.close(file)
    if len(header) < 64:
        raise OSError("truncated")
    # The section headers come last: their offset, the size of one and their number (ELF-64 header, e_shoff and on).
    (start,), (each, number) = struct.unpack_from("<Q", header, 40), struct.unpack_from("<HH", header, 58)
    if size < start + each * number:
        raise OSError(f"truncated, {size} bytes of {start + each * number}")
