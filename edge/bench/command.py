"""python -m edge bench: how long this device takes for an answer, as a whole and stage by stage."""

import argparse
import json
import os
import re
import tempfile
from dataclasses import asdict, dataclass, replace

from edge import errors, predictor
from edge.bench import footprint, pipelines, protocol, samples, timing
from edge.bench.percentiles import CONFIDENCE, PERCENTILES, LatencySummary
from edge.bench.protocol import LatencyReport
from edge.bench.timing import Machine, Refusal, TimingPlan
from edge.predictor import Predictor

SCHEMA = 1
UNITS_NS = {"us": 1e3, "ms": 1e6, "s": 1e9}


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The measured model and the engine that runs it."""

    path: str
    name: str
    digest: str  # the artifact's seal
    file_bytes: int
    model_bytes: int
    engine: str
    engine_version: str
    kernels: str
    threads: int


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Give `parser` the options of `main`, and `main` to run."""
    parser.add_argument("models", nargs="+", metavar="MODEL", help="an edgeproof model; with --advise, several")
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
    parser.add_argument("--advise", action="store_true", help="compare precisions of one network; name the fastest")
    parser.add_argument("--json", action="store_true", help="print one JSON object, also for a refusal")
    parser.set_defaults(run=main)


def main(flags: argparse.Namespace, machine: Machine | None = None) -> int:
    """Measure and print. Raises Refusal where there is no figure; with --json it is printed first."""
    if (len(flags.models) > 1) != flags.advise:
        raise errors.UsageError("bench takes one MODEL; bench --advise takes several precisions of one network")
    asked = flags.calls is not None or flags.percentile is not None
    flags.calls = timing.MOST_CALLS if flags.calls is None else flags.calls
    if min(flags.calls, flags.windows, flags.threads) < 1 or flags.processes < 0:
        raise errors.UsageError("--calls, --windows and --threads must be 1 or more, --processes 0 or more")
    every_ns = cadence_ns(flags.every)
    plan = TimingPlan(
        windows=flags.windows, percentile=flags.percentile or 99, every_ns=every_ns,
        window_s=0.0 if asked else timing.WINDOW_S, shared_machine=flags.shared_machine, strict=flags.strict,
    )  # fmt: skip
    try:
        with tempfile.TemporaryDirectory() as folder:
            answer, lines = (advise if flags.advise else bench)(flags, plan, folder, machine or Machine())
    except Refusal as refusal:
        if flags.json:
            print(json.dumps({"schema": SCHEMA, "refused": {"kind": refusal.kind, "why": refusal.why}}))
        raise
    print(json.dumps({"schema": SCHEMA} | answer) if flags.json else "\n".join(lines))
    return 0


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
            processes = pipelines.built_program(model, pictures, folder, calls=flags.processes)
        else:
            processes = pipelines.whole_processes(model, pictures, calls=flags.processes, peaks_mib=peaks_mib, **command)
        measured = processes + measured
    report = protocol.measure(measured, plan, machine, tell=lambda line: errors.say("edge", line))
    about, peak_mib, installed = _subject(ready, flags.threads), max(peaks_mib, default=None), footprint.installed_bytes()
    answer = {"model": asdict(about), "peak_mib": peak_mib, "installed_bytes": installed} | report.as_dict()
    return answer, [*_circumstances([about], report), *_table(report), *_footprint(about, peak_mib, installed)]


def advise(flags: argparse.Namespace, plan: TimingPlan, folder: str, machine: Machine) -> tuple[dict[str, object], list[str]]:
    """The precisions of one network, measured in turn in every window, and the fastest of them."""
    loaded = [_load(path, flags) for path in flags.models]
    networks = {ready.contract.name.rpartition("-")[0] for ready in loaded}
    if len(networks) > 1:
        raise errors.UsageError(f"{' and '.join(sorted(networks))} are not one network; --advise compares precisions")
    measured = []
    for number, ready in enumerate(loaded):
        os.mkdir(inside := os.path.join(folder, str(number)))
        written = samples.write(ready.artifact, inside)
        first = pipelines.in_this_process(ready, written, calls=flags.calls, clock=machine.clock)[0]
        measured.append(replace(first, name=_title(ready)))
    if len({pipeline.name for pipeline in measured}) < len(measured):
        raise errors.UsageError("two of the models have the same precision and format; name each once")
    report = protocol.measure(measured, plan, machine, tell=lambda line: errors.say("edge", line))
    abouts = [_subject(ready, flags.threads) for ready in loaded]
    best, advice = choose({name: stages["inference"] for name, stages in report.figures.items()})
    lines = [*_circumstances(abouts, report), *_table(report), advice]
    return {"best": best, "models": [asdict(about) for about in abouts]} | report.as_dict(), lines


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


