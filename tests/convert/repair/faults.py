"""Faults to plant in trained networks. Nothing of the detector or of the remedies is used: weights are scaled here, calibration
images drawn here.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import keras
import numpy as np

from convert.calibration.images import CalibrationSet, draw_calibration_set
from convert.plan import Plan
from convert.repair import causes
from train.checkpoint import Checkpoint
from train.datasets import Dataset


@dataclass(frozen=True, eq=False)
class Planted:
    """A network with a fault: in its weights, its plan or the images that calibrate it. `layers`: where it may be found."""

    trained: Checkpoint
    calibration: CalibrationSet
    plan: Plan
    layers: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Fault:
    """`plant` puts it into a trained `network`; `cause` is what must be found first."""

    cause: str
    network: str
    plant: Callable[[Checkpoint, Dataset], Planted]


class WithNorm(Checkpoint):
    """A lenet5-relu with a batch norm behind the first convolution's ReLU: one that can fold into nothing."""

    def build(self, *, batch_size: int | None = None) -> keras.Model:
        """As it was trained, with that norm in it; `weights` hold its factors."""
        own = {name: value for name, value in self.weights.items() if "/norm1/" not in name}
        plain = Checkpoint(**(vars(self) | {"weights": own})).build()
        layers = [type(layer).from_config(layer.get_config()) for layer in plain.layers]
        layers.insert(2, keras.layers.BatchNormalization(name="norm1"))
        pixels = keras.Input(plain.input_shape[1:], batch_size=batch_size, name="pixels")
        normed = keras.Sequential([pixels, *layers], name=plain.name)
        for variable in normed.weights:
            variable.assign(self.weights[variable.path])
        return normed


def outlier(first: str, second: str) -> Callable[[Checkpoint, Dataset], Planted]:
    """The most active channel of `first` reaches 200 times as far, and `second` takes it 200 times less."""

    def plant(saved: Checkpoint, dataset: Dataset) -> Planted:
        scale = np.ones(_n_channels(saved, first), np.float32)
        scale[int(_activity(saved, dataset, first).argmax())] = 200
        return Planted(
            _scaled(saved, first, second, scale), draw_calibration_set(dataset.train), Plan("int8", "min-max"), (first,)
        )

    return plant


def spread(first: str, second: str) -> Callable[[Checkpoint, Dataset], Planted]:
    """The channels of `first` reach from once to 300 times as far, in even ratios, and weights have one scale a tensor: those
    of `second` too, which takes the channels back."""

    def plant(saved: Checkpoint, dataset: Dataset) -> Planted:
        n = _n_channels(saved, first)
        scale = np.random.default_rng(0).permutation(np.geomspace(1, 300, n)).astype(np.float32)
        plan = Plan("int8", "min-max", per_channel=False)
        return Planted(_scaled(saved, first, second, scale), draw_calibration_set(dataset.train), plan, (first, second))

    return plant


def unfolded(saved: Checkpoint, dataset: Dataset) -> Planted:
    """A batch norm behind a ReLU whose factors reach from once to 10,000 times as far, taken back by the next convolution."""
    n = _n_channels(saved, "conv1")
    # Most are small, so that the large ones stand out.
    scale = np.random.default_rng(0).permutation(np.geomspace(1, 100, n) ** 2).astype(np.float32)
    weights = dict(saved.weights) | {
        f"{saved.network}/norm1/gamma": scale * np.float32(np.sqrt(1.001)),
        f"{saved.network}/norm1/beta": np.zeros(n, np.float32),
        f"{saved.network}/norm1/moving_mean": np.zeros(n, np.float32),
        f"{saved.network}/norm1/moving_variance": np.ones(n, np.float32),
    }
    taken = f"{saved.network}/conv2/kernel"
    weights[taken] = weights[taken] / scale[:, None]
    normed = WithNorm(**(vars(saved) | {"weights": weights}))
    return Planted(normed, draw_calibration_set(dataset.train), Plan("int8", "min-max"), ("norm1",))


def few_pictures(first: str, second: str) -> Callable[[Checkpoint, Dataset], Planted]:
    """Three of the calibration images are chequered; a channel of `first` answers to that alone, 250 times as far as
    others, and `second` takes it 1,000 times less."""
    return lambda saved, dataset: _chequered(saved, dataset, first, second, n=3)


def dead(first: str, second: str) -> Callable[[Checkpoint, Dataset], Planted]:
    """As `few_pictures`, but every calibration image has chequers in a corner."""
    return lambda saved, dataset: _chequered(saved, dataset, first, second, n=None)


