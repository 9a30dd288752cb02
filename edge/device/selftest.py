"""The self-test: replay an artifact's goldens and compare with the expected outputs."""

import struct

from edge.errors import ModelError
from edge.predictor import Predictor

# Tolerances of an artifact that states none: between kernels a float differs in its last digits, an int8 by one step.
INT8_STEPS = 1.0
FLOAT_DIFFERENCE = 1e-3


class Replay:
    """`n_goldens` images were replayed, `n_exact` outputs are equal bit for bit; `first_difference` is one line, or None."""

    __slots__ = ("first_difference", "n_exact", "n_goldens")

    def __init__(self, *, n_goldens: int, n_exact: int, first_difference: str | None) -> None:
        self.n_goldens, self.n_exact, self.first_difference = n_goldens, n_exact, first_difference

    @property
    def passed(self) -> bool:
        """Whether no output differs by more than the tolerance."""
        return self.first_difference is None


def replay(predictor: Predictor) -> Replay:
    """Replay every golden and compare the outputs. Raises ModelError if there are none or they contradict the contract."""
    n_exact, first = 0, None
    if not (goldens := predictor.artifact.goldens()):
        raise ModelError(f"{predictor.artifact.path}: carries no goldens to test itself with")
    int8 = predictor.contract.output_dtype == "int8"
    tolerance = predictor.artifact.golden_tolerance() or (INT8_STEPS if int8 else FLOAT_DIFFERENCE)
    unpack = struct.Struct(f"<{predictor.contract.n_classes}{'b' if int8 else 'f'}").unpack
    for number, (pixels, expected) in enumerate(goldens):
        output = predictor.engine.run(pixels)
        if len(output) != len(expected):
            raise ModelError(f"{predictor.artifact.path}: answers {len(output)} bytes; its contract says {len(expected)}")
        n_exact += output == expected
        # `<=`, so that nan counts as different.
        within = all(abs(o - e) <= tolerance for o, e in zip(unpack(output), unpack(expected), strict=True))
        if not within and first is None:
            first = f"picture {number}: expected {unpack(expected)}, got {unpack(output)}, tolerance {tolerance}"
    return Replay(n_goldens=len(goldens), n_exact=n_exact, first_difference=first)
