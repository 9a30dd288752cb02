"""What `python -m edge bench` times: the pipelines from a picture to its label, stage by stage, and whole processes."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

from edge import c_program, child, compiler, errors, pictures
from edge.artifact import Artifact
from edge.bench import process
from edge.bench.samples import Samples
from edge.bench.timing import TimedPipeline
from edge.predictor import Prediction, Predictor

# A process that loads a model and answers once. argv: edge's parent folder, model, engine or "", threads, trusted, picture.
START = """
import sys, time
parent, model, engine, threads, trusted, picture = sys.argv[1:]
sys.path.insert(0, parent)
started, started_cpu = time.perf_counter_ns(), time.process_time_ns()
from edge import predictor
try:
    ready = predictor.load(model, engine_name=engine or None, threads=int(threads), trusted=trusted == "True")
    loaded, loaded_cpu = time.perf_counter_ns(), time.process_time_ns()
    ready.predict(picture).label
except Exception as error:
    print(error if hasattr(error, "exit_code") else repr(error), file=sys.stderr)
    sys.exit(getattr(error, "exit_code", 70))
ended, ended_cpu = time.perf_counter_ns(), time.process_time_ns()
print(loaded - started, ended - loaded, loaded_cpu - started_cpu, ended_cpu - loaded_cpu)
"""
# edge-predict if its script is not installed. argv: edge's parent folder, then those of edge-predict.
CONSOLE = "import sys; sys.path.insert(0, sys.argv.pop(1)); from edge.cli import console; console()"
CODES = frozenset(error.exit_code for error in errors.ToolchainError.__subclasses__())
Clock = Callable[[], int]  # ns
PARENT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def in_this_process(ready: Predictor, samples: Samples, *, calls: int, clock: Clock) -> list[TimedPipeline]:
    """From decoded pixels (`pixels`), from a PNG of the model's size (`file`), from a PNG to be fitted (`page`)."""
    from edge.pictures import decode  # brings Pillow

    wanted = ready.contract.input

    def label(raw: bytes) -> str:
        return Prediction(raw, ready.contract, ready.labels).label

    def opened(path: str) -> Any:
        with open(path, "rb") as file:
            return decode.decode(file.read(), wanted)

    end: dict[str, Callable[[Any], object]] = {"inference": ready.engine.run, "decision": label}
    ways: dict[str, tuple[Sequence[object], dict[str, Callable[[Any], object]]]] = {
        "pixels": (samples.pixels, end),
        "file": (samples.files, {"decode": lambda path: pictures.read_pixels(path, wanted)} | end),
        "page": (samples.pages, {"decode": opened, "fit": lambda picture: decode.fit(picture, wanted)} | end),
    }
    return [timed(name, starts, stages, calls=calls, clock=clock) for name, (starts, stages) in ways.items() if starts]


def timed(
    name: str, starts: Sequence[object], stages: dict[str, Callable[[Any], object]], *, calls: int, clock: Clock
) -> TimedPipeline:
    """A pipeline that takes each of `starts` in turn through all `stages`; the result of one stage enters the next."""
    steps = tuple(stages.values())

    def call(number: int) -> tuple[int, ...]:
        value = starts[number % len(starts)]
        stamps = [clock()]
        for step in steps:
            value = step(value)
            stamps.append(clock())
        return tuple(after - before for before, after in pairwise(stamps))

    return TimedPipeline(name=name, stages=tuple(stages), call=call, calls=calls)


def whole_processes(
    model: str, samples: Samples, *, calls: int, engine: str | None, threads: int, trusted: bool, peaks_mib: list[float]
) -> list[TimedPipeline]:
    """`edge-predict` from start to end, its peak memory added to `peaks_mib`; and a process that loads and answers once."""
    script = os.path.join(os.path.dirname(sys.executable), "edge-predict")
    predict = [script] if os.path.exists(script) else [sys.executable, "-c", CONSOLE, PARENT]
    predict += ["--model", model, "--threads", str(threads), *(["--trust"] if trusted else [])]
    predict += ["--engine", engine] if engine else []

    busy: dict[str, Sequence[int]] = {}  # the CPU ns of each pipeline's last call, by stage

    def cold_process(number: int) -> tuple[int, ...]:
        command = [*predict, samples.files[number % len(samples.files)]]
        try:
            elapsed_ms, peak_mib, cpu_ms = process.measure_from_small(command)
        except RuntimeError:  # its stderr was not kept, because reading it would cost time
            raise _failure("edge-predict", child.run(command)) from None
        peaks_mib.append(peak_mib)
        busy["edge-predict"] = (round(cpu_ms * 1e6),)
        return (round(elapsed_ms * 1e6),)

    def start(number: int) -> tuple[int, ...]:
        arguments = [PARENT, model, engine or "", str(threads), str(trusted), samples.files[number % len(samples.files)]]
        done = child.run([sys.executable, "-c", START, *arguments])
        if done.returncode:
            raise _failure("a process that loads the model", done)
        load_ns, first_ns, *busy["start"] = map(int, done.stdout.split())
        return load_ns, first_ns

    both = (("edge-predict", ("process",), cold_process), ("start", ("load", "first call"), start))
    return [
        TimedPipeline(
            name=name, stages=stages, call=call, busy=partial(busy.__getitem__, name), calls=calls, warm_up=1, settles=False
        )
        for name, stages, call in both
    ]


def built_program(model: Artifact, samples: Samples, folder: str, *, calls: int) -> list[TimedPipeline]:
    """The C program `model`, built as a command in `folder`, from start to end on raw pixels; its memory is less than ours."""
    assert model.contract
    source = c_program.copy(model.path, model.data, model.contract.name, folder)
    program, files = os.path.join(folder, "program"), [os.path.join(folder, f"{n}.raw") for n in range(len(samples.pixels))]
    compiler.build([source], program, "-DEDGEPROOF_MAIN")
    for path, pixels in zip(files, samples.pixels, strict=True):
        with open(path, "wb") as file:
            file.write(pixels)
    busy: list[int] = []  # the CPU ns of the last call

    def call(number: int) -> tuple[int, ...]:
        command = [program, files[number % len(files)]]
        try:
            elapsed_ms, _, cpu_ms = process.measure_from_small(command)
        except RuntimeError:
            raise _failure("the program", child.run(command)) from None
        busy[:] = [round(cpu_ms * 1e6)]
        return (round(elapsed_ms * 1e6),)

    return [
        TimedPipeline(name="program", stages=("process",), call=call, busy=lambda: busy, calls=calls, warm_up=1, settles=False)
    ]


def _failure(name: str, done: subprocess.CompletedProcess[str]) -> errors.ToolchainError:
    """The error for a process that failed and has no figure; `done` is that process, or the same started again."""
    code = done.returncode
    if not code:
        return errors.Refused(f"{name} failed, and did not when it was started again; no figure")
    if code < 0:
        killed = f"{name} fails: it was killed (signal {-code})"
        return errors.OutOfMemory(f"{killed}; is there memory enough?") if code == -9 else errors.ToolchainError(killed)
    reason = child.last_line(done, default="it said nothing").removeprefix(f"{name}: ")
    error = errors.ToolchainError(f"{name} fails (exit code {code}): {errors.one_line(reason)}")
    error.exit_code = code if code in CODES else error.exit_code
    return error
