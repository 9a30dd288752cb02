"""A Keras classifier from elsewhere, made what `convert` takes: pixels from 0 to 255 in, logits out, checked on images.

The contract says what the device feeds. Where the network does not scale its pixels itself, the contract does. With a wrong
scale the network still answers, but wrongly, so the scale is tried on the user's own training images.
"""

import hashlib
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from convert.pictures.presets import PRESETS, Preset
from convert.sources.flatten import activation_of, flatten, last_operation
from convert.sources.keras_file import read
from convert.tango import tango_interval
from edge.contract import GEOMETRY, InputContract
from edge.errors import InputError, ModelError, missing, note, one_line
from edge.silence import silence_native_output
from train import evaluate
from train.datasets import folder
from train.datasets.folder import CLASSES, SIDES, FolderDataset

_WANTED = 'wanted an object such as {"scale": 0.00392156862745098}'
N_TRIED = 500
# How pixels are commonly scaled before training, tried against what the contract says: scale, offset.
SCALINGS = {
    "pixels as they are": (1.0, 0.0),
    "pixels divided by 255": (1 / 255, 0.0),
    "pixels divided by 127.5, minus 1": (1 / 127.5, -1.0),
}
# A missing scale may cost a network with batch norm only a few points; with the right scale no other one is better.
MIN_GAIN_POINTS = 1.0


@dataclass(frozen=True, eq=False)
class Foreign:
    """A checked foreign network with its pictures: a `convert.interfaces.TrainedNetwork`."""

    network: str  # the file's name, made safe
    class_names: tuple[str, ...]
    contract: InputContract
    scale: float
    offset: float
    dataset: FolderDataset
    digest: str  # SHA-256 of the architecture and the weights
    saved_with: str  # the version of Keras the file names
    loaded: keras.Model  # as in the file

    @property
    def name(self) -> str:
        return f"{self.network}-{self.data}"

    @property
    def data(self) -> str:
        return self.dataset.name

    @property
    def data_digest(self) -> str:
        return self.dataset.digest

    @property
    def provenance(self) -> dict[str, Any]:
        """What is known of its origin; how it was trained is not."""
        return {
            "model_sha256": self.digest,
            "trained_with": {"keras": self.saved_with},
            "declared_scaling": {"scale": self.scale, "offset": self.offset},
            "split": self.dataset.split,
        }

    def build(self, *, batch_size: int | None = None) -> keras.Model:
        """A flat copy without training-only layers and softmax: float32 [N, H, W, C] pixels → float32 [N, K] logits."""
        return flatten(self.loaded, self.contract, self.scale, self.offset, batch_size=batch_size)


def load(path: Path, pictures: Path, *, contract_file: Path | None = None, preset: str = "", seed: int = 0) -> Foreign:
    """The classifier in `path` with its `pictures`, split by `seed`. Raises ModelError, InputError, or InputMissing.

    What the contract file does not say of the pixels, the `preset` does.
    """
    file = read(path)
    path = Path(one_line(str(path)))  # from here on it is only shown
    shape = _input_shape(path, file.model)
    contract, scale, offset = _contract(path, shape, contract_file, PRESETS[preset or "edgeproof"])
    n_classes = _n_classes(path, file.model)
    dataset = folder.load(pictures, contract, seed=seed)
    if len(dataset.class_names) != n_classes:
        problem = f"{pictures}: {len(dataset.class_names)} classes, and {path} tells {n_classes} apart"
        raise InputError(f"{problem}; wanted a sub-folder for each")
    foreign = Foreign(
        network=re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")[:40].strip("-") or "model",
        class_names=dataset.class_names,
        contract=contract,
        scale=scale,
        offset=offset,
        dataset=dataset,
        digest=_digest(file.model),
        saved_with=file.saved_with,
        loaded=file.model,
    )
    _check_answers(path, foreign)
    _check_sense(path, foreign, contract_file)
    return foreign


def _input_shape(path: Path, model: keras.Model) -> tuple[int | None, ...]:
    if not model.built or len(model.inputs) != 1 or len(model.inputs[0].shape) != 4:
        shapes = ", ".join(str(tuple(entry.shape)) for entry in getattr(model, "inputs", None) or []) or "none that is stated"
        raise ModelError(f"{path}: input {shapes}; wanted one of pictures: [None, height, width, channels]")
    shape = tuple(model.inputs[0].shape)
    if shape[0] not in (None, 1) or shape[3] not in (None, 1, 3):
        raise ModelError(f"{path}: input {shape}; wanted [None, height, width, channels] with 1 or 3 channels")
    return shape[1:]


