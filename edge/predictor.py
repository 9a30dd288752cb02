"""From a picture file to an answer: the one path that the command, the gate and the benchmarks share."""

import struct
from _thread import allocate_lock  # `threading` takes a millisecond to import

from edge import artifact, engines
from edge.artifact import Artifact
from edge.contract import FOREIGN, TOP_BIT_FLIPPED, ModelContract
from edge.errors import ModelError, UsageError
from edge.pictures import read_pixels

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from typing import Any, BinaryIO, overload

    from numpy import uint8
    from numpy.typing import NDArray
    from PIL.Image import Image

    from edge.pictures.page import Digit

    Picture = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image | NDArray[uint8]


class Prediction:
    """The answer to one picture. Each property is computed when read; most callers read the class alone.

    All but `logits` and `extra` raise ModelError if a logit is not a finite number.
    """

    __slots__ = ("_contract", "_labels", "_raw")

    def __init__(self, raw: bytes, contract: ModelContract, labels: tuple[str, ...]) -> None:
        self._raw, self._contract, self._labels = raw, contract, labels

    @property
    def index(self) -> int:
        """The index of the most probable class; of equal ones the lowest."""
        if self._contract.output_dtype == "int8":
            # Unsigned bytes in the order of the int8 values.
            in_order = self._raw[: self._contract.n_classes].translate(TOP_BIT_FLIPPED)
            return in_order.index(max(in_order))
        logits = self._finite()
        return logits.index(max(logits))

    @property
    def label(self) -> str:
        """The label of the most probable class."""
        return self._labels[self.index]

    def __repr__(self) -> str:
        return f"<{self.label!r}, {100 * self.probability:.1f} %{', none of these' if self.rejected else ''}>"

    @property
    def logits(self) -> list[float]:
        """The score of each class, before softmax."""
        contract = self._contract
        return self._values(0, contract.n_classes, contract.output_scale, contract.output_zero_point)

    @property
    def extra(self) -> list[float]:
        """What the model's second output holds; empty where it has none."""
        told = self._contract.confidence
        if not told or not told.extra:
            return []
        return self._values(self._contract.n_classes, told.extra, told.extra_scale, told.extra_zero_point)

    def _values(self, start: int, n: int, scale: float, zero_point: int) -> list[float]:
        if self._contract.output_dtype == "float32":
            return list(struct.unpack_from(f"<{n}f", self._raw, 4 * start))
        return [scale * (value - zero_point) for value in struct.unpack_from(f"<{n}b", self._raw, start)]

    def _finite(self) -> list[float]:
        logits = self.logits
        if sum(logits + self.extra) * 0 != 0:  # inf and nan make it nan; float32 values cannot sum to inf
            raise ModelError(f"{self._contract.name}: answers with what is not a finite number")
        return logits

    @property
    def ranking(self) -> tuple[tuple[str, int, float], ...]:
        """(label, index, probability) of every class, most probable first; of equal ones the lower index.

        Softmax of the logits, each divided by the contract's temperature. A model without a contract may give probabilities
        itself; they are told by their range and sum.
        """
        from math import exp

        logits = self._finite()
        if self._contract.name == FOREIGN and _are_probabilities(logits, self._contract):
            weights = logits
        else:
            confidence, greatest = self._contract.confidence, max(logits)
            temperature = confidence.temperature if confidence else 1.0
            weights = [exp((logit - greatest) / temperature) for logit in logits]
        total = sum(weights)
        order = sorted(range(len(logits)), key=lambda index: -weights[index])
        return tuple((self._labels[index], index, weights[index] / total) for index in order)

    @property
    def probability(self) -> float:
        """The softmax probability of the most probable class, from 0 to 1."""
        return self.ranking[0][2]

    @property
    def score(self) -> float | None:
        """How unlike the pictures that the model was trained for: the greater, the less like them. None: it rejects none."""
        confidence = self._contract.confidence
        return confidence.score(self._finite(), self.extra) if confidence else None

    @property
    def rejected(self) -> bool:
        """Whether the picture is none of the classes: its score is above the contract's threshold."""
        confidence, score = self._contract.confidence, self.score
        return score is not None and score > confidence.reject[1]  # type: ignore[union-attr, index]

    def set(self, coverage: float) -> tuple[str, ...]:
        """The labels of the smallest set, most probable first, that holds the true class in at least `coverage` (0 to 1) of
        pictures of the kind that the model was judged on, rejected ones among them. Raises UsageError where its file does
        not promise so much.
        """
        from edge import confidence

        _, quantile = level(self._contract, coverage)
        return tuple([self._labels[index] for index in confidence.classes(self._finite(), quantile)])


