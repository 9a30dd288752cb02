"""A picture file to an answer: the one path the command, the gate and the benchmarks all take."""

import math
import struct

from edge import artifact, engine
from edge.artifact import Artifact
from edge.image import read_pixels

TYPE_CHECKING = False
if TYPE_CHECKING:
    from edge.engine import Engine


class Prediction:
    """The answer to one picture: `ranking` holds (label, index, probability), most probable first."""

    __slots__ = ("ranking",)

    def __init__(self, ranking: tuple[tuple[str, int, float], ...]) -> None:
        self.ranking = ranking

    @property
    def label(self) -> str:
        """The most probable class by name."""
        return self.ranking[0][0]

    @property
    def index(self) -> int:
        """The most probable class by number."""
        return self.ranking[0][1]

    @property
    def probability(self) -> float:
        """What softmax gives the most probable class, from 0 to 1."""
        return self.ranking[0][2]


class Predictor:
    """A model ready to answer. Not thread-safe: one a thread."""

    def __init__(self, model: Artifact, running: "Engine") -> None:
        self.artifact, self.engine = model, running
        self.contract = model.contract or running.describe()
        self.labels = model.labels or tuple(map(str, range(self.contract.n_classes)))
        self._unpack = struct.Struct(f"<{self.contract.n_classes}{'b' if self.contract.output_dtype == 'int8' else 'f'}").unpack

    def predict(self, path: str) -> Prediction:
        """The answer to the picture in the file `path`. Raises what `read_pixels` raises."""
        return self.decide(self.logits(read_pixels(path, self.contract.input)))

    def logits(self, pixels: bytes) -> list[float]:
        """One logit a class for uint8 [H, W, C] pixels as bytes."""
        scale, zero_point = self.contract.output_scale, self.contract.output_zero_point
        return [scale * (value - zero_point) for value in self._unpack(self.engine.run(pixels))]

    def decide(self, logits: list[float]) -> Prediction:
        """The ranking that softmax makes of `logits`; of equal ones the lower index comes first."""
        greatest = max(logits)
        weights = [math.exp(logit - greatest) for logit in logits]
        total = sum(weights)
        order = sorted(range(len(logits)), key=lambda index: -weights[index])
        return Prediction(tuple((self.labels[index], index, weights[index] / total) for index in order))


def load(path: str, *, engine_name: str | None = None, threads: int = 1, allow_unverified: bool = False) -> Predictor:
    """A predictor for the model file `path`. Raises what `artifact.read` and `engine.load` raise."""
    model = artifact.read(path, allow_unverified=allow_unverified)
    return Predictor(model, engine.load(model, name=engine_name, threads=threads))
