"""LiteRT's C interface: the Interpreter's answers bit for bit, only for models it may run, and never the last resort."""

import os
import re
import sys
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from conftest import ROOT, run
from edge import artifact, engines, predictor
from edge.contract import DIGIT, ModelContract
from edge.engines import litert_c
from edge.engines.litert_c import LiteRtC
from edge.errors import EngineMissing, EngineUnavailable, ModelError, UsageError
from tests.edge.on_device import COMMAND, SEVEN, SHIPPED
from train import datasets

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the C engine runs on Linux only")

PACKAGES = Path(np.__file__).parents[1]
LIBRARY = PACKAGES / "ai_edge_litert" / "libLiteRt.so"
NO_TRUST = "litert-c does not verify a model's structure; --trust allows it"


def dense(input_dtype: str, *, weights_enter: bool = False) -> artifact.Artifact:
    """A sealed .tflite of one layer: 28x28 pixels in, 10 float32 logits out; with `weights_enter`, a model of two inputs."""

    def made(kind, **values):
        thing = kind()
        vars(thing).update(values)
        return thing

    def tensor(kind, *shape, buffer=0):
        unit = made(schema.QuantizationParametersT, scale=[1.0], zeroPoint=[0])
        return made(schema.TensorT, name=str(shape), shape=shape, type=kind, buffer=buffer, quantization=unit)

    uint8, float32 = schema.TensorType.UINT8, schema.TensorType.FLOAT32
    dequantize, multiply = schema.BuiltinOperator.DEQUANTIZE, schema.BuiltinOperator.FULLY_CONNECTED
    options = schema.FullyConnectedOptionsT(), schema.BuiltinOptions.FullyConnectedOptions
    weights = np.random.default_rng(0).normal(0, 0.01, (10, 784)).astype(np.float32)
    first = 0 if input_dtype == "uint8" else 1  # tensor, and operator, that the pixels enter by
    graph = made(
        schema.SubGraphT,
        tensors=[tensor(uint8, 1, 28, 28, 1), tensor(float32, 1, 28, 28, 1),
                 tensor(float32, 10, 784, buffer=0 if weights_enter else 1), tensor(float32, 1, 10)],
        inputs=[first, 2] if weights_enter else [first],
        outputs=[3],
        operators=[
            made(schema.OperatorT, opcodeIndex=0, inputs=[0], outputs=[1]),
            made(schema.OperatorT, opcodeIndex=1, inputs=[1, 2, -1], outputs=[3],
                 builtinOptions=options[0], builtinOptionsType=options[1]),
        ][first:],
    )  # fmt: skip
    whole = made(
        schema.ModelT,
        version=3,
        operatorCodes=[made(schema.OperatorCodeT, builtinCode=n, deprecatedBuiltinCode=n) for n in (dequantize, multiply)],
        subgraphs=[graph],
        buffers=[schema.BufferT(), made(schema.BufferT, data=weights.view(np.uint8).ravel())],
    )
    builder = flatbuffers.Builder()
    builder.Finish(whole.Pack(builder), b"TFL3")
    model = artifact.embed_magic(bytes(builder.Output()), "tflite")
    contract = ModelContract(
        name="dense", kind="tflite", model_bytes=len(model), n_classes=10,
        input=DIGIT, input_dtype=input_dtype, output_dtype="float32",
    )  # fmt: skip
    data = artifact.seal(model, contract, labels=tuple("0123456789"), goldens=[], manifest={}, report="")
    return artifact.parse("dense.tflite", data)


@pytest.fixture(scope="module")
def shipped() -> artifact.Artifact:
    return artifact.read(str(SHIPPED))


@pytest.fixture(scope="module")
def pictures() -> list[bytes]:
    """250 of noise, half of them mostly black as digits are, and 250 digits."""
    random = np.random.default_rng(5)
    noise = random.integers(0, 256, (250, 28, 28, 1), np.uint8)
    noise[::2] *= random.random((125, 28, 28, 1)) > 0.85
    return [image.tobytes() for image in (*noise, *datasets.digits.load().test.images[:250])]


@pytest.fixture
def no_library(monkeypatch, tmp_path, shipped) -> Path:
    """The empty folder of an ai_edge_litert that is found before the real one."""
    engines.load(shipped, name="litert")  # the Interpreter is imported already, and stays
    package = tmp_path / "packages" / "ai_edge_litert"
    package.mkdir(parents=True)
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setattr(litert_c, "_loaded", None)
    return package


