"""The numbers in a foreign HDF5 file, copied without following it anywhere, and how many parameters they allow."""

import io
import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import h5py
import keras
import numpy as np

# A group that training leaves, and its numbers are not needed.
_OPTIMIZER = ("optimizer", "optimizer_weights")
# A group may contain itself, or others by several names each.
_MAX_DEPTH, _MAX_ITEMS = 32, 1 << 14


def numbers(file: h5py.Group, *, max_bytes: int) -> dict[str, np.ndarray]:
    """Every array in `file` by its path. Raises ValueError where one refers to anything outside the file, or they claim more
    than `max_bytes` together: a file may say that an array is large and hold none of it."""
    found: dict[str, np.ndarray] = {}
    left = max_bytes
    for path, item in _datasets(file, "", 0, count()):
        properties = item.id.get_create_plist()
        if properties.get_layout() not in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT) or properties.get_external_count():
            raise ValueError(f"{path!r} is kept outside the file, virtual or in chunks; wanted plain numbers")
        left -= item.nbytes
        if item.dtype.kind not in "fiub" or left < 0:
            raise ValueError(f"{path!r} is {item.dtype} of {item.nbytes:,} bytes; wanted numbers that fit in the file")
        found[path] = np.asarray(item[()])
    return found


def _datasets(group: h5py.Group, path: str, depth: int, number: Iterator[int]) -> Iterator[tuple[str, h5py.Dataset]]:
    if depth > _MAX_DEPTH:
        raise ValueError(f"groups nested more than {_MAX_DEPTH} deep")
    for name in group:
        if next(number) >= _MAX_ITEMS:
            raise ValueError(f"more than {_MAX_ITEMS:,} groups and arrays")
        # External links, external datasets and virtual datasets would read other files.
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{name!r} is a link; wanted the numbers themselves")
        item, full = group[name], f"{path}/{name}".lstrip("/")
        if not isinstance(item, h5py.Group):
            yield full, item
        elif depth or name not in _OPTIMIZER:
            yield from _datasets(item, full, depth + 1, number)


def as_hdf5(arrays: dict[str, np.ndarray]) -> bytes:
    """A new HDF5 file with `arrays` at their paths."""
    fresh = io.BytesIO()
    with h5py.File(fresh, "w") as target:
        for path, array in arrays.items():
            target.create_dataset(path, data=array)
    return fresh.getvalue()


def texts(group: h5py.Group, name: str, *, max_bytes: int) -> list[str]:
    """The attribute `name` of `group`, one text or several; long lists of Keras's are in NAME0, NAME1 and so on. Empty where
    there is none. Raises ValueError where it is anything else, or larger than `max_bytes`."""
    parts = [name] if name in group.attrs else [part for k in range(len(group.attrs)) if (part := f"{name}{k}") in group.attrs]
    names: list[str] = []
    for part in parts:
        entry = group.attrs.get_id(part)
        if entry.dtype.kind not in "SO" or math.prod(entry.shape) * entry.dtype.itemsize > max_bytes:
            if math.prod(entry.shape) == 0:  # numpy's empty list is one of floats
                continue
            raise ValueError(f"{part!r} is no text that fits in the file")
        values = np.ravel(np.asarray(group.attrs[part], dtype=object)).tolist()
        names += [value.decode() if isinstance(value, bytes) else str(value) for value in values]
    return names


def assign(model: keras.Model, arrays: dict[str, np.ndarray], names: dict[str, list[str]]) -> None:
    """Give `model` the weights of an .h5 file: `names` are those of each layer's arrays. Raises ValueError where they differ.

    In a model of the model they are matched by name where all have one, else they come in the order in which Keras saves them.
    """
    for layer in model.layers:
        if not layer.weights:
            continue
        stored = names.get(layer.name, [])
        if lacking := [name for name in stored if name not in arrays]:
            raise ValueError(f"layer {layer.name!r}: no {lacking[0]!r} in the file")
        variables = _in_order(layer, stored)
        values = [arrays[name] for name in stored]
        if [tuple(variable.shape) for variable in variables] != [value.shape for value in values]:
            wanted, given = [tuple(each.shape) for each in variables], [each.shape for each in values]
            raise ValueError(f"layer {layer.name!r} takes weights {wanted}, and the file holds {given}")
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


def _in_order(layer: Any, stored: list[str]) -> list[Any]:
    parts = [part for part in layer._flatten_layers() if not isinstance(part, keras.Model)]
    by_name: dict[tuple[str, ...], Any] = {(part.name, variable.name): variable for part in parts for variable in part.weights}
    keys = [_key(name, by_name) for name in stored]
    if len(by_name) == len(layer.weights) and set(keys) == set(by_name) and len(set(keys)) == len(keys):
        return [by_name[key] for key in keys]
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _key(stored: str, known: Collection[tuple[str, ...]]) -> tuple[str, ...]:
    """Of `block/conv/kernel:0`, which of (block_conv, kernel) and (conv, kernel) is `known`; () if none is."""
    *above, last = stored.removesuffix(":0").split("/")
    return next((key for k in range(len(above)) if (key := ("_".join(above[k:]), last)) in known), ())


@contextmanager
def at_most(n_parameters: int) -> Iterator[None]:
    """Inside, layers that ask for more parameters raise ValueError before any is allocated."""
    left, add_weight = n_parameters, keras.Layer.add_weight

    def counted(layer: Any, *arguments: Any, **keywords: Any) -> Any:
        nonlocal left
        shape = keywords.get("shape") or next((each for each in arguments if isinstance(each, tuple | list)), ())
        n = math.prod(shape)
        left -= n
        if left < 0:
            raise ValueError(f"layer {layer.name!r} claims {n:,} parameters, and the file holds {n_parameters:,} in all")
        return add_weight(layer, *arguments, **keywords)

    keras.Layer.add_weight = counted
    try:
        yield
    finally:
        keras.Layer.add_weight = add_weight
