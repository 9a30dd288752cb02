"""Lay out the memory of a program: borders, and a place in the arena for each plane while it is needed."""

from dataclasses import replace

from convert.to_c.steps import Convolve, Copy, Leave, Plane, Reshape, Softmax, Step, Storage

ALIGN = 64
SLACK = 64  # kernels read whole vectors, at most so many bytes behind a plane


def lay_out(program: list[Step]) -> tuple[list[Step], int, int]:
    """The steps with every plane placed, and how many bytes and floats the arena has."""
    program = _borders(program)
    _share_reshaped(program)
    n_bytes = _place(program, is_float=False)
    n_floats = _place(program, is_float=True)
    return program, n_bytes, n_floats


def _reach(step: Convolve) -> tuple[int, int, int, int]:
    """How far a convolution reads beyond its source: top, left, bottom, right."""
    source, (top, left) = step.sources[0], step.pad
    rows, columns = step.weights.shape[1:3]
    last = [(size * step.pool - 1) * by for size, by in zip(step.out.shape, step.stride, strict=False)]
    bottom, right = last[0] + rows - top - source.height, last[1] + columns - left - source.width
    return top, left, max(bottom, 0), max(right, 0)


def _borders(program: list[Step]) -> list[Step]:
    """Give planes the borders that convolutions read; where a plane may have none, a copy with one."""
    takes_a_row = (Reshape, Softmax, Leave)  # they take a plane as one row of values
    fixed = {id(plane) for step in program if isinstance(step, takes_a_row) for plane in (*step.sources, step.out)}
    bordered: list[Step] = []
    for step in program:
        if isinstance(step, Convolve) and any(_reach(step)):
            (source,) = step.sources
            if id(source) in fixed:
                copied = Plane(*source.shape, source.scale, source.zero_point)
                bordered.append(Copy(step.name, (source,), copied, (0, 0, 0), (0, 0, 0), source.shape))
                step, source = replace(step, sources=(copied,)), copied
            old, new = source.border, _reach(step)
            source.border = (max(old[0], new[0]), max(old[1], new[1]), max(old[2], new[2]), max(old[3], new[3]))
        bordered.append(step)
    for step in bordered:
        step.out.storage = Storage(step.out.size * (4 if step.out.is_float else 1), step.out.is_float)
    return bordered


def _share_reshaped(program: list[Step]) -> None:
    for step in program:
        if isinstance(step, Reshape):
            step.out.storage = step.sources[0].storage


def _place(program: list[Step], *, is_float: bool) -> int:
    """First fit, in the order of need; returns the size in elements."""
    lives: dict[int, list[int]] = {}
    storages: dict[int, Storage] = {}
    for at, step in enumerate(program):
        for plane in (*step.sources, step.out):
            if plane.is_float == is_float:
                storages[id(plane.storage)] = plane.storage
                lives.setdefault(id(plane.storage), [at, at])[1] = at
    placed: list[tuple[int, int, int, int]] = []  # first and last step, start and end
    for key, (first, last) in lives.items():
        storage = storages[key]
        size = -(-(storage.size + SLACK) // ALIGN) * ALIGN
        start = 0
        for _, _, begin, end in sorted((p for p in placed if p[0] <= last and first <= p[1]), key=lambda p: p[2]):
            if start + size <= begin:
                break
            start = max(start, end)
        storage.offset = start // 4 if is_float else start
        placed.append((first, last, start, start + size))
    most = max((end for *_, end in placed), default=0)
    return most // 4 if is_float else most
