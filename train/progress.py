"""The progress of a run: a bar with the time left, rows of history.csv, TensorBoard events."""

import csv
import io
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import fields

import keras
import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from edge.errors import note
from train.recipes import Recipe
from train.training_state import Diverged, HistoryRow, TrainingState

_BAR = 24


class Progress(keras.callbacks.Callback):
    """Adds a `HistoryRow` to `state` every `recipe.log_every` steps, and draws the bar on stderr if `shown`.

    `validate()`, if given, returns the validation accuracy (0 to 1); it is called once per epoch and at the end.
    Raises Diverged at a row where the loss or a weight is not finite.
    """

    def __init__(
        self, recipe: Recipe, state: TrainingState, *, n_train: int, validate: Callable[[], float] | None, shown: bool = True
    ) -> None:
        super().__init__()
        self.recipe, self.state, self.n_train, self.validate, self.shown = recipe, state, n_train, validate, shown
        self.n_steps = recipe.n_steps(n_train)
        # A run interrupted between two rows resumes with the sums of the steps since the last one.
        self._carried = state.step - state.last_row, state.loss_sum, state.accuracy_sum

    def on_train_begin(self, logs=None) -> None:
        before = self.state
        self._first_step, self._seconds_before, self._cpu_before = before.step, before.seconds, before.cpu_seconds
        self._cpu_started = time.process_time()
        self._started = self._first_step_done = self._drawn = time.monotonic()

    def on_train_batch_end(self, batch, logs=None) -> None:
        step = self.state.step = self._first_step + batch + 1
        if batch == 0:
            self._first_step_done = self._drawn = time.monotonic()
        last = step == self.n_steps
        epoch_ends = step * self.recipe.batch // self.n_train > (step - 1) * self.recipe.batch // self.n_train
        if last or step % self.recipe.log_every == 0 or (epoch_ends and self.validate):
            if keras.backend.backend() == "jax":
                self.model.jax_state_sync()  # the trainer holds weights and metrics outside the model
            validation = self.validate() if self.validate and (epoch_ends or last) else None
            self._keep(step, logs, validation)
            if trouble := self._trouble():
                self.draw(step, logs, last=True)
                raise Diverged(f"{trouble} at step {step}; try a --learning-rate below {self.recipe.rate:g}", step=step)
        self.draw(step, logs, last=last)

    def current_state(self, logs) -> TrainingState:
        """The state after the step that just ended; `logs` are Keras's means since the last reset."""
        state = self.state
        state.seconds = round(self._seconds_before + time.monotonic() - self._started, 2)
        state.cpu_seconds = round(self._cpu_before + time.process_time() - self._cpu_started, 2)
        n_carried, loss_sum, accuracy_sum = self._carried
        n_since = state.step - state.last_row - n_carried
        state.loss_sum = loss_sum + n_since * float(logs["loss"])
        state.accuracy_sum = accuracy_sum + n_since * float(logs["accuracy"])
        return state

    def _keep(self, step: int, logs, validation: float | None) -> None:
        state = self.current_state(logs)
        n = step - state.last_row
        epoch = round(step * self.recipe.batch / self.n_train, 3)
        state.rows.append(HistoryRow(step, epoch, state.seconds, state.loss_sum / n, state.accuracy_sum / n, validation))
        state.loss_sum = state.accuracy_sum = 0.0
        self._carried = 0, 0.0, 0.0
        self.model.reset_metrics()

    def _trouble(self) -> str | None:
        if not math.isfinite(self.state.rows[-1].loss):
            return f"the loss is {self.state.rows[-1].loss}"
        # TensorFlow's relu turns NaN into 0, so that a finite loss can hide weights that are not.
        if not all(np.isfinite(weight).all() for weight in self.model.get_weights()):
            return "the weights are not finite"
        return None

    def draw(self, step: int, logs, *, last: bool) -> None:
        """Draws the bar if it is due; the `last` one always, with a line end."""
        now = time.monotonic()
        on_screen = sys.stderr.isatty()
        if not self.shown or (not last and now - self._drawn < (0.2 if on_screen else 10.0)):
            return
        self._drawn = now
        # The first step compiles the network, so its duration does not count.
        left = (now - self._first_step_done) / max(step - self._first_step - 1, 1) * (self.n_steps - step)
        rows = self.state.rows
        loss, accuracy = (rows[-1].loss, rows[-1].accuracy) if rows else (float(logs["loss"]), float(logs["accuracy"]))
        text = f"step {step}/{self.n_steps}  loss {loss:.4f}  accuracy {accuracy:.4f}  {_clock(left)} left"
        # A line as wide as the screen would wrap.
        room = (os.get_terminal_size(sys.stderr.fileno()).columns or 80) - 1 if on_screen else 128
        width = min(_BAR, room - len(text) - 3)
        bar = f"[{'=' * (width * step // self.n_steps):<{width}}] " if width > 0 else ""
        line = f"{bar}{text}"[:room]
        note(f"\r{line}\x1b[K" if on_screen else line, end="\n" if last or not on_screen else "")


def as_csv(rows: list[HistoryRow]) -> bytes:
    """The content of history.csv: a header and a line per row; a missing value is an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [f.name for f in fields(HistoryRow)]
    writer.writerow(names)
    writer.writerows([getattr(row, name) for name in names] for row in rows)
    return text.getvalue().encode()


def as_events(rows: list[HistoryRow], *, started: float) -> bytes:
    """`rows` as a TensorBoard event file; `started` is in seconds since 1970. EventFileWriter would import TensorFlow."""
    file = io.BytesIO()
    writer = RecordWriter(file)
    writer.write(Event(wall_time=started, file_version="brain.Event:2").SerializeToString())
    for row in rows:
        values = {"loss": row.loss, "accuracy": row.accuracy, "validation_accuracy": row.validation_accuracy}
        summary = Summary(value=[Summary.Value(tag=t, simple_value=v) for t, v in values.items() if v is not None])
        writer.write(Event(step=row.step, wall_time=started + row.seconds, summary=summary).SerializeToString())
    return file.getvalue()


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
