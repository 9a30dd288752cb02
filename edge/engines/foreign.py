"""What a model without a contract says of itself by its tensors: the pictures it takes, the scores it gives.

The common forms run: channels last or first, a batch of one or by a name, grey without an axis for it; uint8, int8 or float
numbers; a score a class, or its probability. The rest is refused in the words of those who exported it. A candidate of ours
has no contract yet either, and may have a second output.
"""

from collections.abc import Sequence

from edge.artifact import MAGIC, Artifact
from edge.confidence import Confidence
from edge.contract import FOREIGN, InputContract, ModelContract
from edge.errors import ModelError


def check_ends(artifact: Artifact, n_inputs: int, n_outputs: int) -> None:
    """Raises ModelError unless a model has one input and one output; one of ours may have a second output."""
    most = 2 if artifact.contract or MAGIC in artifact.data[:64] else 1
    if n_inputs != 1 or not 1 <= n_outputs <= most:
        n = f"{n_inputs} inputs and {n_outputs} outputs"
        raise ModelError(f"{artifact.path}: has {n}; a classifier of pictures has one of each")


def image_form(shape: Sequence[object]) -> tuple[tuple[int, int, int], bool]:
    """Height, width, channels of the picture in an input tensor of `shape`, and whether its channels come first.

    A dimension that is not a number from 1 up is one left open. Raises ValueError for what is no picture.
    """
    batch, *rest = shape or [0]
    if _is_fixed(batch) and batch != 1:
        raise ValueError(f"takes {batch} pictures at once ({_said(shape)}); export it with a batch of 1")
    sizes = [size for size in rest if isinstance(size, int) and _is_fixed(size)]
    if len(sizes) < len(rest):
        raise ValueError(f"leaves the size of its pictures open ({_said(shape)}); export it with a fixed height and width")
    if len(sizes) == 2:
        return (sizes[0], sizes[1], 1), False
    if len(sizes) != 3:
        raise ValueError(f"takes {_said(shape)}, no picture; wanted 1 x height x width x channels")
    if sizes[2] in (1, 3):
        return (sizes[0], sizes[1], sizes[2]), False
    if sizes[0] in (1, 3):
        return (sizes[1], sizes[2], sizes[0]), True
    raise ValueError(f"takes {_said(shape)}; wanted pictures of 1 or 3 channels")


def n_classes(shape: Sequence[object]) -> int:
    """How many scores an output tensor of `shape` holds. Raises ValueError unless it is one a class."""
    rest = [size for size in shape[1:] if size != 1] if len(shape) > 1 else list(shape)
    if _is_fixed(shape[0] if len(shape) > 1 else 1) and len(shape) > 1 and shape[0] != 1:
        raise ValueError(f"gives {_said(shape)}; wanted one row of scores")
    if not all(map(_is_fixed, rest)):
        raise ValueError(f"leaves the number of its classes open ({_said(shape)}); export it with that fixed")
    if len(rest) > 1:
        raise ValueError(f"gives {_said(shape)}, not a score for each class; detectors and the like are not run")
    if not rest or not isinstance(rest[0], int) or rest[0] < 2:
        raise ValueError("gives one number; wanted a score for each of two or more classes")
    return rest[0]


def contract(
    *, kind: str, n_bytes: int, input_shape: Sequence[object], input_dtype: str, output_shape: Sequence[object],
    output_dtype: str, output_scale: float, output_zero_point: int, confidence: Confidence | None = None,
) -> ModelContract:  # fmt: skip
    """The contract of a model that has none; ValueError unless it takes one picture and gives a score a class."""
    (height, width, channels), _ = image_form(input_shape)
    return ModelContract(
        name=FOREIGN,
        kind=kind,
        model_bytes=n_bytes,
        input=InputContract(height=height, width=width, channels=channels, fit="resize"),
        input_dtype=input_dtype,
        output_dtype=output_dtype,
        output_scale=output_scale,
        output_zero_point=output_zero_point,
        n_classes=n_classes(output_shape),
        confidence=confidence,
    )


def _is_fixed(size: object) -> bool:
    return isinstance(size, int) and size > 0


def _said(shape: Sequence[object]) -> str:
    return " x ".join(str(size) if _is_fixed(size) else "?" for size in shape) or "a single number"
