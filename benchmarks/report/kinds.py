"""What a row of the report can be about. A new kind is one function and one entry here.

The function gets a file and yields its rows: `sealed.rows` is the example. What does not run through `python -m edge bench` is
measured by `timed`, with the same protocol: a callable that takes the bytes of an image.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.report import sealed
from benchmarks.report.row import How, ReportRow, Speed
from edge.bench import pipelines, protocol, timing
from edge.bench.timing import Machine, Refusal, TimingPlan

KINDS: dict[str, Callable[[Path, How], Iterator[ReportRow]]] = {
    ".tflite": sealed.rows,
    ".onnx": sealed.rows,
    ".c": sealed.rows,  # built here: a named C program is trusted, as named models are
}
OTHER = sealed.rows  # says what is wrong with the file


def timed(run: Callable[[bytes], object], images: Sequence[bytes], how: How) -> dict[str, object]:
    """The `speed` and `unsteady`, or `refused`, of a row whose network is `run`, called with each of `images` in turn."""
    machine = Machine()
    made = pipelines.timed("pixels", images, {"inference": run}, calls=timing.MOST_CALLS, clock=machine.clock)
    plan = TimingPlan(window_s=timing.WINDOW_S, shared_machine=how.shared_machine)
    try:
        report = protocol.measure([made], plan, machine)
    except Refusal as refusal:
        return {"refused": refusal.why}
    return {"speed": Speed.from_dict({"peak_mib": None} | asdict(report)), "unsteady": report.unsteady}
