"""Does an .onnx keep weights in other files? ONNX Runtime looks for them in the current folder, and no seal covers them.

The file is a protobuf message, read here by hand (protobuf.dev, "Encoding"): a device does not have the onnx package.
"""

# By message of onnx.proto, the fields that lead to a tensor, each with its message.
LEADING: dict[str, dict[int, str]] = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto", 6: "GraphProto", 10: "TensorProto", 11: "GraphProto",
        22: "SparseTensorProto", 23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "TensorProto": {},
}  # fmt: skip
EXTERNAL_DATA, DATA_LOCATION = 13, 14  # of a TensorProto: where its values lie, and 1 if they lie there
_VARINT, _LENGTH, _FIXED = 0, 2, {1: 8, 5: 4}  # wire types


def names_files(model: bytes) -> bool:
    """Whether a tensor of the .onnx `model` has its values in a file. Raises ValueError for what is no protobuf message."""
    left = [("ModelProto", 0, len(model))]
    while left:
        message, at, end = left.pop()
        while at < end:
            tag, at = _varint(model, at, end)
            field, wire = tag >> 3, tag & 7
            if tag >> 32:
                raise ValueError(f"a field {field}")
            if wire == _VARINT:
                value, at = _varint(model, at, end)
                if value and field == DATA_LOCATION and message == "TensorProto":
                    return True
            elif wire == _LENGTH:
                length, at = _varint(model, at, end)
                if field == EXTERNAL_DATA and message == "TensorProto":
                    return True
                if length <= end - at and field in LEADING[message]:
                    left.append((LEADING[message][field], at, at + length))
                at += length
            else:
                at += _FIXED.get(wire, end)
        if at != end:
            raise ValueError("a field that reaches past its message")
    return False


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """The number at `at`, seven bits a byte, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
    raise ValueError("a number without an end")
