"""The statistics behind every claim about pixels: is one convention better, is an answer more than guessing, how many agree."""

import numpy as np
from scipy import special

N_PERMUTATIONS = 999
MAX_CHANCE = 0.01
# No advice whose answers are near chance: of what lies between guessing and all right, a tenth; or near one class.
_LEAST_SKILL = 0.1


def mcnemar(gained: int, lost: int) -> float:
    """The exact one-sided p of McNemar's test: as many of the differing pairs gained or more, by chance (binomial, a half)."""
    return float(special.bdtrc(gained - 1, gained + lost, 0.5)) if gained else 1.0


def balanced_accuracy(answers: np.ndarray, labels: np.ndarray) -> float:
    """The mean over the classes that occur of the share answered right, from 0 to 1; int [N] both."""
    right, n = np.bincount(labels, weights=answers == labels), np.bincount(labels)
    return float(np.mean(right[n > 0] / n[n > 0]))


def chance(answers: np.ndarray, labels: np.ndarray, *, seed: int = 0) -> float:
    """The p of a permutation test: how often labels in another order would give this balanced accuracy or a higher one.

    However often a class is answered, labels that say nothing give 1 / classes on average. Source of the estimate
    (1 + higher) / (1 + permutations): Phipson and Smyth, "Permutation p-values should never be zero" (2010).
    """
    weights = 1 / np.bincount(labels, minlength=max(labels.max(), answers.max()) + 1).clip(1)[labels]
    observed = float((weights * (answers == labels)).sum())
    rng = np.random.default_rng(seed)
    orders = (rng.permutation(len(labels)) for _ in range(N_PERMUTATIONS))
    higher = sum(float((weights * (answers[order] == labels)).sum()) >= observed - 1e-9 for order in orders)
    return (1 + higher) / (1 + N_PERMUTATIONS)


def is_sound(answers: np.ndarray, labels: np.ndarray) -> bool:
    """Whether `answers`, int [N], are clearly better than guessing, and not nearly all of one class."""
    n_classes = len(np.unique(labels))
    if n_classes < 2:
        return False  # of one class, answering that always would be right
    skill = (balanced_accuracy(answers, labels) - 1 / n_classes) / (1 - 1 / n_classes)
    commonest, answered = (np.bincount(each).max() / len(labels) for each in (labels, answers))
    return skill >= _LEAST_SKILL and answered <= (1 + commonest) / 2 and chance(answers, labels) < MAX_CHANCE


def interval(agreeing: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson's interval for the share that agrees, as fractions (two-sided)."""
    tail = (1 - level) / 2
    low = 0.0 if agreeing == 0 else float(special.betaincinv(agreeing, n - agreeing + 1, tail))
    return low, 1.0 if agreeing == n else float(special.betaincinv(agreeing + 1, n - agreeing, 1 - tail))


def disagreement_bound(agreeing: int, n: int) -> float:
    """The one-sided 95 % bound of the share that disagrees: 59 of 59 agreeing give 4.95 %."""
    return 1 - interval(agreeing, n, level=0.90)[0]


def best_order(answers: np.ndarray, labels: np.ndarray, n_classes: int) -> np.ndarray:
    """For each label the class whose answers suit it best, each used once: int [K]; the assignment most images agree with."""
    from scipy.optimize import linear_sum_assignment  # a third of a second

    table = np.zeros((n_classes, n_classes), np.int64)
    np.add.at(table, (labels, answers), 1)
    # Where the images say nothing, the order stays.
    return np.asarray(linear_sum_assignment(table + 0.5 * np.eye(n_classes) / n_classes, maximize=True)[1])
