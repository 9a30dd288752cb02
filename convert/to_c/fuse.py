"""Fuse steps: fewer passes over the activations, the same bytes."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from convert.to_c.steps import Convolve, Copy, Enter, Float, Leave, LookUp, LookUpFloat, Plane, Pool, Step

# The float operators of one value, in float32 as they run one after the other.
_FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "square": lambda x: x * x,
    "square_root": np.sqrt,
    "inverse_square_root": lambda x: np.float32(1) / np.sqrt(x),
}


def fuse(program: list[Step]) -> list[Step]:
    """`program` with fewer steps: float operators of one byte as tables, and pairs of steps joined as long as one can be."""
    program = _tabulate(program)
    while True:
        for at, step in enumerate(program):
            readers = [n for n, other in enumerate(program) if step.out in other.sources]
            if len(readers) != 1:
                continue
            follower = program[readers[0]]
            for rule in _RULES:
                joined = rule(step, follower)
                if joined is not None:
                    program = [*program[:at], *joined, *program[at + 1 : readers[0]], *program[readers[0] + 1 :]]
                    break
            else:
                continue
            break
        else:
            return program


def _tabulate(program: list[Step]) -> list[Step]:
    """A float that depends on one byte is looked up; between bytes, so is a byte."""
    known: dict[int, tuple[Plane, np.ndarray]] = {}
    tabulated: list[Step] = []
    for step in program:
        source = known.get(id(step.sources[0])) if step.sources else None
        if isinstance(step, Float) and step.function == "dequantize":
            (plane,) = step.sources
            known[id(step.out)] = plane, (np.arange(256) - plane.zero).astype(np.float32) * plane.scale
        elif isinstance(step, Float) and source and step.function in _FUNCTIONS:
            with np.errstate(all="ignore"):  # the root of a byte that never comes may be none
                table = _FUNCTIONS[step.function](source[1])
            known[id(step.out)] = source[0], table
            step = LookUpFloat(step.name, (source[0],), step.out, table)
        elif isinstance(step, Float) and source and step.function == "quantize":
            scaled = np.nan_to_num(source[1] * (np.float32(1) / step.out.scale), nan=-1024, posinf=1024, neginf=-1024)
            table = np.clip(np.rint(scaled) + step.out.zero, 0, 255).astype(np.uint8)
            step = LookUp(step.name, (source[0],), step.out, table[None, None, None])
        tabulated.append(step)
    return _needed(tabulated)


def _needed(program: list[Step]) -> list[Step]:
    """Without the steps that nothing reads."""
    kept: list[Step] = []
    for step in reversed(program):
        if isinstance(step, Leave) or any(step.out in other.sources for other in kept):
            kept.append(step)
    return kept[::-1]


def _compose(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """`second` of `first`, a table wherever either has one of its own."""
    shape = np.broadcast_shapes(first.shape, second.shape)
    first, second = np.broadcast_to(first, shape), np.broadcast_to(second, shape)
    return np.take_along_axis(second, first.astype(np.intp), axis=-1)


def _tables(first: Step, second: Step) -> list[Step] | None:
    """Two tables are one."""
    if isinstance(first, LookUp) and isinstance(second, LookUp):
        if np.broadcast_shapes(first.tables.shape, second.tables.shape) not in (first.tables.shape, second.tables.shape):
            return None  # together they would be many more
        return [LookUp(first.name, first.sources, second.out, _compose(first.tables, second.tables))]
    return None


def _enter(first: Step, second: Step) -> list[Step] | None:
    """The image is cropped and looked up as it enters."""
    if not isinstance(first, Enter):
        return None
    if (
        isinstance(second, Copy)
        and first.tables is None
        and second.shape[2] == first.out.channels
        and second.shape == second.out.shape
    ):
        return [replace(first, out=second.out, top=first.top + second.source_at[0], left=first.left + second.source_at[1])]
    if isinstance(second, LookUp) and (first.tables is None or first.tables.shape[:3] == (1, 1, 1)):
        tables = second.tables if first.tables is None else _compose(first.tables, second.tables)
        return [replace(first, out=second.out, tables=tables)]
    return None


def _pool_first(first: Step, second: Step) -> list[Step] | None:
    """The greatest of values looked up is looked up once where the table never falls."""
    if not (isinstance(first, LookUp) and isinstance(second, Pool)) or second.average or (second.low, second.high) != (0, 255):
        return None
    if first.tables.shape[:2] != (1, 1) or (np.diff(first.tables.astype(np.int64)) < 0).any():
        return None
    source = first.sources[0]
    between = Plane(*second.out.shape, source.scale, source.zero_point)
    return [replace(second, sources=first.sources, out=between), replace(first, sources=(between,), out=second.out)]


def _convolve_and_pool(first: Step, second: Step) -> list[Step] | None:
    """Rounding never falls, so that the greatest of 2×2 sums is the sum of the greatest."""
    if not (isinstance(first, Convolve) and isinstance(second, Pool)) or second.average or first.depthwise or first.pool > 1:
        return None
    plane, out = first.out, second.out
    whole = out.height * 2 <= plane.height and out.width * 2 <= plane.width
    if second.window != (2, 2) or second.stride != (2, 2) or second.pad != (0, 0) or not whole:
        return None
    low, high = max(first.low, second.low), min(first.high, second.high)
    return [replace(first, out=out, pool=2, low=low, high=high)]


def _pad(first: Step, second: Step) -> list[Step] | None:
    """Zeros around an image are what a convolution reads beyond it."""
    if not (isinstance(first, Copy) and isinstance(second, Convolve)) or first.shape != first.sources[0].shape:
        return None
    if first.out_at[2] or first.out.channels != first.shape[2]:
        return None
    pad = (second.pad[0] + first.out_at[0], second.pad[1] + first.out_at[1])
    return [replace(second, sources=first.sources, pad=pad)]


_RULES: tuple[Callable[[Step, Step], list[Step] | None], ...] = (_tables, _enter, _pool_first, _convolve_and_pool, _pad)
