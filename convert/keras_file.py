"""Read a foreign `.keras` file without running anything in it.

Keras's own safe mode has been got round more than once, so Keras never sees the file. We read its three members, hold
every class, function and string that Keras would look up against a list, copy the weights number by number, and hand
Keras a file that we wrote. What is allowed is also what was seen converting to both formats (tests/convert/test_foreign.py).
"""

import io
import json
import math
import re
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from edge.errors import InputMissing, ModelError, missing, one_line
from edge.quiet import NativeChatterHidden

# Members of the archive, and how many bytes of each are read at most; a small image classifier's weights are 1 to 50 MB.
MEMBERS = {"metadata.json": 1 << 16, "config.json": 8 << 20, "model.weights.h5": 512 << 20}
MAX_BYTES = sum(MEMBERS.values())
HOW_TO_SAVE = "save the model with Keras 3: model.save('my.keras')"
_OTHERS = (".h5", ".hdf5", ".onnx", ".pb", ".pickle", ".pkl", ".pt", ".pth", ".tflite")

# Layers that do nothing outside training. They are left out when the network is built for conversion.
TRAINING_ONLY = frozenset({
    "ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "Identity",
    "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter", "RandomContrast", "RandomElasticTransform",
    "RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHue", "RandomInvert",
    "RandomPerspective", "RandomPosterization", "RandomRotation", "RandomSaturation", "RandomSharpness", "RandomShear",
    "RandomTranslation", "RandomZoom", "SpatialDropout2D",
})  # fmt: skip
LAYERS = TRAINING_ONLY | {
    "Activation", "Add", "Average", "AveragePooling2D", "BatchNormalization", "CenterCrop", "Concatenate", "Conv2D",
    "Conv2DTranspose", "Cropping2D", "Dense", "DepthwiseConv2D", "ELU", "Flatten", "GlobalAveragePooling2D",
    "GlobalMaxPooling2D", "GroupNormalization", "InputLayer", "LayerNormalization", "LeakyReLU", "MaxPooling2D", "Maximum",
    "Minimum", "Multiply", "Normalization", "PReLU", "Permute", "ReLU", "Rescaling", "Reshape", "Resizing", "SeparableConv2D",
    "Softmax", "Subtract", "UpSampling2D", "ZeroPadding2D",
}  # fmt: skip
# `x + y` and `keras.ops.relu(x)` in a functional model are operations of their own.
OPERATIONS = {
    "keras.src.ops.numpy": frozenset({
        "Add", "Divide", "Maximum", "Mean", "Minimum", "Multiply", "Negative", "Subtract", "Tanh", "TrueDivide",
    }),
    "keras.src.ops.nn": frozenset({"HardSigmoid", "HardSilu", "LeakyRelu", "Relu", "Relu6", "Sigmoid", "Silu", "Softmax"}),
}  # fmt: skip
# No gelu: tf2onnx 1.17 writes an Erfc that no runtime knows.
ACTIVATIONS = frozenset({
    "elu", "hard_sigmoid", "hard_silu", "hard_swish", "leaky_relu", "linear", "relu", "relu6", "selu", "sigmoid",
    "silu", "softmax", "softplus", "softsign", "swish", "tanh",
})  # fmt: skip
_CLASSES = OPERATIONS | {
    "keras": frozenset({"DTypePolicy", "Sequential"}),
    "keras.constraints": frozenset({"MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"}),
    "keras.dtype_policies": frozenset({"DTypePolicy"}),
    "keras.initializers": frozenset({
        "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform", "Ones",
        "Orthogonal", "OrthogonalInitializer", "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "Zeros",
    }),
    "keras.layers": LAYERS,
    "keras.models": frozenset({"Sequential"}),
    "keras.regularizers": frozenset({"L1", "L1L2", "L2", "OrthogonalRegularizer"}),
    "keras.src.models.functional": frozenset({"Functional"}),
    "keras.src.models.sequential": frozenset({"Sequential"}),
}  # fmt: skip
_MODELS = ("Functional", "Sequential")
# What training in half precision leaves behind; the weights are float32 all the same, and so is the network we build.
_POLICIES = ("float32", "mixed_float16", "mixed_bfloat16")
_RECURRENT = frozenset({"Bidirectional", "ConvLSTM2D", "GRU", "LSTM", "RNN", "SimpleRNN", "TimeDistributed"})
_ATTENTION = frozenset({"AdditiveAttention", "Attention", "GroupQueryAttention", "MultiHeadAttention"})


@dataclass(frozen=True, eq=False)
class KerasFile:
    """A model as Keras rebuilt it from the file's checked account, and the Keras version the file says wrote it."""

    model: keras.Model
    saved_with: str


