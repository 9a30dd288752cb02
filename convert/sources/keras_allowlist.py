"""What a foreign Keras model's `config.json` may name for Keras to look up; all of it converts to both formats."""

import math
from typing import Any

# Layers that do nothing outside training; conversion leaves them out.
TRAINING_ONLY = frozenset({
    "ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "Identity",
    "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter", "RandomContrast", "RandomElasticTransform",
    "RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHue", "RandomInvert",
    "RandomPerspective", "RandomPosterization", "RandomRotation", "RandomSaturation", "RandomSharpness", "RandomShear",
    "RandomTranslation", "RandomZoom", "SpatialDropout2D",
})  # fmt: skip
LAYERS = TRAINING_ONLY | {
    "Activation", "Add", "Average", "AveragePooling2D", "BatchNormalization", "CenterCrop", "Concatenate", "Conv2D",
    "Conv2DTranspose", "Cropping2D", "Dense", "DepthwiseConv2D", "ELU", "Flatten", "GlobalAveragePooling2D",
    "GlobalMaxPooling2D", "GroupNormalization", "InputLayer", "LayerNormalization", "LeakyReLU", "MaxPooling2D", "Maximum",
    "Minimum", "Multiply", "Normalization", "PReLU", "Permute", "ReLU", "Rescaling", "Reshape", "Resizing", "SeparableConv2D",
    "Softmax", "Subtract", "UpSampling2D", "ZeroPadding2D",
}  # fmt: skip
# `x + y` and `keras.ops.relu(x)` in a functional model are operations of their own.
OPERATIONS = {
    "keras.src.ops.numpy": frozenset({
        "Add", "Divide", "Maximum", "Mean", "Minimum", "Multiply", "Negative", "Subtract", "Tanh", "TrueDivide",
    }),
    "keras.src.ops.nn": frozenset({"HardSigmoid", "HardSilu", "LeakyRelu", "Relu", "Relu6", "Sigmoid", "Silu", "Softmax"}),
}  # fmt: skip
# Without gelu: tf2onnx 1.17 writes an Erfc operator that no runtime has.
ACTIVATIONS = frozenset({
    "elu", "hard_sigmoid", "hard_silu", "hard_swish", "leaky_relu", "linear", "relu", "relu6", "selu", "sigmoid",
    "silu", "softmax", "softplus", "softsign", "swish", "tanh",
})  # fmt: skip
_CLASSES = OPERATIONS | {
    "keras": frozenset({"DTypePolicy", "Sequential"}),
    "keras.constraints": frozenset({"MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"}),
    "keras.dtype_policies": frozenset({"DTypePolicy"}),
    "keras.initializers": frozenset({
        "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform", "Ones",
        "Orthogonal", "OrthogonalInitializer", "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "Zeros",
    }),
    "keras.layers": LAYERS,
    "keras.models": frozenset({"Sequential"}),
    "keras.regularizers": frozenset({"L1", "L1L2", "L2", "OrthogonalRegularizer"}),
    "keras.src.models.functional": frozenset({"Functional"}),
    "keras.src.models.sequential": frozenset({"Sequential"}),
}  # fmt: skip
_MODELS = ("Functional", "Sequential")
# Training in half precision leaves these; the weights are float32, and so is the network that we build.
_POLICIES = ("float32", "mixed_float16", "mixed_bfloat16")
_RECURRENT = frozenset({"Bidirectional", "ConvLSTM2D", "GRU", "LSTM", "RNN", "SimpleRNN", "TimeDistributed"})
_ATTENTION = frozenset({"AdditiveAttention", "Attention", "GroupQueryAttention", "MultiHeadAttention"})


