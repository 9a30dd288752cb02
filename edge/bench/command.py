"""python -m edge bench: how long this device takes for an answer, as a whole and stage by stage."""

import argparse
import json
import math
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace

from edge import errors, predictor
from edge.bench import advice, footprint, pipelines, protocol, samples, tell, timing
from edge.bench.advice import Choice
from edge.bench.percentiles import PERCENTILES, LatencySummary
from edge.bench.tell import Subject
from edge.bench.timing import Machine, Refusal, TimingPlan
from edge.predictor import Predictor

SCHEMA = 1
KINDS = (".tflite", ".onnx", ".c")
UNITS_NS = {"us": 1e3, "ms": 1e6, "s": 1e9}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Give `parser` the options of `main`, and `main` to run."""
    parser.add_argument("models", nargs="+", metavar="MODEL", help="an edgeproof model; with --advise several, or a folder")
    usual = f"default: {timing.MOST_CALLS}, fewer where they take over {timing.WINDOW_S:g} s"
    parser.add_argument("--calls", type=int, metavar="N", help=f"calls per window ({usual})")
    parser.add_argument(
        "--windows", type=int, default=timing.WINDOWS, metavar="N", help="at least 5; a 95 %% interval needs 6 (default: 6)"
    )
    parser.add_argument(
        "--percentile", type=int, choices=PERCENTILES, help="the highest needed; refused if the calls cannot support it"
    )
    parser.add_argument("--processes", type=int, default=10, metavar="N", help="cold processes per window (default: 10)")
    parser.add_argument("--every", default="", metavar="TIME", help="start a call every 100ms, say, instead of back to back")
    parser.add_argument("--shared-machine", action="store_true", help="call it steady up to 5 %% drift instead of 2 %%")
    parser.add_argument("--strict", action="store_true", help="on an unsteady machine refuse (exit code 1): no figure")
    parser.add_argument("--engine", metavar="NAME", help="litert-c, litert, tflite-runtime or onnxruntime")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads the engine may use (default: 1)")
    parser.add_argument("--trust", action="store_true", help="allow litert-c, which skips structure checks, and C programs")
    parser.add_argument("--advise", action="store_true", help="which of these models, or of those in a folder, to ship")
    parser.add_argument("--max-us", type=float, metavar="N", help="with --advise: the longest time of the network")
    parser.add_argument("--max-kb", type=float, metavar="N", help="with --advise: the largest network, in 1,000 bytes")
    parser.add_argument("--json", action="store_true", help="print one JSON object, also for a refusal")
    parser.set_defaults(run=main)


def main(flags: argparse.Namespace, machine: Machine | None = None) -> int:
    """Measure and print. Raises Refusal where there is no figure; with --json it is printed first."""
    if flags.advise and len(flags.models) == 1 and not os.path.isdir(flags.models[0]):
        raise errors.UsageError("bench --advise compares models: name several, or a folder of them")
    if not flags.advise and (len(flags.models) > 1 or flags.max_us is not None or flags.max_kb is not None):
        raise errors.UsageError("bench takes one MODEL; several, --max-us and --max-kb belong to bench --advise")
    if not all(limit is None or 0 < limit < math.inf for limit in (flags.max_us, flags.max_kb)):
        raise errors.UsageError("--max-us and --max-kb want a number above 0")
    asked = flags.calls is not None or flags.percentile is not None
    flags.calls = timing.MOST_CALLS if flags.calls is None else flags.calls
    if min(flags.calls, flags.windows, flags.threads) < 1 or flags.processes < 0:
        raise errors.UsageError("--calls, --windows and --threads must be 1 or more, --processes 0 or more")
    every_ns = cadence_ns(flags.every)
    plan = TimingPlan(
        windows=flags.windows, percentile=flags.percentile or 99, every_ns=every_ns,
        window_s=0.0 if asked else timing.WINDOW_S, shared_machine=flags.shared_machine, strict=flags.strict,
        most_s=timing.MOST_S * flags.windows / timing.WINDOWS,
    )  # fmt: skip
    try:
        with tempfile.TemporaryDirectory() as folder:
            answer, lines = (advise if flags.advise else bench)(flags, plan, folder, machine or Machine())
    except Refusal as refusal:
        if flags.json:
            print(json.dumps({"schema": SCHEMA, "refused": {"kind": refusal.kind, "why": refusal.why}}))
        raise
    print(json.dumps({"schema": SCHEMA} | answer) if flags.json else "\n".join(lines))
    return errors.Refused.exit_code if answer.get("ship", "") is None else 0


def cadence_ns(text: str) -> int:
    """`100ms`, `0.5s` or `250us` in ns; 0 for an empty text. Raises UsageError for anything else."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)(us|ms|s)", text)
    if text and (not match or not float(match[1])):
        raise errors.UsageError(f"--every {text}: wanted a time such as 250us, 100ms or 0.5s")
    return round(float(match[1]) * UNITS_NS[match[2]]) if match else 0


