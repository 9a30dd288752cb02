"""The network that is converted, the converter, and the candidate it makes, in the predictor that the device uses."""

import contextlib
import importlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from convert.calibration.images import CalibrationSet
from convert.calibration.ranges import Range
from convert.plan import Plan
from edge import artifact, engines
from edge.artifact import Artifact
from edge.contract import InputContract, ModelContract
from edge.predictor import Predictor
from edge.silence import silence_native_output

if TYPE_CHECKING:
    import keras

CONVERTERS = {"tflite": "convert.to_tflite", "onnx": "convert.to_onnx"}


@dataclass(frozen=True, eq=False)
class Candidate:
    """A converted model that is not yet judged: `kind` is tflite or onnx; `model` are the bytes, with the artifact's mark."""

    name: str
    kind: str
    plan: Plan
    model: bytes

    @property
    def file_name(self) -> str:
        return f"{self.name}.{self.kind}"


class Network(Protocol):
    """A float network that can be built."""

    def build(self, *, batch_size: int | None = None) -> "keras.Model":
        """The Keras model: pixels from 0 to 255 in, logits out."""


class TrainedNetwork(Network, Protocol):
    """A network to convert: one of our checkpoints, or a Keras file of the user's own."""

    @property
    def network(self) -> str:
        """Its name."""

    @property
    def data(self) -> str:
        """The name of its data set."""

    @property
    def data_digest(self) -> str:
        """SHA-256 of all images and labels of the data set, in hex."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the order of the logits."""

    @property
    def contract(self) -> InputContract:
        """The images it takes."""

    @property
    def name(self) -> str:
        """`<network>-<data>`, with which the names of published files begin."""

    @property
    def provenance(self) -> dict[str, object]:
        """Where it comes from, for the manifest; without times, so that equal inputs give equal files."""


class Converter(Protocol):
    """Converts one network, with its calibration images, by any plan."""

    kind: str
    layers: tuple[str, ...]

    def calibrated(self, calibration: CalibrationSet) -> "Converter":
        """The same converter with ranges by other images."""

    def convert(self, plan: Plan) -> bytes:
        """The model as `plan` says. Raises Refused where the format's runtime cannot run it."""

    def layer_outputs(self, plan: Plan, images: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
        """The output of each layer by name, for each of `images`, uint8 [n, H, W, C]."""

    def ranges(self, plan: Plan) -> dict[str, Range]:
        """The range of each layer's output by name, as the calibration images set it."""


def make_converter(kind: str, network: Network, calibration: CalibrationSet) -> Converter:
    """The converter to `kind`, tflite or onnx, batch size 1."""
    with quietly():
        module = importlib.import_module(CONVERTERS[kind])
        units = getattr(network, "units", None)  # convert/unknown.py
        converter: Converter = module.Converter(network.build(batch_size=1), calibration, units=units)
    return converter


def convert(converter: Converter, plan: Plan, *, name: str) -> Candidate:
    """The candidate called `<name>-<precision>`. Raises Refused, with the reason, if the format does not support the plan."""
    with quietly():
        model = converter.convert(plan)
    return Candidate(f"{name}-{plan.precision}", converter.kind, plan, artifact.embed_magic(model, converter.kind))


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Silence the converters, which report each of their steps."""
    with silence_native_output(), warnings.catch_warnings(action="ignore"):
        yield


def as_predictor(candidate: Candidate, network: TrainedNetwork) -> Predictor:
    """The candidate in the predictor that the device uses, before it is sealed."""
    model = Artifact(candidate.file_name, candidate.model, "", {})
    loaded = engines.load(model)
    # The model's own account says how its numbers are coded; the trained network says what images it takes.
    own = loaded.engine.describe()
    # The first output is the logits, whatever a converter did: any other tool reads that one. A second has another length.
    assert own.n_classes == len(network.class_names), f"{own.n_classes} values in the first output"
    model.labels, model.contract = (
        network.class_names,
        ModelContract(
            name=candidate.name,
            kind=candidate.kind,
            model_bytes=len(candidate.model),
            input=network.contract,
            input_dtype=own.input_dtype,
            output_dtype=own.output_dtype,
            output_scale=own.output_scale,
            output_zero_point=own.output_zero_point,
            n_classes=own.n_classes,
            confidence=own.confidence,
        ),
    )
    return Predictor(model, loaded)
