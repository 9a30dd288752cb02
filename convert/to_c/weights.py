"""The one order of weights that every instruction set reads, and the numbers that go with them."""

from dataclasses import dataclass

import numpy as np

from convert.to_c.steps import Convolve


@dataclass(frozen=True, eq=False)
class Packed:
    """Outputs in blocks of 16, the last of 8 where 8 are enough: int8 [block][word][16 or 8][4], 0 where there is no weight.

    A word is four consecutive input bytes of one kernel row; a depthwise one, two of the kernel's places for one channel.
    """

    weights: np.ndarray
    biases: np.ndarray
    sums: np.ndarray
    scales: np.ndarray
    rows: int
    words: int


def blocks(n: int) -> list[int]:
    """The sizes of the blocks of `n` outputs."""
    full, rest = divmod(n, 16)
    return [16] * full + ([] if rest == 0 else [8] if rest <= 8 else [16])


def pack(step: Convolve) -> Packed:
    n = step.out.channels
    lanes = sum(blocks(n))
    if step.depthwise:
        taps = step.weights[0].reshape(-1, n)  # [rows·columns, C]
        rows, words, each = 1, -(-len(taps) // 2), 2
        ordered = np.zeros((lanes, 1, 2 * words), np.int8)
        ordered[:n, 0, : len(taps)] = taps.T
    else:
        _, rows, columns, depth = step.weights.shape
        line = columns * depth
        if rows > 1 and step.sources[0].line == line:  # the kernel is as wide as the plane: its rows follow each other
            rows, line = 1, rows * line
        words, each = -(-line // 4), 4
        ordered = np.zeros((lanes, rows, 4 * words), np.int8)
        ordered[:n, :, :line] = step.weights.reshape(n, rows, line)
    parts, start = [], 0
    for size in blocks(n):
        part = ordered[start : start + size].reshape(size, rows * words, each)
        parts.append(part.transpose(1, 0, 2).ravel())
        start += size
    sums = ordered.astype(np.int64).reshape(lanes, -1).sum(1)
    biases, scales = np.zeros(lanes, np.int64), np.zeros(lanes, np.float32)
    biases[:n], scales[:n] = step.biases, step.scales
    return Packed(np.concatenate(parts), biases, sums, scales, rows, words)