def dark(saved: Checkpoint, dataset: Dataset) -> Planted:
    """The calibration images are a fiftieth as bright as they should be."""
    drawn = draw_calibration_set(dataset.train)
    darkened = CalibrationSet(drawn.images // 50, (), 0, "dark")
    return Planted(saved, darkened, Plan("int8", "min-max"), ())


FAULTS = (
    Fault(causes.OUTLIER_WEIGHTS, "lenet5-relu", outlier("conv2", "dense1")),
    Fault(causes.OUTLIER_WEIGHTS, "mnist-tiny", outlier("conv3-point", "conv4-depth")),
    Fault(causes.FEW_IMAGES, "deep-mnist", few_pictures("conv1", "conv2")),
    Fault(causes.FEW_IMAGES, "keras-cnn", few_pictures("conv1", "conv2")),
    Fault(causes.SATURATION, "lenet5-relu", dark),
    Fault(causes.SATURATION, "lenet5-1998", dark),
    Fault(causes.DEAD_RANGE, "mnist-tiny", dead("conv1", "conv2-depth")),
    Fault(causes.DEAD_RANGE, "deep-mnist", dead("conv1", "conv2")),
    Fault(causes.PER_TENSOR, "keras-cnn", spread("conv1", "conv2")),
    Fault(causes.UNFOLDED_NORM, "lenet5-relu", unfolded),
)


def _chequered(saved: Checkpoint, dataset: Dataset, first: str, second: str, *, n: int | None) -> Planted:
    drawn = draw_calibration_set(dataset.train)
    images, weights = drawn.images.copy(), dict(saved.weights)
    height, width = images.shape[1:3]
    board = ((np.indices((height, width)).sum(axis=0) % 2) * 255).astype(np.uint8)[..., None]
    if n is None:
        images[:, :8, :8] = board[:8, :8]
    else:
        images[np.linspace(5, len(images) - 5, n).astype(int)] = board
    kernel = weights[f"{saved.network}/{first}/kernel"]
    channel = int(_activity(saved, dataset, first).argmin())
    size = kernel.shape[0]
    tap = (np.indices((size, size)).sum(axis=0) % 2 * 2 - 1).astype(np.float32)
    # Chequers answer with all the taps that add; of those a smooth picture has less than six in ten left over.
    n_taps = size * size // 2
    reach = 250 * float(_activity(saved, dataset, first).max()) / (0.4 * n_taps)
    threshold = 0.6 * n_taps * reach
    kernel = kernel.copy()
    kernel[..., channel] = reach * tap[..., None]
    weights[f"{saved.network}/{first}/kernel"] = kernel
    if f"{saved.network}/{first}/bias" in weights:
        weights[f"{saved.network}/{first}/bias"] = _with(weights[f"{saved.network}/{first}/bias"], channel, -threshold)
    else:
        for name, value in (("gamma", 1), ("beta", -threshold), ("moving_mean", 0), ("moving_variance", 1)):
            path = f"{saved.network}/{first}-norm/{name}"
            weights[path] = _with(weights[path], channel, value)
    weights[f"{saved.network}/{second}/kernel"] = weights[f"{saved.network}/{second}/kernel"].copy()
    weights[f"{saved.network}/{second}/kernel"][:, :, channel] *= 1e-3
    return Planted(
        replace(saved, weights=weights), CalibrationSet(images, (), 0, "chequered"), Plan("int8", "min-max"), (first,)
    )


def _with(values: np.ndarray, place: int, value: float) -> np.ndarray:
    changed = values.copy()
    changed[place] = value
    return changed


def _scaled(saved: Checkpoint, first: str, second: str, scale: np.ndarray) -> Checkpoint:
    """`saved` with the channels of `first` times `scale`, and what `second` makes of them over it: the same answers."""
    weights = dict(saved.weights)
    norm = f"{saved.network}/{first}-norm"
    own = [f"{norm}/{name}" for name in ("gamma", "beta")]
    for path in own if own[0] in weights else [f"{saved.network}/{first}/{name}" for name in ("kernel", "bias")]:
        weights[path] = weights[path] * scale
    kernel = weights[f"{saved.network}/{second}/kernel"]
    grouped = kernel.reshape(-1, len(scale), kernel.shape[-1])  # of a flattened map the channel turns fastest
    weights[f"{saved.network}/{second}/kernel"] = (grouped / scale[:, None]).reshape(kernel.shape)
    return replace(saved, weights=weights)


def _n_channels(saved: Checkpoint, layer: str) -> int:
    return saved.weights[f"{saved.network}/{layer}/kernel"].shape[-1]


def _activity(saved: Checkpoint, dataset: Dataset, layer: str) -> np.ndarray:
    """The greatest value of each channel behind `layer`, its batch norm counted, over a hundred training images."""
    model = saved.build()
    last = f"{layer}-norm" if f"{layer}-norm" in {each.name for each in model.layers} else layer
    values = keras.Model(model.inputs, model.get_layer(last).output).predict_on_batch(dataset.train.images[:100].astype("f4"))
    return np.maximum(values, 0).max(axis=(0, 1, 2))
