"""Rebuild a Keras model, with whatever is nested in it, as one flat network that both converters take."""

import math
import re
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from convert.pictures.arithmetic import PLAIN, Arithmetic
from convert.sources.keras_allowlist import TRAINING_ONLY
from edge.contract import InputContract
from edge.errors import ModelError
from edge.silence import silence_native_output

_DECLARED, _FLAT_ENTRY = "declared_scaling", "without_channels"
_IDLE = TRAINING_ONLY | {"Cast"}  # every number here is float32
# Operations that equal an activation.
_ACTIVATIONS = {
    "HardSigmoid": "hard_sigmoid", "HardSilu": "hard_silu", "Relu": "relu", "Relu6": "relu6", "Sigmoid": "sigmoid",
    "Silu": "silu", "Tanh": "tanh",
}  # fmt: skip


def flatten(
    model: keras.Model, contract: InputContract, arithmetic: Arithmetic = PLAIN, *, batch_size: int | None
) -> keras.Model:
    """A new flat network with the weights of `model`: float32 [N, H, W, C] pixels of `contract` → float32 logits [N, K].

    Every layer is at the top level, under a plain name. Layers for training alone and a softmax or sigmoid at the end are left
    out; the declared arithmetic comes first. One output becomes two. Raises ModelError for a Normalization by pixel.
    """
    if arithmetic.order == "bgr" and len(arithmetic.scale) == len(arithmetic.offset) == 1:
        flat = flatten(model, contract, replace(arithmetic, order="rgb"), batch_size=batch_size)
        if _turned(flat):
            return flat
    copies: dict[int, Any] = {}
    names = {"pixels", _DECLARED, _FLAT_ENTRY}

    def call(operation: Any, *arguments: Any, **keywords: Any) -> Any:
        if isinstance(operation, keras.Model):
            return through(operation, arguments[0])
        if type(operation).__name__ in _IDLE:
            return arguments[0]
        if operation is last and _only_activates(operation):
            return arguments[0]
        keywords = {name: value for name, value in keywords.items() if name not in ("mask", "training")}
        is_new = id(operation) not in copies
        if is_new:
            copies[id(operation)] = _copied(operation, names, as_logits=operation is last)
        copy = copies[id(operation)]
        if isinstance(copy, OperationLayer):
            return copy.of(arguments, keywords)
        output = copy(*arguments, **keywords)
        if is_new and copy.weights:
            copy.set_weights(operation.get_weights())
        return output

    def through(part: keras.Model, tensor: Any) -> Any:
        if isinstance(part, keras.Sequential):
            for layer in part.layers:
                tensor = call(layer, tensor)
            return tensor
        # What a functional model does in every call; clone_model would keep models inside models.
        return part._run_through_graph([tensor], operation_fn=lambda operation: operation, call_fn=call)

    last = last_operation(model)
    with silence_native_output():
        pixels = keras.Input((contract.height, contract.width, contract.channels), batch_size=batch_size, name="pixels")
        entry = _declared(pixels, arithmetic)
        if len(model.inputs[0].shape) == 3:  # [N, H, W], as of Keras's own MNIST
            entry = keras.layers.Reshape((contract.height, contract.width), name=_FLAT_ENTRY)(entry)
        (logits,) = keras.tree.flatten(through(model, entry))  # [logits] and {"name": logits} too are one output
        return keras.Model(pixels, _two_logits(logits) if logits.shape[-1] == 1 else logits, name="foreign")


def _two_logits(logit: Any) -> Any:
    """The logits [N, 2] 0 and z of one `logit` z [N, 1], whose softmax is sigmoid(z): a Dense layer that makes z makes both."""
    layer, name, weights = logit._keras_history.operation, "two_logits", [np.ones((1, 1), np.float32)]
    if type(layer) is keras.layers.Dense and len(layer._inbound_nodes) == 1:
        logit, name, weights = layer.input, layer.name, layer.get_weights()
    both = keras.layers.Dense(2, use_bias=len(weights) > 1, name=name)
    logits = both(logit)
    both.set_weights([np.concatenate([np.zeros_like(each), each], axis=-1) for each in weights])
    return logits


def _turned(flat: keras.Model) -> bool:
    """Make `flat`, a network of BGR, take RGB: its first convolution's weights are turned. False, and no change, where anything
    but one scale and offset stands before that, or the pixels are used elsewhere too."""
    layer = flat.layers[0]
    while len(layer._outbound_nodes) == 1:
        layer = layer._outbound_nodes[0].operation
        if type(layer) is keras.layers.Conv2D and layer.groups == 1 and len(layer._inbound_nodes) == 1:
            kernel, *bias = layer.get_weights()
            layer.set_weights([kernel[:, :, ::-1], *bias])
            return True
        if not isinstance(layer, keras.layers.Rescaling) or np.size(layer.scale) != 1 or np.size(layer.offset) != 1:
            return False
    return False


