"""How good are the intervals of an unsteady machine? Beside 0, 1 and 2 programs that use a core each, they are held against
the quiet machine's figure.

    python -m benchmarks.studies.coverage [--runs 30] [--quiet 10] [--log reports/coverage.jsonl] [--write docs/unsteady.md]

Each run is `python -m edge bench` on the model in the wheel. The quiet machine's figure is the median of the quiet runs' plain
medians of all calls, which owes nothing to the method under test; the quiet runs are spread over the whole experiment. It wants
a machine of its own, for about 20 s a run: 35 minutes for 100 runs. Every run is a line of the log, and a second start goes on
behind the last line.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks import pages
from edge import child, errors, predictor
from edge.bench import pipelines, samples
from edge.device import host
from edge.errors import InputError, ToolchainError
from edge.locate import shipped_model
from train import markdown

PROGRAM = "benchmarks.studies.coverage"
HOGS = (0, 1, 2)
FIGURES = {"pixels inference": "the network", "file whole": "a PNG to its label", "edge-predict process": "whole edge-predict"}
MAIN = "pixels inference"
WIDEST = {0: 0.10, 1: 0.25, 2: 0.25}  # half an interval, as a share of its figure
RUN_S = 20
QUIET_S = 6.0  # of calls of each pipeline in a quiet run


def plan(runs: int, quiet: int) -> list[tuple[str, int]]:
    """What is run, in order: `quiet` or `run` with so many hogs; the quiet runs are spread evenly."""
    order: list[tuple[str, int]] = []
    for number in range(runs):
        if quiet * number // runs > quiet * (number - 1) // runs or not number:
            order.append(("quiet", 0))
        order += [("run", hogs) for hogs in HOGS]
    return order + [("quiet", 0)] * (quiet - sum(kind == "quiet" for kind, _ in order))


@contextmanager
def beside(hogs: int) -> Iterator[None]:
    """So many programs that use a core each."""
    started = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(hogs)]
    try:
        time.sleep(1.0 if hogs else 0.0)
        yield
    finally:
        for each in started:
            each.kill()
            each.wait()


def one_run(hogs: int) -> dict[str, object]:
    """What one `edge bench` beside `hogs` says of each of FIGURES."""
    with beside(hogs):
        started = time.monotonic()
        argv = [sys.executable, "-m", "edge", "bench", shipped_model(), "--trust", "--json"]
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode:
            raise ToolchainError(f"python -m edge bench ended with {done.returncode}: {child.last_line(done, default='')}")
        answer, figures = json.loads(done.stdout), {}
        for name in FIGURES:
            pipeline, _, stage = name.rpartition(" ")
            told = answer["figures"][pipeline][stage]
            figures[name] = {key: told[key] for key in ("p50_us", "low_us", "high_us", "least_us", "pace_varied")}
        return {"figures": figures, "unsteady": answer["unsteady"], "seconds": round(time.monotonic() - started, 1)}


def quiet_run() -> dict[str, object]:
    """The plain median of all calls, in µs, of each of FIGURES."""
    clock = time.perf_counter_ns
    ready = predictor.load(shipped_model(), trusted=True)
    medians = {}
    with tempfile.TemporaryDirectory() as folder:
        pictures = samples.write(ready.artifact, folder)
        made = pipelines.in_this_process(ready, pictures, calls=0, clock=clock)
        how = {"engine": None, "threads": 1, "trusted": True}
        made += pipelines.whole_processes(shipped_model(), pictures, calls=0, peaks_mib=[], **how)  # type: ignore[arg-type]
        for name in FIGURES:
            pipeline_name, _, stage = name.rpartition(" ")
            pipeline = next(each for each in made if each.name == pipeline_name)
            taken, until = [], clock() + QUIET_S * 1e9
            for number in range(10**9):
                taken.append(pipeline.call(number))
                if clock() > until:
                    break
            kept = taken[len(taken) // 20 :]  # the first warm up
            at = pipeline.stages.index(stage) if stage in pipeline.stages else None
            medians[name] = statistics.median(sum(call) if at is None else call[at] for call in kept) / 1e3
    return {"medians_us": medians}


def run(order: Sequence[tuple[str, int]], log: Path) -> list[dict]:
    """Run what the log does not hold yet and append it. Returns all lines. Raises InputError for the log of another plan."""
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    if [(line["kind"], line["hogs"]) for line in lines] != list(order[: len(lines)]):
        raise InputError(f"{log}: the log of another plan; finish it with the same --runs and --quiet, or name another --log")
    log.parent.mkdir(parents=True, exist_ok=True)
    about = (len(order) - len(lines)) * RUN_S / 60
    errors.say(PROGRAM, f"{len(order)} runs, {len(lines)} of them done; about {about:.0f} min, on a machine of its own")
    for number, (kind, hogs) in enumerate(order[len(lines) :], len(lines) + 1):
        load = os.getloadavg()[0]
        line = {"kind": kind, "hogs": hogs, "load": load} | (quiet_run() if kind == "quiet" else one_run(hogs))
        with log.open("a") as file:
            file.write(json.dumps(line) + "\n")
        lines.append(line)
        errors.say(PROGRAM, f"{number} of {len(order)}: {kind} beside {hogs}: {json.dumps(line)[:160]}")
    return lines


def page(lines: Sequence[dict], *, command: str) -> str:
    """The tables, as Markdown."""
    machine = host.read()
    quiet = [line["medians_us"] for line in lines if line["kind"] == "quiet"]
    runs = {hogs: [line for line in lines if line["kind"] == "run" and line["hogs"] == hogs] for hogs in HOGS}
    where = f"{machine.machine}, {machine.cpu_model or 'processor unknown'}, {machine.n_cpus} cores"
    parts = [f"`{command}`: {len(lines)} runs, {len(quiet)} of them quiet; {where}."]
    foreign = max(line["load"] for line in lines)
    if foreign > 3.5:  # the run itself and two hogs, averaged over a minute
        parts.append(f"**Other programs ran too: the load was up to {foreign:.1f}. These figures claim nothing.**")
    for name, title in FIGURES.items():
        truth = statistics.median(medians[name] for medians in quiet)
        spread = sorted(medians[name] for medians in quiet)
        parts.append(
            f"### {title[0].upper()}{title[1:]}\n\nQuiet: {_us(truth)}, the median of {len(quiet)} medians "
            f"({_us(spread[0])} to {_us(spread[-1])})."
        )
        parts.append(_summary(name, truth, runs))
    truth = statistics.median(medians[MAIN] for medians in quiet)
    head = ("run", *(f"{hogs} hogs" for hogs in HOGS))
    body = [
        (str(number), *(_told(runs[hogs][number - 1], truth) if number <= len(runs[hogs]) else "not run" for hogs in HOGS))
        for number in range(1, max(map(len, runs.values())) + 1)
    ]
    parts += [f"Every run, {FIGURES[MAIN]}, µs; **missed**: the interval does not hold {_us(truth)}.", ""]
    return "\n\n".join(parts) + markdown.table(head, body, align="r") + "\n"


def _summary(name: str, truth: float, runs: dict[int, list[dict]]) -> str:
    head = (
        "hogs",
        "runs",
        "hold the quiet figure",
        "figures",
        "half of the interval, median",
        "widest",
        "limit",
        "steady",
        "s a run",
    )
    rows = []
    for hogs, lines in runs.items():
        figures = [line["figures"][name] for line in lines]
        if not figures:
            continue
        halves = [(f["high_us"] - f["low_us"]) / 2 / f["p50_us"] for f in figures]
        holds = sum(f["low_us"] <= truth <= f["high_us"] for f in figures)
        between = f"{_us(min(f['p50_us'] for f in figures))} to {_us(max(f['p50_us'] for f in figures))}"
        half, widest = statistics.median(halves), max(halves)
        limit = f"±{100 * WIDEST[hogs]:.0f} %{'' if widest <= WIDEST[hogs] else ' (missed)'}"
        steady = sum(not line["unsteady"] for line in lines)
        seconds = max(line["seconds"] for line in lines)
        rows.append((
            str(hogs), str(len(lines)), str(holds), between, f"±{100 * half:.1f} %", f"±{100 * widest:.1f} %", limit,
            str(steady), f"up to {seconds:.0f}",
        ))  # fmt: skip
    return markdown.table(head, rows, align="r")


def _told(line: dict, truth: float) -> str:
    figure = line["figures"][MAIN]
    missed = "" if figure["low_us"] <= truth <= figure["high_us"] else " **missed**"
    return f"{figure['p50_us']:.1f} ({figure['low_us']:.1f} to {figure['high_us']:.1f}){missed}"


def _us(us: float) -> str:
    return f"{us:,.1f} µs" if us < 1000 else f"{us / 1000:,.1f} ms"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog=f"python -m {PROGRAM}", description=" ".join((__doc__ or "").split("\n\n")[0].split())
    )
    parser.add_argument("--runs", type=int, default=30, metavar="N", help="beside each number of hogs (default: 30)")
    parser.add_argument("--quiet", type=int, default=10, metavar="N", help="quiet runs (default: 10)")
    parser.add_argument("--log", type=Path, default=Path("reports/coverage.jsonl"), metavar="FILE", help="default: %(default)s")
    pages.add_write(parser)
    flags = parser.parse_args()
    if min(flags.runs, flags.quiet) < 1:
        raise errors.UsageError("--runs and --quiet want 1 or more")
    lines = run(plan(flags.runs, flags.quiet), flags.log)
    return pages.show(page(lines, command=" ".join([f"python -m {PROGRAM}", *sys.argv[1:]])), flags.write)


if __name__ == "__main__":
    sys.exit(errors.run(main, PROGRAM))