def bench(flags: argparse.Namespace, plan: TimingPlan, folder: str, machine: Machine) -> tuple[dict[str, object], list[str]]:
    """The report on one model, for JSON and as lines."""
    ready = _load(flags.models[0], flags)
    pictures = samples.write(ready.artifact, folder)
    measured = pipelines.in_this_process(ready, pictures, calls=flags.calls, clock=machine.clock)
    if plan.every_ns:
        # A cadence is a camera's: files come in, answers go out.
        measured = [pipeline for pipeline in measured if pipeline.name == "file"]
        errors.say("edge", f"{plan.windows * flags.calls * plan.every_ns / 1e9:,.0f} s at this cadence, and the warm-up")
    peaks_mib: list[float] = []
    if flags.processes:
        command = {"engine": flags.engine, "threads": flags.threads, "trusted": flags.trust}
        model = os.path.abspath(flags.models[0])
        if ready.contract.kind == "c":
            processes = pipelines.built_program(ready.artifact, pictures, folder, calls=flags.processes)
        else:
            processes = pipelines.whole_processes(model, pictures, calls=flags.processes, peaks_mib=peaks_mib, **command)
        measured = processes + measured
    report = protocol.measure(measured, plan, machine, tell=lambda line: errors.say("edge", line))
    about, peak_mib, installed = _subject(ready, flags.threads), max(peaks_mib, default=None), footprint.installed_bytes()
    answer = {"model": asdict(about), "peak_mib": peak_mib, "installed_bytes": installed} | report.as_dict()
    return answer, [*tell.circumstances([about], report), *tell.table(report), *tell.footprint(about, peak_mib, installed)]


def advise(flags: argparse.Namespace, plan: TimingPlan, folder: str, machine: Machine) -> tuple[dict[str, object], list[str]]:
    """The models of each task, measured in turn in every window; which to ship, and of one network's precisions the fastest."""
    tasks: dict[tuple[object, ...], list[Predictor]] = {}
    for ready in _candidates(flags):
        tasks.setdefault((tuple(ready.labels), str(ready.contract.input)), []).append(ready)
    if not tasks:
        raise errors.InputMissing(
            f"{' '.join(flags.models)}: no model here that runs; name .tflite, .onnx or .c files or a folder"
        )
    plan = replace(plan, most_s=plan.most_s * max(1.0, sum(map(len, tasks.values())) / 5) / len(tasks))
    answers: list[dict[str, object]] = []
    lines: list[str] = []
    for number, loaded in enumerate(tasks.values()):
        os.mkdir(inside := os.path.join(folder, str(number)))
        answer, told = _advise_task(loaded, flags, plan, inside, machine)
        answers.append(answer)
        lines += [*([""] if lines else []), *told]
    if len(answers) == 1:
        return answers[0], lines
    ships = [answer["ship"] for answer in answers]
    return {"ship": None if None in ships else ships, "tasks": answers}, lines


