"""Plan a program: one step for each operator, every operator known or refused by name."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from convert.to_c import arithmetic, steps
from convert.to_c.reader import Graph, Node, Tensor
from convert.to_c.steps import Plane, Step
from edge.errors import Refused

MAX_TABLES = 1024  # of 256 bytes each, for a constant that is added or multiplied


def plan(graph: Graph) -> list[Step]:
    """The steps of `graph` in order, from the image to the logits. Raises Refused at the first operator that C lacks."""
    planes = {graph.entry.index: _plane(graph.entry)}
    height, width, _ = planes[graph.entry.index].shape
    enter = steps.Enter("image", (), planes[graph.entry.index], height, width, top=0, left=0)
    program: list[Step] = [enter]
    for node in graph.nodes:
        if node.kind not in _PLANNERS:
            raise Refused(
                f"operator {node.kind} ({name(node)}) cannot be generated as C; supported: {', '.join(sorted(_PLANNERS))}"
            )
        sources = tuple(planes[t.index] for t in node.inputs if t is not None and t.data is None)
        out = planes[node.output.index] = _plane(node.output)
        program += _PLANNERS[node.kind](node, sources, out)
    start = 0
    for what, tensor in zip(("logits", "extra"), graph.exits, strict=False):
        leaves = planes[tensor.index]
        program.append(steps.Leave(what, (leaves,), leaves, start))
        start += leaves.height * leaves.width * leaves.channels
    return program


def name(node: Node) -> str:
    """The layer's name as its author chose it: the converter joins the names of what it fused."""
    first = node.output.name.split(";")[0].removesuffix("_quantized").removesuffix("_dequant")
    parts = re.sub(r"[^A-Za-z0-9_.:/ -]", "_", first).split("/")
    if len(parts) > 1:
        return parts[-2].removesuffix("_1")
    return "logits" if first.startswith("StatefulPartitionedCall") else parts[0].split(":")[0]


def _plane(tensor: Tensor) -> Plane:
    shape = tensor.shape
    if len(shape) not in (1, 2, 3, 4) or (len(shape) > 1 and shape[0] != 1):
        raise Refused(
            f"tensor {tensor.name} has shape {list(shape)}; C takes one image, [1, height, width, channels] or [1, n]"
        )
    if tensor.dtype not in ("int8", "float32"):
        raise Refused(f"tensor {tensor.name} is {tensor.dtype}; C computes in int8, and in float32 between")
    height, width, channels = (1, 1, 1, *shape[1 if len(shape) > 1 else 0 :])[-3:]
    is_float = tensor.dtype == "float32"
    return Plane(height, width, channels, np.float32(1) if is_float else tensor.scale, tensor.zero_point, is_float)


def _bytes(values: tuple[int, int]) -> dict[str, int]:
    return {"low": values[0] + 128, "high": values[1] + 128}


