"""The file format: what is sealed reads back, and nothing that differs by a bit is accepted."""

import hashlib
import io
import re
import struct
import zipfile
from pathlib import Path

import pytest

from edge import artifact, c_program
from edge.contract import InputContract, ModelContract
from edge.errors import InputMissing, ModelError, SealError

DOCUMENT = Path(__file__).parents[2] / "docs" / "artifact-format.md"
# The document's example: a flatbuffer of 16 bytes whose root lies at 8, and a contract of two classes of one pixel.
MODEL = struct.pack("<I4s", 8, b"TFL3") + bytes(range(8))


def example() -> bytes:
    model = artifact.embed_magic(MODEL, "tflite")
    contract = ModelContract(
        name="example-none-int8",
        kind="tflite",
        model_bytes=len(model),
        input=InputContract(height=1, width=2, channels=1, fit="exact"),
        input_dtype="int8",
        output_dtype="int8",
        output_scale=0.5,
        output_zero_point=-3,
        n_classes=2,
    )
    return artifact.seal(
        model,
        contract,
        labels=("cat", "dog"),
        goldens=[(b"\x00\xff", b"\x05\xfb")],
        manifest={"format": 1},
        report="# Report\n",
    )


def documented_bytes() -> bytes:
    """The bytes of the hexadecimal dump in docs/artifact-format.md."""
    (dump,) = re.findall(r"```hexdump\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    return bytes.fromhex("".join(line.split("  ")[1] for line in dump.splitlines()))


def reader_written_from_the_document(data: bytes) -> dict[str, bytes]:
    """A second reader, sharing nothing with ours: seal, end record, directory, members."""
    assert hashlib.sha256(data[:-64]).hexdigest().encode() == data[-64:]
    end = len(data) - 64 - 22
    assert data[end : end + 4] == b"PK\x05\x06"
    (count,), (at,) = struct.unpack_from("<H", data, end + 10), struct.unpack_from("<L", data, end + 16)
    members = {}
    for _ in range(count):
        size, name_length = struct.unpack_from("<L", data, at + 20)[0], struct.unpack_from("<H", data, at + 28)[0]
        (local,) = struct.unpack_from("<L", data, at + 42)
        start = local + 30 + sum(struct.unpack_from("<HH", data, local + 26))
        members[data[at + 46 : at + 46 + name_length].decode()] = data[start : start + size]
        at += 46 + name_length
    return members


def test_the_writer_makes_the_documents_example_byte_for_byte():
    assert example() == documented_bytes()


def test_a_reader_written_from_the_document_finds_what_ours_finds():
    theirs, ours = reader_written_from_the_document(documented_bytes()), artifact.parse("example", documented_bytes())
    assert theirs == ours.members
    assert ours.labels == ("cat", "dog")
    assert ours.goldens() == [(b"\x00\xff", b"\x05\xfb")]
    assert ours.contract.output_zero_point == -3


def test_any_zip_tool_opens_it():
    with zipfile.ZipFile(io.BytesIO(example())) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == list(artifact.MEMBERS)


def test_an_onnx_artifact_is_the_model_and_one_unknown_field(onnx):
    import onnx as onnx_library

    data = onnx.read_bytes()
    model = onnx_library.load_from_string(data)
    onnx_library.checker.check_model(model)
    assert model.producer_name == "edgeproof"
    n = artifact.parse("x", data).contract.model_bytes
    assert data[n : n + 3] == b"\x82\xe2\x09"
    with zipfile.ZipFile(onnx) as archive:
        assert archive.testzip() is None


@pytest.mark.parametrize("allow_unverified", [False, True])
def test_one_flipped_bit_anywhere_is_refused_whatever_the_flags(allow_unverified):
    whole = example()
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealError):
            artifact.parse("example", bytes(damaged), allow_unverified=allow_unverified)


def test_a_truncated_artifact_is_refused_whatever_the_flags():
    whole = example()
    end_of_mark = whole.index(artifact.MAGIC) + len(artifact.MAGIC)
    for length in range(end_of_mark, len(whole)):
        with pytest.raises(SealError):
            artifact.parse("example", whole[:length], allow_unverified=True)
    for length in range(end_of_mark):
        with pytest.raises(ModelError):
            artifact.parse("example", whole[:length])


def test_the_refusal_names_both_digests(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(example()[:-1] + b"?")
    with pytest.raises(SealError, match=r"m\.tflite: damaged: the seal reads nothing, the bytes hash to [0-9a-f]{12}; copy"):
        artifact.read(str(path))


def test_a_foreign_model_runs_only_when_asked_for():
    with pytest.raises(ModelError, match="not sealed by edgeproof; wanted a file that python -m convert published"):
        artifact.parse("theirs.tflite", MODEL)
    theirs = artifact.parse("theirs.tflite", MODEL, allow_unverified=True)
    assert (theirs.kind, theirs.contract, theirs.data) == ("tflite", None, MODEL)


def test_a_seal_around_something_else_is_refused():
    data = b"edgeproof, but no archive" * 9
    with pytest.raises(ModelError, match="sealed, but not an artifact as we write them"):
        artifact.parse("odd", data + hashlib.sha256(data).hexdigest().encode())


def test_accounts_that_disagree_are_refused():
    def with_the_manifest_changed(was: bytes, becomes: bytes) -> artifact.Artifact:
        unsealed = example()[:-64].replace(was, becomes)
        return artifact.parse("x", unsealed + hashlib.sha256(unsealed).hexdigest().encode())

    assert artifact.parse("x", example()).manifest()["format"] == 1
    with pytest.raises(ModelError, match=r"manifest\.json cannot be used \(contract\.txt or labels\.txt says otherwise"):
        with_the_manifest_changed(b'"height": 1', b'"height": 2').manifest()
    with pytest.raises(ModelError, match=r"manifest\.json cannot be used \(wanted an object"):
        with_the_manifest_changed(b'"labels"', b'"lables"').manifest()


def test_no_such_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(InputMissing, match=r"gone\.tflite: No such file or directory"):
        artifact.read(str(tmp_path / "gone.tflite"))
    with pytest.raises(InputMissing, match="not a file; name a"):
        artifact.read(str(tmp_path))


def test_labels_that_would_forge_a_line_are_not_sealed():
    good = artifact.parse("x", example())
    with pytest.raises(ValueError, match="are not 2 different lines of text"):
        artifact.seal(
            artifact.embed_magic(MODEL, "tflite"), good.contract, labels=("cat", "d\nog"), goldens=[], manifest={}, report=""
        )


@pytest.mark.parametrize("allow_unverified", [False, True])
@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "x: a picture, and no model; name a .tflite or .onnx file"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "x: a Keras file; python -m convert --model makes"),
        (b"PK\x03\x04" + bytes(99), "x: a Keras file; python -m convert --model makes"),
    ],
)
def test_what_no_option_makes_a_model_is_named(data, says, allow_unverified):
    with pytest.raises(ModelError) as refused:
        artifact.parse("x", data, allow_unverified=allow_unverified)
    assert says in str(refused.value)


