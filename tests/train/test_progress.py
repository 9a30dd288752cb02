"""What a training shows: one line of the screen, whatever the screen's width, and curves that can be seen."""

import fcntl
import io
import os
import struct
import sys
import termios

import numpy as np
import pytest
from PIL import Image

from train import plots
from train.progress import Progress
from train.recipes import Recipe
from train.training_state import HistoryRow, TrainingState

LOGS = {"loss": 0.12345, "accuracy": 0.98765}


@pytest.fixture
def drawn(monkeypatch):
    """What step 5,000 of 20,000 draws on a screen of so many columns."""

    def draw(columns: int) -> str:
        master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        with os.fdopen(slave, "w") as screen, os.fdopen(master, "rb", buffering=0) as terminal:
            monkeypatch.setattr(sys, "stderr", screen)
            progress = Progress(Recipe(epochs=0, steps=20_000), TrainingState(), n_train=60_000, validate=None)
            progress.on_train_begin()
            progress.draw(5_000, LOGS, last=True)
            monkeypatch.undo()
            return terminal.read(1024).decode().removeprefix("\r").removesuffix("\x1b[K\r\n")

    return draw


@pytest.mark.parametrize(("columns", "width"), [(100, 24), (80, 20), (70, 10), (58, 0), (0, 20)])
def test_the_bar_shrinks_to_the_screen_and_says_loss_and_accuracy_before_the_first_row(drawn, columns, width):
    bar = f"[{'=' * (width // 4):<{width}}] " if width else ""
    assert drawn(columns).rsplit("  ", 1)[0] == f"{bar}step 5000/20000  loss 0.1235  accuracy 0.9877"
    assert len(drawn(columns)) < (columns or 80)


def test_a_screen_too_narrow_for_the_words_gets_their_beginning(drawn):
    assert drawn(30) == "step 5000/20000  loss 0.1235 "


@pytest.mark.parametrize("n_rows", [1, 2, 40])
def test_curves_of_few_rows_can_be_seen(n_rows):
    rows = [HistoryRow(step, 1.0, 1.0, 2.0 / step, 0.5, None) for step in range(1, n_rows + 1)]
    picture = np.asarray(Image.open(io.BytesIO(plots.curves(rows, title=""))).convert("RGB")).astype(int)
    blue = (abs(picture - (31, 119, 180)).sum(axis=2) < 10)[:, : picture.shape[1] // 2]  # matplotlib's first colour
    assert blue.sum() > 20
