"""Generated C programs beside LiteRT: the same bytes? how fast, how large, how long to compile?

    python -m benchmarks.studies.programs FILE... [--images N] [--calls N] [--emx COMMAND] [--onnx2c COMMAND]

FILE is a published int8 .tflite; with --emx or --onnx2c, the .onnx beside it goes through that generator too. Everything is
called by one C function (caller.c), in turns, on one thread. Above the figures stands, for each instruction path of this
machine, on how many images all bytes of the answer were LiteRT's.
"""

import argparse
import ctypes
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks import pages
from benchmarks.limits import bounds, peaks, work
from benchmarks.studies import generators
from convert.publishing import programs
from convert.to_c import identity
from edge import artifact, compiler, errors, predictor
from edge.artifact import Artifact
from edge.device import host
from edge.engines import litert_c
from edge.errors import ModelError, UsageError
from train import datasets, markdown

ROUNDS = 25
SLOW = 20  # times fewer calls for plain C and other generators
SLOW_ONES = ("plain", *(each.name for each in generators.GENERATORS.values()))
HERE = Path(__file__).parent
GOALS = {"lenet5-relu": 0.35, "mnist-tiny": 0.35, "lenet5-1998": 0.35}
GOAL = 0.7


@dataclass(eq=False)
class TimedProgram:
    """A function of C and its six arguments; `keeps` holds what they point to. `us` are the times of all calls."""

    name: str
    function: ctypes.c_void_p
    arguments: list[int | None]
    keeps: object
    us: list[np.ndarray] = field(default_factory=list)

    def times(self) -> np.ndarray:
        return np.concatenate(self.us)


@dataclass(frozen=True, eq=False)
class Built:
    """One network's program, compiled and loaded, and what that took."""

    model: Artifact
    program: programs.SealedProgram
    library: ctypes.CDLL
    compile_s: float
    library_bytes: int

    def paths(self) -> Iterator[tuple[int, str, Callable[[bytes], bytes | None]]]:
        """Each path's number, name, and answers on it: None where this machine lacks it."""
        predict = getattr(self.library, f"{self.program.symbol}_predict_on")
        context, logits = (ctypes.create_string_buffer(1 << 20) for _ in range(2))
        size = self.model.contract.n_output_bytes
        for number, name in enumerate(self.program.paths):
            answer = lambda pixels, number=number: logits.raw[:size] if predict(number, context, pixels, logits) else None  # noqa: E731
            if answer(bytes(self.model.contract.input.n_values)) is not None:
                yield number, name, answer


def build(model: Artifact, folder: Path) -> Built:
    """The program of `model` as a library in `folder`."""
    program, name = programs.program(model), model.contract.name
    source, library = folder / f"{name}.c", folder / f"{name}.so"
    source.write_bytes(program.source)
    source.with_suffix(".h").write_bytes(program.header)
    start = time.perf_counter()
    compiler.build([str(source)], str(library), "-shared", "-fPIC")
    taken = time.perf_counter() - start
    return Built(model, program, ctypes.CDLL(str(library)), taken, library.stat().st_size)


def identical(built: Built, images: np.ndarray, *, plain: int | None) -> list[tuple[str, ...]]:
    """For each path: of how many images, and of the made ones, all bytes were those of LiteRT's Interpreter.

    Plain C answers the made ones and the first `plain` images, None: all.
    """
    contract = built.model.contract
    everything = [image.tobytes() for image in np.concatenate([identity.made_images(contract.input), images])]
    reference = predictor.load(built.model.path, engine_name="litert").engine
    wanted = [reference.run(image) for image in everything]
    rows = []
    for _, name, answer in built.paths():
        most = None if plain is None or name != "plain" else len(everything) - len(images) + plain
        outputs = [answer(image) for image in everything[:most]]
        same = sum(a == b for a, b in zip(outputs, wanted, strict=False))
        pairs = [(np.frombuffer(a, np.int8), np.frombuffer(b, np.int8)) for a, b in zip(outputs, wanted, strict=False)]
        furthest = max(int(np.abs(a.astype(int) - b).max()) for a, b in pairs)
        rows.append((contract.name, name, f"{len(outputs):,}", f"{same:,}", f"{furthest}"))
    return rows


def contenders(built: Built, others: Iterable[generators.Other]) -> list[TimedProgram]:
    """LiteRT, the program on each path, and other generators'."""
    contract = built.model.contract
    pixels = ctypes.create_string_buffer(built.model.goldens()[0][0])
    logits, context = ctypes.create_string_buffer(1 << 16), ctypes.create_string_buffer(1 << 20)
    at = ctypes.addressof
    engine = litert_c.load(built.model, threads=1)
    engine.run(pixels.raw[: contract.input.n_values])
    compiled, first, one, inputs, n, outputs = engine._arguments
    handles = [compiled.value, first.value, one.value, at(inputs._obj), n.value, at(outputs)]
    litert = TimedProgram("LiteRT", ctypes.c_void_p(at(engine._invoke)), handles, engine)
    litert.function = ctypes.c_void_p(ctypes.c_void_p.from_address(at(engine._invoke)).value)
    predict = ctypes.cast(getattr(built.library, f"{built.program.symbol}_predict_on"), ctypes.c_void_p)
    keeps = pixels, logits, context
    everybody = [litert]
    for number, name, _ in built.paths():
        everybody.append(TimedProgram(name, predict, [number, at(context), at(pixels), at(logits), None, None], keeps))
    for other in others:
        everybody.append(TimedProgram(other.name, other.function, [at(pixels), at(logits), *[None] * 4], (keeps, other)))
    return everybody


