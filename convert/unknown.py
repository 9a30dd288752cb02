"""Units that tell a picture of the kind a network was trained for from any other (docs/decisions/0016).

A hidden layer of a few units is fitted on what the network's last layer takes: training images against made outliers
(train/outliers). The network itself is not changed. The units become its second output, in every format and precision, and the
device adds them up (edge/confidence.py, kind `units`).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from convert.interfaces import TrainedNetwork
from edge.contract import InputContract
from edge.silence import silence_native_output
from train import evaluate, outliers
from train.datasets import Split
from train.redrawn import redrawn

if TYPE_CHECKING:
    import keras

    from train.architectures.widen import Units

MAX_UNITS, MIN_UNITS = 48, 6
MAX_WEIGHTS = 16_384  # bytes at int8, unless MIN_UNITS need more
N_GENUINE, N_OUTLIERS, LEAST = 8_000, 14_000, 500
N_REDRAWN = 3_000  # of genuine digits, and as many varied ones, each counted twice
_LETTERS = 0.8  # of the glyphs: what passes for a digit most
MAX_VALUES = 100_000_000  # bytes of pixels, unless LEAST images are more: 664 of 224x224x3
_EPOCHS, _LEAST_STEPS, _BATCH, _RATE, _DECAY = 20, 1_000, 256, 3e-3, 1e-4
_MIN_DEVIATION = 0.1  # of the mean one: what hardly varies in training may still say much, but is not blown up


@dataclass(frozen=True, eq=False)
class WithUnits:
    """`trained` with `units` for a second output, None: without, and without a background class's output."""

    trained: TrainedNetwork
    units: "Units | None"

    def build(self, *, batch_size: int | None = None) -> "keras.Model":
        """pixels → logits, float32 [N, K]."""
        from train.architectures.widen import first_outputs

        model, n = self.trained.build(batch_size=batch_size), len(self.class_names)
        return model if model.output_shape[-1] == n else first_outputs(model, n)

    @property
    def network(self) -> str:
        return self.trained.network

    @property
    def data(self) -> str:
        return self.trained.data

    @property
    def data_digest(self) -> str:
        return self.trained.data_digest

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.trained.class_names

    @property
    def contract(self) -> InputContract:
        return self.trained.contract

    @property
    def name(self) -> str:
        return self.trained.name

    @property
    def provenance(self) -> dict[str, object]:
        return self.trained.provenance


