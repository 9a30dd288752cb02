"""The self-test: replay an artifact's goldens and compare with what is expected of them.

Images test the engine. Picture files test how this device reads pictures, and say which of the two steps differs.
"""

import struct
from collections.abc import Iterator
from math import inf
from random import Random

from edge import engines
from edge.artifact import Artifact
from edge.contract import InputContract
from edge.engines.in_child import EngineInChild
from edge.errors import InputError, ModelError
from edge.pictures import pixels_of
from edge.predictor import Predictor, from_artifact

# Tolerances of an artifact that states none: between kernels a float differs in its last digits, an int8 by one step.
INT8_STEPS = 1.0
FLOAT_DIFFERENCE = 1e-3
# A tolerance beyond these compares nothing: int8 steps, and a share of the range of the goldens' float outputs.
MAX_STEPS = 4.0
MAX_SHARE = 0.125
MAX_SHOWN = 64  # outputs of a picture, in a line about them
N_OTHERS = 64
TRIAL_S = 600  # of processor time, for all goldens and others together


class Replay:
    """`n_goldens` images were replayed, `n_exact` outputs are equal bit for bit; `first_difference` is one line, or None.

    `n_files` picture files were read, `n_files_exact` of them to the very pixels expected.
    """

    __slots__ = ("first_difference", "n_exact", "n_files", "n_files_exact", "n_goldens")

    def __init__(
        self, *, n_goldens: int, n_exact: int, first_difference: str | None, n_files: int = 0, n_files_exact: int = 0
    ) -> None:
        self.n_goldens, self.n_exact, self.first_difference = n_goldens, n_exact, first_difference
        self.n_files, self.n_files_exact = n_files, n_files_exact

    @property
    def files(self) -> str:
        """What is said of the picture files after the images; empty if the artifact carries none."""
        return f", {self.n_files_exact} of {self.n_files} picture files read to the same pixels" if self.n_files else ""

    @property
    def passed(self) -> bool:
        """Whether no output differs by more than the tolerance."""
        return self.first_difference is None


def apart(model: Artifact, *, engine_name: str | None = None, trusted: bool = False) -> Predictor:
    """A predictor for a trial: the engine is in a child, which ends after TRIAL_S. Raises what `engines.load` raises."""
    if model.kind == "c":  # it is trusted, and its compiler needs room
        return from_artifact(model, engine_name=engine_name, trusted=trusted)
    ready = from_artifact(model, engine_name=engine_name, trusted=trusted, apart=tuple(engines.ENGINES))
    assert isinstance(ready.engine, EngineInChild)
    ready.engine.end_after(TRIAL_S)
    return ready


def replay(predictor: Predictor) -> Replay:
    """Replay every golden and compare the outputs. Raises ModelError if there are none or they contradict the contract."""
    n_exact = 0
    if not (goldens := predictor.artifact.goldens()):
        raise ModelError(f"{predictor.artifact.path}: carries no goldens to test itself with")
    int8 = predictor.contract.output_dtype == "int8"
    unpack = struct.Struct(f"<{predictor.contract.n_outputs}{'b' if int8 else 'f'}").unpack
    least, most = inf, -inf
    for _, expected in goldens:  # one after the other: as numbers they take many times their bytes
        if sum(values := unpack(expected)) * 0 != 0:
            raise ModelError(f"{predictor.artifact.path}: expects outputs that are not finite numbers")
        least, most = min(least, *values), max(most, *values)
    limit = MAX_STEPS if int8 else max(FLOAT_DIFFERENCE, MAX_SHARE * (most - least))
    tolerance = predictor.artifact.golden_tolerance() or (INT8_STEPS if int8 else FLOAT_DIFFERENCE)
    if tolerance > limit:
        raise ModelError(f"{predictor.artifact.path}: a tolerance of {tolerance:g} proves nothing; at most {limit:g} is taken")
    files = predictor.artifact.golden_files()
    # Of a file the pixels expected, not those read: so a difference is the engine's.
    images = [(f"picture {number}", *golden) for number, golden in enumerate(goldens)]
    images += [(name, pixels, output) for name, _, pixels, output, _ in files]
    differences: list[str | None] = []
    for number, (what, pixels, expected) in enumerate(images):
        output = predictor.engine.run(pixels)
        if len(output) != len(expected):
            raise ModelError(f"{predictor.artifact.path}: answers {len(output)} bytes; its contract says {len(expected)}")
        n_exact += output == expected and number < len(goldens)
        # `<=`, so that nan counts as different.
        if not all(abs(o - e) <= tolerance for o, e in zip(unpack(output), unpack(expected), strict=True)):
            told, answered = (_shown(unpack(values)) for values in (expected, output))
            differences.append(f"{what}: expected {told}, got {answered}, tolerance {tolerance}")
    readings = [_read(name, content, pixels, steps, predictor) for name, content, pixels, _, steps in files]
    differences += [difference for _, difference in readings]
    return Replay(
        n_goldens=len(goldens),
        n_exact=n_exact,
        first_difference=next(filter(None, differences), None),
        n_files=len(files),
        n_files_exact=sum(exact for exact, _ in readings),
    )


def _shown(values: tuple[float, ...]) -> str:
    """The values in one line: of more than MAX_SHOWN, the first of them."""
    return str(values) if len(values) <= MAX_SHOWN else f"{str(values[:MAX_SHOWN])[:-1]}, … of {len(values):,})"


def _read(name: str, content: bytes, expected: bytes, tolerance: int, predictor: Predictor) -> tuple[bool, str | None]:
    """Whether the picture file `content` gives the very pixels `expected`, and how it differs beyond the tolerance."""
    try:
        pixels = pixels_of(content, predictor.contract.input)
    except (InputError, ImportError) as error:
        return False, f"reading {name}: {error}; install Pillow again"
    off = [abs(p - e) for p, e in zip(pixels, expected, strict=True)]
    if max(off) <= tolerance:
        return pixels == expected, None
    n_off = sum(steps > tolerance for steps in off)
    other = f"{n_off} of {len(off)} pixel values are off by up to {max(off)} steps, tolerance {tolerance}"
    return False, f"reading {name}: {other}: the engine is right, but pictures are read otherwise here"


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
