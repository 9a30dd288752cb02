"""How a network is quantized: one frozen value, made from flags or by a repair, which both converters read."""

from dataclasses import dataclass

from convert.calibration.ranges import METHODS
from edge.errors import UsageError

# Each precision with its help text, in the order of the report.
PRECISIONS = {
    "float32": "as it was trained",
    "float16": "half-precision weights, float arithmetic: half the bytes",
    "dynamic": "int8 weights, activations quantized on the fly: a quarter of the bytes, no calibration",
    "int8": "8-bit integers throughout: what small CPUs run fastest",
    "int16x8": "int8 weights, 16-bit activations: for networks that int8 activations break",
    "int4": "4-bit weights: an eighth of the bytes",
}
# How activation ranges are set by default. At 8 bits mse and percentile are equally good over all networks and better than
# min-max (docs/matrix.md); a 16-bit grid is too fine to gain from clipping.
DEFAULT_METHOD = {"int8": "mse", "int16x8": "min-max"}
# The precisions with integers, which can be diagnosed and repaired.
QUANTIZED = ("dynamic", "int8", "int16x8", "int4")


@dataclass(frozen=True)
class Plan:
    """The precision, the method that sets activation ranges, the layers that stay in float by their Keras names, and whether
    weights have a scale for each output channel or one for the whole tensor."""

    precision: str
    method: str = ""  # "": the default for the precision
    in_float: tuple[str, ...] = ()
    per_channel: bool = True

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise UsageError(f"no precision is called {self.precision!r}; there are {', '.join(PRECISIONS)}")
        if not self.calibrated or not self.method:  # equal plans are one plan
            object.__setattr__(self, "method", DEFAULT_METHOD.get(self.precision, METHODS[0]))
        if self.method not in METHODS:
            raise UsageError(f"no calibration method is called {self.method!r}; there are {', '.join(METHODS)}")

    @property
    def calibrated(self) -> bool:
        """Whether activations have ranges that images must set."""
        return self.precision in ("int8", "int16x8")

    @property
    def in_words(self) -> str:
        """The scheme in a line: `int8 weights per channel, 8-bit activations per tensor, min-max ranges`."""
        weights = f"weights per {'channel' if self.per_channel else 'tensor'}"
        words = {
            "float32": "float32 throughout",
            "float16": "float16 weights, float32 arithmetic",
            "dynamic": f"8-bit {weights}, activations quantized on the fly",
            "int8": f"int8 {weights}, 8-bit activations per tensor, {self.method} ranges",
            "int16x8": f"int8 {weights}, int16 activations per tensor, {self.method} ranges",
            "int4": f"4-bit {weights}, activations in float or quantized on the fly",
        }[self.precision]
        return f"{words}; in float32: {', '.join(self.in_float)}" if self.in_float else words
