"""The artifact: a plain .tflite or .onnx file followed by a sealed ZIP archive, as docs/artifact-format.md specifies.

Only this module reads and writes it. The seal is checked before anything else reads the bytes, and the engine gets the
buffer that was hashed.
"""

import os
import struct
import sys

from edge.contract import MAX_NAME, ModelContract, is_label, shortened
from edge.errors import InputMissing, ModelError, SealError, missing, one_line

MAGIC = b"edgeproof"
MEMBERS = ("contract.txt", "labels.txt", "goldens.bin", "manifest.json", "report.md")
PICTURES = "pictures/"  # before the names of the picture files that an artifact may carry; pictures.bin has what they give
MAX_BYTES = 1 << 30
MAX_MEMBERS = 64
MAX_GOLDENS = 10_000
MAX_PIXEL_STEPS = 64  # that a picture file's pixels may be off; more would prove nothing
# The longest texts that are read; others are as long as their file.
MAX_TEXT = {"contract.txt": 1 << 14, "labels.txt": 1 << 22, "manifest.json": 1 << 23}

_SEAL_BYTES = 64
_WORTH_OPENSSL = 900_000
_EOCD = struct.Struct("<4s4H2LH")  # end of central directory, APPNOTE.TXT 4.3.16
_CENTRAL = struct.Struct("<4s6H3L5H2L")  # central directory header, 4.3.12
_LOCAL = struct.Struct("<4s5H3L2H")  # local file header, 4.3.7
_GOLDENS = struct.Struct("<3L")

# An ONNX file is a protobuf message: the archive is the payload of field 20000, which no ONNX reader knows.
_ONNX_TAG = b"\x82\xe2\x09"
# A TFLite file is a flatbuffer: after the root offset and "TFL3" come 32 bytes that nothing points to.
_TFLITE_MAGIC = MAGIC + b" 1\n" + bytes(20)


# What is given for a model by mistake: how such files begin, and what to say.
_PICTURE = "a picture, and no model; name a .tflite or .onnx file"
_KERAS = "a Keras file; python -m convert --model makes .tflite and .onnx files of it"
_NO_MODELS = (
    (b"\x89PNG", _PICTURE), (b"\xff\xd8\xff", _PICTURE), (b"BM", _PICTURE), (b"GIF8", _PICTURE), (b"RIFF", _PICTURE),
    (b"\x89HDF", _KERAS), (b"PK\x03\x04", _KERAS),
)  # fmt: skip


class NotSealed(ModelError):
    """A model that edgeproof did not make."""