def read(path: Path) -> KerasFile:
    """The model in the `.keras` file at `path`. Raises InputMissing, or ModelError naming what is not allowed in it."""
    members = _members(path)
    config, metadata = _json(path, members, "config.json"), _json(path, members, "metadata.json")
    try:
        refused = _Check().refused(config)
    except RecursionError:
        refused = ["it is nested too deeply"]
    if refused:
        more = f"; and {len(refused) - 4} more" if len(refused) > 4 else ""
        raise ModelError(one_line(f"{path}: cannot be converted: {'; '.join(refused[:4])}{more}"))
    version = str(metadata.get("keras_version"))
    with tempfile.TemporaryDirectory() as folder:  # readable by this user alone
        ours = Path(folder, "checked.keras")
        with zipfile.ZipFile(ours, "w") as archive:
            archive.writestr("metadata.json", json.dumps({"keras_version": keras.__version__}))
            archive.writestr("config.json", json.dumps(config))
            archive.writestr("model.weights.h5", _copied(path, members["model.weights.h5"]))
        try:
            with NativeChatterHidden():
                model = keras.saving.load_model(ours, custom_objects=None, compile=False, safe_mode=True)
        except MemoryError:
            raise
        except Exception as error:  # a config that does not fit together raises dozens of kinds
            raise ModelError(one_line(f"{path}: Keras cannot rebuild it ({_brief(error)}); {HOW_TO_SAVE}")) from None
    return KerasFile(model, version if re.fullmatch(r"[0-9a-z.+-]{1,32}", version) else "unknown")


def _brief(error: Exception) -> str:
    """The first words of an error that may run over many lines."""
    return " ".join(str(error).split())[:160] or type(error).__name__


def _members(path: Path) -> dict[str, bytes]:
    """The content of the archive's three members, each read once and to its limit."""
    content = _content(path)
    if not content.startswith(b"PK"):
        kinds = {b"\x89HDF": "an HDF5 file", b"\x80": "a pickle"}
        what = next((kind for start, kind in kinds.items() if content.startswith(start)), "no ZIP archive")
        raise ModelError(one_line(f"{path}: {what}, not a .keras file; {HOW_TO_SAVE}"))
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [info.filename for info in archive.infolist()]
            if odd := sorted(set(names) - set(MEMBERS)):
                raise ModelError(one_line(f"{path}: holds {odd[0][:80]!r}; wanted {', '.join(MEMBERS)} alone"))
            if sorted(names) != sorted(MEMBERS):
                raise ModelError(one_line(f"{path}: holds {', '.join(names)}; wanted {', '.join(MEMBERS)}, each once"))
            return {name: _bounded(path, archive, name) for name in names}
    except ModelError:
        raise
    except Exception as error:  # zipfile raises a dozen kinds on damage, zlib.error and NotImplementedError among them
        raise ModelError(one_line(f"{path}: a damaged .keras file ({error}); copy the file again")) from None


def _content(path: Path) -> bytes:
    if path.is_dir() or path.suffix.lower() in _OTHERS:
        raise ModelError(one_line(f"{path}: only a .keras file can be checked before it is loaded; {HOW_TO_SAVE}"))
    if not path.is_file():  # a pipe would make us wait for its other end
        raise InputMissing(one_line(f"{path}: no such file; name a .keras file"))
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise missing(str(path), error) from None
    if len(content) > MAX_BYTES:
        raise ModelError(one_line(f"{path}: more than {MAX_BYTES >> 20} MiB; small image classifiers are converted"))
    return content


