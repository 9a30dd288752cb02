"""Say a config as Keras 3 says it: that of an .h5 file, or of Keras 2. What is not known stays, and the check refuses it."""

import re
from typing import Any

from convert.sources.keras_allowlist import LAYERS, OPERATIONS, TRAINING_ONLY

_MODULES = {name: module for module, names in OPERATIONS.items() for name in names}
# Only training used them, and Keras 3 has no such layers.
_GONE = frozenset({"RandomHeight", "RandomWidth"})
# Keys that Keras 3 has no more, and the layers where they were without effect at these values.
_DROPPED: dict[str, tuple[Any, ...]] = {
    "batch_input_shape": (), "fused": (), "groups": (1,), "optional": (False,), "ragged": (False,), "renorm": (False,),
    "renorm_clipping": (None,), "renorm_momentum": (), "sparse": (False,), "virtual_batch_size": (None,),
}  # fmt: skip
_KEEP_GROUPS = frozenset({"Conv2D", "GroupNormalization"})
_INITIAL = re.compile(r".*_(initializer|regularizer|constraint)")
# TensorFlow's functions that Keras 2 calls in a graph: Keras 3's operation, and its second argument's name.
_BINARY = {
    "__operators__.add": ("Add", "y"), "math.add": ("Add", "y"), "math.divide": ("TrueDivide", "y"),
    "math.maximum": ("Maximum", "y"), "math.minimum": ("Minimum", "y"), "math.multiply": ("Multiply", "y"),
    "math.subtract": ("Subtract", "y"), "math.truediv": ("TrueDivide", "y"), "nn.bias_add": ("Add", "bias"),
}  # fmt: skip
_UNARY = {
    "math.abs": "Absolute", "math.negative": "Negative", "math.sigmoid": "Sigmoid", "math.square": "Square",
    "math.tanh": "Tanh", "nn.elu": "Elu", "nn.relu": "Relu", "nn.relu6": "Relu6", "nn.selu": "Selu", "nn.sigmoid": "Sigmoid",
    "nn.silu": "Silu", "nn.softmax": "Softmax", "nn.swish": "Silu", "nn.tanh": "Tanh",
}  # fmt: skip


def modern(model: Any) -> Any:
    """The config of a model as Keras 3 writes it in a .keras file; `model` itself where it is no config of one."""
    if not isinstance(model, dict) or model.get("class_name") not in ("Functional", "Model", "Sequential"):
        return model
    return _model(_without_slashes(model))


def plain_name(name: str) -> str:
    """The name of a layer as Keras 3 takes it: without slashes, which MobileNetV3 of Keras 2 has."""
    return name.replace("/", "_")


def _without_slashes(node: Any) -> Any:
    """`node` with every layer under its plain name: where it has it, and in calls, which begin [name, node, output]."""
    if isinstance(node, dict):
        return {
            key: plain_name(value) if key == "name" and isinstance(value, str) else _without_slashes(value)
            for key, value in node.items()
        }
    if not isinstance(node, list):
        return node
    if len(node) in (3, 4) and isinstance(node[0], str) and isinstance(node[1], int):
        return [plain_name(node[0]), *map(_without_slashes, node[1:])]
    return [_without_slashes(each) for each in node]


def _model(node: dict[str, Any]) -> dict[str, Any]:
    kind, inner = node["class_name"], node.get("config")
    if isinstance(inner, list):  # before Keras 2.2.3
        inner = {"name": str(node.get("name") or "sequential"), "layers": inner}
    if not isinstance(inner, dict) or not isinstance(inner.get("layers"), list) or not _ours(node):
        return node
    inner = {key: value for key, value in inner.items() if key not in ("dtype", "keras_version", "backend")}
    layers = [layer for layer in inner["layers"] if isinstance(layer, dict)]
    if kind == "Sequential":
        shape = next((_shape(layer) for layer in layers[:1]), None)
        if shape and layers[0].get("class_name") != "InputLayer":
            entry = {"batch_shape": shape, "dtype": "float32", "name": f"{inner.get('name')}_input"}
            layers.insert(0, {"class_name": "InputLayer", "config": entry})
        module, name = "keras", "Sequential"
    else:
        module, name = "keras.src.models.functional", "Functional"
        nested = {layer.get("name"): layer for layer in layers if _starts_at_one(layer)}
        for end in ("input_layers", "output_layers"):
            inner[end] = _ends(inner.get(end), nested)
    skipped = frozenset(nested) if name == "Functional" else frozenset()
    inner["layers"] = [_layer(layer, skipped) for layer in layers]
    rest = {key: node[key] for key in ("name", "inbound_nodes") if key in node}
    return {"module": module, "class_name": name, "config": inner, "registered_name": name} | rest


