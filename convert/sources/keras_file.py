"""Read a foreign `.keras` file without running any code in it.

Keras's safe mode has been bypassed more than once, so Keras never opens the file. We read its three members, check every
class, function and string that Keras would look up against a list, copy the weights as plain numbers, and give Keras a file
that we wrote.
"""

import io
import json
import re
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from convert.sources.keras_allowlist import ConfigCheck
from edge.errors import InputMissing, ModelError, missing
from edge.silence import silence_native_output

# Members of the archive, and how many bytes of each are read at most; a small image classifier's weights are 1 to 50 MB.
MEMBERS = {"metadata.json": 1 << 16, "config.json": 8 << 20, "model.weights.h5": 512 << 20}
MAX_BYTES = sum(MEMBERS.values())
HOW_TO_SAVE = "save the model with Keras 3: model.save('my.keras')"
_OTHERS = (".h5", ".hdf5", ".onnx", ".pb", ".pickle", ".pkl", ".pt", ".pth", ".tflite")


@dataclass(frozen=True, eq=False)
class KerasFile:
    """The model that Keras rebuilt from the file's checked config, and the Keras version that wrote the file."""

    model: keras.Model
    saved_with: str


def read(path: Path) -> KerasFile:
    """The model in the `.keras` file at `path`. Raises InputMissing, or ModelError that names what is not allowed in it."""
    members = _members(path)
    config, metadata = _json(path, members, "config.json"), _json(path, members, "metadata.json")
    try:
        refused = ConfigCheck().refused(config)
    except RecursionError:
        refused = ["it is nested too deeply"]
    if refused:
        more = f"; and {len(refused) - 4} more" if len(refused) > 4 else ""
        raise ModelError(f"{path}: cannot be converted: {'; '.join(refused[:4])}{more}")
    version = str(metadata.get("keras_version"))
    with tempfile.TemporaryDirectory() as folder:  # readable by this user alone
        ours = Path(folder, "checked.keras")
        with zipfile.ZipFile(ours, "w") as archive:
            archive.writestr("metadata.json", json.dumps({"keras_version": keras.__version__}))
            archive.writestr("config.json", json.dumps(config))
            archive.writestr("model.weights.h5", _copied(path, members["model.weights.h5"]))
        try:
            with silence_native_output():
                model = keras.saving.load_model(ours, custom_objects=None, compile=False, safe_mode=True)
        except MemoryError:
            raise
        except Exception as error:  # a config that does not fit together raises dozens of kinds
            raise ModelError(f"{path}: Keras cannot rebuild it ({_brief(error)}); {HOW_TO_SAVE}") from None
    return KerasFile(model, version if re.fullmatch(r"[0-9a-z.+-]{1,32}", version) else "unknown")


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__


def _members(path: Path) -> dict[str, bytes]:
    """The content of the archive's three members, each read once and up to its limit."""
    content = _content(path)
    if not content.startswith(b"PK"):
        kinds = {b"\x89HDF": "an HDF5 file", b"\x80": "a pickle"}
        what = next((kind for start, kind in kinds.items() if content.startswith(start)), "no ZIP archive")
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
    if path.is_dir() or path.suffix.lower() in _OTHERS:
        raise ModelError(f"{path}: only a .keras file can be checked before it is loaded; {HOW_TO_SAVE}")
    if not path.is_file():  # reading a pipe would block
        raise InputMissing(f"{path}: no such file; name a .keras file")
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise missing(str(path), error) from None
    if len(content) > MAX_BYTES:
        raise ModelError(f"{path}: more than {MAX_BYTES >> 20} MiB; small image classifiers are converted")
    return content


def _bounded(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as member:
        content = member.read(MEMBERS[name] + 1)  # the size in the archive's directory may be false
    if len(content) > MEMBERS[name]:
        raise ModelError(f"{path}: {name} unpacks to more than {MEMBERS[name]:,} bytes; no small classifier's does")
    return content


def _json(path: Path, members: dict[str, bytes], name: str) -> dict[str, Any]:
    try:
        value = json.loads(members[name], parse_constant=lambda word: ConfigCheck.no_number(word))
        if not isinstance(value, dict):
            raise ValueError(f"a {type(value).__name__}")
        return value
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: {name} cannot be read ({str(error)[:80]}); {HOW_TO_SAVE}") from None


def _copied(path: Path, weights: bytes) -> bytes:
    """A new HDF5 file with the same numbers. Raises ModelError where the old one refers to anything outside itself."""
    fresh = io.BytesIO()
    try:
        with h5py.File(io.BytesIO(weights), "r") as source, h5py.File(fresh, "w") as target:
            _copy_group(source, target, max_bytes=len(weights), depth=0)
    except MemoryError:
        raise
    except Exception as error:  # h5py raises OSError, RuntimeError, KeyError, ValueError and more on damage
        raise ModelError(f"{path}: model.weights.h5 is refused ({_brief(error)}); {HOW_TO_SAVE}") from None
    return fresh.getvalue()


def _copy_group(source: h5py.Group, target: h5py.Group, *, max_bytes: int, depth: int) -> None:
    if depth > 32:  # a group may contain itself
        raise ValueError("groups nested more than 32 deep")
    for name in source:
        # External links, external datasets and virtual datasets would read other files.
        if not isinstance(source.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{name!r} is a link; wanted the numbers themselves")
        item = source[name]
        if isinstance(item, h5py.Group):
            if not (depth == 0 and name == "optimizer"):
                _copy_group(item, target.create_group(name), max_bytes=max_bytes, depth=depth + 1)
            continue
        properties = item.id.get_create_plist()
        if properties.get_layout() not in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT) or properties.get_external_count():
            raise ValueError(f"{name!r} is kept outside the file, virtual or in chunks; wanted plain numbers")
        if item.dtype.kind not in "fiub" or item.nbytes > max_bytes:
            raise ValueError(f"{name!r} is {item.dtype} of {item.nbytes:,} bytes; wanted numbers that fit in the file")
        target.create_dataset(name, data=np.asarray(item[()]))
