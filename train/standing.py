"""How far a training has come, and the file in the run folder that says so.

`training.npz` holds every variable of the model and of the optimizer, the states of the random generators among them
(Keras's own files leave those out), which run it is, and its standing. It is replaced whole, never written in place.
"""

import dataclasses
import io
import json
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge.errors import Refused
from edge.files import write_whole

FILE = "training.npz"
_ABOUT = "about.json"
_DAMAGE = (zipfile.BadZipFile, KeyError, TypeError, ValueError, EOFError)


class Diverged(Refused):
    """A loss or a weight is not finite any more, as was found at `step`."""

    def __init__(self, message: str, *, step: int) -> None:
        super().__init__(message)
        self.step = step


@dataclass(frozen=True)
class Row:
    """One row of history.csv; `loss` and `accuracy` are means since the row before."""

    step: int
    epoch: float
    seconds: float
    loss: float
    accuracy: float
    validation_accuracy: float | None


@dataclass
class Standing:
    """Steps done, seconds spent, the rows so far, and the sums since the last row."""

    step: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0  # of all cores together
    rows: list[Row] = field(default_factory=list)
    # Loss and accuracy summed over the steps since the last row, for a run that is left between two rows.
    loss_sum: float = 0.0
    accuracy_sum: float = 0.0

    @property
    def last_row(self) -> int:
        """The step of the last row."""
        return self.rows[-1].step if self.rows else 0


def save(folder: Path, run: dict[str, Any], standing: Standing, values: list[np.ndarray]) -> None:
    """Put the variables' `values` and the `standing` of `run` into `folder`/training.npz, whole or not at all."""
    arrays: dict[str, Any] = {str(i): value for i, value in enumerate(values)}
    about = json.dumps({"run": run, "standing": dataclasses.asdict(standing)})
    buffer = io.BytesIO()
    np.savez(buffer, **{_ABOUT: np.array(about)}, **arrays)
    write_whole(str(folder / FILE), buffer.getvalue())


def load(folder: Path) -> tuple[Standing, list[np.ndarray]] | None:
    """What `save` put there; None where there is nothing, or where it is damaged, which stderr says."""
    try:
        about, values = _contents(folder)
        found = Standing(**about["standing"])
        found.rows = [Row(**row) for row in about["standing"]["rows"]]
    except FileNotFoundError:
        return None
    except _DAMAGE as error:
        print(f"{folder / FILE}: damaged ({error}); training from the beginning", file=sys.stderr)
        return None
    return found, values


def run_in(folder: Path) -> dict[str, Any] | None:
    """Which run lies half done in `folder`; None where there is none, or a damaged one."""
    try:
        return _contents(folder)[0]["run"]
    except (FileNotFoundError, *_DAMAGE):
        return None


def _contents(folder: Path) -> tuple[dict[str, Any], list[np.ndarray]]:
    with np.load(io.BytesIO((folder / FILE).read_bytes()), allow_pickle=False) as arrays:
        return json.loads(str(arrays[_ABOUT])), [arrays[str(i)] for i in range(len(arrays.files) - 1)]