def _advise_task(
    loaded: list[Predictor], flags: argparse.Namespace, plan: TimingPlan, folder: str, machine: Machine
) -> tuple[dict[str, object], list[str]]:
    one_network = len({ready.contract.name.rpartition("-")[0] for ready in loaded}) == 1
    names = [_title(ready) if one_network else f"{ready.contract.name} {ready.contract.kind}" for ready in loaded]
    if len(set(names)) < len(names):
        raise errors.UsageError("two of the models have the same network, precision and format; name each once")
    measured = []
    for number, (name, ready) in enumerate(zip(names, loaded, strict=True)):
        os.mkdir(inside := os.path.join(folder, str(number)))
        written = samples.write(ready.artifact, inside)
        first = pipelines.in_this_process(ready, written, calls=flags.calls, clock=machine.clock)[0]
        measured.append(replace(first, name=name))
    peaks = [_peak_mib(ready, os.path.join(folder, str(number)), flags) for number, ready in enumerate(loaded)]
    report = protocol.measure(measured, plan, machine, tell=lambda line: errors.say("edge", line))
    figures = {name: stages["inference"] for name, stages in report.figures.items()}
    choices = [_choice(name, ready, figures[name], peak) for name, ready, peak in zip(names, loaded, peaks, strict=True)]
    chosen, sentence = advice.advise(choices, max_us=flags.max_us, max_kb=flags.max_kb)
    abouts = [_subject(ready, flags.threads) for ready in loaded]
    lines = tell.circumstances(abouts, report)
    if one_network:  # the precisions stage by stage; of many networks the drawing and its legend say enough
        lines += [*tell.table(report), ""]
    lines += [*advice.drawn(choices, chosen), "", *tell.doubt(report), sentence]
    best = None
    if one_network and len(names) > 1:
        best, fastest = choose(figures)
        lines.append(fastest)
    told = {"ship": chosen.name if chosen else None, "advice": sentence, "best": best, "choices": list(map(asdict, choices))}
    return told | {"models": [asdict(about) for about in abouts]} | report.as_dict(), lines


def _candidates(flags: argparse.Namespace) -> Iterator[Predictor]:
    """The models named, and those in the folders named, where one that cannot run here is left out with a line."""
    for path in flags.models:
        if not os.path.isdir(path):
            yield _load(path, flags)
            continue
        for inside, _, names in sorted(os.walk(path)):
            for name in sorted(name for name in names if name.endswith(KINDS)):
                try:
                    yield _load(os.path.join(inside, name), flags)
                except errors.ToolchainError as error:
                    errors.say("edge", f"left out: {error}")


def _choice(name: str, ready: Predictor, figure: LatencySummary, peak_mib: float | None) -> Choice:
    verified = ready.artifact.manifest().get("verification")
    known = verified if isinstance(verified, dict) else {}
    return Choice(
        name=name, top1=known.get("top1"), n_images=known.get("n_images", 0), model_bytes=ready.contract.model_bytes,
        us=figure.p50_us, low_us=figure.low_us or figure.p50_lowest_us, high_us=figure.high_us or figure.p50_highest_us,
        peak_mib=peak_mib,
    )  # fmt: skip


def _peak_mib(ready: Predictor, folder: str, flags: argparse.Namespace) -> float | None:
    """The peak memory of one `edge-predict`; None if processes are not asked for."""
    if not flags.processes:
        return None
    peaks: list[float] = []
    written = samples.Samples([], [os.path.join(folder, "0.png")], [])
    how = {"engine": flags.engine, "threads": flags.threads, "trusted": flags.trust}
    pipelines.whole_processes(os.path.abspath(ready.artifact.path), written, calls=1, peaks_mib=peaks, **how)[0].call(0)
    return peaks[0]


def choose(figures: dict[str, LatencySummary]) -> tuple[str | None, str]:
    """The fastest by its median window, and a sentence; None if its windows overlap with another's."""
    order = sorted(figures, key=lambda name: figures[name].p50_us)
    first, second = (figures[name] for name in order[:2])
    rivals = [name for name in order if figures[name].p50_lowest_us <= first.p50_highest_us]
    if len(rivals) > 1:
        return None, f"{' and '.join(rivals)} are equally fast here: their windows overlap; take the smaller or more exact"
    return order[0], f"{order[0]} is the fastest here: {second.p50_us / first.p50_us:.2f} times as fast as {order[1]}"


def _load(path: str, flags: argparse.Namespace) -> Predictor:
    ready = predictor.load(path, engine_name=flags.engine, threads=flags.threads, trusted=flags.trust)
    ready.artifact.manifest()  # raises if manifest and contract disagree
    return ready


def _title(ready: Predictor) -> str:
    return f"{ready.contract.name.rpartition('-')[2]} {ready.contract.kind}"


def _subject(ready: Predictor, threads: int) -> Subject:
    return Subject(
        path=ready.artifact.path,
        name=ready.contract.name,
        digest=ready.artifact.digest,
        file_bytes=len(ready.artifact.data),
        model_bytes=ready.contract.model_bytes,
        engine=ready.engine.name,
        engine_version=ready.engine.version,
        kernels=ready.engine.kernels,
        threads=threads,
    )
