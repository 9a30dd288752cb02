"""Puts a training's state away now and then, and takes it up again.

`kill -9` loses at most `every_s` seconds, a kill inside a save included; Ctrl-C loses nothing.
"""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from edge.errors import Interrupted
from train import standing
from train.progress import Progress
from train.standing import Standing


class Keeper(keras.callbacks.Callback):
    """Saves the state of `run`, which says network, recipe and data, in `folder`: every `every_s` seconds and at Ctrl-C."""

    def __init__(self, folder: Path, run: dict[str, Any], *, every_s: float) -> None:
        super().__init__()
        self.folder, self.run, self.every_s = folder, run, every_s
        self._interrupted = False

    def restored(self, model: keras.Model) -> Standing:
        """Where the run stands; the variables of `model`, compiled, are then as they were."""
        found = standing.load(self.folder)
        if not found:
            return Standing()
        stood, values = found
        variables = _variables(model)
        if [tuple(v.shape) for v in variables] != [v.shape for v in values]:
            print(f"{self.folder / standing.FILE}: of another version of Keras; training from the beginning", file=sys.stderr)
            return Standing()
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        print(f"going on at step {stood.step:,}", file=sys.stderr)
        return stood

    def watching(self, progress: Progress) -> "Keeper":
        """Itself, to stand behind `progress` in the callbacks."""
        self.progress = progress
        return self

    def on_train_begin(self, logs=None) -> None:
        self._saved = time.monotonic()

    def on_train_batch_end(self, batch, logs=None) -> None:
        step, n_steps = self.progress.standing.step, self.progress.n_steps
        if self._interrupted or step == n_steps or time.monotonic() - self._saved >= self.every_s:
            self._save(logs)
        if self._interrupted:
            raise Interrupted(f"interrupted; step {step:,} of {n_steps:,} is saved; the same command goes on")

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Ctrl-C waits for the step to end, and for the save; a second one does not."""
        if threading.current_thread() is not threading.main_thread():  # where Python lets nobody listen
            yield
            return
        before = signal.signal(signal.SIGINT, self._on_interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def forget(self) -> None:
        """Remove what was saved: the run is done, or not worth going on with."""
        (self.folder / standing.FILE).unlink(missing_ok=True)

    def _on_interrupt(self, number: int, frame: Any) -> None:
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True

    def _save(self, logs: Any) -> None:
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()  # its trainer holds the variables outside the model
        values = [keras.ops.convert_to_numpy(variable) for variable in _variables(self.model)]
        standing.save(self.folder, self.run, self.progress.stand(logs), values)
        self._saved = time.monotonic()


def _variables(model: keras.Model) -> list[Any]:
    return [*model.variables, *model.optimizer.variables]
