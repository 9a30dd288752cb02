"""What a generated program does: planes of activations, and the steps that fill one from others."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(eq=False)
class Storage:
    """Bytes of the arena, or of the floats; `offset` is set when the arena is laid out."""

    size: int
    is_float: bool
    offset: int = 0


@dataclass(eq=False)
class Plane:
    """Activations [height, width, channels] in the arena: q + 128 as uint8, or float.

    Around them lies a border, (top, left, bottom, right), filled with `zero`, for the convolutions that read beyond the image.
    """

    height: int
    width: int
    channels: int
    scale: np.float32
    zero_point: int
    is_float: bool = False
    border: tuple[int, int, int, int] = (0, 0, 0, 0)
    storage: Storage = field(default_factory=lambda: Storage(0, False))

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.height, self.width, self.channels

    @property
    def zero(self) -> int:
        """The byte that stands for 0."""
        return self.zero_point + 128

    @property
    def line(self) -> int:
        """Elements between two rows."""
        return (self.border[1] + self.width + self.border[3]) * self.channels

    @property
    def start(self) -> int:
        """The first element of the image, behind the border."""
        return self.border[0] * self.line + self.border[1] * self.channels

    @property
    def size(self) -> int:
        """Elements, border included."""
        return (self.border[0] + self.height + self.border[2]) * self.line

    @property
    def at(self) -> str:
        """Where the image starts, in C."""
        return f"{'context->floats' if self.is_float else 'context->bytes'} + {self.storage.offset + self.start}"


@dataclass(eq=False)
class Step:
    """One call in the program: `name` is the layer's, as its author called it."""

    name: str
    sources: tuple[Plane, ...]
    out: Plane


@dataclass(eq=False)
class Enter(Step):
    """The image, cropped; with `tables`, as in LookUp, each byte is looked up."""

    height: int
    width: int
    top: int
    left: int
    tables: np.ndarray | None = None


@dataclass(eq=False)
class Convolve(Step):
    """A convolution or dense layer. `weights`: int8 [N, rows, columns, C]; `biases`: for uint8 inputs, int64 [N].

    `pad` is what lies around the input, (top, left); `pool` 2: the greatest of each 2×2 outputs is kept.
    """

    weights: np.ndarray
    biases: np.ndarray
    scales: np.ndarray
    stride: tuple[int, int]
    pad: tuple[int, int]
    low: int
    high: int
    depthwise: bool = False
    pool: int = 1


@dataclass(eq=False)
class Pool(Step):
    """The greatest, or the average, of each window; places outside the image do not count."""

    window: tuple[int, int]
    stride: tuple[int, int]
    pad: tuple[int, int]
    average: bool
    low: int
    high: int


@dataclass(eq=False)
class LookUp(Step):
    """`tables`: uint8 [1 or H, 1 or W, 1 or C, 256]: one for all, or one per row, column or channel."""

    tables: np.ndarray


@dataclass(eq=False)
class Add(Step):
    """(bias + a·first + b·second) >> shift, for uint8 sources."""

    a: int
    b: int
    bias: int
    shift: int
    low: int
    high: int


@dataclass(eq=False)
class Multiply(Step):
    """The product of two planes, by `scale`."""

    scale: np.float32
    low: int
    high: int


@dataclass(eq=False)
class Mean(Step):
    """The mean over all places of each channel: the sum by `scale`."""

    scale: np.float32


@dataclass(eq=False)
class Copy(Step):
    """A part of the source, from (row, column, channel), to a place in `out`; `shape` is how much.

    `pads`: the rest of `out` becomes 0.
    """

    source_at: tuple[int, int, int]
    out_at: tuple[int, int, int]
    shape: tuple[int, int, int]
    pads: bool = False


@dataclass(eq=False)
class Reshape(Step):
    """The same values in the same order; neither plane has a border."""


@dataclass(eq=False)
class Softmax(Step):
    """TFLite's int8 softmax of the channels: `exponentials` float32 [256]."""

    exponentials: np.ndarray


@dataclass(eq=False)
class Float(Step):
    """An element-wise step of a float island: dequantize, quantize, or a function of one or two float planes."""

    function: str


@dataclass(eq=False)
class LookUpFloat(Step):
    """What a chain of float operators gives for a byte: `table` float32 [256]."""

    table: np.ndarray


@dataclass(eq=False)
class Leave(Step):
    """The logits or extra values, int8 or float, to the caller's array from `start` on."""

    start: int
