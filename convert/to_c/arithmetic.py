"""The int8 arithmetic of LiteRT's kernels, element by element: XNNPACK's where XNNPACK runs the operator, else TFLite's.

Sources: XNNPACK src/microparams-init.c, src/reference/unary-elementwise.cc; TFLite kernels/internal/reference/hard_swish.h,
common.h, quantization_util.cc. Tensors are int8 here; the generated C holds q + 128 as uint8.
"""

import math
from collections.abc import Callable

import numpy as np

from convert.to_c.reader import Node, Tensor

EVERY = np.arange(-128, 128)
_ACTIVATIONS = {
    0: (None, None),
    1: (0.0, None),
    2: (-1.0, 1.0),
    3: (0.0, 6.0),
}  # ActivationFunctionType: none, relu, relu-1, relu6


def limits(activation: int, out: Tensor) -> tuple[int, int]:
    """The int8 range that the fused `activation` leaves of `out`."""
    low, high = _ACTIVATIONS[activation]
    bounds = [-128, 127]
    for at, value in enumerate((low, high)):
        if value is not None:
            step = int(np.float32(value) / out.scale + np.float32(0.5) * np.sign(np.float32(value))) + out.zero_point
            bounds[at] = max(bounds[0], step) if at == 0 else min(bounds[1], step)
    return bounds[0], bounds[1]


def saturate(value: np.ndarray, out: Tensor, activation: int = 0) -> np.ndarray:
    """Integers around zero as int8 of `out`."""
    low, high = limits(activation, out)
    return np.clip(value.astype(np.int64) + out.zero_point, low, high)


def multiply(a: np.ndarray, b: np.ndarray, node: Node) -> np.ndarray:
    """XNNPACK's product of int8 `a` and `b`, tensors of `node`."""
    first, second = node.inputs
    assert first and second
    scale = first.scale * second.scale / node.output.scale
    product = ((a - first.zero_point) * (b - second.zero_point)).astype(np.float32) * scale
    return saturate(np.rint(product), node.output, node.options["fusedActivationFunction"])


def in_range(node: Node) -> bool:
    """Whether XNNPACK takes the scales of this sum or product."""
    first, second = node.inputs
    assert first and second
    if node.kind == "MUL":
        return bool(2**-16 <= first.scale * second.scale / node.output.scale < 2**8)
    return all(2**-10 <= tensor.scale / node.output.scale < 2**8 for tensor in (first, second))


def add_terms(node: Node) -> tuple[int, int, int, int]:
    """XNNPACK's fixed point for a + b or a - b: multiplier of a, of b, bias and shift, so that the sum is
    (bias + a·q_a + b·q_b) >> shift, plus the output's zero point. The larger multiplier has 21 bits; half rounds up.
    """
    first, second = node.inputs
    assert first and second
    ratios = [first.scale / node.output.scale, second.scale / node.output.scale]
    shift = 20 - (math.frexp(max(ratios))[1] - 1)
    a, b = (int(np.rint(np.ldexp(ratio, shift))) for ratio in ratios)
    b = -b if node.kind == "SUB" else b
    return a, b, (1 << (shift - 1)) - a * first.zero_point - b * second.zero_point, shift


def add(a: np.ndarray, b: np.ndarray, node: Node) -> np.ndarray:
    """XNNPACK's sum, or difference, of int8 `a` and `b`."""
    by_a, by_b, bias, shift = add_terms(node)
    total = (bias + by_a * a.astype(np.int64) + by_b * b.astype(np.int64)) >> shift
    return saturate(total, node.output, node.options["fusedActivationFunction"])


def _by_float(function: Callable[[float], float]) -> Callable[[Node], np.ndarray]:
    """XNNPACK's way: dequantize, compute in double, quantize in float32, half to even."""

    def table(node: Node) -> np.ndarray:
        source, out = node.inputs[0], node.output
        assert source
        values = (EVERY - source.zero_point).astype(np.float32) * source.scale
        results = np.array([function(float(value)) for value in values], np.float32)
        steps = results * (np.float32(1) / out.scale) + np.float32(out.zero_point)
        whole: np.ndarray = np.clip(np.rint(steps), -128, 127).astype(np.int64)
        return whole

    return table


def _leaky_relu(node: Node) -> np.ndarray:
    """XNNPACK: multipliers of 8 fractional bits, half up; TFLite's fixed point where they would not be fine enough."""
    source, out = node.inputs[0], node.output
    assert source
    positive = source.scale / out.scale
    negative = positive * np.float32(node.options["alpha"])
    if not (_in_eighths(positive) and _in_eighths(abs(negative))):
        return _fixed_point(source, out, float(positive), float(negative))
    by = [int(np.rint(np.float32(256) * scale)) for scale in (positive, negative)]
    centred = EVERY - source.zero_point
    return saturate((centred * np.where(centred > 0, *by) + 128) >> 8, out)