def test_members_that_overlap_or_are_too_many_or_too_long_are_refused():
    def with_a_directory(entries: bytes, n: int) -> bytes:
        body = example()[:-64]
        start = int.from_bytes(body[-6:-2], "little")
        body = body[:start] + entries + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, n, n, len(entries), start, 64)
        return body + hashlib.sha256(body).hexdigest().encode()

    body = example()[:-64]
    directory = body[int.from_bytes(body[-6:-2], "little") : -22]
    first = directory[: 46 + len("contract.txt")]
    for entries, n, says in (
        (directory + first.replace(b"contract", b"contrast"), 6, "past the archive or into another member"),
        (directory + first, 6, "a member called 'contract.txt', for the second time"),
        (directory + first.replace(b"contract", b"con\x1bract"), 6, "unfit for a name"),
        (directory * 20, 100, "100 members; at most 64"),
        (
            first[:20] + struct.pack("<2L", 1 << 20, 1 << 20) + first[28:] + directory[len(first) :],
            5,
            "has 1,048,576 bytes; at most",
        ),
        (first[:20] + b"\xff" * 8 + first[28:46] + b"pictures/png", 1, "has 4,294,967,295 bytes; at most"),
    ):
        with pytest.raises(ModelError) as refused:
            artifact.parse("x", with_a_directory(entries, n))
        assert says in str(refused.value), refused.value


def test_an_archive_that_claims_to_be_a_c_program_is_refused():
    # One line gets longer by what the other loses.
    body = example()[:-64].replace(b"-int8\nkind tflite", b"-with-int8\nkind c", 1)
    with pytest.raises(ModelError, match="is of a C program, and the file is an archive"):
        artifact.parse("x", body + hashlib.sha256(body).hexdigest().encode())


@pytest.mark.parametrize("output", ["5, 300", "5, -129"])
def test_a_c_program_whose_goldens_are_no_bytes_is_refused(output):
    contract = artifact.parse("x", example()).contract
    first, second, end = c_program.GOLDENS
    text = f"{c_program.MARK.decode()}*/\n{first} = {{0, 255}};\n{second} = {{OUTPUT}};\n{end}\n"
    manifest = {"contract": contract.items() | {"kind": "c"}, "labels": ["cat", "dog"]}
    good = c_program.seal(text.replace("OUTPUT", "5, -5"), manifest)
    assert artifact.parse("x.c", good).goldens() == [(b"\x00\xff", b"\x05\xfb")]
    with pytest.raises(ModelError, match="an output of its goldens is out of range"):
        artifact.parse("x.c", c_program.seal(text.replace("OUTPUT", output), manifest))


def test_a_c_program_whose_manifest_says_a_thing_twice_is_refused():
    first, second, end = c_program.GOLDENS
    text = f"{c_program.MARK.decode()}*/\n{first} = {{0, 255}};\n{second} = {{5, -5}};\n{end}\n"
    contract = artifact.parse("x", example()).contract.items() | {"kind": "c"}
    good = c_program.seal(text, {"contract": contract, "labels": ["cat", "dog"]})
    twice = good[:-68].replace(b'"labels"', b'"labels": [], "labels"')
    data = twice + hashlib.sha256(twice).hexdigest().encode() + good[-4:]
    assert artifact.parse("x.c", good).manifest()["labels"] == ["cat", "dog"]
    with pytest.raises(ModelError, match="a key stands twice"):
        artifact.parse("x.c", data).manifest()


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (b"cat\ncat\n", "two classes have the same label"),
        (b"cat\n\n\n", "3 labels for 2 classes"),
        (b"cat\n\n", "label ''"),
        (b"\x1b[31\nd\n", r"label '\x1b[31'"),
        (b"cat \nd\n", "label 'cat '"),
        (b"cat\xff\ndo", "cannot be read"),
        ("cat\n\u3164\n".encode(), "label '\u3164'"),  # printable, and drawn as nothing
        ("cat\n\u2800\ufe0f\n".encode(), "wanted 1 to 300 printable characters"),
        ("cat\n\U000e0100\U000e01ef\n".encode(), "wanted 1 to 300 printable characters"),
    ],
)
def test_labels_that_are_empty_equal_or_no_text_are_refused(labels, says):
    good = artifact.parse("x", example())
    with pytest.raises(ModelError) as refused:
        artifact.Artifact("x", good.data, "", {**good.members, "labels.txt": labels})
    assert says in str(refused.value)
