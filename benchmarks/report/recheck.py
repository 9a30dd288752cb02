"""The accuracy that a manifest states, measured again on the same test split."""

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
from PIL import Image

from benchmarks.report.row import Accuracy, Recheck, ReportRow
from convert.judging.gate import gate_for
from edge import predictor
from edge.errors import InputError, ToolchainError, one_line
from train import datasets
from train.datasets import Split


def recheck(rows: Iterable[ReportRow], data_dir: str | None, failed: Callable[[ToolchainError], object]) -> Iterator[ReportRow]:
    """Each row with the accuracy measured now, and with its lost images as PNGs.

    A row whose model or data cannot be loaded gets the reason instead, and `failed` the error; the other rows continue.
    """
    for row in rows:
        try:
            yield _again(row, data_dir)
        except ToolchainError as error:
            failed(error)
            yield replace(row, not_rechecked=one_line(str(error)))


def _again(row: ReportRow, data_dir: str | None) -> ReportRow:
    """Raises what `load_again` raises, and InputError if the manifest names no data set."""
    ready = predictor.load(row.path, engine_name=row.engine, trusted=True)
    manifest = ready.artifact.manifest()
    provenance = manifest.get("provenance")
    judge = manifest.get("goldens")  # the engine that made the goldens also judged the model
    if not isinstance(provenance, dict) or "data_sha256" not in provenance:
        raise InputError(f"{row.path}: its manifest does not name its test images")
    dataset = datasets.load_again(row.data, data_dir, digest=provenance["data_sha256"], contract=ready.contract.input)
    answers = np.array([ready.answer(image.tobytes()).index for image in dataset.test.images])
    engine = {"engine": ready.engine.name, "engine_version": ready.engine.version}
    return judged(row, dataset.test, answers, exact=isinstance(judge, dict) and judge | engine == judge)


def judged(row: ReportRow, test: Split, answers: np.ndarray, *, exact: bool) -> ReportRow:
    """`row` with `answers`, int [N], compared with the labels of the split and the manifest.

    `exact`: the engine and version are those of the manifest, so equally many answers must be right. Otherwise top-1 may differ
    by the gate's limit in either direction.
    """
    right, n = int(np.sum(answers == test.labels)), len(answers)
    agrees = None
    if row.accuracy and exact:
        agrees = (right, n) == (_right(row.accuracy), row.accuracy.n_images)
    elif row.accuracy:
        agrees = 100 * abs(row.accuracy.top1 - right / n) < _limit(row, row.accuracy)
    again = sum(int(answers[p.index] != test.labels[p.index]) for p in row.lost) if row.lost else None
    drawn = tuple(replace(lost, png=_png(test.images[lost.index])) for lost in row.lost)
    checked = Recheck(top1=right / n, n_images=n, lost_again=again, exact=exact, agrees=agrees)
    return replace(row, recheck=checked, lost=drawn)


def disagreement(row: ReportRow) -> str:
    """One line for a row whose manifest disagrees with the accuracy measured here."""
    assert row.recheck and row.accuracy
    if row.recheck.exact:
        measured = f"{_right(row.recheck):,} of {row.recheck.n_images:,} are right with {row.engine} here"
        stated = f"{_right(row.accuracy):,} of {row.accuracy.n_images:,} by the same engine and version; wanted the same"
    else:
        measured = f"top-1 is {100 * row.recheck.top1:.2f} % with {row.engine} here (n = {row.recheck.n_images:,})"
        limit = f"{_limit(row, row.accuracy):.2f} points"
        stated = f"{100 * row.accuracy.top1:.2f} % by another engine or version; wanted within {limit} in either direction"
    return one_line(f"{row.path}: {measured}, its manifest says {stated}")


def _right(accuracy: Accuracy | Recheck) -> int:
    return round(accuracy.top1 * accuracy.n_images)


def _limit(row: ReportRow, stated: Accuracy) -> float:
    return gate_for(row.data, stated.limit_points).max_drop_points


def _png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "PNG")
    return file.getvalue()