class ConfigCheck:
    """One walk over a config that lists what is refused, by layer, and removes what conversion does not need."""

    def __init__(self) -> None:
        self._problems: dict[str, None] = {}  # in order, each once

    @staticmethod
    def no_number(word: str) -> float:
        raise ValueError(f"{word} is no number")

    def refused(self, config: dict[str, Any]) -> list[str]:
        """What is not allowed in `config`, each with its layer; empty where everything is. Changes `config` in place."""
        if config.get("class_name") not in _MODELS:
            return [f"{self._called(config)}: {self._why(config)}"]
        self._walk(config, "the model")
        return list(self._problems)

    def _walk(self, node: Any, layer: str) -> None:
        if isinstance(node, list):
            for item in node:
                self._walk(item, layer)
        elif isinstance(node, float) and not math.isfinite(node):
            self._problems[f"{layer}: holds the number {node}"] = None
        elif isinstance(node, dict):
            if "class_name" in node:
                layer = self._object(node, layer)
            elif "module" in node or "registered_name" in node:
                self._problems[f"{layer}: names a module without a class"] = None
            for key, value in node.items():
                self._value(key, value, layer)
                self._walk(value, layer)

    def _object(self, node: dict[str, Any], layer: str) -> str:
        """Check one object against the list, drop what is not needed, and return the layer it belongs to."""
        kind, module, inner = node["class_name"], node.get("module"), node.get("config")
        # Loss, optimizer, metrics and ids of shared objects are not needed.
        node.pop("compile_config", None)
        node.pop("shared_object_id", None)
        if kind == "__keras_tensor__" and module is None:
            return layer
        if kind == "function":
            known = inner in ACTIVATIONS if isinstance(inner, str) else False
            if not known or module not in ("builtins", "keras.activations") or node.get("registered_name") not in (None, inner):
                self._problems[f"{layer}: function {str(inner)[:40]!r} of {str(module)[:40]!r} is not one we know"] = None
            return layer
        if kind != "DTypePolicy" and isinstance(inner, dict) and isinstance(inner.get("name"), str):
            layer = self._called(node)
        registered = node.get("registered_name")
        known = isinstance(kind, str) and isinstance(module, str) and kind in _CLASSES.get(module, ())
        if not known or not isinstance(inner, dict) or registered not in (None, kind):
            self._problems[f"{layer}: {self._why(node)}"] = None
        elif kind == "DTypePolicy":
            if inner.get("name") not in _POLICIES:
                self._problems[f"{layer}: computes in {str(inner.get('name'))[:40]}; wanted float32"] = None
            inner["name"] = "float32"
        elif kind in _MODELS and not self._has_layers(inner):
            self._problems[f"{layer}: its layers are not listed as Keras 3 lists them"] = None
        return layer

    def _value(self, key: str, value: Any, layer: str) -> None:
        if key == "activation" and isinstance(value, str) and value not in ACTIVATIONS:
            self._problems[f"{layer}: activation {value[:40]!r} is not among those known to convert to both formats"] = None
        elif key == "data_format" and value not in (None, "channels_last"):
            self._problems[f"{layer}: keeps channels first; wanted pictures as height, width, channels"] = None
        elif key == "interpolation" and value not in ("bilinear", "nearest"):
            self._problems[f"{layer}: interpolates {str(value)[:20]}; wanted bilinear or nearest"] = None
        elif key == "groups" and layer.endswith("Conv2D)") and value != 1:
            self._problems[f"{layer}: a convolution in {str(value)[:9]} groups; wanted one, or DepthwiseConv2D"] = None

    @staticmethod
    def _has_layers(inner: dict[str, Any]) -> bool:
        layers = inner.get("layers")
        return isinstance(layers, list) and all(isinstance(layer, dict) and "class_name" in layer for layer in layers)

    @staticmethod
    def _called(node: dict[str, Any]) -> str:
        inner = node.get("config")
        name = inner.get("name") if isinstance(inner, dict) else node.get("name")
        return f"layer {str(name)[:60]!r} ({str(node.get('class_name'))[:40]})"

    @staticmethod
    def _why(node: dict[str, Any]) -> str:
        kind, module = str(node.get("class_name")), str(node.get("module"))
        if kind in ("Lambda", "__lambda__"):
            return "holds Python code, which is never run; say it with Keras's own layers"
        if module != "keras" and not module.startswith("keras."):
            return f"{kind[:40]} comes from {module[:40]!r}, not from Keras, and code of others is never run"
        if kind in _RECURRENT:
            return "recurrent layers have no int8 form in both formats"
        if kind in _ATTENTION:
            return "attention has no int8 form in both formats"
        return f"{module[:40]}.{kind[:40]} is not among the layers known to convert to both formats"
