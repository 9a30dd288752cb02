"""Fit a network to a training split as a recipe says."""

import keras

from train import evaluate
from train.batches import Batches
from train.datasets import Split
from train.progress import Progress, Row
from train.recipes import Recipe

_WARM_UP = 0.2  # share of the steps


def fit(model: keras.Model, split: Split, recipe: Recipe) -> list[Row]:
    """Train `model` in place on `split` less what the recipe holds out, and return the history.

    Raises Refused where the loss or a weight stops being finite, at the next row of the history.
    With `recipe.averaging` the model ends with the moving average of its weights, not the last ones.
    """
    n_train = recipe.n_training(len(split))
    training, held_out = split[:n_train], split[n_train:]

    def validation_accuracy() -> float:
        return evaluate.top1(evaluate.logits(model, held_out.images), held_out.labels)

    batches = Batches(training, recipe)
    progress = Progress(recipe, n_train=n_train, validate=validation_accuracy if len(held_out) else None)
    model.compile(
        optimizer=optimizer(recipe, n_steps=len(batches)),
        loss=loss(recipe),
        metrics=["accuracy"],
    )
    # One Keras "epoch" is the whole run: batches are numbered by step, and the recipe's own epochs may be fractions.
    model.fit(batches, epochs=1, shuffle=False, verbose=0, callbacks=[progress])
    if recipe.averaging:
        model.optimizer.finalize_variable_values(model.trainable_variables)
    return progress.rows


def optimizer(recipe: Recipe, *, n_steps: int) -> keras.optimizers.Optimizer:
    """The optimizer the recipe names, with its schedule over `n_steps` and its weight average."""
    rate = recipe.rate
    if recipe.schedule == "one-cycle":
        warm_up = round(n_steps * _WARM_UP)
        rate = keras.optimizers.schedules.CosineDecay(
            recipe.rate / 25, decay_steps=max(n_steps - warm_up, 1), warmup_target=recipe.rate, warmup_steps=warm_up
        )
    average = {"use_ema": True, "ema_momentum": recipe.averaging} if recipe.averaging else {}
    make = {
        "sgd": keras.optimizers.SGD,
        "momentum": lambda rate, **more: keras.optimizers.SGD(rate, momentum=0.9, **more),
        "adagrad": keras.optimizers.Adagrad,
        "rmsprop": keras.optimizers.RMSprop,
        "adam": keras.optimizers.Adam,
    }[recipe.optimizer]
    return make(rate, **average)


class CrossEntropy(keras.losses.Loss):
    """Softmax cross-entropy of logits [N, K] against labels [N], `smoothing` of the target spread over all classes."""

    def __init__(self, *, smoothing: float, reduction: str) -> None:
        super().__init__(name="cross_entropy", reduction=reduction)
        self.smoothing = smoothing

    def call(self, y_true, y_pred):
        n_classes = y_pred.shape[-1]
        target = keras.ops.one_hot(keras.ops.reshape(y_true, (-1,)), n_classes, dtype=y_pred.dtype)
        target = target * (1 - self.smoothing) + self.smoothing / n_classes
        return keras.ops.categorical_crossentropy(target, y_pred, from_logits=True)


def loss(recipe: Recipe) -> keras.losses.Loss:
    """Softmax cross-entropy on logits, summed or averaged over the batch."""
    reduction = "sum" if recipe.loss_reduction == "sum" else "sum_over_batch_size"
    return CrossEntropy(smoothing=recipe.label_smoothing, reduction=reduction)
