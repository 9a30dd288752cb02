"""Read a foreign `.keras` or `.h5` file without running any code in it.

Keras's safe mode has been bypassed more than once, so Keras never opens the file. We read its parts, say its config as Keras 3
does, check every class, function and string that Keras would look up against a list, copy the weights as plain numbers, and
give Keras what we wrote. Layers get no more parameters than the file holds numbers.
"""

import io
import json
import re
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from convert.sources import keras_weights
from convert.sources.keras2 import modern, plain_name
from convert.sources.keras_allowlist import ConfigCheck
from edge.errors import InputMissing, ModelError, missing
from edge.silence import silence_native_output

# Members of the archive, and how many bytes of each are read at most; a small image classifier's weights are 1 to 50 MB.
MEMBERS = {"metadata.json": 1 << 16, "config.json": 8 << 20, "model.weights.h5": 512 << 20}
MAX_BYTES = sum(MEMBERS.values())
# A member may unpack to so many times its bytes; trained weights hardly pack at all.
MAX_RATIO, FREE_BYTES = 100, 1 << 20
HOW_TO_SAVE = "save the whole model with Keras: model.save('my.keras')"
_OTHERS = {
    ".onnx": "an ONNX model", ".pb": "a TensorFlow graph", ".pickle": "a pickle", ".pkl": "a pickle", ".pt": "a PyTorch file",
    ".pth": "a PyTorch file", ".tflite": "a converted model", ".json": "a config without weights",
}  # fmt: skip
_SHAPE = '{"height": 32, "width": 32, "channels": 3}'


@dataclass(frozen=True, eq=False)
class KerasFile:
    """The model that Keras rebuilt from the file's checked config, and the Keras version that wrote the file."""

    model: keras.Model
    saved_with: str


def read(path: Path, *, image: tuple[int, int, int] | None = None) -> KerasFile:
    """The model in the file at `path`. `image` is the height, width and channels that it takes, where the file may not say so.

    Raises InputMissing, or ModelError that names what is not allowed in it.
    """
    content = _content(path)
    if content.startswith(b"\x89HDF"):
        config, version, arrays, load = _hdf5(path, content)
    else:
        config, version, arrays, load = _archive(path, content)
    _with_input(path, config, image)
    try:
        refused = ConfigCheck().refused(config)
    except RecursionError:
        refused = ["it is nested too deeply"]
    if refused:
        more = f"; and {len(refused) - 4} more" if len(refused) > 4 else ""
        raise ModelError(f"{path}: cannot be converted: {'; '.join(refused[:4])}{more}")
    try:
        with silence_native_output(), keras_weights.at_most(sum(array.size for array in arrays.values())):
            model = load(config)
    except MemoryError:
        raise
    except Exception as error:  # a config that does not fit together raises dozens of kinds
        raise ModelError(f"{path}: Keras cannot rebuild it ({_brief(error)}); {HOW_TO_SAVE}") from None
    return KerasFile(model, version if re.fullmatch(r"[0-9a-z.+-]{1,32}", version) else "unknown")


# Of either kind of file: its config as Keras 3 writes it, the version that wrote it, its numbers, and what makes them a model.
_Read = tuple[dict[str, Any], str, dict[str, np.ndarray], Callable[[dict[str, Any]], keras.Model]]


def _archive(path: Path, content: bytes) -> _Read:
    members = _members(path, content)
    config, metadata = (
        _json(path, members["config.json"], "config.json"),
        _json(path, members["metadata.json"], "metadata.json"),
    )
    version = str(metadata.get("keras_version"))
    weights = members["model.weights.h5"]
    arrays = _numbers(path, "model.weights.h5", weights, lambda file: keras_weights.numbers(file, max_bytes=len(weights)))

    def load(config: dict[str, Any]) -> keras.Model:
        with tempfile.TemporaryDirectory() as folder:  # readable by this user alone
            ours = Path(folder, "checked.keras")
            with zipfile.ZipFile(ours, "w") as archive:
                archive.writestr("metadata.json", json.dumps({"keras_version": keras.__version__}))
                archive.writestr("config.json", json.dumps(config))
                archive.writestr("model.weights.h5", keras_weights.as_hdf5(arrays))
            return keras.saving.load_model(ours, custom_objects=None, compile=False, safe_mode=True)

    return _said_today(config) if version.startswith("2.") else config, version, arrays, load


