"""Read what the owner's own code answered on picture files: a CSV or an .npz, as docs/own-model.md writes one."""

import csv
import io
import os
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from edge.errors import InputError, InputMissing, missing, one_line

MAX_MIB = 64
_HEADS = ("file", "files", "filename", "filepath", "image", "path", "picture")


@dataclass(frozen=True, eq=False)
class OwnersAnswers:
    """The `paths` of N pictures and the class that the owner's code gave each: int [N]."""

    paths: tuple[str, ...]
    classes: np.ndarray


def read(path: Path, pictures: Path, class_names: tuple[str, ...]) -> OwnersAnswers:
    """The answers in `path`. Files are named from the folder of `path`, from `pictures` or from the current one.

    Raises InputMissing, or InputError with the row at fault.
    """
    shown = one_line(str(path))
    try:
        if not path.is_file():
            path.stat()
            raise InputError(f"{shown}: not a file; name a .csv or .npz")
        if path.stat().st_size > MAX_MIB << 20:
            raise InputError(f"{shown}: over {MAX_MIB} MiB; a row for each picture is enough")
        content = path.read_bytes()
    except OSError as error:
        raise missing(shown, error) from None
    files, given, names = _npz(shown, content) if content[:2] == b"PK" else _csv(shown, content)
    if not files:
        raise InputError(f"{shown}: no rows; wanted one for each picture: file,label or file,p0,p1,…")
    return OwnersAnswers(_located(shown, files, (path.parent, pictures, Path())), _classes(shown, given, names, class_names))


def _csv(shown: str, content: bytes) -> tuple[list[str], np.ndarray, list[str]]:
    try:
        rows = [row for row in csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{shown}: not a CSV ({error}); wanted rows of file,label or file,p0,p1,…") from None
    names = [cell.strip() for cell in rows.pop(0)[1:]] if rows and rows[0][0].strip().lower() in _HEADS else []
    width = len(names) + 1 if names else len(rows[0]) if rows else 2
    for number, row in enumerate(rows, 2 if names else 1):
        if len(row) != width or width < 2:
            raise InputError(f"{shown}: row {number} has {len(row)} cells; wanted {max(2, width)}: file,label or file,p0,p1,…")
    cells = np.array([[cell.strip() for cell in row[1:]] for row in rows])
    return [row[0].strip() for row in rows], cells[:, 0] if width == 2 and rows else cells, names if width > 2 else []


def _npz(shown: str, content: bytes) -> tuple[list[str], np.ndarray, list[str]]:
    wanted = "wanted np.savez(…, files=[N] strings, answers=[N] or probabilities=[N, classes])"
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            key = next(name for name in ("probabilities", "answers") if name in arrays)
            files, given = arrays["files"], arrays[key]
    except (BadZipFile, EOFError, KeyError, OSError, StopIteration, ValueError) as error:
        raise InputError(f"{shown}: cannot be read ({one_line(str(error)) or 'no answers'}); {wanted}") from None
    if files.ndim != 1 or files.dtype.kind != "U" or len(files) != len(given) or given.ndim != (2 if key[0] == "p" else 1):
        raise InputError(f"{shown}: files {list(files.shape)} {files.dtype}, {key} {list(given.shape)}; {wanted}")
    return files.tolist(), given, []


def _located(shown: str, files: list[str], folders: tuple[Path, ...]) -> tuple[str, ...]:
    paths = []
    for file in files:
        path = next((found for folder in folders if os.path.isfile(found := os.path.join(folder, file))), None)
        if path is None:
            where = ", ".join(dict.fromkeys(str(folder) for folder in folders))
            raise InputMissing(f"{shown}: {one_line(file)}: no such picture in {where}; name files from one of these folders")
        paths.append(path)
    return tuple(paths)


def _classes(shown: str, given: np.ndarray, columns: list[str], names: tuple[str, ...]) -> np.ndarray:
    """The class of each row: the label's, or the most probable. Labels are class names; where none is one, numbers.

    One number a row, of two classes, is of the second: its probability, or its logit where any lies outside 0 to 1.
    """
    if given.ndim == 1 and given.dtype.kind == "f" and len(names) == 2:
        given = given[:, None]
    if given.ndim == 2:
        try:
            values = given.astype(np.float64)
        except ValueError as error:
            raise InputError(f"{shown}: {one_line(str(error))}; wanted numbers, file,p0,p1,…") from None
        if values.shape[1] == 1 and len(names) == 2:
            probable = ((values >= 0) & (values <= 1)).all()
            values, columns = np.concatenate([1 - values if probable else 0 * values, values], axis=1), []
        if values.shape[1] != len(names) or not np.isfinite(values).all():
            raise InputError(f"{shown}: {values.shape[1]} answers a picture; wanted {len(names)} finite numbers, one a class")
        if set(columns) == set(names):
            values = values[:, [columns.index(name) for name in names]]
        return np.asarray(values.argmax(axis=1))
    labels = [str(label) for label in given.tolist()]
    known = {name: index for index, name in enumerate(names)}
    if not set(labels) & set(names):
        known = {str(index): index for index in range(len(names))}
    for number, label in enumerate(labels, 1):
        if label not in known:
            some = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
            raise InputError(f"{shown}: row {number}: {one_line(label)!r} is no class; wanted {some}, or their numbers from 0")
    return np.array([known[label] for label in labels], np.int64)
