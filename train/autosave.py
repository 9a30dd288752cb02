"""Saves the state of a training periodically, and restores it: `kill -9` loses a few seconds at most, Ctrl-C nothing."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from edge.errors import Interrupted, note
from edge.files import write_atomic
from train import training_state
from train.distributed import training
from train.distributed.training import ALONE, Rank
from train.progress import Progress, as_csv
from train.training_state import TrainingState


class Autosave(keras.callbacks.Callback):
    """Saves the state in `folder` every `every_s` seconds and at Ctrl-C; of several processes the coordinator alone does."""

    def __init__(self, folder: Path, run: dict[str, Any], *, every_s: float, rank: Rank = ALONE) -> None:
        super().__init__()
        self.folder, self.run, self.every_s, self.rank = folder, run, every_s, rank
        self._interrupted = False
        self.progress: Progress  # the callback listed before this one

    def restore(self, model: keras.Model) -> TrainingState:
        """The saved state, or a new one; restores the variables of `model`, which must be compiled."""
        variables = _variables(model)
        state, values = self._load(variables) if self.rank.is_coordinator else (TrainingState(), [])
        state.step, values = training.broadcast(self.rank, state.step, values, like=variables)
        if not state.step:
            return state
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        if self.rank.is_coordinator:
            note(f"going on at step {state.step:,}")
        return state

    def on_train_begin(self, logs=None) -> None:
        self._saved = time.monotonic()

    def on_train_batch_end(self, batch, logs=None) -> None:
        if not self.rank.is_coordinator:
            return
        step, n_steps = self.progress.state.step, self.progress.n_steps
        if self._interrupted or step == n_steps or time.monotonic() - self._saved >= self.every_s:
            self._save(logs)
        if self._interrupted:
            self.progress.draw(step, logs, last=True)
            raise Interrupted(f"interrupted; step {step:,} of {n_steps:,} is saved; the same command goes on")

    @contextmanager
    def handle_interrupts(self) -> Iterator[None]:
        """Meanwhile Ctrl-C takes effect after a save, at once if repeated; a worker leaves the first to the coordinator."""
        if threading.current_thread() is not threading.main_thread():  # Python handles signals only there
            yield
            return
        before = signal.signal(signal.SIGINT, self._on_interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _on_interrupt(self, number: int, frame: Any) -> None:
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True

    def _load(self, variables: list[Any]) -> tuple[TrainingState, list[np.ndarray]]:
        """The saved state and values if they fit the `variables`, else a new state and no values."""
        state, values = training_state.load(self.folder) or (TrainingState(), [])
        if values and [tuple(v.shape) for v in variables] != [v.shape for v in values]:
            training_state.set_aside(self.folder, "of another version of Keras")
            return TrainingState(), []
        return state, values

    def _save(self, logs: Any) -> None:
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()  # the trainer holds the variables outside the model
        values = [keras.ops.convert_to_numpy(variable) for variable in _variables(self.model)]
        state = self.progress.current_state(logs)
        training_state.save(self.folder, self.run, state, values)
        write_atomic(str(self.folder / "history.csv"), as_csv(state.rows))  # to look at; training.npz is what resumes
        self._saved = time.monotonic()


def _variables(model: keras.Model) -> list[Any]:
    return [*model.variables, *model.optimizer.variables]
