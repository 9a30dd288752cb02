"""A model that keeps weights in other files is refused, sealed or not, where they lie at hand too: no seal covers them."""

import flatbuffers
import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from onnx import helper, numpy_helper

import edge
from edge import artifact
from edge.contract import InputContract, ModelContract
from edge.engines import onnx_tensors
from edge.errors import ModelError
from tests.edge.on_device import SHIPPED, resealed

WEIGHTS = np.arange(4, dtype=np.float32).reshape(1, 4)
REFUSED = "keeps weights in other files, which no seal covers"


def outside(location: str) -> onnx.TensorProto:
    tensor = numpy_helper.from_array(WEIGHTS, "w")
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "16")):
        tensor.external_data.add(key=key, value=value)
    return tensor


def model(where: str, tensor: onnx.TensorProto) -> bytes:
    """An .onnx that adds the values of `tensor`, which is part of it as `where` says, to four pixels."""
    scores = helper.make_tensor_value_info("logits", 1, [1, 4])
    add = helper.make_node("Add", ["row", "w"], ["logits"])
    inputs = [helper.make_tensor_value_info("pixels", onnx.TensorProto.UINT8, [1, 2, 2, 1])]
    nodes, kept = [helper.make_node("Cast", ["pixels"], ["f"], to=1), helper.make_node("Flatten", ["f"], ["row"])], []
    if where == "initializer":
        nodes, kept = [*nodes, add], [tensor]
    elif where == "constant":
        nodes += [helper.make_node("Constant", [], ["w"], value=tensor), add]
    else:
        branch = helper.make_graph([add], "branch", [], [scores], [tensor])
        nodes.append(helper.make_node("If", ["yes"], ["logits"], then_branch=branch, else_branch=branch))
        kept = [numpy_helper.from_array(np.array(True), "yes")]
    graph = helper.make_graph(nodes, "g", inputs, [scores], kept)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8, producer_name="edgeproof").SerializeToString()


@pytest.mark.parametrize("where", ["initializer", "constant", "branch"])
def test_an_onnx_model_with_external_data_is_refused(where, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where ONNX Runtime would find them
    WEIGHTS.tofile("w.bin")
    image = InputContract(height=2, width=2, channels=1, fit="resize")
    expected = [(bytes(4), WEIGHTS.tobytes())]
    for tensor in (numpy_helper.from_array(WEIGHTS, "w"), outside("w.bin")):
        made = model(where, tensor)
        contract = ModelContract(
            name="x", kind="onnx", model_bytes=len(made), input=image, input_dtype="uint8", output_dtype="float32", n_classes=4
        )
        sealed = artifact.seal(made, contract, labels=tuple("abcd"), goldens=expected, manifest={}, report="")
        for content in (sealed, made.replace(b"edgeproof", b"otherwise")):
            (tmp_path / "m.onnx").write_bytes(content)
            if tensor.raw_data:
                assert edge.load("m.onnx", allow_unverified=True).answer(bytes(4)).logits == [0, 1, 2, 3]
                continue
            with pytest.raises(ModelError, match=REFUSED):
                edge.load("m.onnx", allow_unverified=True)


def test_every_tensor_of_an_onnx_file_is_looked_at():
    messages = onnx.ModelProto.DESCRIPTOR.file.message_types_by_name  # as the onnx package describes the format
    inner = {name: {f.number: f.message_type.name for f in m.fields if f.message_type} for name, m in messages.items()}
    leading = {"TensorProto"}
    while more := {name for name, fields in inner.items() if leading & set(fields.values())} - leading:
        leading |= more
    found = {name: {number: kind for number, kind in inner[name].items() if kind in leading} for name in leading}
    assert found == onnx_tensors.LEADING
    numbers = onnx.TensorProto.EXTERNAL_DATA_FIELD_NUMBER, onnx.TensorProto.DATA_LOCATION_FIELD_NUMBER
    assert numbers == (onnx_tensors.EXTERNAL_DATA, onnx_tensors.DATA_LOCATION)


@pytest.mark.parametrize("content", [b"\x3a\x7f", b"\x38" + b"\xff" * 11, b"\x3b", b"\x3d\0", b"\xba\x80\x80\x80\x80\x01\0"])
def test_what_is_no_protobuf_message_is_said(content):
    with pytest.raises(ValueError):
        onnx_tensors.names_files(content)


@pytest.mark.parametrize("trust", [False, True])
def test_a_tflite_model_with_external_buffers_is_refused(trust, tmp_path):
    whole = artifact.read(str(SHIPPED))
    tables = schema.ModelT.InitFromPackedBuf(whole.data[: whole.contract.model_bytes])
    group, outer = schema.ExternalBufferGroupT(), schema.ExternalBufferT()
    group.name, outer.id, outer.length = str(tmp_path / "w.bin"), 1, 16
    tables.externalBufferGroups, tables.externalBuffers = [group], [outer]
    builder = flatbuffers.Builder()
    builder.Finish(tables.Pack(builder), b"TFL3")
    model = artifact.embed_magic(bytes(builder.Output()), "tflite")
    path = resealed(tmp_path / "m.tflite", name="m", model=model, model_bytes=len(model))
    with pytest.raises(ModelError, match=REFUSED):
        edge.load(path, trust=trust)
