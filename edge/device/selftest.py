"""Replay an artifact's goldens: does this device give the answers a healthy one gives?"""

import struct

from edge.errors import ModelError
from edge.predictor import Predictor

# What an artifact allows that says nothing: between kernels a float differs in its last digits, an int8 by a step.
INT8_STEPS = 1.0
FLOAT_DIFFERENCE = 1e-3


class Replay:
    """`n_goldens` pictures replayed; `n_exact` outputs equal to the last bit; `first_difference` one line, or None."""

    __slots__ = ("first_difference", "n_exact", "n_goldens")

    def __init__(self, *, n_goldens: int, n_exact: int, first_difference: str | None) -> None:
        self.n_goldens, self.n_exact, self.first_difference = n_goldens, n_exact, first_difference

    @property
    def passed(self) -> bool:
        """No output was further off than the tolerance."""
        return self.first_difference is None


def replay(predictor: Predictor) -> Replay:
    """Run every golden of the predictor's artifact and compare with what is expected.

    Raises ModelError where the model answers with more or fewer bytes than its contract says.
    """
    n_exact, first = 0, None
    goldens = predictor.artifact.goldens()
    int8 = predictor.contract.output_dtype == "int8"
    tolerance = predictor.artifact.golden_tolerance() or (INT8_STEPS if int8 else FLOAT_DIFFERENCE)
    unpack = struct.Struct(f"<{predictor.contract.n_classes}{'b' if int8 else 'f'}").unpack
    for number, (pixels, wanted) in enumerate(goldens):
        found = predictor.engine.run(pixels)
        if len(found) != len(wanted):
            raise ModelError(f"{predictor.artifact.path}: answers {len(found)} bytes; its contract says {len(wanted)}")
        n_exact += found == wanted
        # Written so that nan, which is not within anything, counts as different.
        within = all(abs(f - w) <= tolerance for f, w in zip(unpack(found), unpack(wanted), strict=True))
        if not within and first is None:
            first = f"picture {number}: expected {unpack(wanted)}, got {unpack(found)}, tolerance {tolerance}"
    return Replay(n_goldens=len(goldens), n_exact=n_exact, first_difference=first)
