"""Files that are sealed and wrong: one account of a good model fuzzed, in each of the ways of `KINDS`, and sealed anew."""

import copy
import hashlib
import json
import struct
from pathlib import Path
from random import Random

from edge import artifact, predictor
from tests.promises.asking import SHIPPED
from tests.promises.damaged import sealed_onnx

# Values that readers stumble over: at the borders of integers and floats, in other writings, with what a terminal obeys.
WRITINGS = (
    "", " ", "0", "-0", "-1", "1", "2", "3", "+5", "05", "1_0", "٣", "²", "1e3", "0x10", "127", "128", "-128", "-129", "255",
    "4096", "12000", "65535", "65537", "2147483647", "2147483648", "4294967296", "9223372036854775808", "9" * 400, "9" * 5000,
    "nan", "inf", "-inf", "1e308", "1e-308", "5e-324", "1.0", "0.0", "true", "None", "tflite", "onnx", "int8", "uint8",
    "float32", "exact", "resize", "digit", "any", "light-on-dark",
    "nearest", "pad", "\x1b[31mred\x1b[0m", "a\rb", "\x07", "\x9b2J", "\u202e7",
    "a b", "é", "\udcff", "x" * 70_000, "\u2028", "\x00",
)  # fmt: skip
MORE_KEYS = ("mean", "resize", "aspect", "exif", "alpha", "shorter-side", "\x1b[2J")
VALUES = (
    None, True, False, 0, 1, -1, 28, 28.0, 0.5, 1e308, 10**400, 2**31, "", "7", "\x1b]0;owned\x07", "a\nedge: forged", [], {},
    [[]], {"a": 1}, [None] * 3, "x" * 10_000,
)  # fmt: skip
RAW = ("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "[" * 30 + "]" * 30, "[" * 100_000, '{"a":' * 500 + "1" + "}" * 500,
       '{"a": 1, "a": 2}', "9" * 5000, '"\\ud800"', "{", "'x'")  # fmt: skip


def bases() -> list[bytes]:
    """The good models to begin with: the wheel's, and a dense layer in .onnx with a golden."""
    made = artifact.parse("dense.onnx", sealed_onnx())
    assert made.contract
    black = bytes(made.contract.input.n_values)
    goldens = [(black, predictor.from_artifact(made).engine.run(black))]
    accounts = {"labels": made.labels, "goldens": goldens, "manifest": made.manifest() | {"precision": "float32"}, "report": ""}
    dense = artifact.seal(made.data[: made.contract.model_bytes], made.contract, **accounts)
    return [Path(SHIPPED).read_bytes(), dense]


def fuzzed(random: Random, kind: str, whole: bytes) -> bytes:
    """A sealed file made of the good one `whole`, wrong in the way `kind`."""
    good = artifact.parse("whole", whole)
    assert good.contract
    model = good.data[: good.contract.model_bytes]
    members = {name: bytes(content) for name, content in good.members.items()}
    return (KINDS | MORE_KINDS)[kind](random, model, members, good.contract.kind)


def contract(random: Random, model: bytes, members: dict[str, bytes], kind: str) -> bytes:
    lines = [line.split(" ", 1) for line in members["contract.txt"].decode().splitlines()]
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        at = random.randrange(len(lines))
        way = random.randrange(8)
        if way < 4:
            lines[at] = [lines[at][0], random.choice(WRITINGS)]
        elif way == 4:
            lines.append(list(random.choice(lines)))
        elif way == 5 and len(lines) > 1:
            del lines[at]
        elif way == 6:
            lines.append(
                [
                    random.choice(("mean", "resize", "aspect", "exif", "alpha", "shorter-side", "\x1b[2J")),
                    random.choice(WRITINGS),
                ]
            )
        else:
            random.shuffle(lines)
    text = "".join(" ".join(line) + "\n" for line in lines).encode("utf-8", "surrogateescape")
    members["contract.txt"] = flipped(random, text) if random.random() < 0.15 else text
    if random.random() < 0.6:  # the manifest says the same
        manifest = json.loads(members["manifest.json"])
        for key, value in (line for line in lines if len(line) == 2):
            was = manifest["contract"].get(key)
            try:
                manifest["contract"][key] = type(was)(value) if isinstance(was, int | float) else value
            except ValueError:
                manifest["contract"][key] = value
        members["manifest.json"] = json.dumps(manifest).encode()
    return sealed(model, members, kind)


