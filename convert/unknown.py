"""Units beside the logits that tell a picture of the kind a network was trained for from any other (docs/decisions/0016).

A hidden layer of a few units is fitted on what the network's last layer takes: training images against made outliers
(train/outliers). The network itself is not changed. The units become further outputs of that last layer, so that every format,
precision, engine and the C program run them as they are; the device adds them up (edge/confidence.py, kind `units`).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from convert.interfaces import TrainedNetwork
from edge.contract import InputContract
from train import evaluate, outliers
from train.datasets import Split
from train.redrawn import redrawn

if TYPE_CHECKING:
    import keras

MAX_UNITS, MIN_UNITS = 48, 6
MAX_WEIGHTS = 16_384  # bytes at int8, unless MIN_UNITS need more
N_GENUINE, N_OUTLIERS, LEAST = 8_000, 8_000, 500
N_REDRAWN = 1_500  # of genuine digits, each counted twice
MAX_VALUES = 100_000_000  # bytes of pixels, unless LEAST images are more: 664 of 224x224x3
_EPOCHS, _LEAST_STEPS, _BATCH, _RATE, _DECAY = 20, 1_000, 256, 3e-3, 1e-4
_MIN_DEVIATION = 0.1  # of the mean one: what hardly varies in training may still say much, but is not blown up


@dataclass(frozen=True, eq=False)
class WithUnits:
    """`network` with units for outputs behind its logits, and without a background class's output: kernel float32 [D, E], bias
    float32 [E]; E may be 0."""

    trained: TrainedNetwork
    kernel: np.ndarray
    bias: np.ndarray

    def build(self, *, batch_size: int | None = None) -> "keras.Model":
        """pixels → float32 [N, K + E]."""
        from train.architectures.widen import widened

        model = self.trained.build(batch_size=batch_size)
        return widened(model, self.kernel, self.bias, n_kept=len(self.class_names))

    @property
    def n_extra(self) -> int:
        """E."""
        return len(self.bias)

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
    from train.architectures.widen import features_of, last_product

    model = network.build()
    features, last = features_of(model), last_product(model)
    n_classes = len(network.class_names)
    if features is None or last is None or not (wanted or model.output_shape[-1] > n_classes):
        return network
    if not wanted:
        return WithUnits(network, np.empty((features.output_shape[-1], 0), np.float32), np.empty(0, np.float32))
    n_genuine = min(len(training), N_GENUINE, max(LEAST, MAX_VALUES // training.images[0].size))
    genuine = training.images[np.sort(np.random.default_rng(seed).permutation(len(training))[:n_genuine])]
    n_outliers = min(N_OUTLIERS, max(LEAST, 2 * n_genuine), max(LEAST, MAX_VALUES // genuine[0].size))
    made = outliers.made(training, network.contract, n=n_outliers, seed=seed)
    if network.contract.is_digit:  # else the traces of redrawing, which the made glyphs have, would tell them
        again = redrawn(genuine[:N_REDRAWN], network.contract, seed=seed)
        genuine = np.concatenate([genuine, again, again])
    both = _pooled(evaluate.logits(features, np.concatenate([genuine, made])))
    inside, outside = both[: len(genuine)], both[len(genuine) :]
    if not np.isfinite(both).all():
        return network  # whose answers are no numbers either: it is refused
    weights = [each.reshape(-1, each.shape[-1])[:, :n_classes] for each in last.get_weights()]
    greatest = (inside @ weights[0] + sum(weights[1:])).max(axis=1)
    # Units share the logits' int8 scale: with the usual greatest logit as their greatest value, most of them stay in its range.
    return WithUnits(network, *fit(inside, outside, highest=float(np.median(np.abs(greatest))), seed=seed))


def n_units(n_features: int) -> int:
    """How many units are fitted on `n_features` values: MAX_UNITS, halved until MAX_WEIGHTS hold them."""
    n = MAX_UNITS
    while n > MIN_UNITS and n * n_features > MAX_WEIGHTS:
        n //= 2
    return n


def fit(inside: np.ndarray, outside: np.ndarray, *, highest: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The kernel, float32 [D, E], and bias, float32 [E], of units fitted on features float32 [n, D] of either kind.

    The sum of the first half's positive values less the sum of the second half's is a logit: above 0 for what lies `outside`.
    Cross-entropy, both kinds weighing the same, by Adam (Kingma, Ba 2015). The outputs are scaled so that one in two hundred
    positive ones is above `highest`.
    """
    x = np.concatenate([inside, outside]).astype(np.float32)
    mean, deviation = inside.mean(axis=0), inside.std(axis=0)
    deviation += max(_MIN_DEVIATION * float(deviation.mean()), 1e-12)
    x = (x - mean) / deviation
    is_outside = np.concatenate([np.zeros(len(inside), np.float32), np.ones(len(outside), np.float32)])
    weight = np.where(is_outside, len(x) / (2 * len(outside)), len(x) / (2 * len(inside))).astype(np.float32)
    kernel, bias = _adam(x, is_outside, weight, n_units(x.shape[1]), np.random.default_rng(seed))
    positive = np.maximum(x @ kernel + bias, 0)
    scale = highest / max(float(np.quantile(positive[positive > 0], 0.995)) if positive.any() else 1.0, 1e-12)
    kernel *= scale / deviation[:, None]
    return kernel.astype(np.float32), (scale * bias - mean @ kernel).astype(np.float32)


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


def _pooled(features: np.ndarray) -> np.ndarray:
    """The mean over every place of a map: [N, …, D] → [N, D]."""
    pooled: np.ndarray = features.mean(axis=tuple(range(1, features.ndim - 1)))
    return pooled
