"""What a foreign Keras model's `config.json` may name for Keras to look up; all of it converts, to TFLite at least."""

from typing import Any

import keras

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
    "keras.src.activations.activations": frozenset({"ReLU"}),
    "keras.src.ops.core": frozenset({"Cast"}),
    "keras.src.ops.numpy": frozenset({
        "Absolute", "Add", "Clip", "Concatenate", "Divide", "ExpandDims", "GetItem", "Max", "Maximum", "Mean", "Minimum",
        "Multiply", "Negative", "Pad", "Power", "Reshape", "Sqrt", "Square", "Squeeze", "Stack", "Subtract", "Sum", "Tanh",
        "Transpose", "TrueDivide",
    }),
    "keras.src.ops.nn": frozenset({
        "Elu", "Gelu", "HardSigmoid", "HardSilu", "LeakyRelu", "Relu", "Relu6", "Selu", "Sigmoid", "Silu", "Softmax",
    }),
}  # fmt: skip
ACTIVATIONS = frozenset({
    "elu", "gelu", "hard_sigmoid", "hard_silu", "hard_swish", "leaky_relu", "linear", "mish", "relu", "relu6", "selu",
    "sigmoid", "silu", "softmax", "softplus", "softsign", "swish", "tanh",
})  # fmt: skip
# Functions of TensorFlow by the name under which Keras saves them, where Keras calls them otherwise.
_RENAMED = {"softmax_v2": "softmax", "gelu_v2": "gelu"}
# What stands in a call beside tensors of the network: constants and the parts of x[..., ::-1].
_LITERALS = frozenset({"__ellipsis__", "__numpy__", "__slice__", "__tensor__"})
_DTYPES = ("bool", "float16", "float32", "float64", "int32", "int64", "uint8")
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
_MAX_FLOAT32 = 3.4e38
_MAX_ITEMS = 16_384  # of one list: layers, or constants by a channel or a feature
_FLOATS = ("bfloat16", "float16", "float32", "float64")
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
        if isinstance(node, list) and len(node) > _MAX_ITEMS:
            self._problems[f"{layer}: holds a list of {len(node):,}; no small classifier's is as long"] = None
        elif isinstance(node, list):
            for item in node:
                self._walk(item, layer)
        elif isinstance(node, float) and not abs(node) < _MAX_FLOAT32:
            self._problems[f"{layer}: holds the number {node}"] = None
        elif isinstance(node, dict):
            if "class_name" in node:
                layer = self._object(node, layer)
            elif "module" in node or "registered_name" in node:
                self._problems[f"{layer}: names a module without a class"] = None
            for key, value in node.items():
                if (named := self._activation(value)) and key.endswith("activation"):
                    node[key] = value = named
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
        if isinstance(kind, str) and kind in _LITERALS and module is None:
            if not self._is_literal(kind, inner):
                self._problems[f"{layer}: a constant that is no array of numbers"] = None
            return layer
        if kind == "function":
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
        elif kind == "Cast":
            if inner.get("dtype") not in _FLOATS:
                self._problems[f"{layer}: makes {str(inner.get('dtype'))[:40]}; wanted float32"] = None
            inner["dtype"] = "float32"
        elif kind in _MODELS and not self._has_layers(inner):
            self._problems[f"{layer}: its layers are not listed as Keras 3 lists them"] = None
        return layer

    @staticmethod
    def _activation(node: Any) -> str:
        """The name of the activation that `node` holds as a function, such as tf.nn.softmax; "" where it is none we know."""
        if not isinstance(node, dict) or node.get("class_name") != "function" or not isinstance(node.get("config"), str):
            return ""
        name = node["config"]
        known = _RENAMED.get(name, name)
        ours = node.get("module") in ("builtins", "keras.activations") and node.get("registered_name") in (
            None,
            "function",
            name,
        )
        return known if ours and known in ACTIVATIONS else ""

    @classmethod
    def _is_literal(cls, kind: str, inner: Any) -> bool:
        if not isinstance(inner, dict):
            return False
        if kind == "__slice__":
            return set(inner) == {"start", "stop", "step"} and all(n is None or type(n) is int for n in inner.values())
        if kind == "__ellipsis__":
            return not inner
        return set(inner) == {"value", "dtype"} and inner["dtype"] in _DTYPES and cls._all_numbers(inner["value"])

    @classmethod
    def _all_numbers(cls, value: Any) -> bool:
        return all(map(cls._all_numbers, value)) if isinstance(value, list) else isinstance(value, (bool, int, float))

    def _value(self, key: str, value: Any, layer: str) -> None:
        if key == "activation" and isinstance(value, str) and value not in ACTIVATIONS:
            self._problems[f"{layer}: activation {value[:40]!r} is not among those known to convert"] = None
        elif key == "data_format" and value not in (None, "channels_last"):
            self._problems[f"{layer}: keeps channels first; wanted pictures as height, width, channels"] = None
        elif key == "interpolation" and value not in ("bilinear", "nearest"):
            self._problems[f"{layer}: interpolates {str(value)[:20]}; wanted bilinear or nearest"] = None

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
        kind, module, inner = str(node.get("class_name")), str(node.get("module") or "keras.layers"), node.get("config")
        if kind in ("Lambda", "__lambda__"):
            return "holds Python code, which is never run; say it with Keras's own layers"
        if kind in ("SlicingOpLambda", "TFOpLambda") and isinstance(inner, dict):
            return f"calls TensorFlow's function {str(inner.get('function'))[:40]}; say it with Keras's own layers"
        if module != "keras" and not module.startswith("keras."):
            return f"{kind[:40]} comes from {module[:40]!r}, not from Keras, and code of others is never run"
        if kind in _RECURRENT:
            return "recurrent layers have no int8 form in both formats"
        if kind in _ATTENTION:
            return "attention has no int8 form in both formats"
        if kind == "QuantizedDTypePolicy":
            return "was quantized by Keras; save the network as it was before quantize()"
        if not node.get("module") and not hasattr(keras.layers, kind):
            whose = f"{kind[:40]} is no class of Keras, and code of others is never run"
            return f"{whose}; build the network of Keras's own layers, as Sequential or functional"
        return f"{module[:40]}.{kind[:40]} is not among the layers known to convert; say it with others"