def _bounded(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as member:
        content = member.read(MEMBERS[name] + 1)  # never what the archive says it holds
    if len(content) > MEMBERS[name]:
        raise ModelError(one_line(f"{path}: {name} unpacks to more than {MEMBERS[name]:,} bytes; no small classifier's does"))
    return content


def _json(path: Path, members: dict[str, bytes], name: str) -> dict[str, Any]:
    try:
        found = json.loads(members[name], parse_constant=lambda word: _Check.no_number(word))
        if not isinstance(found, dict):
            raise ValueError(f"a {type(found).__name__}")
        return found
    except (ValueError, RecursionError) as error:
        raise ModelError(one_line(f"{path}: {name} cannot be read ({str(error)[:80]}); {HOW_TO_SAVE}")) from None


class _Check:
    """One walk over a config: what is refused, by layer; and the config without what conversion has no use for."""

    def __init__(self) -> None:
        self._found: dict[str, None] = {}  # in order, each once

    @staticmethod
    def no_number(word: str) -> float:
        raise ValueError(f"{word} is no number")

    def refused(self, config: dict[str, Any]) -> list[str]:
        if config.get("class_name") not in _MODELS:
            return [f"{self._called(config)}: {self._why(config)}"]
        self._walk(config, "the model")
        return list(self._found)

    def _walk(self, node: Any, layer: str) -> None:
        if isinstance(node, list):
            for item in node:
                self._walk(item, layer)
        elif isinstance(node, float) and not math.isfinite(node):
            self._found[f"{layer}: holds the number {node}"] = None
        elif isinstance(node, dict):
            if "class_name" in node:
                layer = self._object(node, layer)
            elif "module" in node or "registered_name" in node:
                self._found[f"{layer}: names a module without a class"] = None
            for key, value in node.items():
                self._value(key, value, layer)
                self._walk(value, layer)

    def _object(self, node: dict[str, Any], layer: str) -> str:
        """Hold one object against the list, drop what would only confuse, and return the layer it belongs to."""
        kind, module, inner = node["class_name"], node.get("module"), node.get("config")
        # Loss, optimizer and metrics are not needed; ids that alias one object to another neither.
        node.pop("compile_config", None)
        node.pop("shared_object_id", None)
        if kind == "__keras_tensor__" and module is None:
            return layer
        if kind == "function":
            known = inner in ACTIVATIONS if isinstance(inner, str) else False
            if not known or module not in ("builtins", "keras.activations") or node.get("registered_name") not in (None, inner):
                self._found[f"{layer}: function {str(inner)[:40]!r} of {str(module)[:40]!r} is not one we know"] = None
            return layer
        if kind != "DTypePolicy" and isinstance(inner, dict) and isinstance(inner.get("name"), str):
            layer = self._called(node)
        registered = node.get("registered_name")
        known = isinstance(kind, str) and isinstance(module, str) and kind in _CLASSES.get(module, ())
        if not known or not isinstance(inner, dict) or registered not in (None, kind):
            self._found[f"{layer}: {self._why(node)}"] = None
        elif kind == "DTypePolicy":
            if inner.get("name") not in _POLICIES:
                self._found[f"{layer}: computes in {str(inner.get('name'))[:40]}; wanted float32"] = None
            inner["name"] = "float32"
        elif kind in _MODELS and not self._has_layers(inner):
            self._found[f"{layer}: its layers are not listed as Keras 3 lists them"] = None
        return layer

    def _value(self, key: str, value: Any, layer: str) -> None:
        if key == "activation" and isinstance(value, str) and value not in ACTIVATIONS:
            self._found[f"{layer}: activation {value[:40]!r} is not among those known to convert to both formats"] = None
        elif key == "data_format" and value not in (None, "channels_last"):
            self._found[f"{layer}: keeps channels first; wanted pictures as height, width, channels"] = None
        elif key == "interpolation" and value not in ("bilinear", "nearest"):
            self._found[f"{layer}: interpolates {str(value)[:20]}; wanted bilinear or nearest"] = None
        elif key == "groups" and layer.endswith("Conv2D)") and value != 1:
            self._found[f"{layer}: a convolution in {str(value)[:9]} groups; wanted one, or DepthwiseConv2D"] = None

    @staticmethod
    def _has_layers(inner: dict[str, Any]) -> bool:
        layers = inner.get("layers")
        return isinstance(layers, list) and all(isinstance(layer, dict) and "class_name" in layer for layer in layers)

    @staticmethod
    def _called(node: dict[str, Any]) -> str:
        inner = node.get("config")
        name = inner.get("name") if isinstance(inner, dict) else node.get("name")
        return f"layer {str(name)[:60]!r} ({str(node.get('class_name'))[:40]})"

    @staticmethod
    def _why(node: dict[str, Any]) -> str:
        kind, module = str(node.get("class_name")), str(node.get("module"))
        if kind in ("Lambda", "__lambda__"):
            return "holds Python code, which is never run; say it with Keras's own layers"
        if module != "keras" and not module.startswith("keras."):
            return f"{kind[:40]} comes from {module[:40]!r}, not from Keras, and code of others is never run"
        if kind in _RECURRENT:
            return "recurrent layers have no int8 form in both formats"
        if kind in _ATTENTION:
            return "attention has no int8 form in both formats"
        return f"{module[:40]}.{kind[:40]} is not among the layers known to convert to both formats"


def _copied(path: Path, weights: bytes) -> bytes:
    """The numbers in an HDF5 file, in a file of our own. Raises ModelError where it refers to anything outside itself."""
    fresh = io.BytesIO()
    try:
        with h5py.File(io.BytesIO(weights), "r") as source, h5py.File(fresh, "w") as target:
            _copy_group(source, target, max_bytes=len(weights), depth=0)
    except MemoryError:
        raise
    except Exception as error:  # h5py raises OSError, RuntimeError, KeyError, ValueError and more on damage
        raise ModelError(one_line(f"{path}: model.weights.h5 is refused ({_brief(error)}); {HOW_TO_SAVE}")) from None
    return fresh.getvalue()


def _copy_group(source: h5py.Group, target: h5py.Group, *, max_bytes: int, depth: int) -> None:
    if depth > 32:  # a group may hold itself
        raise ValueError("groups nested more than 32 deep")
    for name in source:
        # An external link or an external dataset reads another file; a virtual one any number of them.
        if not isinstance(source.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{name!r} is a link; wanted the numbers themselves")
        item = source[name]
        if isinstance(item, h5py.Group):
            if not (depth == 0 and name == "optimizer"):
                _copy_group(item, target.create_group(name), max_bytes=max_bytes, depth=depth + 1)
            continue
        made = item.id.get_create_plist()
        if made.get_layout() not in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT) or made.get_external_count():
            raise ValueError(f"{name!r} is kept outside the file, virtual or in chunks; wanted plain numbers")
        if item.dtype.kind not in "fiub" or item.nbytes > max_bytes:
            raise ValueError(f"{name!r} is {item.dtype} of {item.nbytes:,} bytes; wanted numbers that fit in the file")
        target.create_dataset(name, data=np.asarray(item[()]))