def race(found: list[TimedProgram], caller: ctypes.CDLL, *, calls: int) -> None:
    """`calls` calls of each in ROUNDS turns, after a turn that does not count."""
    for turn in range(ROUNDS + 1):
        for each in found:
            n = max(calls // ROUNDS // (SLOW if each.name in SLOW_ONES else 1), 1)
            taken, arguments = (ctypes.c_int64 * n)(), (ctypes.c_void_p * 6)(*each.arguments)
            caller.time_calls(each.function, arguments, 2, taken if n > 1 else (ctypes.c_int64 * 2)())
            caller.time_calls(each.function, arguments, n, taken)
            if turn:
                each.us.append(np.array(taken[:], np.float64) / 1000)


def speed_rows(name: str, found: list[TimedProgram], bound_us: float) -> list[tuple[str, ...]]:
    litert = found[0].times()
    rows = []
    for each in found:
        us = each.times()
        least, median = us.min() / litert.min(), np.median(us) / np.median(litert)
        rows.append((
            name if each is found[0] else "", each.name, f"{us.min():,.1f}", f"{np.median(us):,.1f}",
            f"{least:.2f}", f"{median:.2f}", f"{us.min() / bound_us:.1f}", f"{len(us):,}",
        ))  # fmt: skip
    return rows


def page(models: list[Artifact], flags: argparse.Namespace) -> str:
    """The three tables: identity, speed, size."""
    sizes = sorted({work.count(model).least_bytes for model in models})
    best = peaks.measure(sizes)
    commands = {key: getattr(flags, key) for key in generators.GENERATORS}
    same, speed, size = [], [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compiler.build([str(HERE / "caller.c")], str(folder / "caller.so"), "-shared", "-fPIC")
        caller = ctypes.CDLL(str(folder / "caller.so"))
        for model in models:
            network = model.contract.name
            errors.say("benchmarks.studies.programs", network)
            built = build(model, folder)
            if flags.images:
                images = _images(network, flags.data_dir)[: flags.images]
                same += identical(built, images, plain=flags.plain_images)
            racing = contenders(built, generators.others(model, commands, folder))
            race(racing, caller, calls=flags.calls)
            speed += speed_rows(network, racing, bounds.bound(work.count(model), best).us)
            kib = [f"{n / 1024:,.0f}" for n in (len(built.program.source), built.library_bytes, len(model.data))]
            size.append((network, f"{built.compile_s:.1f}", *kib))
            for row in (*same[-3:], *speed[-len(racing) :]):
                errors.say("benchmarks.studies.programs", " ".join(row))
    machine = host.read()
    features = ", ".join(machine.cpu_features or ()) or "no AVX2, VNNI or dot products"
    heading = (
        f"{machine.cpu_model or 'processor unknown'}, {machine.machine} ({features}), one thread, "
        f"{compiler.version(compiler.find())} -O3, ai-edge-litert {litert_c.load(models[0], threads=1).version}."
    )
    tables = [
        (
            "All bytes of the answers, beside LiteRT's Interpreter",
            ("network", "path", "images", "identical", "furthest, steps"), same, "llr",
        ),
        (
            f"One call, in turns ({ROUNDS} rounds; the bound: python -m benchmarks.limits.bounds)",
            ("network", "who", "min µs", "median µs", "min ÷ LiteRT", "median ÷ LiteRT", "min ÷ bound", "n"), speed, "llr",
        ),
        ("Sizes", ("network", "to compile, s", "NAME.c, KiB", "library, KiB", ".tflite, KiB"), size, "lr"),
    ]  # fmt: skip
    return "\n\n".join([heading, *(f"{title}:\n\n{markdown.table(h, r, align=a)}" for title, h, r, a in tables if r)])


def _images(network: str, data_dir: str | None) -> np.ndarray:
    """The test split that `network` was made for, by its name."""
    data = next((name for name in ("cifar10", "mnist", "digits") if name in network), None)
    if data is None:
        raise UsageError(f"{network}: no data set is in its name; --images 0 leaves the comparison out")
    return (
        datasets.cifar10.load(data_dir).test.images if data == "cifar10" else datasets.mnist.named(data, data_dir).test.images
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies.programs", description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="FILE", help="published int8 .tflite files")
    parser.add_argument("--images", type=int, default=10_000, metavar="N", help="test images compared (default: %(default)s)")
    parser.add_argument("--plain-images", type=int, metavar="N", help="of those, for plain C, which is slow (default: all)")
    parser.add_argument("--calls", type=int, default=5000, metavar="N", help="calls of each contender (default: %(default)s)")
    parser.add_argument("--data-dir", metavar="DIR", help="folder with the data (default: $EDGEPROOF_DATA)")
    for key, each in generators.GENERATORS.items():
        parser.add_argument(f"--{key}", metavar="COMMAND", help=f"{each.name}, installed elsewhere")
    pages.add_write(parser)
    flags = parser.parse_args()
    if flags.calls < ROUNDS:
        raise UsageError(f"--calls wants {ROUNDS} or more, one for each round")
    models = [artifact.read(path) for path in flags.models]
    for model in models:
        if model.contract is None or model.kind != "tflite":
            raise ModelError(f"{model.path}: not an edgeproof .tflite")
    return pages.show(page(models, flags), flags.write)


if __name__ == "__main__":
    sys.exit(errors.run(main, "benchmarks.studies.programs"))
