"""The sealed C program: NAME.c, made of a published int8 .tflite, its manifest and seal in comments at its end (docs/c.md).

    /* edgeproof manifest
    {…}
    */
    /* edgeproof seal 64 hexadecimal digits */

The seal is the SHA-256 of every byte before its digits. The header beside it, NAME.h, has its digest in the manifest.
"""

import hashlib
import json
import os
import re

from edge.contract import ModelContract
from edge.errors import InputMissing, ModelError, SealError, missing, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Number = TypeVar("Number", int, float)

MARK = b"/* edgeproof C program "  # the first bytes of every such file
GOLDENS = ("/* edgeproof goldens: images */", "/* edgeproof goldens: outputs */", "/* edgeproof goldens: end */")

_MANIFEST, _END = b"\n/* edgeproof manifest\n", b"\n*/\n"
_SEAL, _SEAL_END, _DIGITS = b"/* edgeproof seal ", b" */\n", 64
_COUNTS = re.compile(r"[-+0-9.e,\s]*")


def seal(text: str, manifest: dict[str, object]) -> bytes:
    """The bytes of NAME.c: `text`, which begins with MARK, then `manifest`, then the seal."""
    # Only strings of JSON hold "*" and "?": no `*/`, no `/*` and no trigraph is left that could end or open a comment.
    account = json.dumps(manifest, indent=1, sort_keys=True).replace("*", "\\u002a").replace("?", "\\u003f")
    unsealed = text.encode() + _MANIFEST + account.encode() + _END + _SEAL
    return unsealed + hashlib.sha256(unsealed).hexdigest().encode() + _SEAL_END


def parse(path: str, data: bytes) -> "tuple[str, dict[str, bytes | memoryview]]":
    """The seal and the members of an artifact in `data`, the bytes of the file `path`. Raises SealError or ModelError."""
    if path.endswith(".h"):
        raise ModelError(f"{path}: the header of a C program, which holds no seal; name the .c beside it")
    at = len(data) - _DIGITS - len(_SEAL_END)
    stored, digest = data[at : at + _DIGITS], hashlib.sha256(data[:at]).hexdigest()
    if data.endswith(_SEAL_END.replace(b"\n", b"\r\n")):
        raise SealError(
            f"{path}: its line ends are CRLF; it was made with LF, and git changes them: write "
            "`*-int8.c -text` and `*-int8.h -text` into .gitattributes, and copy the files again"
        )
    if data[:at][-len(_SEAL) :] != _SEAL or data[at + _DIGITS :] != _SEAL_END or stored != digest.encode():
        stated = stored[:12].decode() if stored.isalnum() else "nothing"
        raise SealError(f"{path}: damaged: the seal reads {stated}, the bytes hash to {digest[:12]}; copy the file again")
    try:
        text, _, rest = data.rpartition(_MANIFEST)
        account = rest[: rest.rindex(_END)]
        manifest = json.loads(account)
        contract = ModelContract.from_text("".join(f"{key} {value}\n" for key, value in manifest["contract"].items()))
        if contract.kind != "c":
            raise ValueError(f"its contract is of a .{contract.kind}")
        members: dict[str, bytes | memoryview] = {
            "contract.txt": contract.to_text().encode(),
            "labels.txt": "".join(f"{label}\n" for label in manifest["labels"]).encode(),
            "manifest.json": account,  # as it stands, for whoever reads it in full
            "goldens.bin": _goldens(text.decode(), contract),
        }
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError, RecursionError) as error:
        raise ModelError(f"{path}: sealed, but not a C program of format 1 ({error})") from None
    return digest, members


def check_header(path: str, manifest: dict[str, object]) -> None:
    """Raises InputMissing if there is no NAME.h beside the program in `path`, ModelError if it is not the one made with it."""
    if hashlib.sha256(read_header(path)).hexdigest() != made_of(manifest).get("header_sha256"):
        raise ModelError(f"{header_path(path)}: not the header that belongs to {path}; copy both files again")


def read_header(path: str) -> bytes:
    """The bytes of NAME.h beside the program in `path`. Raises InputMissing."""
    try:
        # Non-blocking, because a FIFO of this name would wait for its other end.
        with open(header_path(path), "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            return file.read() or b""
    except OSError as error:
        raise InputMissing(
            f"{missing(header_path(path), error)}; it belongs to {path}: copy both, under their own names"
        ) from None


def copy(path: str, data: bytes, name: str, folder: str) -> str:
    """Write the program `data` of the file `path`, and the header beside that, into `folder` as `name`.c and .h: the program
    includes its header by the name of its contract, whatever the files are called. The path of the .c. Raises InputMissing."""
    program = os.path.join(folder, f"{os.path.basename(name)}.c")
    for written, content in ((program, data), (header_path(program), read_header(path))):
        with open(written, "wb") as file:
            file.write(content)
    return program


def header_path(path: str) -> str:
    """The path of NAME.h for that of NAME.c."""
    return os.path.splitext(path)[0] + ".h"


def made_of(manifest: dict[str, object]) -> dict[str, object]:
    """How the program was made: `file` and `seal` of the .tflite, `generator`, `edgeproof`, `symbol`, `header_sha256`."""
    made = manifest.get("generated")
    return dict(made) if isinstance(made, dict) else {}


def in_words(path: str, manifest: dict[str, object]) -> str:
    """What the seal alone says, and how to learn more."""
    made = made_of(manifest)
    return one_line(
        f"{path}: sealed: unchanged since edgeproof {made.get('edgeproof')} (generator {made.get('generator')}) made it of "
        f"{made.get('file')}, whose seal is {str(made.get('seal'))[:12]}. Nothing was built or run: python -m convert --check "
        f"{path} --source {os.path.join(os.path.dirname(path), str(made.get('file')))} generates it again and compares every "
        "byte; "
        "--trust builds it and replays its self-test"
    )


def _goldens(text: str, contract: ModelContract) -> bytes:
    """goldens.bin, as docs/artifact-format.md specifies it, from the arrays in `text`."""
    import struct

    first, second, end = (text.index(mark) for mark in GOLDENS)
    images = bytes(_numbers(text[first + len(GOLDENS[0]) : second], int))
    as_int8 = contract.output_dtype == "int8"
    stated = text[second + len(GOLDENS[1]) : end]
    values = _numbers(stated, int) if as_int8 else _numbers(stated, float)
    try:
        outputs = struct.pack(f"<{len(values)}{'b' if as_int8 else 'f'}", *values)
    except struct.error:
        raise ValueError("an output of its goldens is out of range") from None
    n, size, out = len(images) // contract.input.n_values, contract.input.n_values, contract.n_output_bytes
    if len(images) != n * size or len(outputs) != n * out:
        raise ValueError("its goldens do not fit the contract")
    pairs = b"".join(images[i * size : (i + 1) * size] + outputs[i * out : (i + 1) * out] for i in range(n))
    return struct.pack("<3L", n, size, out) + pairs


def _numbers(text: str, kind: "Callable[[str], Number]") -> "list[Number]":
    """The numbers between the last brackets of an array's definition."""
    inside = text[text.index("{") + 1 : text.rindex("}")].replace("{", "").replace("}", "").replace("f", "")
    if not _COUNTS.fullmatch(inside):
        raise ValueError("its goldens are not numbers")
    return [kind(number) for number in inside.split(",") if number.strip()]