def level(contract: ModelContract, coverage: float) -> tuple[float, float]:
    """The least promised coverage from `coverage` up, and its quantile. Raises UsageError where `contract` promises none."""
    promises = contract.confidence
    chosen = promises.level(coverage) if promises and 0 < coverage < 1 else None
    if chosen is None:
        promised = promises.promised if promises else "none"
        more = "convert it again, on more test pictures for more"
        raise UsageError(f"{contract.name}: coverage {coverage:g}; its file promises {promised}: {more}")
    return chosen


def _are_probabilities(scores: list[float], contract: ModelContract) -> bool:
    """Whether they are all from 0 to 1 and sum to 1, but for their rounding: half a step each, of float16 at worst."""
    step = contract.output_scale if contract.output_dtype == "int8" else 0.0
    allowed = min(0.25, 0.002 + len(scores) * step / 2)
    return min(scores) >= -1e-6 and max(scores) <= 1.002 and abs(sum(scores) - 1) <= allowed


class Predictor:
    """A model ready to answer. Threads may share it: it answers one after the other. Its engine alone may not be shared."""

    __slots__ = ("_n_output_bytes", "_one_at_a_time", "_run", "artifact", "contract", "engine", "labels", "passed_over")

    def __init__(self, model: Artifact, loaded: engines.Loaded) -> None:
        self.artifact, self.engine, self.passed_over = model, loaded.engine, loaded.passed_over
        self.contract = model.contract or self.engine.describe()
        self.labels = model.labels or tuple(map(str, range(self.contract.n_classes)))
        self._run, self._one_at_a_time = self.engine.run, allocate_lock()
        self._n_output_bytes = self.contract.n_output_bytes

    if TYPE_CHECKING:

        @overload
        def predict(self, picture: Picture, *, color: str = "rgb") -> Prediction: ...
        @overload
        def predict(self, picture: list[Any] | tuple[Any, ...], *, color: str = "rgb") -> list[Prediction]: ...

    def predict(self, picture: "Any", *, color: str = "rgb") -> "Prediction | list[Prediction]":
        """The answer to `picture`, fitted to the model's input; to a list of pictures, the list of answers.

        A picture is a path, the bytes of a picture file, a binary file, a PIL image, or an array: uint8 [H, W] or [H, W, C],
        its channels in the order of `color`, "rgb" or "bgr". Raises InputMissing or InputError with what is wrong with it,
        TypeError for what is no picture.
        """
        if isinstance(picture, str) and color == "rgb":
            return self.answer(read_pixels(picture, self.contract.input))
        if isinstance(picture, list | tuple):
            return [self.predict(each, color=color) for each in picture]
        from edge.pictures import frames

        return self.answer(frames.pixels(picture, self.contract.input, color=color))

    def predict_many(self, picture: "Picture", *, color: str = "rgb") -> "list[Digit]":
        """Every separate digit of a page, line by line from the left, each with its `prediction`, `box`, `line` and `word`.

        The page is given and refused as for `predict`. Raises UsageError where the model takes other pictures than digits.
        """
        self.check_many()
        from edge.pictures import frames

        digits = frames.digits(picture, self.contract.input, color=color)
        for digit in digits:
            digit.prediction = self.answer(digit.pixels)
        return digits

    def check_many(self) -> None:
        """Raises UsageError unless the model takes digits."""
        if not self.contract.input.is_digit:
            takes = f"{self.contract.name} takes {self.contract.input}"
            raise UsageError(f"{takes}: several in one picture are read with a network of digits alone (fit digit or digit2)")

    def answer(self, pixels: bytes) -> Prediction:
        """The answer to uint8 [H, W, C] pixels as bytes."""
        with self._one_at_a_time:
            raw = self._run(pixels)
        if len(raw) != self._n_output_bytes:  # a graph may compute how much it gives
            mismatch = f"answers {len(raw)} bytes; its contract says {self._n_output_bytes}"
            raise ModelError(f"{self.artifact.path}: {mismatch}")
        return Prediction(raw, self.contract, self.labels)


def load(
    path: str, *, engine_name: str | None = None, threads: int = 1, allow_unverified: bool = False, trusted: bool = False,
    apart: tuple[str, ...] = (),
) -> Predictor:  # fmt: skip
    """A predictor for the model file `path`. Raises what `artifact.read` and `engines.load` raise."""
    model = artifact.read(path, allow_unverified=allow_unverified)
    return from_artifact(model, engine_name=engine_name, threads=threads, trusted=trusted, apart=apart)


def from_artifact(
    model: Artifact, *, engine_name: str | None = None, threads: int = 1, trusted: bool = False, apart: tuple[str, ...] = ()
) -> Predictor:
    """A predictor for `model`; the engines named in `apart` run in a child. Raises what `engines.load` raises."""
    return Predictor(model, engines.load(model, name=engine_name, threads=threads, trusted=trusted, apart=apart))
