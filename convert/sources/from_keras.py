"""A Keras classifier from elsewhere, made what `convert` takes: pixels from 0 to 255 in, logits out.

The contract says what the device feeds. Where the owner's code did arithmetic on pixels before the network saw them, the
contract says so, and it becomes a layer. Told wrongly, the network still answers, but wrongly: `convert.pictures.trials`
looks for that.
"""

import hashlib
import json
import math
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from convert.pictures import arithmetic
from convert.pictures.arithmetic import Arithmetic
from convert.pictures.presets import PRESETS, Preset
from convert.sources.flatten import activation_of, flatten, last_operation
from convert.sources.keras_file import read
from edge.contract import GEOMETRY, InputContract
from edge.errors import InputError, ModelError, missing, note, one_line
from edge.silence import silence_native_output
from train import evaluate
from train.datasets import folder
from train.datasets.folder import CLASSES, SIDES, FolderDataset

_SIZES = ("height", "width", "channels")
# Numbers that one layer puts out for one image: VGG16 at 320x320 makes 6.6 million.
MAX_VALUES = 1 << 25
# The same for a fixed batch: 64 images of VGG16 at 224x224 are 205 million.
MAX_BATCH_VALUES = 1 << 28
_ENOUGH = 64  # pictures to tell logits from probabilities
_WANTED = 'wanted an object such as {"scale": 0.00392156862745098}'


@dataclass(frozen=True, eq=False)
class Foreign:
    """A checked foreign network with its pictures: a `convert.interfaces.TrainedNetwork`."""

    network: str  # the file's name, made safe
    class_names: tuple[str, ...]
    contract: InputContract
    arithmetic: Arithmetic
    dataset: FolderDataset
    digest: str  # SHA-256 of the architecture and the weights
    saved_with: str  # the version of Keras the file names
    loaded: keras.Model  # as in the file

    @property
    def open_sizes(self) -> dict[str, int]:
        """The sizes that the network in the file leaves open, by the keys of a contract file."""
        sizes = dict(zip(_SIZES, _sizes(self.loaded), strict=True))
        return {key: getattr(self.contract, key) for key, size in sizes.items() if size is None}

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
            "declared_scaling": self.arithmetic.as_json(),
            "split": self.dataset.split,
        } | ({"left_out": self.dataset.left_out} if self.dataset.left_out else {})

    def build(self, *, batch_size: int | None = None) -> keras.Model:
        """A flat copy without training-only layers and softmax: float32 [N, H, W, C] pixels → float32 [N, K] logits."""
        return flatten(self.loaded, self.contract, self.arithmetic, batch_size=batch_size)

    def unscaled(self) -> keras.Model:
        """The same without the declared arithmetic: float32 [N, H, W, C] as the network in the file takes it → logits."""
        return flatten(self.loaded, self.contract, batch_size=None)


def load(
    path: Path, pictures: Path, *, contract_file: Path | None = None, preset: str = "", seed: int = 0, skip_bad: bool = False,
    scratch: str | Path = "",
) -> Foreign:  # fmt: skip
    """The classifier in `path` with its `pictures`, split by `seed`. Raises ModelError, InputError, or InputMissing.

    What the contract file does not say of the pixels, the `preset` does. `skip_bad` leaves out pictures that cannot be used.
    Pixels lie on the disk of the folder `scratch`.
    """
    file = read(path, image=_stated(contract_file))
    path = Path(one_line(str(path)))  # from here on it is only shown
    shape = _input_shape(path, file.model)
    contract, declared = _contract(path, shape, contract_file, PRESETS[preset or "edgeproof"])
    n_classes = _n_classes(path, file.model)
    dataset = folder.load(pictures, contract, seed=seed, skip_bad=skip_bad, scratch=scratch)
    if len(dataset.class_names) != n_classes:
        problem = f"{pictures}: {len(dataset.class_names)} classes, and {path} tells {n_classes} apart"
        raise InputError(f"{problem}; wanted a sub-folder for each")
    foreign = Foreign(
        network=re.sub(r"[^a-z0-9]+", "-", path.stem.lower()).strip("-")[:40].strip("-") or "model",
        class_names=dataset.class_names,
        contract=contract,
        arithmetic=declared,
        dataset=dataset,
        digest=_digest(file.model),
        saved_with=file.saved_with,
        loaded=file.model,
    )
    _check_answers(path, foreign)
    if file.model.outputs[0].shape[1] == 1:
        first, second = map(one_line, dataset.class_names)
        high, low = ("near 1", "near 0") if activation_of(last_operation(file.model)) == "sigmoid" else ("above 0", "below 0")
        note(f"{path}: one output, taken as {second!r} where it is {high} and as {first!r} where it is {low}")
    return foreign


