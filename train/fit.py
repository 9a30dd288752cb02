"""Fit a network to a training split by a recipe."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import keras
import numpy as np

from train import evaluate
from train.autosave import Autosave
from train.batches import Batches
from train.datasets import Split
from train.distributed.training import ALONE, Rank
from train.progress import Progress
from train.recipes import Recipe
from train.training_state import TrainingState

_WARM_UP = 0.2  # fraction of the steps


def fit(
    model: keras.Model, split: Split, recipe: Recipe, autosave: Autosave | None = None, *, rank: Rank = ALONE,
    outliers: np.ndarray | None = None,
) -> TrainingState:  # fmt: skip
    """Train `model` in place on `split` less what the recipe holds out, and return the final state.

    `autosave` saves the state periodically; the training resumes from a saved one. Raises Interrupted, and Diverged at the
    first row of the history after the loss or a weight stopped being finite.
    One of several processes trains on the rows of its `rank` in every batch, as the others do at the same time on theirs.
    With `recipe.averaging`, the final weights are their moving average. With `recipe.background`, the last output is trained
    on `outliers`, uint8 [n, H, W, C].
    """
    n_train = recipe.n_training(len(split))
    training, held_out = split[:n_train], split[n_train:]
    n_classes = model.output_shape[-1] - recipe.background

    def validation_accuracy() -> float:
        with _averaged(model, recipe):
            return evaluate.top1(evaluate.logits(model, held_out.images)[:, :n_classes], held_out.labels)

    n_steps = recipe.n_steps(n_train)
    model.compile(optimizer=optimizer(recipe, n_steps=n_steps), loss=loss(recipe), metrics=["accuracy"])
    model.optimizer.build(model.trainable_variables)
    state = autosave.restore(model) if autosave else TrainingState()
    validate = validation_accuracy if len(held_out) else None
    progress = Progress(recipe, state, n_train=n_train, validate=validate, shown=rank.is_coordinator)
    if state.step < n_steps:
        callbacks = [progress]
        if autosave:
            autosave.progress = progress
            callbacks.append(autosave)
        batches = Batches(training, recipe, first=state.step, rank=rank, outliers=outliers, n_classes=n_classes)
        with autosave.handle_interrupts() if autosave else nullcontext():
            # The whole run is one Keras epoch: batches are numbered by step, and a recipe's epochs may be fractional.
            model.fit(batches, epochs=1, shuffle=False, verbose=0, callbacks=callbacks)
    if recipe.averaging:
        model.optimizer.finalize_variable_values(model.trainable_variables)
    return state


@contextmanager
def _averaged(model: keras.Model, recipe: Recipe) -> Iterator[None]:
    """Gives `model` meanwhile the weights it would end with: with `recipe.averaging`, their moving average."""
    if not recipe.averaging:
        yield
        return
    variables = model.trainable_variables
    last = [_copied(variable) for variable in variables]
    model.optimizer.finalize_variable_values(variables)
    for variable in variables:
        # On JAX the variable now shares its memory with the average, which a prediction donates.
        variable.assign(_copied(variable))
    try:
        yield
    finally:
        for variable, value in zip(variables, last, strict=True):
            variable.assign(value)


def _copied(variable: keras.Variable) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(variable))


def optimizer(recipe: Recipe, *, n_steps: int) -> keras.optimizers.Optimizer:
    """The recipe's optimizer, with its learning-rate schedule over `n_steps` and its weight average."""
    rate = recipe.rate
    if recipe.schedule == "one-cycle":
        warm_up = round(n_steps * _WARM_UP)
        rate = keras.optimizers.schedules.CosineDecay(
            recipe.rate / 25, decay_steps=max(n_steps - warm_up, 1), warmup_target=recipe.rate, warmup_steps=warm_up
        )
    if recipe.schedule == "steps":
        # As He et al. 2016 (4.2) trained on CIFAR-10: a tenth at half, a hundredth at three quarters.
        bounds, rates = [n_steps // 2, n_steps * 3 // 4], [recipe.rate, recipe.rate / 10, recipe.rate / 100]
        rate = keras.optimizers.schedules.PiecewiseConstantDecay(bounds, rates)
    settings = {}
    if recipe.averaging:
        # A decay of 1 - 1/k averages over about k steps.
        settings = {"use_ema": True, "ema_momentum": 1 - 1 / max(recipe.averaging * n_steps, 1)}
    if recipe.weight_decay:
        settings["weight_decay"] = recipe.weight_decay
    make = {
        "sgd": keras.optimizers.SGD,
        "momentum": lambda rate, **more: keras.optimizers.SGD(rate, momentum=0.9, **more),
        "adagrad": keras.optimizers.Adagrad,
        "rmsprop": keras.optimizers.RMSprop,
        "adadelta": keras.optimizers.Adadelta,  # ρ 0.95
        "adam": keras.optimizers.Adam,
    }[recipe.optimizer]
    chosen = make(rate, **settings)
    if recipe.weight_decay:
        chosen.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "coefficient"])
    return chosen


class CrossEntropy(keras.losses.Loss):
    """Softmax cross-entropy of logits [N, K] and labels [N]; `smoothing` is spread over all classes."""

    def __init__(self, *, smoothing: float, reduction: str) -> None:
        super().__init__(name="cross_entropy", reduction=reduction)
        self.smoothing = smoothing

    def call(self, y_true, y_pred):
        n_classes = y_pred.shape[-1]
        target = keras.ops.one_hot(keras.ops.reshape(y_true, (-1,)), n_classes, dtype=y_pred.dtype)
        target = target * (1 - self.smoothing) + self.smoothing / n_classes
        return keras.ops.categorical_crossentropy(target, y_pred, from_logits=True)


def loss(recipe: Recipe) -> keras.losses.Loss:
    """The recipe's loss: softmax cross-entropy of logits, summed or averaged over the batch."""
    reduction = "sum" if recipe.loss_reduction == "sum" else "sum_over_batch_size"
    return CrossEntropy(smoothing=recipe.label_smoothing, reduction=reduction)
