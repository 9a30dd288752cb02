"""What a row of the report can be about. A new kind is one function and one entry here.

The function gets a file and yields its rows: `sealed.rows` is the example. What does not run through `python -m edge bench`
can be measured by the same protocol: `edge.bench.protocol.measure` takes any pipeline, and `Speed.from_dict` its report.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.report import sealed
from benchmarks.report.row import How, ReportRow

KINDS: dict[str, Callable[[Path, How], Iterator[ReportRow]]] = {
    ".tflite": sealed.rows,
    ".onnx": sealed.rows,
    ".c": sealed.rows,  # built here: a named C program is trusted, as named models are
}
OTHER = sealed.rows  # says what is wrong with the file