def with_units(network: TrainedNetwork, training: Split, *, seed: int = 0, wanted: bool = True) -> TrainedNetwork:
    """`network` with units fitted on its `training` images; `network` itself where it does not end in a dense layer or a 1x1
    convolution, and where units are not `wanted` and it has no background class to leave out.
    """
    with silence_native_output():  # TensorFlow announces itself
        from train.architectures.widen import features_of

    model = network.build()
    features, n_classes = features_of(model), len(network.class_names)
    if features is None or not (wanted or model.output_shape[-1] > n_classes):
        return network
    if not wanted:
        return WithUnits(network, None)
    n_genuine = min(len(training), N_GENUINE, max(LEAST, MAX_VALUES // training.images[0].size))
    genuine = training.images[np.sort(np.random.default_rng(seed).permutation(len(training))[:n_genuine])]
    n_outliers = min(N_OUTLIERS, max(LEAST, 2 * n_genuine), max(LEAST, MAX_VALUES // genuine[0].size))
    if network.contract.is_digit:  # else the traces of redrawing, which the made glyphs have, would tell them
        again = redrawn(genuine[:N_REDRAWN], network.contract, seed=seed)
        varied = redrawn(genuine[-N_REDRAWN:], network.contract, seed=seed, varied=True)
        genuine = np.concatenate([genuine, again, again, varied, varied])
    inside = evaluate.logits(features, genuine)
    made = outliers.made(training, network.contract, n=n_outliers, seed=seed, letters=_LETTERS)
    outside = evaluate.logits(features, made)
    if not (np.isfinite(inside).all() and np.isfinite(outside).all()):
        return network  # whose answers are no numbers either: it is refused
    return WithUnits(network, fit(inside, outside, n_units(inside.shape[1], n_classes), seed=seed))


def n_units(n_features: int, n_classes: int) -> int:
    """How many units are fitted on `n_features` values: MAX_UNITS, halved until MAX_WEIGHTS hold them; never as many as there
    are classes, so that neither output can be taken for the other.
    """
    n = MAX_UNITS
    while n > MIN_UNITS and n * n_features > MAX_WEIGHTS:
        n //= 2
    return n - 2 if n == n_classes else n


def fit(inside: np.ndarray, outside: np.ndarray, n: int, *, seed: int = 0) -> "Units":
    """`n` units fitted on features, float32 [N, D], of either kind.

    The sum of the first half's values less the sum of the second half's is a logit, but for a constant: the greater, the more
    like what lies `outside`. Cross-entropy, both kinds weighing the same, by Adam (Kingma, Ba 2015). One in a thousand positive
    values is above `highest`.
    """
    from train.architectures.widen import Units

    x = np.concatenate([inside, outside]).astype(np.float32)
    mean, deviation = inside.mean(axis=0), inside.std(axis=0)
    deviation += max(_MIN_DEVIATION * float(deviation.mean()), 1e-12)
    x = (x - mean) / deviation
    is_outside = np.concatenate([np.zeros(len(inside), np.float32), np.ones(len(outside), np.float32)])
    weight = np.where(is_outside, len(x) / (2 * len(outside)), len(x) / (2 * len(inside))).astype(np.float32)
    kernel, bias = _adam(x, is_outside, weight, n, np.random.default_rng(seed))
    positive = np.maximum(x @ kernel + bias, 0)
    highest = float(np.quantile(positive[positive > 0], 0.999)) if positive.any() else 1.0
    kernel /= deviation[:, None]
    return Units(kernel.astype(np.float32), (bias - mean @ kernel).astype(np.float32), highest)


def _adam(x: np.ndarray, y: np.ndarray, weight: np.ndarray, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias of `n` units for standardized features `x`, with targets `y` and weights, both float32 [N]."""
    signs = np.concatenate([np.ones(n // 2, np.float32), -np.ones(n // 2, np.float32)])
    kernel = rng.normal(0, np.sqrt(0.5 / x.shape[1]), (x.shape[1], n)).astype(np.float32)
    parameters = [kernel, np.zeros(n, np.float32), np.zeros(1, np.float32)]
    first, second = ([np.zeros_like(p) for p in parameters] for _ in range(2))
    batch = min(_BATCH, len(x))
    n_epochs = max(_EPOCHS, -(-_LEAST_STEPS // (len(x) // batch)))
    n_steps, step = n_epochs * (len(x) // batch), 0
    for _ in range(n_epochs):
        order = rng.permutation(len(x))
        for start in range(0, len(x) - batch + 1, batch):
            rows = order[start : start + batch]
            step += 1
            sums = x[rows] @ parameters[0] + parameters[1]
            logit = np.maximum(sums, 0) @ signs + parameters[2]
            error = weight[rows] * (1 / (1 + np.exp(-np.clip(logit, -60, 60))) - y[rows]) / batch
            into = error[:, None] * signs * (sums > 0)
            rate = _RATE * (1 + np.cos(np.pi * step / n_steps)) / 2
            for p, gradient, m, v in zip(
                parameters, (x[rows].T @ into, into.sum(0), error.sum(keepdims=True)), first, second, strict=True
            ):
                m += 0.1 * (gradient - m)
                v += 0.001 * (gradient**2 - v)
                p -= rate * (m / (1 - 0.9**step) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8) + _DECAY * p * (p.ndim > 1))
    return parameters[0], parameters[1]