def _circumstances(abouts: list[Subject], report: LatencyReport) -> list[str]:
    device = report.host
    word = None if device.throttle_word is None else f"0x{device.throttle_word:x}"
    frequency = f"{_text(device.frequency_mhz)} then {_text(report.frequency_mhz_after)} MHz"
    temperature = f"{_text(device.temperature_c)} then {_text(report.temperature_c_after)} °C"
    return [
        *(f"{a.name} {a.digest[:12]}, {a.engine} {a.engine_version}, {a.kernels} kernels, threads {a.threads}" for a in abouts),
        f"board {_text(device.board)}, {_text(device.cpu_model)}, {_text(device.machine)}, Python {device.python}",
        f"governor {_text(device.governor)}, frequency {frequency}, temperature {temperature}, throttle word {_text(word)}",
        f"throttled during the run: {report.throttled}",
        "",
    ]


def _text(value: object) -> str:
    return "unknown" if value is None else str(value)


def _table(report: LatencyReport) -> list[str]:
    rows: list[tuple[str, ...]] = [("", "least", "p50", "95 % interval", "p90", "p99", "calls")]
    for pipeline, stages in report.figures.items():
        shown = {stage: figure for stage, figure in stages.items() if len(stages) > 2 or stage != "whole"}
        for stage, figure in shown.items():
            times = [_time(t) for t in (figure.least_us, figure.p50_us, figure.p90_us, figure.p99_us)]
            times.insert(2, "-" if figure.low_us is None else f"{_time(figure.low_us)} to {_time(figure.high_us)}")
            rows.append((f"{pipeline}: {stage}", *times, f"{figure.windows} × {figure.calls:,}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join((row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:]))) for row in rows]
    return [*lines, "", *(_when_unsteady(report) if report.unsteady else _when_steady(report))]


def _when_steady(report: LatencyReport) -> list[str]:
    again = f"{report.measured_again} windows measured again for drift"
    median = f"The median of {report.plan.windows} windows, {_pace(report)}"
    lines = [f"{median}; a dash means too few calls in a window; {again}."]
    for pipeline, stages in report.figures.items():
        if (bound := stages["whole"].p99_bound_us) is not None:
            n = stages["whole"].windows * stages["whole"].calls
            lines.append(f"{pipeline}: 99 of 100 take at most {_time(bound)} ({CONFIDENCE:.0%} confidence, {n:,} calls).")
    return lines


def _when_unsteady(report: LatencyReport) -> list[str]:
    lines = [f"{pipeline}: {unsteady(stages['whole'])}" for pipeline, stages in report.figures.items()]
    how = f"p50 is at the machine's full pace: slices between calibration loops, {_pace(report)}"
    return [
        *lines,
        f"{how}. p90 and p99 contain what other programs did; a dash means too few calls.",
        f"Why: {report.unsteady}. --strict refuses instead.",
    ]


def unsteady(figure: LatencySummary) -> str:
    """The figure of an unsteady machine in words, with how far to trust it."""
    assert figure.low_us is not None and figure.pace_varied is not None
    between = f"95 % interval {_time(figure.low_us)} to {_time(figure.high_us)}, least {_time(figure.least_us)}"
    return f"unsteady: {_time(figure.p50_us)}, {between}; the machine's own speed varied by {100 * figure.pace_varied:.0f} %"


def _pace(report: LatencyReport) -> str:
    unpaced = [pipeline for pipeline in report.figures if pipeline not in report.paced]
    parts = [f"{' and '.join(report.paced)} one every {_time(report.plan.every_ns / 1e3)}"] if report.paced else []
    return ", ".join(parts + ([f"{' and '.join(unpaced)} back to back"] if parts and unpaced else [])) or "back to back"


def _time(us: float | None) -> str:
    return "-" if us is None else f"{us:,.2f} µs" if us < 1000 else f"{us / 1000:,.3f} ms"


def _footprint(about: Subject, peak_mib: float | None, installed: dict[str, int] | None) -> list[str]:
    mib = "unknown" if installed is None else f"{sum(installed.values()) / 2**20:,.1f} MiB in {len(installed)} packages"
    peak = "not measured" if peak_mib is None else f"{peak_mib:.1f} MiB"
    size = f"{about.file_bytes:,} bytes, {about.model_bytes:,} of them the network"
    return ["", f"File {size}; edge-predict's peak memory {peak}; installed {mib}, without Python."]
