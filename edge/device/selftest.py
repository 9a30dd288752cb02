"""The self-test: replay an artifact's goldens and compare with the expected outputs."""

import struct
from collections.abc import Iterator
from random import Random

from edge.contract import InputContract
from edge.errors import ModelError
from edge.predictor import Predictor

# Tolerances of an artifact that states none: between kernels a float differs in its last digits, an int8 by one step.
INT8_STEPS = 1.0
FLOAT_DIFFERENCE = 1e-3
# A tolerance beyond these compares nothing: int8 steps, and a share of the range of the goldens' float outputs.
MAX_STEPS = 4.0
MAX_SHARE = 0.125
N_OTHERS = 64


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
    unpack = struct.Struct(f"<{predictor.contract.n_classes}{'b' if int8 else 'f'}").unpack
    outputs = [value for _, expected in goldens for value in unpack(expected)]
    if sum(outputs) * 0 != 0:
        raise ModelError(f"{predictor.artifact.path}: expects outputs that are not finite numbers")
    limit = MAX_STEPS if int8 else max(FLOAT_DIFFERENCE, MAX_SHARE * (max(outputs) - min(outputs)))
    tolerance = predictor.artifact.golden_tolerance() or (INT8_STEPS if int8 else FLOAT_DIFFERENCE)
    if tolerance > limit:
        raise ModelError(f"{predictor.artifact.path}: a tolerance of {tolerance:g} proves nothing; at most {limit:g} is taken")
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


def answer_others(predictor: Predictor) -> int:
    """Have N_OTHERS images answered whose right class nobody knows; how many. Raises ModelError where that fails."""
    n = 0
    for pixels in others(predictor.contract.input, [picture for picture, _ in predictor.artifact.goldens()]):
        _ = predictor.answer(pixels).index
        n += 1
    return n


def others(contract: InputContract, goldens: list[bytes]) -> Iterator[bytes]:
    """N_OTHERS images, uint8 [H, W, C], over which a model may trip: flat, striped, noise, and changed goldens."""
    random, n = Random(0), contract.n_values
    for value in (0, 255, 1, 127, 128, 254):
        yield bytes([value]) * n
    for width in (1, 2, contract.channels, contract.width * contract.channels):
        yield ((b"\0" * width + b"\xff" * width) * (n // (2 * width) + 1))[:n]
    yield bytes(at * 255 // n for at in range(n))
    strengths = [random.randbytes(256) if number % 2 else bytes(sorted(random.randbytes(256))) for number in range(29)]
    for table in strengths:
        yield random.randbytes(n).translate(table)
    for number in range(N_OTHERS - 11 - len(strengths)):
        picture = goldens[number % len(goldens)] if goldens else random.randbytes(n)
        start = random.randrange(n)
        turned = picture[start:] + picture[:start]
        yield (picture.translate(bytes(range(255, -1, -1))), picture[::-1], turned)[number % 3]
