"""The accuracy a manifest states, measured again here: the same test split through the same engine."""

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
from PIL import Image

from benchmarks.report.row import Accuracy, Recheck, ReportRow
from convert.gate import gate_for
from edge import predictor
from edge.errors import InputError, ToolchainError, one_line
from train import datasets
from train.datasets import Split


def recheck(rows: Iterable[ReportRow], data_dir: str | None, failed: Callable[[ToolchainError], object]) -> Iterator[ReportRow]:
    """Each row with what its test split says now, and its lost pictures drawn.

    A row whose model or data cannot be had says why instead, `failed` hears of it, and the others go on.
    """
    for row in rows:
        try:
            yield _again(row, data_dir)
        except ToolchainError as error:
            failed(error)
            yield replace(row, not_rechecked=one_line(str(error)))


def _again(row: ReportRow, data_dir: str | None) -> ReportRow:
    """Raises what `load_again` raises, and InputError where the manifest names no data set."""
    ready = predictor.load(row.path, engine_name=row.engine, trusted=True)
    manifest = ready.artifact.manifest()
    provenance, judge = manifest.get("provenance"), manifest.get("goldens")  # what made the goldens judged the model
    if not isinstance(provenance, dict) or "data_sha256" not in provenance:
        raise InputError(f"{row.path}: its manifest does not say which pictures judged it")
    found = datasets.load_again(row.data, data_dir, digest=provenance["data_sha256"], contract=ready.contract.input)
    answers = np.array([ready.answer(image.tobytes()).index for image in found.test.images])
    here = {"engine": ready.engine.name, "engine_version": ready.engine.version}
    return judged(row, found.test, answers, exact=isinstance(judge, dict) and judge | here == judge)


def judged(row: ReportRow, test: Split, answers: np.ndarray, *, exact: bool) -> ReportRow:
    """`row` with `answers`, int [N], held against the split's labels and the manifest.

    `exact`: by the engine and version the manifest names, so that just as many must be right; else the gate's limit, both ways.
    """
    right, n = int(np.sum(answers == test.labels)), len(answers)
    agrees = None
    if row.accuracy and exact:
        agrees = (right, n) == (_right(row.accuracy), row.accuracy.n_images)
    elif row.accuracy:
        agrees = 100 * abs(row.accuracy.top1 - right / n) < _limit(row, row.accuracy)
    again = sum(int(answers[p.index] != test.labels[p.index]) for p in row.lost) if row.lost else None
    drawn = tuple(replace(picture, png=_png(test.images[picture.index])) for picture in row.lost)
    checked = Recheck(top1=right / n, n_images=n, lost_again=again, exact=exact, agrees=agrees)
    return replace(row, recheck=checked, lost=drawn)


def disagreement(row: ReportRow) -> str:
    """One line for a row whose manifest does not hold here."""
    assert row.recheck and row.accuracy
    if row.recheck.exact:
        here = f"{_right(row.recheck):,} of {row.recheck.n_images:,} are right through {row.engine} here"
        stated = f"{_right(row.accuracy):,} of {row.accuracy.n_images:,} by the same engine and version: wanted equal"
    else:
        here = f"top-1 is {100 * row.recheck.top1:.2f} % through {row.engine} here (n = {row.recheck.n_images:,})"
        limit = f"{_limit(row, row.accuracy):.2f} points"
        stated = f"{100 * row.accuracy.top1:.2f} % by another engine or version: wanted within {limit}, either way"
    return one_line(f"{row.path}: {here}, its manifest says {stated}")


def _right(seen: Accuracy | Recheck) -> int:
    return round(seen.top1 * seen.n_images)


def _limit(row: ReportRow, stated: Accuracy) -> float:
    return gate_for(row.data, stated.limit_points).max_drop_points


def _png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "PNG")
    return file.getvalue()