def _same(size: int, kernel: int, stride: int, padding: int) -> int:
    """Rows before the image that TFLite adds for SAME (0); none for VALID (1)."""
    return 0 if padding else max((-(-size // stride) - 1) * stride + kernel - size, 0) // 2


def _convolve(node: Node, sources: tuple[Plane, ...], out: Plane) -> list[Step]:
    source, filters = node.inputs[0], node.inputs[1]
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if len(sources) != 1 or source is None or source.data is not None or filters is None or filters.data is None:
        raise Refused(f"operator {node.kind} ({name(node)}): its weights are computed; C takes constants")
    if filters.dtype != "int8" or filters.zero_point or out.is_float or (bias and (bias.data is None or bias.dtype != "int32")):
        raise Refused(
            f"operator {node.kind} ({name(node)}): {filters.dtype} weights; C takes int8 with zero point 0 and int32 biases"
        )
    (plane,), depthwise, options = sources, node.kind == "DEPTHWISE_CONV_2D", node.options
    before: list[Step] = []
    if node.kind == "FULLY_CONNECTED":
        n, depth = filters.shape
        if plane.channels != depth:  # all values of an image, taken as one row
            row = Plane(1, 1, depth, plane.scale, plane.zero_point)
            if int(np.prod(plane.shape)) != depth:
                raise Refused(f"operator {node.kind} ({name(node)}) takes {depth} values of {'×'.join(map(str, plane.shape))}")
            before, sources, plane = [steps.Reshape(name(node), sources, row)], (row,), row
        weights, stride, pad = filters.data.reshape(n, 1, 1, depth), (1, 1), (0, 0)
    else:
        if options["dilationHFactor"] != 1 or options["dilationWFactor"] != 1:
            raise Refused(f"operator {node.kind} ({name(node)}) is dilated; C takes dilation 1")
        if plane.channels != filters.shape[3] or (depthwise and options["depthMultiplier"] not in (0, 1)):
            raise Refused(
                f"operator {node.kind} ({name(node)}) has groups of channels; C takes plain or depthwise, one output each"
            )
        weights, stride = filters.data, (options["strideH"], options["strideW"])
        pad = tuple(
            _same(size, kernel, by, options["padding"])
            for size, kernel, by in zip(plane.shape, filters.shape[1:3], stride, strict=False)
        )  # type: ignore[assignment]
    n = out.channels
    each = weights[0].reshape(-1, n).T if depthwise else weights.reshape(n, -1)
    biases = np.zeros(n, np.int64) if bias is None or bias.data is None else bias.data.astype(np.int64)
    biases = biases - plane.zero * each.astype(np.int64).sum(1)
    scales = np.broadcast_to(source.scale * filters.scales / node.output.scale, n)
    _check_sums(node, each, biases, scales)
    within = _bytes(arithmetic.limits(options["fusedActivationFunction"], node.output))
    convolve = steps.Convolve(name(node), sources, out, weights, biases, scales, stride, pad, depthwise=depthwise, **within)
    return [*before, convolve]


def _check_sums(node: Node, weights: np.ndarray, biases: np.ndarray, scales: np.ndarray) -> None:
    """Raise Refused where a sum could leave int32, which in C is undefined."""
    most = abs(biases) + 256 * abs(weights.astype(np.int64)).sum(1)
    if most.max(initial=0) >= 2**31 or (most * scales).max(initial=0) >= 2**31:
        raise Refused(
            f"operator {node.kind} ({name(node)}): its sums can leave int32; biases that large come from a dead channel"
        )


def _pool(node: Node, sources: tuple[Plane, ...], out: Plane) -> list[Step]:
    options = node.options
    window, stride = (options["filterHeight"], options["filterWidth"]), (options["strideH"], options["strideW"])
    if out.is_float:
        raise Refused(f"operator {node.kind} ({name(node)}) computes in float; C pools in int8")
    pad = tuple(_same(s, k, by, options["padding"]) for s, k, by in zip(sources[0].shape, window, stride, strict=False))
    within = _bytes(arithmetic.limits(options["fusedActivationFunction"], node.output))
    return [steps.Pool(name(node), sources, out, window, stride, pad, node.kind == "AVERAGE_POOL_2D", **within)]  # type: ignore[arg-type]


def _table(node: Node, sources: tuple[Plane, ...], out: Plane) -> list[Step]:
    return [
        steps.LookUp(name(node), sources, out, (arithmetic.TABLES[node.kind](node) + 128).astype(np.uint8)[None, None, None])
    ]


def _two(node: Node, sources: tuple[Plane, ...], out: Plane) -> list[Step]:
    """ADD, SUB or MUL: of two planes, or of one and a constant, where every value has its answer in a table."""
    first, second = node.inputs
    assert first and second
    if out.is_float:
        if len(sources) != 2 or sources[0].shape != sources[1].shape or node.options["fusedActivationFunction"]:
            raise Refused(f"operator {node.kind} ({name(node)}) in float: C takes two planes of one shape")
        return [steps.Float(name(node), sources, out, {"ADD": "add", "SUB": "subtract", "MUL": "multiply"}[node.kind])]
    if not arithmetic.in_range(node):
        raise Refused(
            f"operator {node.kind} ({name(node)}): its scales are too far apart for XNNPACK, whose arithmetic C follows"
        )
    if len(sources) == 1:
        constant = second if first.data is None else first
        values = np.asarray(constant.data).astype(np.int64).reshape((1, 1, 1, *constant.shape)[-3:])[..., None]
        if values.size > MAX_TABLES:
            raise Refused(
                f"operator {node.kind} ({name(node)}): a constant of shape {list(constant.shape)}; "
                f"C takes one value per row, column or channel, at most {MAX_TABLES}"
            )
        every = arithmetic.EVERY
        compute = arithmetic.multiply if node.kind == "MUL" else arithmetic.add
        answers = compute(every, values, node) if first.data is None else compute(values, every, node)
        return [steps.LookUp(name(node), sources, out, (answers + 128).astype(np.uint8))]
    if sources[0].shape != sources[1].shape:
        shapes = " and ".join("×".join(map(str, plane.shape)) for plane in sources)
        raise Refused(f"operator {node.kind} ({name(node)}) of {shapes}; C takes two of one shape")
    within = _bytes(arithmetic.limits(node.options["fusedActivationFunction"], node.output))
    if node.kind == "MUL":
        return [steps.Multiply(name(node), sources, out, first.scale * second.scale / out.scale, **within)]
    a, b, bias, shift = arithmetic.add_terms(node)
    return [steps.Add(name(node), sources, out, a, b, bias - 128 * (a + b), shift, **within)]


def _mean(node: Node, sources: tuple[Plane, ...], out: Plane) -> list[Step]:
    (plane,), axes = sources, node.inputs[1]
    if axes is None or axes.data is None or sorted(axes.data.ravel() % 4) != [1, 2] or out.is_float:
        raise Refused(f"operator MEAN ({name(node)}) of other axes than rows and columns; C takes [1, 2]")
    scale = plane.scale / out.scale * (np.float32(1) / np.float32(plane.height * plane.width))
    return [steps.Mean(name(node), sources, out, np.float32(scale))]


def _reshape(node: Node, sources: tuple[Plane, ...], out: Plane) -> list[Step]:
    _need_equal(node, sources, out)
    return [steps.Reshape(name(node), sources, out)]


def _need_equal(node: Node, sources: tuple[Plane, ...], out: Plane) -> None:
    for plane in sources:
        if (plane.scale, plane.zero_point, plane.is_float) != (out.scale, out.zero_point, out.is_float):
            raise Refused(f"operator {node.kind} ({name(node)}) changes the quantization; C takes equal scales and zero points")


def _pad(node: Node, sources: tuple[Plane, ...], out: Plane) -> list[Step]:
    _need_equal(node, sources, out)
    amounts = node.inputs[1]
    assert amounts is not None and amounts.data is not None
    before = amounts.data[:, 0].tolist()
    if len(before) != 4 or amounts.data[0].any() or amounts.data[3].any() or len(node.inputs) > 2:
        raise Refused(
            f"operator {node.kind} ({name(node)}) pads batch or channels, or with a value; C pads rows and columns with 0"
        )
    (plane,) = sources
    return [steps.Copy(name(node), sources, out, (0, 0, 0), (before[1], before[2], 0), plane.shape, pads=True)]


def _concatenate(node: Node, sources: tuple[Plane, ...], out: Plane) -> list[Step]:
    _need_equal(node, sources, out)
    axis = node.options["axis"] % len(node.output.shape) + 4 - len(node.output.shape)
    if len(sources) != len(node.inputs) or axis == 0 or node.options["fusedActivationFunction"]:
        raise Refused(f"operator CONCATENATION ({name(node)}): C joins computed tensors by rows, columns or channels")
    copies, at = [], [0, 0, 0]
    for plane in sources:
        copies.append(steps.Copy(name(node), (plane,), out, (0, 0, 0), (at[0], at[1], at[2]), plane.shape))
        at[axis - 1] += plane.shape[axis - 1]
    return list(copies)


def _slice(node: Node, sources: tuple[Plane, ...], out: Plane) -> list[Step]:
    _need_equal(node, sources, out)
    begin, end, by = (None if t is None or t.data is None else t.data.ravel().tolist() for t in node.inputs[1:4])
    (plane,), o = sources, node.options
    if begin is None or end is None or by is None or len(begin) != 4 or set(by) != {1} or o["ellipsisMask"] or o["newAxisMask"]:
        raise Refused(f"operator STRIDED_SLICE ({name(node)}): C takes a crop of rows, columns and channels with step 1")
    first = [0 if o["beginMask"] >> axis & 1 else begin[axis] % size for axis, size in enumerate((1, *plane.shape))]
    return [steps.Copy(name(node), sources, out, (first[1], first[2], first[3]), (0, 0, 0), out.shape)]


def _softmax(node: Node, sources: tuple[Plane, ...], out: Plane) -> list[Step]:
    if out.is_float or out.zero_point != -128 or out.scale != np.float32(1 / 256):
        raise Refused(f"operator SOFTMAX ({name(node)}): C takes int8 in and int8 of scale 1/256 out")
    difference = np.arange(256, dtype=np.float32) - np.float32(255)
    exponentials = np.exp(np.float32(node.options["beta"]) * sources[0].scale * difference, dtype=np.float32)
    return [steps.Softmax(name(node), sources, out, exponentials)]


def _float(function: str) -> Callable[[Node, tuple[Plane, ...], Plane], list[Step]]:
    def planned(node: Node, sources: tuple[Plane, ...], out: Plane) -> list[Step]:
        if not out.is_float or not sources[0].is_float:
            raise Refused(f"operator {node.kind} ({name(node)}) in int8 cannot be generated as C; in float it can")
        return [steps.Float(name(node), sources, out, function)]

    return planned


def _quantize(node: Node, sources: tuple[Plane, ...], out: Plane) -> list[Step]:
    return [steps.Float(name(node), sources, out, "quantize")] if sources[0].is_float else _table(node, sources, out)


def _dequantize(node: Node, sources: tuple[Plane, ...], out: Plane) -> list[Step]:
    return [steps.Float(name(node), sources, out, "dequantize")]


_PLANNERS: dict[str, Callable[[Node, tuple[Plane, ...], Plane], list[Any]]] = {
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"), _convolve),
    **dict.fromkeys(("MAX_POOL_2D", "AVERAGE_POOL_2D"), _pool),
    **dict.fromkeys(("LOGISTIC", "TANH", "LEAKY_RELU", "HARD_SWISH", "RELU", "RELU_N1_TO_1", "RELU6"), _table),
    **dict.fromkeys(("ADD", "SUB", "MUL"), _two),
    "MEAN": _mean,
    "RESHAPE": _reshape,
    "SQUEEZE": _reshape,
    "EXPAND_DIMS": _reshape,
    "PAD": _pad,
    "CONCATENATION": _concatenate,
    "STRIDED_SLICE": _slice,
    "SOFTMAX": _softmax,
    "QUANTIZE": _quantize,
    "DEQUANTIZE": _dequantize,
    "SQUARE": _float("square"),
    "SQRT": _float("square_root"),
    "RSQRT": _float("inverse_square_root"),
}
