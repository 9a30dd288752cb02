"""The plots of a run (curves, six test images with their answers, the network) and of a comparison, as PNG."""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from train.datasets import Split
from train.training_state import HistoryRow

if TYPE_CHECKING:
    import keras


def curves(rows: list[HistoryRow], *, title: str) -> bytes:
    """Loss and accuracy over the steps."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    figure.suptitle(title)
    left, right = figure.subplots(1, 2)
    steps, dots = [row.step for row in rows], "o-" if len(rows) < 10 else "-"  # a line through one point is invisible
    left.plot(steps, [row.loss for row in rows], dots, label="training")
    left.set(xlabel="step", ylabel="loss", yscale="log")
    right.plot(steps, [row.accuracy for row in rows], dots, label="training")
    validated = [row for row in rows if row.validation_accuracy is not None]
    if validated:
        right.plot([r.step for r in validated], [r.validation_accuracy for r in validated], "o-", label="validation")
    right.set(xlabel="step", ylabel="accuracy")
    right.legend(loc="lower right")
    return _png(figure)


def compared(runs: Mapping[str, Sequence[HistoryRow]], *, of: str, title: str) -> bytes:
    """The training loss or accuracy (`of`) over the steps, one line per run."""
    figure = Figure(figsize=(7, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.set(title=title, xlabel="step", ylabel=f"training {of}", yscale="log" if of == "loss" else "linear")
    for name, rows in runs.items():
        axes.plot([row.step for row in rows], [getattr(row, of) for row in rows], label=name, linewidth=1.2)
    axes.legend()
    return _png(figure)


def predictions(split: Split, answers: np.ndarray, class_names: tuple[str, ...]) -> bytes:
    """The first six images of `split` in a 2x3 grid, each titled with its label and its answer."""
    figure = Figure(figsize=(6, 4.4), layout="constrained")
    for axes, image, label, row in zip(figure.subplots(2, 3).flat, split.images, split.labels, answers, strict=False):
        axes.imshow(image.squeeze(), cmap="gray" if image.shape[-1] == 1 else None)
        axes.set_title(f"Actual: {class_names[label]} Pred: {class_names[row.argmax()]}")
        axes.axis("off")
    return _png(figure)


def network(model: "keras.Model") -> bytes:
    """The layers of `model` from top to bottom, each with its output shape and its number of parameters."""
    from matplotlib.patches import FancyArrowPatch

    rows = {layer.name: row for row, layer in enumerate(model.layers)}
    figure = Figure(figsize=(5.2, 0.42 * len(rows) + 0.6), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(0, 1), ylim=(len(rows) + 0.2, -1.2))
    axes.axis("off")
    axes.set_title(f"{model.name}: {model.count_params():,} parameters")
    for layer, row in zip(model.layers, rows.values(), strict=True):
        shape = "×".join(map(str, layer.output.shape[1:]))
        size = f"{layer.count_params():,}" if layer.count_params() else ""
        box = {"boxstyle": "round,pad=0.3", "facecolor": "#e8eef7" if size else "#f5f5f5", "edgecolor": "#7a8aa0"}
        axes.text(0.5, row, f"{layer.name}  {type(layer).__name__}", ha="center", va="center", fontsize=8, bbox=box)
        axes.text(0.02, row, shape, va="center", fontsize=8, family="monospace")
        axes.text(0.98, row, size, va="center", ha="right", fontsize=8, family="monospace")
        for node in layer._inbound_nodes:
            for source in node.parent_nodes:
                start = rows.get(source.operation.name, -1)  # -1: the input of a Sequential is not among its layers
                bend = 0 if row - start == 1 else -0.5  # around the layers in between
                arrow = FancyArrowPatch(
                    (0.5, start + 0.3) if not bend else (0.67, start), (0.5, row - 0.3) if not bend else (0.67, row),
                    arrowstyle="-|>", mutation_scale=7, connectionstyle=f"arc3,rad={bend}", color="#7a8aa0",
                )  # fmt: skip
                axes.add_patch(arrow)
    return _png(figure)


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()