# The same answers.


def test_pixels_become_float32_bit_for_bit():
    assert litert_c._float32(bytes(range(256))) == np.arange(256, dtype="<f4").tobytes()


@pytest.mark.parametrize("name", ["shipped", "tflite", "uint8", "float32"])
def test_the_interpreter_gives_the_same_bits(name, pictures, request):
    if name in ("uint8", "float32"):
        model = dense(name)
    else:
        model = artifact.read(str(SHIPPED if name == "shipped" else request.getfixturevalue("tflite")))
    slow, fast = (engines.load(model, name=n, trusted=True).engine for n in ("litert", "litert-c"))
    answers = [fast.run(pixels) for pixels in pictures]
    assert answers == [slow.run(pixels) for pixels in pictures]
    assert len(set(answers)) > 250


# Which models it runs.


@pytest.mark.parametrize(
    ("options", "engine", "passed_over"),
    [
        ({"trusted": True}, "litert-c", []),
        ({"trusted": False}, "litert", [NO_TRUST]),
        ({"trusted": True, "threads": 2}, "litert", ["litert-c runs on one thread"]),
    ],
)
def test_a_trusted_sealed_model_runs_on_it_and_any_other_on_the_interpreter_with_the_reason(options, engine, passed_over):
    ready = predictor.load(str(SHIPPED), **options)
    assert (ready.engine.name, ready.engine.kernels, ready.passed_over) == (engine, "XNNPACK", passed_over)


def test_asking_for_it_by_name_does_not_vouch_for_the_model():
    with pytest.raises(UsageError, match=re.escape(f"{SHIPPED}: {NO_TRUST}")):
        predictor.load(str(SHIPPED), engine_name="litert-c")


def test_a_foreign_model_is_never_run_by_it(tmp_path):
    sealed, foreign = dense("float32"), tmp_path / "foreign.tflite"
    foreign.write_bytes(sealed.data[: sealed.contract.model_bytes].replace(b"edgeproof", b"otherwise"))
    assert predictor.load(str(foreign), allow_unverified=True, trusted=True).engine.name == "litert"
    with pytest.raises(UsageError, match="litert-c runs sealed models only"):
        predictor.load(str(foreign), engine_name="litert-c", allow_unverified=True, trusted=True)


def test_a_model_of_two_inputs_is_left_to_others():
    with pytest.raises(EngineMissing, match="the model has 2 inputs, not 1"):
        engines.load(dense("float32", weights_enter=True), name="litert-c", trusted=True)


def test_a_model_whose_contract_promises_another_output_is_refused(shipped):
    wrong = ModelContract.from_text(shipped.contract.to_text().replace("classes 10", "classes 11"))
    with pytest.raises(ModelError, match=r"the contract says int8 \[1, 11\], its output is \[1, 10\] of type 9"):
        LiteRtC(shipped.data, wrong)


# Where it cannot be had, the Interpreter runs the model.


@pytest.mark.parametrize(
    ("version", "library", "reason"),
    [
        ("2.4.0", LIBRARY, "ai-edge-litert 2.4.0 was not tested with the C engine ("),
        (None, LIBRARY, "ai-edge-litert unknown was not tested with the C engine ("),
        ("2.3.0", None, "libLiteRt.so of ai-edge-litert 2.3.0 does not load: "),
        ("2.3.0", "cut short", "libLiteRt.so of ai-edge-litert 2.3.0 does not load: "),
        ("2.3.0", SEVEN, "libLiteRt.so of ai-edge-litert 2.3.0 does not load: "),
        ("2.3.0", Path(np.linalg._umath_linalg.__file__), "libLiteRt.so has no LiteRtCreateEnvironment"),
    ],
)
def test_an_unknown_or_broken_library_is_passed_over(version, library, reason, no_library, shipped):
    (no_library / "__init__.py").write_text(f'__version__ = "{version}"\n' if version else "import os\n")
    if library:
        content = LIBRARY.read_bytes()[: LIBRARY.stat().st_size // 2] if library == "cut short" else library.read_bytes()
        (no_library / "libLiteRt.so").write_bytes(content)
    with pytest.raises(EngineUnavailable) as refused:
        LiteRtC(shipped.data, shipped.contract)
    assert str(refused.value).startswith(reason)
    loaded = engines.load(shipped, trusted=True)
    assert (loaded.engine.name, loaded.passed_over) == ("litert", [str(refused.value)])


def test_no_package_at_all_is_passed_over(no_library, shipped, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(no_library)])
    loaded = engines.load(shipped, trusted=True)
    assert (loaded.engine.name, loaded.passed_over) == ("litert", ["LiteRT is not installed"])


