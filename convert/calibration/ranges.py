"""The range of each tensor of a float model on the calibration images, by one of three methods.

- min-max: the least and the greatest value. Nothing is clipped; one unusual image can widen every step.
- percentile: all but one value in ten thousand at either end.
- mse: of a hundred ever narrower ranges, the one whose 8-bit grid has the least mean square error, clipping included
  (Sung, Shin, Hwang 2015, arXiv 1511.06488, 3.2: L2-optimal uniform quantization, here searched on a histogram).
"""

from collections.abc import Callable, Iterable
from functools import cached_property

import numpy as np

METHODS = ("min-max", "percentile", "mse")
_BINS = 2048
_BLOCK = 1 << 15  # values, that stay in the cache
_NEAR = np.float32(0.498)  # of the middle of a bin, in bins; float32 errs by less than a thousandth of one
_TAIL = 1e-4
_LEVELS = 255

Values = Iterable[dict[str, np.ndarray]]
Range = tuple[float, float]


class TensorRanges:
    """The range of each tensor by any method. `values()` runs the model over the images and gives every tensor's values by
    image; it is called twice at most, however many methods are asked for."""

    def __init__(self, values: Callable[[], Values]) -> None:
        self._values = values

    def by(self, method: str) -> dict[str, Range]:
        """The ranges by the tensors' names."""
        if method == "min-max":
            return dict(self._bounds)
        return {name: narrowed(self._counts[name], bounds, method) for name, bounds in self._bounds.items()}

    @cached_property
    def _bounds(self) -> dict[str, Range]:
        bounds: dict[str, Range] = {}
        for tensors in self._values():
            for name, array in tensors.items():
                low, high = bounds.get(name, (0.0, 0.0))  # zero must be a step of the grid
                bounds[name] = min(low, float(array.min())), max(high, float(array.max()))
        return bounds

    @cached_property
    def _counts(self) -> dict[str, np.ndarray]:
        counts = {name: np.zeros(_BINS, np.int64) for name in self._bounds}
        for tensors in self._values():
            for name, array in tensors.items():
                if self._bounds[name] != (0.0, 0.0):
                    counts[name] += counted(array, self._bounds[name])
        return counts


def counted(values: np.ndarray, bounds: Range) -> np.ndarray:
    """The histogram of `values`, float32 within `bounds`: int64 [bins]. What np.histogram counts, in 0.6 of its time.

    It compares each value with the edges of its bin, for a quotient may be rounded over one. Here only those near an edge are
    compared; zeros, which may be half of all values behind a ReLU, are put right together.
    """
    if values.dtype != np.float32 or np.isnan(values.min()):
        return np.histogram(values, _BINS, bounds)[0]
    edges = np.histogram_bin_edges(np.empty(0, np.float32), _BINS, bounds)
    low, bins_per_unit = np.float32(bounds[0]), np.float32(_BINS / (bounds[1] - bounds[0]))
    counts: np.ndarray = np.zeros(_BINS + 1, np.int64)  # the greatest value is at the end of the last bin
    flat = values.ravel()
    for start in range(0, flat.size, _BLOCK):
        part = flat[start : start + _BLOCK]
        place = (part - low) * bins_per_unit
        at = place.astype(np.int32)
        place -= at
        near = np.flatnonzero((np.abs(place - np.float32(0.5)) > _NEAR) & (part != 0) & (at < _BINS))
        at[near] -= part[near] < edges[at[near]]
        at[near] += part[near] >= edges[at[near] + 1]
        counts += np.bincount(at, minlength=_BINS + 1)
    n_zeros = flat.size - np.count_nonzero(flat)
    counts[int((np.float32(0) - low) * bins_per_unit)] -= n_zeros
    counts[min(_BINS, int(np.searchsorted(edges, 0, side="right")) - 1)] += n_zeros
    counts[_BINS - 1] += counts[_BINS]
    return counts[:_BINS]


def narrowed(counts: np.ndarray, bounds: Range, method: str) -> Range:
    """The range `method` chooses within `bounds`, over which `counts` (int64 [bins]) is a histogram. Zero stays inside."""
    if not counts.sum():
        return bounds
    edges = np.linspace(*bounds, len(counts) + 1)
    if method == "percentile":
        below = np.cumsum(counts) / counts.sum()
        low = edges[np.searchsorted(below, _TAIL, side="right")]
        high = edges[np.searchsorted(below, 1 - _TAIL) + 1]
        return min(0.0, float(low)), max(0.0, float(high))
    centres = (edges[:-1] + edges[1:]) / 2
    errors = {}
    for share in np.linspace(0.01, 1, 100):
        low, high = share * bounds[0], share * bounds[1]
        step = (high - low) / _LEVELS
        on_grid = np.clip(np.round((centres - low) / step), 0, _LEVELS) * step + low
        errors[low, high] = float(np.sum(counts * (centres - on_grid) ** 2))
    return min(errors, key=lambda r: errors[r])