def labels(random: Random, model: bytes, members: dict[str, bytes], kind: str) -> bytes:
    names = members["labels.txt"].decode().splitlines()
    for _ in range(random.choice((1, 1, 2, len(names)))):
        at = random.randrange(len(names))
        way = random.randrange(6)
        if way < 3:
            names[at] = random.choice(WRITINGS)
        elif way == 3:
            names[at] = names[at - 1]
        elif way == 4:
            names.insert(at, random.choice(WRITINGS))
        else:
            names[at] = f"\x1b[{random.randrange(40)}m{names[at]}"
    text = random.choice(("\n", "\n", "\n", "\r\n", "\r", "\x0b")).join(names) + random.choice(("\n", "\n", "", "\n\n"))
    members["labels.txt"] = text.encode("utf-8", "surrogateescape")
    if random.random() < 0.7:
        manifest = json.loads(members["manifest.json"])
        manifest["labels"] = names
        members["manifest.json"] = json.dumps(manifest).encode()
    return sealed(model, members, kind)


def manifest(random: Random, model: bytes, members: dict[str, bytes], kind: str) -> bytes:
    accounts = json.loads(members["manifest.json"])
    token = "a value that is replaced"
    for _ in range(random.choice((1, 1, 2, 4))):
        place = accounts
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = random.choice(keys)
            if isinstance(place[key], dict | list) and place[key] and random.random() < 0.8:
                place = place[key]
                continue
            if isinstance(place, dict) and random.random() < 0.2:
                key = random.choice(("tolerance", "precision", "model_version", "network", "drop_points", "n_images", "format"))
            place[key] = copy.deepcopy(random.choice((*VALUES, token)))
            break
    goldens = accounts.get("goldens")
    if random.random() < 0.3 and isinstance(goldens, dict):
        goldens["tolerance"] = copy.deepcopy(random.choice((*VALUES, token, 1e9, 5.0, 127.0)))
    text = json.dumps(accounts).replace(f'"{token}"', random.choice(RAW)).encode("utf-8", "backslashreplace")
    members["manifest.json"] = (
        flipped(random, text) if random.random() < 0.15 else text[: random.choice((len(text),) * 9 + (99,))]
    )
    return sealed(model, members, kind)


def archive(random: Random, model: bytes, members: dict[str, bytes], kind: str) -> bytes:
    """The directory's own fields, or which members there are."""
    way = random.randrange(6)
    if way == 0:
        del members[random.choice(list(members))]
    elif way == 1:
        members[random.choice(("", "x", "../x", "/etc/x", "\x1b[2J", "x" * 5000))] = bytes(random.choice((0, 9, 1 << 20)))
    elif way == 2:
        members[random.choice(list(members))] = random.randbytes(random.choice((0, 1, 100)))
    body = bytearray(sealed(model, members, kind)[:-64])
    end = len(body) - 22
    directory = struct.unpack_from("<L", body, end + 16)[0]
    if way == 3:  # many entries of one member
        entries = bytes(body[directory:end])
        n = random.choice((20, 70, 4000, 60_000))
        body[directory:end] = entries + entries[: 46 + struct.unpack_from("<H", entries, 28)[0]] * (n - 5)
        struct.pack_into("<2H2L", body, len(body) - 22 + 8, n & 0xFFFF, n & 0xFFFF, len(body) - 22 - directory, directory)
    else:
        for _ in range(random.choice((0, 1, 1, 2, 5))):
            size = random.choice((1, 2, 4))
            at = random.randrange(directory, len(body) - size)
            body[at : at + size] = random.choice((b"\0" * size, b"\xff" * size, random.randbytes(size)))
    return bytes(body) + hashlib.sha256(body).hexdigest().encode()


