"""The two pictures of a run: its curves, and six test pictures with the answers."""

import io

import numpy as np
from matplotlib.figure import Figure

from train.datasets import Split
from train.progress import Row


def curves(rows: list[Row], *, title: str) -> bytes:
    """Loss and accuracy over the steps, as a PNG."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    figure.suptitle(title)
    left, right = figure.subplots(1, 2)
    steps = [row.step for row in rows]
    left.plot(steps, [row.loss for row in rows], label="training")
    left.set(xlabel="step", ylabel="loss", yscale="log")
    right.plot(steps, [row.accuracy for row in rows], label="training")
    validated = [row for row in rows if row.validation_accuracy is not None]
    if validated:
        right.plot([r.step for r in validated], [r.validation_accuracy for r in validated], "o-", label="validation")
    right.set(xlabel="step", ylabel="accuracy")
    right.legend(loc="lower right")
    return _png(figure)


def predictions(split: Split, answers: np.ndarray, class_names: tuple[str, ...]) -> bytes:
    """The first six pictures of `split` in a 2x3 grid, each titled with its label and the answer, as a PNG."""
    figure = Figure(figsize=(6, 4.4), layout="constrained")
    for axes, image, label, row in zip(figure.subplots(2, 3).flat, split.images, split.labels, answers, strict=False):
        axes.imshow(image.squeeze(), cmap="gray" if image.shape[-1] == 1 else None)
        axes.set_title(f"Actual: {class_names[label]} Pred: {class_names[row.argmax()]}")
        axes.axis("off")
    return _png(figure)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()
