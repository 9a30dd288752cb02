"""Read CIFAR-10's Python batches without trusting them: a pickle can run any program.

Format: a dictionary, pickled by Python 2, with the keys b"data" (a numpy array uint8 [N, 3072]) and b"labels" (a list
of N numbers). Source: the data set's page, https://www.cs.toronto.edu/~kriz/cifar.html.
"""

import io
import pickle
from typing import Any

import numpy as np

from edge.errors import InputError, one_line

_MODULES = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")
_NAMES = ("_reconstruct", "ndarray", "dtype")


def parse_batch(content: bytes, *, name: str) -> tuple[np.ndarray, list[int]]:
    """The pixels, uint8 [N, 3072], and N labels of the batch `name`; nothing in it is called. Raises InputError."""
    try:
        loaded = _Unpickler(io.BytesIO(content), encoding="bytes").load()
        if not isinstance(loaded, dict):
            raise ValueError(f"it holds a {type(loaded).__name__}")
        batch = {key.encode() if isinstance(key, str) else key: value for key, value in loaded.items()}
        if missing := {b"data", b"labels"} - set(batch):
            names = ", ".join(repr(name) for name in sorted(map(str, loaded))[:4])
            raise ValueError(f"it has no {min(missing).decode()!r}; it has {names or 'nothing'}")
        if not isinstance(batch[b"labels"], list):
            raise ValueError("its labels are no list")
        pixels, labels = _array(batch[b"data"]), batch[b"labels"]
        if not labels or pixels.shape != (len(labels), 3072):
            raise ValueError(f"{pixels.shape} pixels with {len(labels)} labels")
        if not all(isinstance(label, int) and 0 <= label <= 9 for label in labels):
            raise ValueError("a label that is not from 0 to 9")
        return pixels, labels
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle raises a dozen types
        reason = one_line(f"{type(error).__name__}: {error}")
        raise InputError(
            f"{name}: not a batch of CIFAR-10 ({reason}); copy the published file again, or write your own as "
            "pickle.dump({'data': pixels, 'labels': labels.tolist()}, file, protocol=4), pixels uint8 [N, 3072], labels 0 to 9"
        ) from None


class _Recorded:
    """Replaces a numpy object, and records its arguments and state.

    numpy's own dtype accepts any state: one that declares numbers to be objects turns them into pointers.
    """

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type:
        if module in _MODULES and name in _NAMES:
            return _Recorded
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not run")


def _array(recorded: _Recorded) -> np.ndarray:
    """The pickled array, uint8. Raises any exception if the state is not an array's."""
    _, shape, dtype, by_columns, content = recorded.state
    if dtype.arguments[0] not in (b"u1", "u1"):
        raise ValueError(f"an array of {dtype.arguments[0]!r}")
    return np.frombuffer(content, np.uint8).reshape(shape, order="F" if by_columns else "C")