def requantize(node: Node) -> np.ndarray:
    """XNNPACK's int8 to int8: a multiplier of 8 fractional bits, half up; TFLite's fixed point where that is too coarse."""
    source = node.inputs[0]
    assert source
    ratio = source.scale / node.output.scale
    if not _in_eighths(ratio):
        return _fixed_point(source, node.output, float(ratio), float(ratio))
    by = int(np.rint(np.float32(256) * ratio))
    return saturate(((EVERY - source.zero_point) * by + 128) >> 8, node.output)


def _in_eighths(scale: np.float32) -> bool:
    """Whether XNNPACK takes `scale` as a multiplier of 8 fractional bits."""
    return bool(2**-8 <= scale <= 2**7)


def _fixed_point(source: Tensor, out: Tensor, positive: float, negative: float, activation: int = 0) -> np.ndarray:
    """TFLite's fixed point: one scale for values of 0 and more, one for those below."""
    by = [_quantize_multiplier(abs(scale)) for scale in (negative, positive)]
    sign = -1 if negative < 0 else 1
    centred = [int(q) - source.zero_point for q in EVERY]
    scaled = [_by_multiplier(x if x >= 0 else x * sign, *by[x >= 0]) for x in centred]
    return saturate(np.array(scaled), out, activation)


def _relu(activation: int) -> Callable[[Node], np.ndarray]:
    """A clamp, where nothing is scaled; else TFLite's fixed point."""

    def table(node: Node) -> np.ndarray:
        source, out = node.inputs[0], node.output
        assert source
        ratio = float(source.scale) / float(out.scale)
        return _fixed_point(source, out, ratio, ratio, activation)

    return table


def _hard_swish(node: Node) -> np.ndarray:
    """TFLite's int16 arithmetic."""
    source, out = node.inputs[0], node.output
    assert source
    fine = np.float32(1 / 128) * source.scale
    out_multiplier, out_exponent = _int16_multiplier(float(fine / out.scale))
    relu_multiplier, relu_exponent = _int16_multiplier(float(fine / np.float32(3 / 32768)))
    results = []
    for q in EVERY:
        hires = (int(q) - source.zero_point) * 128
        preshift = _high_mul(hires, out_multiplier)
        reluish = hires
        if relu_exponent > 0:
            reluish = _int16(reluish << (relu_exponent - 1))
        reluish = _high_mul(reluish, relu_multiplier)
        if relu_exponent > 0:
            reluish = _int16(reluish << 1)
        elif relu_exponent < 0:
            reluish = _divide_by_power(reluish, -relu_exponent)
        reluish = (reluish + 32768) >> 1
        product = _int16((reluish * preshift * 2) >> 16 if reluish * preshift >= 0 else -((-reluish * preshift * 2) >> 16))
        results.append(_divide_by_power(product, -out_exponent) if out_exponent <= 0 else _int16(product << out_exponent))
    return saturate(np.array(results), out)


def _quantize_multiplier(value: float) -> tuple[int, int]:
    fraction, exponent = math.frexp(value)
    fixed = math.floor(fraction * 2**31 + 0.5)
    return (fixed // 2, exponent + 1) if fixed == 2**31 else (fixed, exponent)


def _by_multiplier(value: int, multiplier: int, exponent: int) -> int:
    """MultiplyByQuantizedMultiplier of TFLite, single rounding in two steps."""
    left, right = max(exponent, 0), max(-exponent, 0)
    doubled = (value << left) * multiplier
    high = (doubled + (1 << 30)) >> 31 if doubled >= 0 else -((-doubled + (1 << 30) - 1) >> 31)
    return _divide_by_power(high, right)


def _int16_multiplier(value: float) -> tuple[int, int]:
    multiplier, exponent = _quantize_multiplier(value)
    return min((multiplier + 32768) >> 16, 32767), exponent


def _int16(value: int) -> int:
    return max(-32768, min(32767, value))


def _high_mul(a: int, b: int) -> int:
    """SaturatingRoundingDoublingHighMul of int16."""
    product = a * b
    nudged = product + (1 << 14) if product >= 0 else product + 1 - (1 << 14)
    return _int16(nudged >> 15 if nudged >= 0 else -(-nudged >> 15))


def _divide_by_power(value: int, exponent: int) -> int:
    """RoundingDivideByPOT: half away from zero."""
    mask = (1 << exponent) - 1
    return (value >> exponent) + ((value & mask) > (mask >> 1) + (value < 0))


# Operators of one int8 tensor whose answer depends on the element alone: int8 of each of the 256 values, lowest first.
TABLES: dict[str, Callable[[Node], np.ndarray]] = {
    "LOGISTIC": _by_float(lambda x: 1 / (1 + math.exp(-x)) if x > -100 else 0.0),
    "TANH": _by_float(math.tanh),
    "LEAKY_RELU": _leaky_relu,
    "HARD_SWISH": _hard_swish,
    "RELU": _relu(1),
    "RELU_N1_TO_1": _relu(2),
    "RELU6": _relu(3),
    "QUANTIZE": requantize,
}