def _hdf5(path: Path, content: bytes) -> _Read:
    def parts(file: h5py.File) -> tuple[list[str], list[str], dict[str, np.ndarray], dict[str, list[str]]]:
        most = min(len(content), MEMBERS["config.json"])
        config, version = (keras_weights.texts(file, name, max_bytes=most) for name in ("model_config", "keras_version"))
        if "model_weights" not in file or len(config) != 1 or len(config[0]) > most:
            return [], [], {}, {}
        group = file["model_weights"]
        arrays = keras_weights.numbers(group, max_bytes=len(content))
        layers = keras_weights.texts(group, "layer_names", max_bytes=len(content))
        names = {
            plain_name(layer): [f"{layer}/{name}" for name in keras_weights.texts(group[layer], "weight_names", max_bytes=most)]
            for layer in layers
            if layer in group
        }
        return config, version, arrays, names

    config, version, arrays, names = _numbers(path, "it", content, parts)
    if not config:
        raise ModelError(f"{path}: weights without a model; build it in your code, load_weights, and {HOW_TO_SAVE}")

    def load(config: dict[str, Any]) -> keras.Model:
        model = keras.saving.deserialize_keras_object(config, safe_mode=True)
        keras_weights.assign(model, arrays, names)
        return model

    return _said_today(_json(path, config[0].encode(), "its config")), (version or [""])[0], arrays, load


def _said_today(config: dict[str, Any]) -> dict[str, Any]:
    try:
        return dict(modern(config))
    except Exception:  # of a config that is no model's: the check refuses it
        return config


def _with_input(path: Path, config: dict[str, Any], image: tuple[int, int, int] | None) -> None:
    """Give a Sequential without any input the one that `image` says."""
    inner = config.get("config")
    if config.get("class_name") != "Sequential" or not isinstance(inner, dict) or not isinstance(inner.get("layers"), list):
        return
    first = inner["layers"][0] if inner["layers"] and isinstance(inner["layers"][0], dict) else {}
    if first.get("class_name") in ("InputLayer", "Functional", "Sequential") or inner.get("build_input_shape"):
        return
    if image is None:
        raise ModelError(f"{path}: a Sequential that does not say what it takes; say so in a file with --contract: {_SHAPE}")
    entry = {"batch_shape": [None, *image], "dtype": "float32", "name": "pixels"}
    inner["layers"].insert(0, {"module": "keras.layers", "class_name": "InputLayer", "config": entry, "registered_name": None})


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__


def _members(path: Path, content: bytes) -> dict[str, bytes]:
    """The content of the archive's three members, each read once and up to its limit."""
    if not content.startswith(b"PK"):
        what = "a pickle" if content.startswith(b"\x80") else "no ZIP archive"
        raise ModelError(f"{path}: {what}, not a .keras file; {HOW_TO_SAVE}")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [info.filename for info in archive.infolist()]
            if odd := sorted(set(names) - set(MEMBERS)):
                raise ModelError(f"{path}: holds {odd[0][:80]!r}; wanted {', '.join(MEMBERS)} alone")
            if sorted(names) != sorted(MEMBERS):
                raise ModelError(f"{path}: holds {', '.join(names)}; wanted {', '.join(MEMBERS)}, each once")
            return {name: _bounded(path, archive, name) for name in names}
    except ModelError:
        raise
    except Exception as error:  # zipfile raises a dozen kinds on damage, zlib.error and NotImplementedError among them
        raise ModelError(f"{path}: a damaged .keras file ({error}); copy the file again") from None


def _content(path: Path) -> bytes:
    if path.is_dir():
        how = f"load it with the TensorFlow that wrote it, and {HOW_TO_SAVE}"
        raise ModelError(f"{path}: a folder; wanted a .keras or .h5 file; where it is a SavedModel, {how}")
    if what := _OTHERS.get(path.suffix.lower()):
        raise ModelError(f"{path}: {what}; only .keras and .h5 files are checked before they are loaded; {HOW_TO_SAVE}")
    if not path.is_file():  # reading a pipe would block
        raise InputMissing(f"{path}: no such file; name a .keras or .h5 file")
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise missing(str(path), error) from None
    if len(content) > MAX_BYTES:
        raise ModelError(f"{path}: more than {MAX_BYTES >> 20} MiB; small image classifiers are converted")
    return content


def _bounded(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    info = archive.getinfo(name)
    most = min(MEMBERS[name], FREE_BYTES + MAX_RATIO * info.compress_size)
    with archive.open(name) as member:
        content = member.read(most + 1)  # the size in the archive's directory may be false
    if len(content) > most:
        raise ModelError(f"{path}: {name} unpacks to more than {most:,} bytes; no small classifier's does")
    return content


def _json(path: Path, content: bytes, name: str) -> dict[str, Any]:
    try:
        value = json.loads(content, parse_constant=lambda word: ConfigCheck.no_number(word))
        if not isinstance(value, dict):
            raise ValueError(f"a {type(value).__name__}")
        return value
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: {name} cannot be read ({str(error)[:80]}); {HOW_TO_SAVE}") from None


def _numbers(path: Path, name: str, content: bytes, take: Callable[[h5py.File], Any]) -> Any:
    """What `take` takes from HDF5 `content`. Raises ModelError where that refers to anything outside itself, or is damaged."""
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            return take(file)
    except MemoryError:
        raise
    except Exception as error:  # h5py raises OSError, RuntimeError, KeyError, ValueError and more on damage
        raise ModelError(f"{path}: {name} is refused ({_brief(error)}); {HOW_TO_SAVE}") from None
