"""From what is named to rows: each file's suffix chooses how its rows are measured."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.report import kinds
from benchmarks.report.row import How, Operation, ReportRow
from edge.errors import InputMissing, ModelError
from edge.locate import shipped_model


def files(named: Iterable[str]) -> list[Path]:
    """The model in the wheel, then those named; a folder stands for what is measurable in it. Raises InputMissing."""
    paths = [Path(shipped_model())]
    for path in map(Path, named):
        if path.is_dir():
            paths += sorted(inside for inside in path.iterdir() if inside.suffix in kinds.KINDS)
        elif path.exists():
            paths.append(path)
        else:
            raise InputMissing(f"{path}: no such model or folder of models")
    return list(dict.fromkeys(paths))


def rows(paths: Iterable[Path], how: How) -> Iterator[ReportRow]:
    """The rows of each file. `how.tell` gets a line for each model or engine left out, with the reason."""
    for path in paths:
        try:
            yield from kinds.KINDS.get(path.suffix, kinds.OTHER)(path, how)
        except (InputMissing, ModelError) as error:
            how.tell(f"left out: {error}")


def operations(path: Path) -> tuple[Operation, ...]:
    """The results of the per-operation suite from pytest-benchmark's JSON; () without such a file."""
    try:
        tests = json.loads(path.read_text())["benchmarks"]
    except OSError:
        return ()
    except (ValueError, KeyError, TypeError):
        raise ModelError(f"{path}: not the JSON of pytest-benchmark; run make benchmarks again") from None
    made = []
    for test in tests:
        name, stats = test["name"].removeprefix("test_").replace("_", " "), test["stats"]
        median_us, iqr_us = 1e6 * stats["median"], 1e6 * stats["iqr"]
        made.append(Operation(name=name, median_us=median_us, iqr_us=iqr_us, rounds=stats["rounds"]))
    return tuple(made)