# Handling.


@pytest.mark.parametrize("n_bytes", [0, 783, 785, 78_400])
def test_pixels_of_another_size_are_refused(shipped, n_bytes):
    fast = LiteRtC(shipped.data, shipped.contract)
    with pytest.raises(ModelError, match=f"the model takes 784 bytes of input and was given {n_bytes}"):
        fast.run(bytes(n_bytes))
    assert len(fast.run(bytes(784))) == shipped.contract.n_output_bytes


def test_a_closed_engine_refuses_to_run_and_may_be_closed_again(shipped):
    fast = LiteRtC(shipped.data, shipped.contract)
    fast.close()
    fast.close()
    with pytest.raises(ValueError, match="the engine is closed"):
        fast.run(bytes(784))


def test_loading_and_closing_leaks_no_descriptors_no_threads_and_no_memory(shipped):
    def held() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))

    def resident_pages() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1])

    def load_and_close(times: int) -> None:
        for _ in range(times):
            LiteRtC(shipped.data, shipped.contract).close()

    load_and_close(20)
    before, pages = held(), resident_pages()
    load_and_close(200)
    assert held() == before
    # None was seen to grow; left open, 200 hold 33 MiB.
    assert (resident_pages() - pages) * os.sysconf("SC_PAGE_SIZE") < 8 << 20


@pytest.mark.parametrize("stderr", ["", "2>&-"])
def test_a_first_load_makes_no_sound_and_minds_no_closed_stderr(stderr):
    # In a process of its own: XNNPACK announces itself once a process.
    code = (
        "import sys; from edge import predictor; ready = predictor.load(sys.argv[1], trusted=True); "
        "print(ready.engine.name, ready.predict(sys.argv[2]).label)"
    )
    done = run("sh", "-c", f'exec "$@" {stderr}', "sh", sys.executable, "-c", code, SHIPPED, SEVEN)
    assert (done.returncode, done.stdout, done.stderr) == (0, "litert-c 7\n", "")


# The command.


def test_the_shipped_model_runs_on_it_unasked_and_a_named_one_if_trusted(tmp_path):
    def told(*arguments) -> list[str]:
        done = run(COMMAND, SEVEN, "--verbose", *arguments)
        assert (done.returncode, done.stdout) == (0, f"{SEVEN}: 7 (100.0 %)\n"), done.stderr
        return done.stderr.splitlines()

    named = tmp_path / "named.tflite"
    named.write_bytes(SHIPPED.read_bytes())
    (line,) = told()
    assert line in [f"edge-predict: {SHIPPED}: litert-c {version}, XNNPACK kernels" for version in litert_c.TESTED_VERSIONS]
    first, second = told("--model", named)
    assert f" {named}: litert 2." in first and second == f"edge-predict: passed over: {NO_TRUST}"
    assert told("--model", named, "--trust") == [line.replace(str(SHIPPED), str(named))]


def test_a_plain_png_and_the_shipped_model_load_no_heavy_module_and_nothing_of_training():
    # -S: without the editable install's finder, whose own imports would hide ours.
    code = (
        "import sys; before = set(sys.modules); sys.path.insert(0, sys.argv.pop(1)); sys.path.append(sys.argv.pop(1)); "
        "from edge import cli; cli.main(); print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    done = run(sys.executable, "-S", "-c", code, ROOT, PACKAGES, SEVEN, cwd=Path("/"))
    answer, loaded = done.stdout.splitlines()
    assert answer == f"{SEVEN}: 7 (100.0 %)"
    training = "convert jax keras onnx onnxruntime tensorflow torch train"
    heavy = "argparse collections ctypes dataclasses enum functools hashlib importlib json numpy pathlib PIL re typing"
    assert {"edge", "_ctypes", "zlib"} <= set(loaded.split())
    assert set(loaded.split()) & {*heavy.split(), *training.split()} == set(), loaded
