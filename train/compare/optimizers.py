"""The five optimizers, each at its usual rate, on one network with one recipe."""

import argparse

from edge.contract import DIGIT
from train import recipe_book, recipes
from train.architectures import networks_for
from train.compare.variants import HELD_OUT, TrainingVariant, VariantOutcome, margin, percent
from train.datasets import Dataset

FIVE = ("sgd", "momentum", "adagrad", "rmsprop", "adam")
_EPOCHS = 3.0
TITLE = "Optimizers compared"
CURVE = "loss"
ABOUT = (
    "Stochastic gradient descent, momentum, AdaGrad, RMSProp and Adam, everything else equal (the `modern` recipe with its "
    "own rate schedule and augmentation), each at its usual peak rate. The document describes the five and reports, for "
    "`deep-mnist` at the rate 1e-4, 0.9923 with Adam and 0.9296 with plain gradient descent."
)


def add_flags(flags: argparse.ArgumentParser) -> None:
    flags.add_argument("--arch", choices=networks_for(DIGIT), default="lenet5-relu", help="default: %(default)s")
    flags.add_argument("--epochs", type=float, metavar="N", help=f"passes over the training images (default: {_EPOCHS:g})")
    flags.add_argument("--steps", type=int, metavar="N", help="steps of each variant, in place of --epochs")


def variants(flags: argparse.Namespace) -> list[TrainingVariant]:
    base = recipe_book.recipe(flags.arch, "modern", data=flags.data)
    epochs = _EPOCHS if flags.epochs is None and flags.steps is None else flags.epochs
    given = {"epochs": epochs, "steps": flags.steps, "seed": flags.seed, "held_out": HELD_OUT, "log_every": 20}
    return [TrainingVariant.of(o, flags.arch, base, optimizer=o, learning_rate=recipes.USUAL_RATES[o], **given) for o in FIVE]


def measured(outcome: VariantOutcome, dataset: Dataset) -> dict[str, str]:
    return {
        "training loss, last tenth": f"{outcome.training_loss():.4f}",
        f"held-out accuracy (n = {len(outcome.variant.held_out(dataset)):,})": percent(outcome.accuracy(dataset)),
        "seconds": f"{outcome.figures['seconds']:.1f}",
    }


def finding(outcomes: list[VariantOutcome], dataset: Dataset) -> str:
    finished = sorted((o for o in outcomes if o.finished), key=lambda o: -o.accuracy(dataset))
    best, *others = finished
    n = len(best.variant.held_out(dataset))
    top = best.accuracy(dataset)
    ranked = ", ".join(f"{o.variant.name} {percent(o.accuracy(dataset))}" for o in finished)
    level = [o.variant.name for o in others if top - (a := o.accuracy(dataset)) <= margin(top, a, n=n)]
    least = min(finished, key=VariantOutcome.training_loss)
    sentences = [
        f"On the held-out images, in order: {ranked}.",
        f"Level with {best.variant.name} within chance (95 %): {', '.join(level) or 'none'}.",
        f"The training loss is least with {least.variant.name} ({least.training_loss():.4f}).",
    ]
    if len(finished) < len(outcomes):
        sentences.append(f"Diverged: {', '.join(o.variant.name for o in outcomes if not o.finished)}.")
    return " ".join(sentences)
