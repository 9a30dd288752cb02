"""The state of an unfinished training; `training.npz` holds all variables, also random generators', which Keras omits."""

import dataclasses
import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge.errors import InputError, Refused, note, one_line
from train import npz

FILE = "training.npz"


class Diverged(Refused):
    """A loss or a weight stopped being finite, as detected at `step`."""

    def __init__(self, message: str, *, step: int) -> None:
        super().__init__(message)
        self.step = step


@dataclass(frozen=True)
class HistoryRow:
    """One row of history.csv; `loss` and `accuracy` (0 to 1) are means since the row before."""

    step: int
    epoch: float
    seconds: float
    loss: float
    accuracy: float
    validation_accuracy: float | None


@dataclass
class TrainingState:
    """Steps done, time spent, the rows so far, and the sums since the last row."""

    step: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0  # summed over all cores
    rows: list[HistoryRow] = field(default_factory=list)
    # Summed over the steps since the last row, for a run interrupted between two rows.
    loss_sum: float = 0.0
    accuracy_sum: float = 0.0

    @property
    def last_row(self) -> int:
        """The step of the last row."""
        return self.rows[-1].step if self.rows else 0


def save(folder: Path, run: dict[str, Any], state: TrainingState, values: list[np.ndarray]) -> None:
    """Write the `run`'s identity, its `state` and the variables' `values` to `folder`/training.npz. Raises StorageError."""
    about = {"run": run, "standing": dataclasses.asdict(state)}
    npz.write(folder / FILE, about, {str(i): value for i, value in enumerate(values)})


def load(folder: Path) -> tuple[TrainingState, list[np.ndarray]] | None:
    """The saved state and values; None if there are none, or none that can be used: that file is then renamed."""
    if not (folder / FILE).exists():
        return None
    try:
        about, arrays = npz.read(folder / FILE)
        state = TrainingState(**about["standing"])
        state.rows = [HistoryRow(**row) for row in about["standing"]["rows"]]
        return state, [arrays[str(i)] for i in range(len(arrays))]
    except InputError:
        set_aside(folder, "damaged, or not one of ours")
    except (KeyError, TypeError):
        set_aside(folder, "of another version of edgeproof")
    return None


def set_aside(folder: Path, why: str) -> None:
    """Rename `folder`/training.npz, with a note: another version may be able to use it."""
    names = (f"{FILE}.unusable{f'-{n}' if n > 1 else ''}" for n in itertools.count(1))
    unusable = next(folder / name for name in names if not (folder / name).exists())
    (folder / FILE).replace(unusable)
    note(one_line(f"{folder / FILE}: {why}; kept as {unusable.name}, training from the beginning"))


def saved_run(folder: Path) -> dict[str, Any] | None:
    """The identity of the unfinished run in `folder`; None if there is none, or none that can be used."""
    if not (folder / FILE).exists():
        return None
    try:
        run = npz.read(folder / FILE)[0]["run"]
        return run if isinstance(run["recipe"], dict) and isinstance(run["network"], str) else None
    except (InputError, KeyError, TypeError):
        return None


def remove(folder: Path) -> None:
    """Remove the saved state: the run is finished or diverged."""
    (folder / FILE).unlink(missing_ok=True)