def goldens(random: Random, model: bytes, members: dict[str, bytes], kind: str) -> bytes:
    data = bytearray(members["goldens.bin"])
    way = random.randrange(4)
    if way == 0:
        struct.pack_into(
            "<L", data, 4 * random.randrange(3), random.choice((0, 1, 10, 2**31, 2**32 - 1, random.randrange(2**32)))
        )
    elif way == 1:
        data = data[: random.randrange(len(data))]
    elif way == 2:  # an answer expected that is another, or none: nan, inf
        size = 4 if kind == "onnx" else 1
        data[-size:] = random.choice((b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\0\0\x80\xff", random.randbytes(4)))[-size:]
    else:
        data = bytearray(flipped(random, bytes(data)))
    members["goldens.bin"] = bytes(data)
    return sealed(model, members, kind)


def graph(random: Random, model: bytes, members: dict[str, bytes], kind: str) -> bytes:
    """Bytes of the model itself: of a .tflite mostly in the last quarter, of an .onnx at its ends."""
    regions = ((3 * len(model) // 4, len(model)), (0, len(model)), (0, 400)) if kind == "tflite" else (
        (11, 150), (len(model) - 400, len(model)), (0, len(model)))  # fmt: skip
    first, end = regions[0] if random.random() < 0.6 else random.choice(regions)
    return sealed(overwritten(random, model, first, end), members, kind)


def structure(random: Random, model: bytes, members: dict[str, bytes], kind: str) -> bytes:
    """Bytes where the structure lies: of a .tflite its tables, behind the weights; of an .onnx its nodes, before them."""
    first, end = (19 * len(model) // 20, len(model)) if kind == "tflite" else (11, 150)
    return sealed(overwritten(random, model, first, end), members, kind)


def overwritten(random: Random, model: bytes, first: int, end: int) -> bytes:
    changed = bytearray(model)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        size = random.choice((1, 1, 2, 4))
        at, flip = random.randrange(first, end - size), 1 << random.randrange(8)
        changed[at : at + size] = random.choice(
            (
                b"\0" * size,
                b"\xff" * size,
                b"\x7f" * size,
                random.randbytes(size),
                bytes([changed[at] ^ flip]) * size,
            )
        )
    return bytes(changed)


def flipped(random: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 2, 8))):
        if changed:
            changed[random.randrange(len(changed))] = random.randrange(256)
    return bytes(changed)


def sealed(model: bytes, members: dict[str, bytes], kind: str) -> bytes:
    """`model` and `members` behind it, as edge/artifact.py lays them out, without any of its checks."""
    archive_bytes = sum(30 + 46 + 2 * len(name.encode()) + len(content) for name, content in members.items()) + 22 + 64
    body = bytearray(model)
    if kind == "onnx":
        body += b"\x82\xe2\x09" + _varint(archive_bytes)
    directory = bytearray()
    for name, content in members.items():
        written = name.encode()
        at, n = len(body), len(content)
        body += struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 33, 0, n, n, len(written), 0) + written + content
        directory += (
            struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 33, 0, n, n, len(written), 0, 0, 0, 0, 0, at) + written
        )
    start = len(body)
    body += directory + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, len(members), len(members), len(directory), start, 64)
    return bytes(body) + hashlib.sha256(body).hexdigest().encode()


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


# By name: (random, the model's bytes, its members, its kind) → the file.
KINDS = {
    "contract": contract, "manifest": manifest, "labels": labels, "archive": archive, "goldens": goldens, "graph": graph,
}  # fmt: skip
# Not in turn with the others: asked for by name, to count what --trust may meet.
MORE_KINDS = {"structure": structure}