def _input_shape(path: Path, model: keras.Model) -> tuple[int | None, ...]:
    if not model.built or len(model.inputs) != 1 or len(model.inputs[0].shape) not in (3, 4):
        shapes = ", ".join(str(tuple(entry.shape)) for entry in getattr(model, "inputs", None) or []) or "none that is stated"
        raise ModelError(f"{path}: input {shapes}; wanted one of pictures: [None, height, width, channels]")
    shape = _sizes(model)
    if shape[2] not in (None, 1, 3):
        given = tuple(model.inputs[0].shape)
        raise ModelError(f"{path}: input {given}; wanted [None, height, width, channels] with 1 or 3 channels")
    return shape


def _sizes(model: keras.Model) -> tuple[int | None, ...]:
    """Height, width and channels as `model` takes them: of [N, height, width] one channel."""
    return (*model.inputs[0].shape[1:], 1)[:3]


def _stated(contract_file: Path | None) -> tuple[int, int, int] | None:
    """Height, width and channels, 3 if left out, that the contract file says; None where it does not."""
    declared = _declared(contract_file) if contract_file else {}
    height, width, channels = declared.get("height"), declared.get("width"), declared.get("channels", 3)
    if isinstance(height, int) and isinstance(width, int) and isinstance(channels, int):
        return height, width, channels
    return None


def _n_classes(path: Path, model: keras.Model) -> int:
    if len(model.outputs) != 1 or len(model.outputs[0].shape) != 2 or model.outputs[0].shape[1] is None:
        shapes = ", ".join(str(tuple(output.shape)) for output in model.outputs)
        raise ModelError(f"{path}: output {shapes}; wanted one of [None, classes]: a classifier's")
    n_outputs, last = int(model.outputs[0].shape[1]), activation_of(last_operation(model))
    if n_outputs > 1 and last == "sigmoid":
        raise ModelError(
            f"{path}: multi-label: it ends in sigmoid, a yes or no for each of {n_outputs} classes, and edgeproof takes one "
            "class per picture; where yours have one each, train it with softmax at the end"
        )
    one = "sigmoid" if n_outputs == 1 else "softmax"
    if last not in (None, "linear", one):
        raise ModelError(f"{path}: ends in {last}; wanted {one}, or nothing after the last Dense layer")
    n_classes = max(2, n_outputs)
    if not CLASSES[0] <= n_classes <= CLASSES[1]:
        raise ModelError(f"{path}: {n_classes} classes; wanted {CLASSES[0]} to {CLASSES[1]}")
    return n_classes


