"""One canonical form for equal ONNX graphs: the same bytes from every process, and readable names.

tf2onnx numbers what it makes with a counter of the process, some of it in the order of a Python set, and ONNX Runtime's
quantizer sorts nodes by those names. Here order and names depend on the graph and the network's layers alone:
`conv1/Conv` is the convolution of layer conv1, `conv1/Conv/W` its weights, `conv1/Conv/QuantizeLinear` quantizes its output.
A node that computes several layers at once has the name of one of them.
"""

from collections.abc import Collection

import onnx
from onnx import helper, numpy_helper

from convert.layers import layer_in

_QUANTIZE, _DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"


def canonical(model: onnx.ModelProto, *, name: str, layers: Collection[str]) -> onnx.ModelProto:
    """`model` in canonical form, as the graph `name` with names by `layers`. Raises onnx's ValidationError if not valid."""
    graph = model.graph
    nodes = _in_order(graph)
    constants = {tensor.name: tensor for tensor in graph.initializer}
    shapes = {value.name: value.type for value in graph.value_info}
    names, titles = _names(graph, nodes, constants, layers)
    renamed = helper.make_graph(
        [_renamed(node, names, titles) for node in nodes],
        name,
        graph.input,
        graph.output,
        [numpy_helper.from_array(numpy_helper.to_array(constants[old]), names[old]) for old in names if old in constants],
        value_info=[helper.make_value_info(names[old], shapes[old]) for old in names if old in shapes],
    )
    domains = {node.domain for node in nodes}
    result = helper.make_model(
        renamed,
        ir_version=model.ir_version,
        producer_name=model.producer_name,
        opset_imports=sorted((used for used in model.opset_import if used.domain in domains), key=lambda used: used.domain),
    )
    onnx.checker.check_model(result)
    return result


def _in_order(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes that the outputs need, each after those that make its inputs, depth first from the first input."""
    makers = {tensor: number for number, node in enumerate(graph.node) for tensor in node.output}
    order: dict[int, onnx.NodeProto] = {}
    stack = [makers[value.name] for value in reversed(graph.output)]
    while stack:
        node = graph.node[stack[-1]]
        missing = [makers[tensor] for tensor in node.input if tensor in makers and makers[tensor] not in order]
        if missing:
            stack.append(missing[0])
        else:
            order[stack.pop()] = node
    return list(order.values())


def _names(
    graph: onnx.GraphProto, nodes: list[onnx.NodeProto], constants: Collection[str], layers: Collection[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """New names: of tensors by their old name, in order of naming; of nodes by the old name of their first output."""
    names = {value.name: value.name for value in graph.input} | {"": ""}  # "" is an input left out
    outputs = {value.name for value in graph.output}
    taken = {*names, *outputs}
    titles: dict[str, str] = {}
    # A node with constant inputs alone makes one more constant: a decoded weight.
    decoders: dict[str, onnx.NodeProto] = {}
    for node in nodes:
        if all(tensor in constants or tensor in decoders for tensor in node.input):
            decoders[node.output[0]] = node

    def free(name: str) -> str:
        number, chosen = 1, name
        while chosen in taken:
            number += 1
            chosen = f"{name}_{number}"
        taken.add(chosen)
        return chosen

    def name_constants(node: onnx.NodeProto, title: str) -> None:
        for position, tensor in enumerate(node.input):
            if tensor not in names:
                names[tensor] = free(f"{title}/{_formal(node, position)}")
                if tensor in decoders:
                    titles[tensor] = names[tensor]
                    name_constants(decoders[tensor], names[tensor])

    for node in nodes:
        if node.output[0] in decoders:
            continue  # named by its consumer
        title = titles[node.output[0]] = free(_title(node, names, layers))
        for position, tensor in enumerate(node.output):
            kept = tensor in outputs or not tensor
            names[tensor] = tensor if kept else title if position == 0 else free(f"{title}:{position}")
        name_constants(node, title)
    return names, titles


def _title(node: onnx.NodeProto, names: dict[str, str], layers: Collection[str]) -> str:
    source = next(names[tensor] for tensor in node.input if tensor in names).removesuffix(f"/{_QUANTIZE}")
    if node.op_type in (_QUANTIZE, _DEQUANTIZE):
        return f"{source}/{node.op_type}"
    weights = [tensor for tensor in node.input if tensor not in names]
    layer = layer_in([node.name, *weights, *node.output], layers) or source.split("/")[0]
    return f"{layer}/{node.op_type}"


def _formal(node: onnx.NodeProto, position: int) -> str:
    """The name of this input in the ONNX standard: `W`, `y_scale`."""
    inputs = onnx.defs.get_schema(node.op_type, node.domain).inputs
    return str(inputs[min(position, len(inputs) - 1)].name)  # the last may be variadic


def _renamed(node: onnx.NodeProto, names: dict[str, str], titles: dict[str, str]) -> onnx.NodeProto:
    inputs, outputs = ([names[tensor] for tensor in side] for side in (node.input, node.output))
    renamed = helper.make_node(node.op_type, inputs, outputs, titles[node.output[0]], domain=node.domain)
    renamed.attribute.extend(sorted(node.attribute, key=lambda attribute: attribute.name))
    return renamed
