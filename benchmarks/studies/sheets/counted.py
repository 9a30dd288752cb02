"""How many sheets of a kind end how, by each fit: in a module of its own, so that several processes can share the work."""

from collections import Counter

from PIL import Image

from benchmarks.studies.sheets import made
from edge import predictor
from edge.contract import DIGIT, DIGIT2, InputContract
from edge.errors import InputError
from edge.locate import shipped_model
from edge.pictures.decode import fit
from edge.predictor import Predictor
from train.datasets import mnist

FITS = {"digit": DIGIT, "digit2": DIGIT2}


def outcome(ready: Predictor, picture: Image.Image, label: int | None, contract: InputContract) -> str:
    """`right`, `wrong` or `refused`; an answer where there is no digit is wrong."""
    try:
        answer = ready.answer(fit(picture, contract))
    except InputError:
        return "refused"
    if answer.rejected:
        return "refused"
    return "right" if answer.label == str(label) else "wrong"


def measure(name: str, *, n: int, seed: int) -> dict[str, Counter[str]]:
    """By fit, how many of `n` sheets of the kind called `name` end how."""
    (kind,) = (kind for kind in made.KINDS if kind.name == name)
    ready, test = predictor.load(shipped_model(), trusted=True), mnist.load().test
    digits = (test.images[..., 0], test.labels)
    counts: dict[str, Counter[str]] = {fit_name: Counter() for fit_name in FITS}
    for number in range(n):
        picture, label = made.draw(kind, number, digits, seed=seed)
        for fit_name, contract in FITS.items():
            counts[fit_name][outcome(ready, picture, label, contract)] += 1
    return counts