def _contract(path: Path, shape: tuple[int | None, ...], file: Path | None, preset: Preset) -> tuple[InputContract, Arithmetic]:
    """The input contract, and what is done to pixel values: from `file`; what it omits, from `shape` and `preset`."""
    declared = _declared(file) if file else {}
    sizes = {name: declared.pop(name, size) for name, size in zip(_SIZES, shape, strict=True)}
    for (name, size), own in zip(sizes.items(), shape, strict=True):
        if size is None:
            raise InputError(f'{path}: takes any {name}; say which in a contract: {{"{name}": 32}}, with --contract')
        if not isinstance(size, int) or isinstance(size, bool) or own not in (None, size):
            raise InputError(f"{file}: {name} {size!r}, and {path} takes {own or 'a whole number'}")
    if not (min(sizes["height"], sizes["width"]) >= SIDES[0] and max(sizes["height"], sizes["width"]) <= SIDES[1]):
        raise ModelError(f"{path}: takes {sizes['height']}x{sizes['width']}; wanted sides from {SIDES[0]} to {SIDES[1]} pixels")
    values: dict[str, Any] = {name: declared.pop(name) for name in ("order", "scale", "offset") if name in declared}
    try:
        prepared = arithmetic.parse(values, n_channels=sizes["channels"], usual=arithmetic.of_preset(preset, sizes["channels"]))
    except ValueError as error:
        raise InputError(f"{file}: {error}") from None
    fit, polarity = declared.pop("fit", "resize"), declared.pop("polarity", "any")
    stated = {key: declared.pop(key) for key in (*GEOMETRY, "shorter-side") if key in declared}
    keys = preset.keys(sizes["height"], sizes["width"], fit=fit) | stated
    if keys.get("aspect") != "resize-crop" and "shorter-side" not in stated:
        keys.pop("shorter-side", None)  # the preset's, whose aspect the file replaces
    if declared:
        known = "height, width, channels, fit, polarity, order, scale, offset, resize, aspect, exif, alpha, shorter-side"
        raise InputError(f"{file}: unknown key {min(declared)!r}; known are {known}")
    try:
        contract = InputContract(**sizes, fit=fit, polarity=polarity, shorter_side=keys.pop("shorter-side", 0), **keys)
        return contract, prepared
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
    with silence_native_output():
        flat = foreign.build()
        _check_size(path, flat, n_images=foreign.loaded.inputs[0].shape[0] or 1)
        before = _answers_of(foreign.loaded, foreign.arithmetic.apply(images))
        logits = evaluate.logits(flat, images).astype(np.float64)
    last = activation_of(last_operation(foreign.loaded))
    if not np.isfinite(before).all() or not np.isfinite(logits).all():
        raise ModelError(f"{path}: its answers to pictures of {foreign.data} are not numbers; train it again")
    after = logits
    if before.shape[1] == 1:  # of the second of two classes
        if last != "sigmoid" and _like_probabilities(evaluate.logits(flat, foreign.dataset.train.images[:_ENOUGH])[:, 1]):
            raise ModelError(
                f"{path}: its one output is from 0 to 1 for every picture, as a probability, and no sigmoid is last; "
                "wanted sigmoid at the end, or a logit"
            )
        before = np.concatenate([1 - before if last == "sigmoid" else 0 * before, before], axis=1)
    if last in ("sigmoid", "softmax"):
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


def _answers_of(loaded: keras.Model, scaled: np.ndarray) -> np.ndarray:
    """What the network in the file answers to `scaled`, as it takes pixels: float64 [N, outputs]."""
    n, *shape = loaded.inputs[0].shape
    rows = []
    with warnings.catch_warnings(action="ignore"):  # Keras's, of inputs with a name
        for row in scaled.reshape(-1, *scaled.shape[1 : 1 + len(shape)]):  # without channels where it takes none
            output = loaded(np.repeat(row[None], n or 1, axis=0), training=False)  # a fixed batch is filled with one image
            rows.append(np.asarray(keras.tree.flatten(output)[0], np.float64)[0])
    return np.stack(rows)


def _like_probabilities(outputs: np.ndarray) -> bool:
    return bool((outputs >= 0).all() and (outputs <= 1).all())


def _check_size(path: Path, flat: keras.Model, *, n_images: int) -> None:
    """Raises ModelError before anything is computed where a layer would put out more numbers than memory may hold."""
    for layer in flat.layers:
        n = max(math.prod(each.shape[1:]) for each in keras.tree.flatten(layer.output))
        if n > MAX_VALUES:
            raise ModelError(f"{path}: layer {layer.name!r} puts out {n:,} numbers an image; wanted at most {MAX_VALUES:,}")
        if n * n_images > MAX_BATCH_VALUES:
            problem = f"takes {n_images:,} images at once, for which layer {layer.name!r} puts out {n * n_images:,} numbers"
            raise ModelError(f"{path}: {problem}; wanted at most {MAX_BATCH_VALUES:,}: save it with a batch size of None")


def _digest(model: keras.Model) -> str:
    """SHA-256 over the config and every weight, in the model's order. The file's own bytes hold a time."""
    sha = hashlib.sha256(json.dumps(model.get_config(), sort_keys=True, default=str).encode())
    for variable in model.weights:
        array = np.asarray(variable)
        sha.update(f"{array.dtype}{array.shape}".encode())
        sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()
