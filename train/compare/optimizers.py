"""The five optimizers, each at its usual rate, on one network with one recipe."""

import argparse

from edge.contract import DIGIT
from train import recipe_book, recipes
from train.architectures import networks_for
from train.compare.variants import HELD_OUT, Comparison, Leg, Outcome, accuracy, held_out, leg, margin, percent, training_loss
from train.datasets import Dataset

FIVE = ("sgd", "momentum", "adagrad", "rmsprop", "adam")
_EPOCHS = 3.0


def add_flags(flags: argparse.ArgumentParser) -> None:
    flags.add_argument("--arch", choices=networks_for(DIGIT), default="lenet5-relu", help="default: %(default)s")
    flags.add_argument("--epochs", type=float, metavar="N", help=f"passes over the training pictures (default: {_EPOCHS:g})")
    flags.add_argument("--steps", type=int, metavar="N", help="steps of each leg, in place of --epochs")


def legs(flags: argparse.Namespace) -> list[Leg]:
    base = recipe_book.recipe(flags.arch, "modern", data=flags.data)
    epochs = _EPOCHS if flags.epochs is None and flags.steps is None else flags.epochs
    given = {"epochs": epochs, "steps": flags.steps, "seed": flags.seed, "held_out": HELD_OUT, "log_every": 20}
    return [leg(o, flags.arch, base, optimizer=o, learning_rate=recipes.USUAL_RATES[o], **given) for o in FIVE]


def measured(outcome: Outcome, dataset: Dataset) -> dict[str, str]:
    return {
        "training loss, last tenth": f"{training_loss(outcome):.4f}",
        f"held-out accuracy (n = {len(held_out(outcome.leg, dataset)):,})": percent(accuracy(outcome, dataset)),
        "seconds": f"{outcome.figures['seconds']:.1f}",
    }


def finding(outcomes: list[Outcome], dataset: Dataset) -> str:
    finished = sorted((o for o in outcomes if o.finished), key=lambda o: -accuracy(o, dataset))
    best, *others = finished
    n = len(held_out(best.leg, dataset))
    top = accuracy(best, dataset)
    ranked = ", ".join(f"{o.leg.name} {percent(accuracy(o, dataset))}" for o in finished)
    level = [o.leg.name for o in others if top - (a := accuracy(o, dataset)) <= margin(top, a, n=n)]
    least = min(finished, key=training_loss)
    said = [
        f"On the held-out pictures, in order: {ranked}.",
        f"Level with {best.leg.name} within chance (95 %): {', '.join(level) or 'none'}.",
        f"The training loss is least with {least.leg.name} ({training_loss(least):.4f}).",
    ]
    if len(finished) < len(outcomes):
        said.append(f"Diverged: {', '.join(o.leg.name for o in outcomes if not o.finished)}.")
    return " ".join(said)


COMPARISON = Comparison(
    title="Optimizers compared",
    about=(
        "Stochastic gradient descent, momentum, AdaGrad, RMSProp and Adam, everything else equal (the `modern` recipe with its "
        "own rate schedule and augmentation), each at its usual peak rate. The document describes the five and reports, for "
        "`deep-mnist` at the rate 1e-4, 0.9923 with Adam and 0.9296 with plain gradient descent."
    ),
    curve="loss",
    add_flags=add_flags,
    legs=legs,
    measured=measured,
    finding=finding,
)