def _layer(node: dict[str, Any], nested: frozenset[Any]) -> dict[str, Any]:
    kind, inner = node.get("class_name"), node.get("config")
    if not isinstance(kind, str) or not isinstance(inner, dict | list) or not _ours(node):
        return node
    nodes = node.get("inbound_nodes")
    new = node
    if kind in ("Functional", "Model", "Sequential"):
        new = _model(node)
    elif kind in ("SlicingOpLambda", "TFOpLambda") and isinstance(inner, dict):
        return _function(node, inner, nested)
    elif kind in TRAINING_ONLY | _GONE and isinstance(inner, dict):
        new = _object("keras.layers", "Identity", {"name": inner.get("name")})
    elif kind in LAYERS and ("trainable" in inner or "dtype" in inner or kind not in _MODULES):
        new = _object("keras.layers", kind, _settings(kind, dict(inner)))
    elif kind in _MODULES:
        new = _object(_MODULES[kind], kind, inner)
    if "name" in node:
        new["name"] = node["name"]
    if isinstance(nodes, list):
        new["inbound_nodes"] = [_call(each, nested) for each in nodes]
    return new


def _settings(kind: str, inner: dict[str, Any]) -> dict[str, Any]:
    """A layer's own config without what Keras 3 does not take and what only training needs."""
    if kind == "InputLayer":
        shape = inner.get("batch_shape", inner.get("batch_input_shape"))
        return {"batch_shape": shape, "dtype": "float32", "name": inner.get("name")}
    for key in [key for key in inner if _INITIAL.fullmatch(key)]:
        del inner[key]
    for key, harmless in _DROPPED.items():
        if key in inner and (not harmless or inner[key] in harmless) and not (key == "groups" and kind in _KEEP_GROUPS):
            del inner[key]
    policy = inner.pop("dtype", "float32")
    if isinstance(policy, dict):
        policy = (policy.get("config") or {}).get("name") if isinstance(policy.get("config"), dict) else policy
    inner["dtype"] = _object("keras", "DTypePolicy", {"name": policy})
    if kind == "BatchNormalization" and isinstance(inner.get("axis"), list) and len(inner["axis"]) == 1:
        inner["axis"] = inner["axis"][0]
    return inner


def _function(node: dict[str, Any], inner: dict[str, Any], nested: frozenset[Any]) -> dict[str, Any]:
    """A call of one of TensorFlow's functions as the operation of Keras 3 that equals it; `node` itself where there is none."""
    function, name, nodes = inner.get("function"), inner.get("name"), node.get("inbound_nodes")
    if not isinstance(nodes, list) or len(nodes) != 1 or not isinstance(nodes[0], list) or len(nodes[0]) != 4:
        return node
    *first, given = nodes[0]
    if not isinstance(given, dict):
        return node
    tensor = first[2] if first[0] == "_CONSTANT_VALUE" else _tensor(first, nested)
    config: dict[str, Any] = {"name": name}
    arguments = [tensor]
    if function in _BINARY:
        kind, second = _BINARY[function]
        arguments.append(_operand(given.get(second), nested))
    elif function in _UNARY:
        kind = _UNARY[function]
    elif function == "__operators__.getitem":
        kind = "GetItem"
        parts = given.get("slice_spec")
        arguments.append([_part(part) for part in (parts if isinstance(parts, list) else [parts])])
    elif function == "math.reduce_mean":
        kind = "Mean"
        config |= {"axis": given.get("axis"), "keepdims": bool(given.get("keepdims"))}
    elif function == "nn.leaky_relu":
        kind = "LeakyRelu"
        config["negative_slope"] = given.get("alpha", 0.2)
    elif function == "clip_by_value":
        kind = "Clip"
        config |= {"x_min": given.get("clip_value_min"), "x_max": given.get("clip_value_max")}
    elif function == "cast" and given.get("dtype") == "float32":
        new = _object("keras.layers", "Identity", config)
        return new | {"name": name, "inbound_nodes": [{"args": [tensor], "kwargs": {}}]}
    else:
        return node
    new = _object(_MODULES[kind], kind, config)
    return new | {"name": name, "inbound_nodes": [{"args": arguments, "kwargs": {}}]}


