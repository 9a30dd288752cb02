"""The accuracy a manifest states, measured again here: the same test split through the same engine."""

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
from PIL import Image

from benchmarks.report.row import Recheck, Row
from convert.gate import gate_for
from edge import predictor
from edge.errors import InputError, ToolchainError, one_line
from train import datasets
from train.datasets import Split


def recheck(rows: Iterable[Row], data_dir: str | None, failed: Callable[[ToolchainError], object]) -> Iterator[Row]:
    """Each row with what its test split says now, and its lost pictures drawn.

    A row whose model or data cannot be had says why instead, `failed` hears of it, and the others go on.
    """
    for row in rows:
        try:
            yield _again(row, data_dir)
        except ToolchainError as error:
            failed(error)
            yield replace(row, not_rechecked=one_line(str(error)))


def _again(row: Row, data_dir: str | None) -> Row:
    """Raises what `load_again` raises, and InputError where the manifest names no data set."""
    ready = predictor.load(row.path, engine_name=row.engine, trusted=True)
    provenance = ready.artifact.manifest().get("provenance")
    if not isinstance(provenance, dict) or "data_sha256" not in provenance:
        raise InputError(f"{row.path}: its manifest does not say which pictures judged it")
    found = datasets.load_again(row.data, data_dir, digest=provenance["data_sha256"], contract=ready.contract.input)
    answers = np.array([ready.answer(image.tobytes()).index for image in found.test.images])
    return judged(row, found.test, answers)


def judged(row: Row, test: Split, answers: np.ndarray) -> Row:
    """`row` with `answers`, int [N], held against the split's labels and the manifest."""
    top1 = float(np.mean(answers == test.labels))
    agrees = None
    if row.accuracy:
        limit = row.accuracy.limit_points or gate_for(row.data, None).max_drop_points
        agrees = 100 * (row.accuracy.top1 - top1) < limit
    again = sum(int(answers[p.index] != test.labels[p.index]) for p in row.lost) if row.lost else None
    drawn = tuple(replace(picture, png=_png(test.images[picture.index])) for picture in row.lost)
    checked = Recheck(top1=top1, n_images=len(answers), lost_again=again, agrees=agrees)
    return replace(row, recheck=checked, lost=drawn)


def disagreement(row: Row) -> str:
    """One line for a row whose manifest does not hold here."""
    assert row.recheck and row.accuracy
    here, stated = f"{100 * row.recheck.top1:.2f} %", f"{100 * row.accuracy.top1:.2f} %"
    return one_line(
        f"{row.path}: top-1 is {here} through {row.engine} here (n = {row.recheck.n_images:,}), its manifest says {stated}"
    )


def _png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "PNG")
    return file.getvalue()