class Artifact:
    """A model file in memory. `data` is the whole file; `contract` is None and `members` empty for a foreign model."""

    __slots__ = ("contract", "data", "digest", "labels", "members", "path")

    def __init__(self, path: str, data: bytes, digest: str, members: "dict[str, bytes | memoryview]") -> None:
        self.path, self.data, self.digest, self.members = path, data, digest, members
        self.contract: ModelContract | None = None
        self.labels: tuple[str, ...] = ()
        if not members:
            return
        self.contract = _contract(path, members)
        if self.contract.model_bytes > len(data):
            raise ModelError(f"{path}: the contract claims {self.contract.model_bytes} model bytes of {len(data)}")
        self.labels = _labels(path, _text(path, members, "labels.txt"), self.contract.n_classes)

    @property
    def kind(self) -> str:
        """`tflite` or `onnx`; for a foreign model, by its first bytes."""
        if self.contract:
            return self.contract.kind
        return "tflite" if self.data[4:8] == b"TFL3" else "onnx"

    def manifest(self) -> dict[str, object]:
        """manifest.json, checked against contract.txt and labels.txt. Raises ModelError for any other form."""
        from edge import manifest

        assert self.contract
        try:
            return manifest.parse(_text(self.path, self.members, "manifest.json"), self.contract.items(), self.labels)
        except ValueError as error:
            raise ModelError(f"{self.path}: manifest.json cannot be used ({error})") from None

    def golden_tolerance(self) -> float:
        """How far an output may differ from a golden on another processor, in the output tensor's unit; 0.0 if not stated."""
        goldens = self.manifest().get("goldens")
        return float(goldens.get("tolerance") or 0.0) if isinstance(goldens, dict) else 0.0

    def golden_files(self) -> list[tuple[str, bytes, bytes, bytes, int]]:
        """Picture files: name, content, the pixels expected, uint8 [H, W, C], the output for those, and the pixels' tolerance.

        The tolerance is in steps of a value, 0 to MAX_PIXEL_STEPS. Files of an earlier edgeproof carry none.
        """
        names = [name for name in self.members if name.startswith(PICTURES)]
        if not names:
            return []
        account = self.manifest().get("pictures")
        steps = account.get("tolerance") if isinstance(account, dict) else None
        expected, picture_files = self.goldens("pictures.bin"), []
        if len(expected) != len(names):
            raise ModelError(f"{self.path}: {len(names)} picture files, and pictures.bin has {len(expected)}")
        for name, (pixels, output) in zip(names, expected, strict=True):
            tolerance = steps.get(name.removeprefix(PICTURES)) if isinstance(steps, dict) else None
            if type(tolerance) is not int or not 0 <= tolerance <= MAX_PIXEL_STEPS:
                wanted = f"no tolerance from 0 to {MAX_PIXEL_STEPS} for {name}"
                raise ModelError(f"{self.path}: manifest.json states {wanted}; make the artifact again")
            picture_files.append((name.removeprefix(PICTURES), bytes(self.members[name]), pixels, output, tolerance))
        return picture_files

    def goldens(self, member: str = "goldens.bin") -> list[tuple[bytes, bytes]]:
        """Images (uint8 [H, W, C]) with the exact output tensor expected for each, as raw bytes."""
        data = self.members.get(member, b"")
        if len(data) < _GOLDENS.size:
            raise ModelError(f"{self.path}: {member} is truncated")
        count, n_pixels, n_output = _GOLDENS.unpack_from(data)
        if len(data) != _GOLDENS.size + count * (n_pixels + n_output):
            raise ModelError(f"{self.path}: {member} is {len(data)} bytes, not as long as its header says")
        if self.contract and (n_pixels, n_output) != (self.contract.input.n_values, self.contract.n_output_bytes):
            raise ModelError(f"{self.path}: {member} does not fit the contract")
        if count > MAX_GOLDENS:
            raise ModelError(f"{self.path}: {count:,} goldens in {member}; at most {MAX_GOLDENS:,} are replayed")
        starts = range(_GOLDENS.size, len(data), n_pixels + n_output)
        return [(bytes(data[at : at + n_pixels]), bytes(data[at + n_pixels : at + n_pixels + n_output])) for at in starts]


def read(path: str, *, allow_unverified: bool = False) -> Artifact:
    """The artifact in `path`, its seal checked. Raises InputMissing, SealError if damaged, or ModelError if not a valid one."""
    return parse(path, _bytes(path), allow_unverified=allow_unverified)


def parse(path: str, data: bytes, *, allow_unverified: bool = False) -> Artifact:
    """The artifact in `data`, the bytes of the file called `path`. Raises as `read` does."""
    shown = one_line(path)
    digest, stored = _sha256(memoryview(data)[:-_SEAL_BYTES]), data[-_SEAL_BYTES:]
    if digest.encode() == stored:
        model = Artifact(shown, data, digest, _members(shown, data))
        if model.kind == "c":
            raise ModelError(f"{shown}: its contract is of a C program, and the file is an archive; make the artifact again")
        return model
    if data.startswith(b"/* edgeproof C program "):
        from edge import c_program

        return Artifact(shown, data, *c_program.parse(shown, data))
    # The magic is near the front and in the archive, so a file that lost one end is still recognized as ours.
    if MAGIC in data:
        is_hex = len(stored) == _SEAL_BYTES and not stored.strip(b"0123456789abcdef")
        seal = stored[:12].decode() if is_hex else "nothing"
        raise SealError(f"{shown}: damaged: the seal reads {seal}, the bytes hash to {digest[:12]}; copy the file again")
    if other := next((what for front, what in _NO_MODELS if data.startswith(front)), ""):
        raise ModelError(f"{shown}: {other}")
    if not allow_unverified:
        raise NotSealed(f"{shown}: not sealed by edgeproof; wanted a file that python -m convert published")
    return Artifact(shown, data, digest, {})