def _call(node: Any, nested: frozenset[Any]) -> Any:
    """One call of a layer: [[name, node, output, keywords], …] as the arguments of Keras 3."""
    if not isinstance(node, list):
        return node
    entries = node if node and isinstance(node[0], list) else [node]
    if not all(isinstance(entry, list) and len(entry) in (3, 4) for entry in entries):
        return node
    tensors = [_tensor(entry, nested) for entry in entries]
    keywords = next((entry[3] for entry in entries if len(entry) == 4 and isinstance(entry[3], dict)), {})
    kept = {"training": keywords["training"]} if isinstance(keywords.get("training"), bool) else {}
    return {"args": tensors if len(tensors) == 1 else [tensors], "kwargs": kept}


def _tensor(entry: list[Any], nested: frozenset[Any]) -> dict[str, Any]:
    name, node, output = entry[:3]
    # Keras 2 counted a nested model's own node.
    node = max(0, node - 1) if name in nested and isinstance(node, int) else node
    return {
        "class_name": "__keras_tensor__",
        "config": {"shape": [], "dtype": "float32", "keras_history": [name, node, output]},
    }


def _operand(value: Any, nested: frozenset[Any]) -> Any:
    if isinstance(value, list):
        if len(value) == 3 and isinstance(value[0], str):
            return _tensor(value, nested)
        return {"class_name": "__numpy__", "config": {"value": value, "dtype": "float32"}}
    return value


def _part(part: Any) -> Any:
    if isinstance(part, dict) and part.get("class_name") == "__ellipsis__":
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(part, dict) and set(part) == {"start", "stop", "step"}:
        return {"class_name": "__slice__", "config": part}
    return part


def _ends(ends: Any, nested: dict[Any, Any]) -> Any:
    """[[name, node, output]] of one input or output as Keras 3 writes it."""
    if not isinstance(ends, list) or len(ends) != 1 or not isinstance(ends[0], list) or len(ends[0]) != 3:
        return ends
    name, node, output = ends[0]
    sequential = name in nested and nested[name].get("class_name") == "Sequential" and isinstance(node, int)
    return [name, max(0, node - 1) if sequential else node, output]


def _starts_at_one(layer: dict[str, Any]) -> bool:
    """Whether Keras 2 counted the calls of this nested model from one: it has an input of its own."""
    inner = layer.get("config")
    if layer.get("class_name") in ("Functional", "Model"):
        return True
    layers = inner.get("layers") if isinstance(inner, dict) else inner
    first = layers[0] if isinstance(layers, list) and layers and isinstance(layers[0], dict) else {}
    return layer.get("class_name") == "Sequential" and (first.get("class_name") == "InputLayer" or _shape(first) is not None)


def _shape(layer: dict[str, Any]) -> Any:
    inner = layer.get("config")
    return inner.get("batch_shape", inner.get("batch_input_shape")) if isinstance(inner, dict) else None


def _ours(node: dict[str, Any]) -> bool:
    """Whether `node` is of Keras itself: a class of someone else's keeps its name, by which it is refused."""
    module, registered = node.get("module"), node.get("registered_name")
    known = module is None or (isinstance(module, str) and re.match(r"(tf_)?keras(\.|$)|tensorflow\.", module) is not None)
    return known and (registered is None or registered == node.get("class_name"))


def _object(module: str, kind: str, config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": kind, "config": config, "registered_name": None}
