"""What a run shows and keeps while it goes: a line with the time left, rows of history, TensorBoard events."""

import csv
import io
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, fields

import keras
import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from edge.errors import Refused
from train.recipes import Recipe

_BAR = 24


@dataclass(frozen=True)
class Row:
    """One row of history.csv; `loss` and `accuracy` are means since the row before."""

    step: int
    epoch: float
    seconds: float
    loss: float
    accuracy: float
    validation_accuracy: float | None


class Progress(keras.callbacks.Callback):
    """Keeps a `Row` every `recipe.log_every` steps, and draws the bar on stderr.

    `validate()` gives the validation accuracy; it is called once an epoch and at the end, or never where it is None.
    A row at which the loss or a weight is not finite ends the training with Refused.
    """

    def __init__(self, recipe: Recipe, *, n_train: int, validate: Callable[[], float] | None) -> None:
        super().__init__()
        self.recipe, self.n_train, self.validate = recipe, n_train, validate
        self.n_steps = recipe.n_steps(n_train)
        self.rows: list[Row] = []
        self._started = self._drawn = self._first_step_done = 0.0

    def on_train_begin(self, logs=None) -> None:
        self._started = time.monotonic()

    def on_train_batch_end(self, batch, logs=None) -> None:
        step = batch + 1
        if step == 1:
            self._first_step_done = self._drawn = time.monotonic()
        last = step == self.n_steps
        epoch_ends = step * self.recipe.batch // self.n_train > batch * self.recipe.batch // self.n_train
        if last or step % self.recipe.log_every == 0 or (epoch_ends and self.validate):
            if keras.backend.backend() == "jax":
                self.model.jax_state_sync()  # its trainer holds weights and metrics outside the model
            validation = self.validate() if self.validate and (epoch_ends or last) else None
            self._keep(step, {name: float(value) for name, value in logs.items()}, validation)
            self.model.reset_metrics()
            if trouble := self._trouble():
                self._draw(step, last=True)
                raise Refused(f"{trouble} at step {step}; try a --learning-rate below {self.recipe.rate:g}")
        self._draw(step, last=last)

    def _keep(self, step: int, logs: dict[str, float], validation: float | None) -> None:
        seconds = time.monotonic() - self._started
        epoch = step * self.recipe.batch / self.n_train
        self.rows.append(Row(step, round(epoch, 3), round(seconds, 2), logs["loss"], logs["accuracy"], validation))

    def _trouble(self) -> str | None:
        if not math.isfinite(self.rows[-1].loss):
            return f"the loss is {self.rows[-1].loss}"
        # TensorFlow's relu turns NaN into 0: dead weights can hide behind a finite loss.
        if not all(np.isfinite(weight).all() for weight in self.model.get_weights()):
            return "the weights are not finite"
        return None

    def _draw(self, step: int, *, last: bool) -> None:
        now = time.monotonic()
        on_screen = sys.stderr.isatty()
        if not last and now - self._drawn < (0.2 if on_screen else 10.0):
            return
        self._drawn = now
        # The first step compiles the network; it says nothing about the others.
        left = (now - self._first_step_done) / max(step - 1, 1) * (self.n_steps - step)
        bar = "=" * (_BAR * step // self.n_steps)
        latest = f"  loss {self.rows[-1].loss:.4f}  accuracy {self.rows[-1].accuracy:.4f}" if self.rows else ""
        line = f"[{bar:<{_BAR}}] step {step}/{self.n_steps}{latest}  {_clock(left)} left"
        print(f"\r{line}\x1b[K" if on_screen else line, end="\n" if last or not on_screen else "", file=sys.stderr, flush=True)


def as_csv(rows: list[Row]) -> bytes:
    """history.csv: a header and a line a row; an empty field where there is no value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [f.name for f in fields(Row)]
    writer.writerow(names)
    writer.writerows([getattr(row, name) for name in names] for row in rows)
    return text.getvalue().encode()


def write_events(rows: list[Row], folder: str, *, started: float) -> None:
    """TensorBoard scalars of `rows` in `folder`, through TensorBoard's own writer, which needs no TensorFlow.

    `started` is when training began, in seconds since 1970.
    """
    writer = EventFileWriter(folder)
    for row in rows:
        values = {"loss": row.loss, "accuracy": row.accuracy, "validation_accuracy": row.validation_accuracy}
        summary = Summary(value=[Summary.Value(tag=t, simple_value=v) for t, v in values.items() if v is not None])
        writer.add_event(Event(step=row.step, wall_time=started + row.seconds, summary=summary))
    writer.close()


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