def seal(
    model: bytes, contract: ModelContract, *, labels: tuple[str, ...], goldens: list[tuple[bytes, bytes]],
    manifest: dict[str, object], report: str, files: "tuple[tuple[str, bytes, bytes, bytes], ...]" = (),
) -> bytes:  # fmt: skip
    """The bytes of an artifact with `model`, as `embed_magic` returned it; ValueError for labels that no line can hold.

    `files` are picture files for the self-test: name, content, pixels and output; the manifest states their tolerance.
    """
    import io
    import json
    import zipfile

    if len(model) != contract.model_bytes or MAGIC not in model[:64]:
        raise ValueError("the model part must be what embed_magic() returned, and as long as the contract says")
    if not all(map(is_label, labels)) or not len(set(labels)) == len(labels) == contract.n_classes:
        raise ValueError(f"labels {labels} are not {contract.n_classes} different lines of text")
    lengths = contract.input.n_values, contract.n_output_bytes
    if any((len(image), len(output)) != lengths for image, output in goldens):
        raise ValueError(f"goldens are not all {lengths} bytes long")
    if any((len(pixels), len(output)) != lengths for _, _, pixels, output in files):
        raise ValueError(f"what the picture files give is not {lengths} bytes long")
    accounts = manifest | {"contract": contract.items(), "labels": list(labels)}
    contents = {
        "contract.txt": contract.to_text().encode(),
        "labels.txt": "".join(f"{label}\n" for label in labels).encode(),
        "goldens.bin": _GOLDENS.pack(len(goldens), *lengths) + b"".join(image + output for image, output in goldens),
        "manifest.json": json.dumps(accounts, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n",
        "report.md": report.encode(),
    }
    if files:
        given = b"".join(pixels + output for _, _, pixels, output in files)
        contents["pictures.bin"] = _GOLDENS.pack(len(files), *lengths) + given
        contents |= {PICTURES + name: content for name, content, _, _ in files}

    def archive_behind(prefix: bytes) -> bytes:
        buffer = io.BytesIO(prefix)
        with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as archive:
            for name, content in contents.items():
                info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                info.create_system, info.external_attr = 3, 0o644 << 16
                archive.writestr(info, content)
            archive.comment = bytes(_SEAL_BYTES)
        return buffer.getvalue()

    prefix = model
    if contract.kind == "onnx":
        # Offsets are absolute but all of one width, so the archive's length does not depend on where it starts.
        prefix += _ONNX_TAG + _varint(len(archive_behind(b"")))
    unsealed = archive_behind(prefix)[:-_SEAL_BYTES]
    return unsealed + _sha256(unsealed).encode()


def embed_magic(model: bytes, kind: str) -> bytes:
    """`model` with the magic near its front that tells a truncated artifact from a foreign model; it runs as before.

    ONNX models carry it as `producer_name`, set by the converter. TFLite files get 32 bytes after the identifier, a
    multiple of 16 so that every tensor keeps its alignment, and the root offset grows by as much.
    """
    if kind == "onnx":
        if MAGIC not in model[:64]:
            raise ValueError("an ONNX model carries the magic as its producer_name")
        return model
    if model[4:8] != b"TFL3":
        raise ValueError("not a TFLite flatbuffer")
    root = int.from_bytes(model[:4], "little") + len(_TFLITE_MAGIC)
    return root.to_bytes(4, "little") + model[4:8] + _TFLITE_MAGIC + model[8:]


def _bytes(path: str) -> bytes:
    try:
        # A FIFO or a device would block or never end; a model is a file.
        if not os.path.isfile(path):
            os.stat(path)
            raise InputMissing(f"{path}: not a file; name a .tflite or .onnx model")
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size > MAX_BYTES:
                raise ModelError(f"{path}: over 1 GiB; models are smaller")
            return file.read()
    except OSError as error:
        raise missing(path, error) from None
    except ValueError:  # a NUL in the name
        raise InputMissing(f"{path}: no file can have this name") from None


def _members(path: str, data: bytes) -> "dict[str, bytes | memoryview]":
    """The archive's members by name, none of them copied. The seal matched, so anything odd here was sealed that way."""
    try:
        at = len(data) - _SEAL_BYTES - _EOCD.size
        signature, *_, count, size, start, comment = _EOCD.unpack_from(data, at)
        if signature != b"PK\x05\x06" or comment != _SEAL_BYTES or start + size != at:
            raise ValueError("no archive behind the model")
        if count > MAX_MEMBERS:
            raise ValueError(f"{count:,} members; at most {MAX_MEMBERS} are read")
        members: dict[str, bytes | memoryview] = {}
        free, directory, view = 0, start, memoryview(data)
        for _ in range(count):
            header = _CENTRAL.unpack_from(data, start)
            signature, method, length, stored, local = header[0], header[4], header[8], header[9], header[16]
            name_length, extra, remark = header[10:13]
            name = data[start + _CENTRAL.size : start + _CENTRAL.size + name_length].decode()
            if not is_label(name) or name in members:
                raise ValueError(f"a member called {shortened(name)!r}, for the second time or unfit for a name")
            if signature != b"PK\x01\x02" or method != 0 or length != stored:
                raise ValueError(f"member {name!r} is not stored plainly")
            if stored > (most := MAX_TEXT.get(name, MAX_BYTES)):
                raise ValueError(f"member {name!r} has {stored:,} bytes; at most {most:,} are read")
            # They lie one behind the other, so that all of them together are no longer than the file.
            content = local + _LOCAL.size + sum(_LOCAL.unpack_from(data, local)[-2:])
            if local < free or content + stored > directory or data[local : local + 4] != b"PK\x03\x04":
                raise ValueError(f"member {name!r} reaches past the archive or into another member")
            free = content + stored
            members[name] = view[content:free]
            start += _CENTRAL.size + name_length + extra + remark
        absent = [name for name in MEMBERS if name not in members]
        if absent:
            raise ValueError(f"no member {absent[0]}")
        return members
    except (struct.error, UnicodeDecodeError, ValueError) as error:
        raise ModelError(f"{path}: sealed, but not an artifact as we write them ({error})") from None


def _labels(path: str, text: str, n_classes: int) -> tuple[str, ...]:
    labels = tuple(text.removesuffix("\n").split("\n"))
    if len(labels) != n_classes:
        raise ModelError(f"{path}: {len(labels)} labels for {n_classes} classes")
    if odd := [label for label in labels if not is_label(label)]:
        raise ModelError(f"{path}: label {shortened(odd[0])!r}; wanted 1 to {MAX_NAME} printable characters")
    if len(set(labels)) < n_classes:
        raise ModelError(f"{path}: two classes have the same label")
    return labels


def _contract(path: str, members: "dict[str, bytes | memoryview]") -> ModelContract:
    try:
        return ModelContract.from_text(_text(path, members, "contract.txt"))
    except ValueError as error:
        raise ModelError(f"{path}: contract.txt: {error}") from None


def _text(path: str, members: "dict[str, bytes | memoryview]", name: str) -> str:
    try:
        return str(members[name], "utf-8")
    except (KeyError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: {name} cannot be read ({error})") from None


def _sha256(data: bytes | memoryview) -> str:
    # hashlib imports OpenSSL, which takes 3 ms and is then four times as fast (measured; break-even near 0.9 MB). The C
    # module behind its fallback takes a tenth of a millisecond.
    name = "hashlib" if len(data) > _WORTH_OPENSSL else "_sha2" if sys.version_info >= (3, 12) else "_sha256"
    return str(__import__(name).sha256(data).hexdigest())


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])