def _n_classes(path: Path, model: keras.Model) -> int:
    if len(model.outputs) != 1 or len(model.outputs[0].shape) != 2 or model.outputs[0].shape[1] is None:
        shapes = ", ".join(str(tuple(output.shape)) for output in model.outputs)
        raise ModelError(f"{path}: output {shapes}; wanted one of [None, classes]: a classifier's")
    n_classes, last = int(model.outputs[0].shape[1]), activation_of(last_operation(model))
    if n_classes == 1:
        raise ModelError(
            f"{path}: one output, a yes or no; wanted an output a class: end it in Dense(2) with softmax, and train it so"
        )
    if last == "sigmoid":
        raise ModelError(f"{path}: ends in sigmoid, a yes or no for each of {n_classes} classes; wanted softmax or logits")
    if last not in (None, "linear", "softmax"):
        raise ModelError(f"{path}: ends in {last}; wanted softmax, or nothing after the last Dense layer")
    if not CLASSES[0] <= n_classes <= CLASSES[1]:
        raise ModelError(f"{path}: {n_classes} classes; wanted {CLASSES[0]} to {CLASSES[1]}")
    return n_classes


def _contract(
    path: Path, shape: tuple[int | None, ...], file: Path | None, preset: Preset
) -> tuple[InputContract, float, float]:
    """The input contract, scale and offset: from `file`, and from `shape` and `preset` where it does not say."""
    declared = _declared(file) if file else {}
    names = ("height", "width", "channels")
    sizes = {name: declared.pop(name, size) for name, size in zip(names, shape, strict=True)}
    for (name, size), own in zip(sizes.items(), shape, strict=True):
        if size is None:
            raise InputError(f'{path}: takes any {name}; say which in a contract: {{"{name}": 32}}, with --contract')
        if not isinstance(size, int) or isinstance(size, bool) or own not in (None, size):
            raise InputError(f"{file}: {name} {size!r}, and {path} takes {own or 'a whole number'}")
    if not (min(sizes["height"], sizes["width"]) >= SIDES[0] and max(sizes["height"], sizes["width"]) <= SIDES[1]):
        raise ModelError(f"{path}: takes {sizes['height']}x{sizes['width']}; wanted sides from {SIDES[0]} to {SIDES[1]} pixels")
    scale, offset = (declared.pop(name, usual) for name, usual in (("scale", preset.scale[0]), ("offset", preset.offset[0])))
    for name, value in (("scale", scale), ("offset", offset)):
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number or (name == "scale" and not value > 0):
            raise InputError(f"{file}: {name} {value!r}; wanted a number, such as 0.00392156862745098 for 1/255")
    fit, polarity = declared.pop("fit", "resize"), declared.pop("polarity", "any")
    stated = {key: declared.pop(key) for key in (*GEOMETRY, "shorter-side") if key in declared}
    keys = preset.keys(sizes["height"], sizes["width"], fit=fit) | stated
    if keys.get("aspect") != "resize-crop" and "shorter-side" not in stated:
        keys.pop("shorter-side", None)  # the preset's, whose aspect the file replaces
    if declared:
        known = "height, width, channels, fit, polarity, scale, offset, resize, aspect, exif, alpha, shorter-side"
        raise InputError(f"{file}: unknown key {min(declared)!r}; known are {known}")
    try:
        contract = InputContract(**sizes, fit=fit, polarity=polarity, shorter_side=keys.pop("shorter-side", 0), **keys)
        return contract, float(scale), float(offset)
    except ValueError as error:
        raise InputError(f"{file or path}: {error}") from None


def _declared(file: Path) -> dict[str, Any]:
    try:
        content = file.read_bytes() if file.stat().st_size < 1 << 16 else b""
        declared = json.loads(content)
    except OSError as error:
        raise missing(str(file), error) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: not JSON ({error}); {_WANTED}") from None
    if not isinstance(declared, dict):
        raise InputError(f"{file}: no JSON object; {_WANTED}")
    return declared


