"""The range of each tensor of a float model on the calibration images, by one of three methods.

- min-max: the least and the greatest value. Nothing is clipped; one unusual image can widen every step.
- percentile: all but one value in ten thousand at either end.
- mse: of a hundred ever narrower ranges, the one whose 8-bit grid has the least mean square error, clipping included
  (Sung, Shin, Hwang 2015, arXiv 1511.06488, 3.2: L2-optimal uniform quantization, here searched on a histogram).
"""

from collections.abc import Callable, Iterable

import numpy as np

METHODS = ("min-max", "percentile", "mse")
_BINS = 2048
_TAIL = 1e-4
_LEVELS = 255

Values = Iterable[dict[str, np.ndarray]]
Range = tuple[float, float]


def tensor_ranges(values: Callable[[], Values], method: str) -> dict[str, Range]:
    """The range of each tensor by name. `values()` runs the model over the images and gives every tensor's values by image."""
    bounds: dict[str, Range] = {}
    for tensors in values():
        for name, array in tensors.items():
            low, high = bounds.get(name, (0.0, 0.0))  # zero must be a step of the grid
            bounds[name] = min(low, float(array.min())), max(high, float(array.max()))
    if method == "min-max":
        return bounds
    counts = {name: np.zeros(_BINS, np.int64) for name in bounds}
    for tensors in values():
        for name, array in tensors.items():
            if bounds[name] != (0.0, 0.0):
                counts[name] += np.histogram(array, _BINS, bounds[name])[0]
    return {name: narrowed(counts[name], bounds[name], method) for name in bounds}


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