def _declared(pixels: Any, arithmetic: Arithmetic) -> Any:
    """What the owner's code does to `pixels`, as a layer. Three scales, or another order, are one convolution of 1x1.

    In int8 that convolution rounds once, where a product and a sum would round twice; each of its weights is exact, as every
    output channel has a scale of its own.
    """
    if arithmetic == PLAIN:
        return pixels
    if arithmetic.is_scalar:
        return keras.layers.Rescaling(arithmetic.scale[0], arithmetic.offset[0], name=_DECLARED)(pixels)
    n = pixels.shape[-1]
    mix: np.ndarray = np.eye(n, dtype=np.float32)[:: -1 if arithmetic.order == "bgr" else 1] * np.asarray(
        arithmetic.scale, np.float32
    )
    layer = keras.layers.Conv2D(n, 1, name=_DECLARED)
    output = layer(pixels)
    layer.set_weights([mix[None, None], np.broadcast_to(np.asarray(arithmetic.offset, np.float32), n)])
    return output


class OperationLayer(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """An operation, such as `x + y` or `keras.ops.mean(x)`, as a layer, because conversion reports by layer."""

    def __init__(self, operation: Any, *, name: str) -> None:
        super().__init__(name=name)
        self._operation = operation
        self._arguments: Any = ()

    def of(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """The operation's output. A layer takes tensors only, so other arguments are stored."""
        # A tensor would be a second input of the ONNX graph.
        self._arguments = keras.tree.map_structure(
            lambda each: np.asarray(each) if keras.ops.is_tensor(each) and not isinstance(each, keras.KerasTensor) else each,
            (arguments, keywords),
        )
        tensors = [each for each in keras.tree.flatten(self._arguments) if isinstance(each, keras.KerasTensor)]
        return self(tensors[0] if len(tensors) == 1 else tensors)

    def call(self, tensors: Any) -> Any:
        """The operation on `tensors`, in the places of the tensors it was built with."""
        new = iter(keras.tree.flatten(tensors))
        filled = keras.tree.map_structure(
            lambda each: next(new) if isinstance(each, keras.KerasTensor) else each, self._arguments
        )
        return self._operation(*filled[0], **filled[1])


def _copied(operation: Any, names: set[str], *, as_logits: bool) -> Any:
    """An untrained copy under a plain, unused name without the `_1` that TensorFlow itself adds to names."""
    config = operation.get_config()
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "_", str(config["name"]))[:60].lstrip("_.-") or "layer"
    plain = re.sub(r"_(\d+)$", r"-\1", plain)
    name, n = plain, 1
    while name in names:
        name, n = f"{plain}-again-{n}", n + 1
    names.add(name)
    if isinstance(operation, keras.layers.Normalization):
        return _as_rescaling(operation, name)
    config["name"] = name
    if as_logits and config.get("activation") in ("sigmoid", "softmax"):
        config["activation"] = "linear"
    by_erf = config.get("activation") == "gelu"
    if by_erf:
        config["activation"] = "linear"
    copy = type(operation).from_config(config)
    if isinstance(copy, keras.layers.Layer):
        if by_erf:
            copy.activation = _gelu
        return copy
    # As an activation it is fused into the convolution before it.
    kind = type(operation).__name__
    activation = _gelu if kind == "Gelu" and not config["approximate"] else _ACTIVATIONS.get(kind)
    return keras.layers.Activation(activation, name=name) if activation else OperationLayer(copy, name=name)


def _gelu(x: Any) -> Any:
    """Keras's gelu by the error function: TensorFlow's own has the complementary one, which neither format knows."""
    return 0.5 * x * (1 + keras.ops.erf(x / math.sqrt(2)))


def _as_rescaling(layer: Any, name: str) -> Any:
    """A Normalization over channels as the equal Rescaling, because tf2onnx 1.17 takes its constants for variables."""
    deviation = np.maximum(np.sqrt(np.asarray(layer.variance)), keras.config.epsilon())
    scale, offset = 1 / deviation, -np.asarray(layer.mean) / deviation
    if layer.invert:
        scale, offset = deviation, np.asarray(layer.mean)
    if scale.size > scale.shape[-1]:
        raise ModelError(f"layer {name!r} (Normalization): keeps a mean for each pixel; wanted one a channel: axis=-1")
    return keras.layers.Rescaling(scale.ravel().tolist(), offset.ravel().tolist(), name=name)


def last_operation(model: keras.Model) -> Any:
    """The operation that makes a model's only output, also inside nested models, but those that only drop axes of 1."""
    for operation in reversed(model.layers if isinstance(model, keras.Sequential) else model.operations):
        if isinstance(operation, keras.Model):
            return last_operation(operation)
        if type(operation).__name__ not in _IDLE and not _only_drops_axes(operation):
            return operation
    raise AssertionError("a model without operations")


def _only_drops_axes(operation: Any) -> bool:
    """Whether it is a Flatten or Reshape of [N, 1, 1, K], or of [N, K], to [N, K]."""
    if type(operation).__name__ not in ("Flatten", "Reshape", "Squeeze"):
        return False
    (given, *_), (made, *_) = operation._inbound_nodes[0].input_tensors, operation._inbound_nodes[0].output_tensors
    return len(made.shape) == 2 and given.shape[-1] == made.shape[-1]


def activation_of(operation: Any) -> str | None:
    """The name of the activation that an operation applies; None where it applies none."""
    kind = type(operation).__name__
    if kind in ("Softmax", "Sigmoid"):
        return kind.lower()
    activation = operation.get_config().get("activation")
    return activation if isinstance(activation, str) or activation is None else "a layer of its own"


def _only_activates(operation: Any) -> bool:
    return type(operation).__name__ in ("Activation", "Sigmoid", "Softmax") and activation_of(operation) in (
        "linear", "sigmoid", "softmax",
    )  # fmt: skip