def _check_answers(path: Path, foreign: Foreign) -> None:
    """Raises ModelError where the flattened network's answers differ from those of the one in the file."""
    images = foreign.dataset.train.images[:8]
    scaled = images.astype(np.float32) * foreign.scale + foreign.offset
    with silence_native_output():
        rows = [np.asarray(foreign.loaded(row[None], training=False), np.float64)[0] for row in scaled]
        logits = evaluate.logits(foreign.build(), images).astype(np.float64)
    before = np.stack(rows)
    if not np.isfinite(before).all() or not np.isfinite(logits).all():
        raise ModelError(f"{path}: its answers to pictures of {foreign.data} are not numbers; train it again")
    after = logits
    if activation_of(last_operation(foreign.loaded)) == "softmax":
        after = np.exp(logits - logits.max(axis=1, keepdims=True))
        after /= after.sum(axis=1, keepdims=True)
    elif (before >= 0).all() and np.allclose(before.sum(axis=1), 1, atol=1e-3):
        raise ModelError(f"{path}: its answers are probabilities, and no softmax is last; wanted softmax at the end, or logits")
    difference = float(np.abs(before - after).max())
    if difference > 1e-3 * max(1.0, float(np.abs(before).max())):
        raise ModelError(
            f"{path}: without its training-only layers it answers otherwise, by {difference:.3g}; "
            "call layers without training=True, and save it again"
        )


def _check_sense(path: Path, foreign: Foreign, contract_file: Path | None) -> None:
    """Raises InputError where top-1 on training images is clearly higher in another order of classes or at another scale."""
    tried = foreign.dataset.train[slice(0, N_TRIED)]  # in an order in which classes are mixed
    unscaled = flatten(foreign.loaded, foreign.contract, 1.0, 0.0, batch_size=None)

    def answers(scale: float, offset: float) -> np.ndarray:
        with silence_native_output():
            return evaluate.logits(unscaled, tried.images * np.float32(scale) + np.float32(offset))

    logits = answers(foreign.scale, foreign.offset)
    right = logits.argmax(axis=1) == tried.labels
    measured = f"{path}: answers {right.mean():.0%} of {len(tried)} training pictures right"
    _check_order(measured, foreign.class_names, logits, tried.labels)
    others = {words: answers(*scaling).argmax(axis=1) == tried.labels for words, scaling in SCALINGS.items()}
    words = max(others, key=lambda words: float(others[words].mean()))
    worse, better = int((others[words] & ~right).sum()), int((right & ~others[words]).sum())
    if 100 * tango_interval(worse, better, len(tried))[0] > MIN_GAIN_POINTS:
        scale, offset = SCALINGS[words]
        setting = f"{contract_file or 'contract.json, named with --contract'}: {json.dumps({'scale': scale, 'offset': offset})}"
        raise InputError(f"{measured}, and {others[words].mean():.0%} with {words}; say so in {setting}")
    if right.mean() < 1.5 / len(foreign.class_names):
        note(one_line(f"{measured}, about what guessing does"))


def _check_order(measured: str, names: tuple[str, ...], logits: np.ndarray, labels: np.ndarray) -> None:
    """Raises InputError where most images of each class get the same answer, and it is another class."""
    order = _order(logits, labels)
    # With fewer than five images a class the order would be noise.
    if len(labels) < 5 * len(names) or sorted(order) != list(range(len(names))):
        return
    reordered = evaluate.top1(logits, np.array(order)[labels])
    if reordered >= evaluate.top1(logits, labels) + 0.5:
        theirs = [names[order.index(answer)] for answer in range(len(names))]
        wanted = ", ".join(f"{n:02}-{name}" for n, name in enumerate(theirs))
        better = f"{reordered:.0%} were the classes in the order {', '.join(theirs)}"
        raise InputError(f"{measured}, and {better}; rename the sub-folders so that they sort in that order: {wanted}")


def _order(logits: np.ndarray, labels: np.ndarray) -> list[int]:
    """The most frequent answer to each class; -1 for a class without images."""
    classes = logits.argmax(axis=1)
    each = (classes[labels == label] for label in range(logits.shape[1]))
    return [int(np.bincount(answers).argmax()) if len(answers) else -1 for answers in each]


def _digest(model: keras.Model) -> str:
    """SHA-256 over the config and every weight, in the model's order. The file's own bytes hold a time."""
    sha = hashlib.sha256(json.dumps(model.get_config(), sort_keys=True, default=str).encode())
    for variable in model.weights:
        array = np.asarray(variable)
        sha.update(f"{array.dtype}{array.shape}".encode())
        sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()
