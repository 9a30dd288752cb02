"""Generate PNG files, plain, odd and damaged; seeded, so that a failure can be made again.

Rows are random bytes behind random filter types: undone, any bytes are a picture, so nothing here applies a filter.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from random import Random

Chunk = tuple[bytes, bytes]  # kind, body
Damage = Callable[[Random, bytes], bytes]
SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_FORMS = [(colour, depth) for colour, depths in _DEPTHS.items() for depth in depths]
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))  # x, y, steps
_WIDTHS, _HEIGHTS = (1, 2, 3, 7, 8, 27, 28, 28, 29, 40), (1, 2, 3, 5, 28, 28, 32)
_LARGE = ((257, 256), (256, 257), (65_537, 1), (300, 250))  # just over 65,536 bytes in three ways, and more

# Chunks that change no pixel and that a reader in a hurry may skip.
_HARMLESS: tuple[Chunk, ...] = (
    (b"gAMA", struct.pack(">L", 45455)), (b"cHRM", bytes(range(32))), (b"sRGB", b"\0"), (b"sRGB", b"\7"), (b"bKGD", b"\0\1"),
    (b"pHYs", struct.pack(">2LB", 2835, 2835, 1)), (b"tIME", b"\x07\xe6\1\1\1\1\1"), (b"tEXt", b"Software\0x"), (b"tEXt", b""),
)  # fmt: skip
# Chunks that change the picture, or are malformed, unknown, or at home elsewhere.
_ODD: tuple[Chunk, ...] = (
    (b"tRNS", b"\0\7"), (b"tRNS", bytes(6)), (b"tRNS", b""), (b"PLTE", bytes(range(48))), (b"PLTE", b"1234"), (b"sBIT", b"\5"),
    (b"iCCP", b"x\0\0" + zlib.compress(b"profile")), (b"iCCP", b"x\0\7junk"), (b"eXIf", b"junk"),
    (b"acTL", struct.pack(">2L", 2, 0)), (b"fcTL", bytes(26)), (b"zTXt", b"k\0\0" + zlib.compress(b"v")), (b"iTXt", b"junk"),
    (b"gAMA", b"\0"), (b"cHRM", b"123"), (b"sRGB", b""), (b"pHYs", b"1"), (b"tIME", b"x"), (b"hIST", b"\0\1"),
    (b"ABCD", b"z"), (b"abCd", b"z"), (b"\0\0\0\0", b""), (b"ID\xffT", b"q"), (b"IDAT", b""), (b"IDAT", b"x"), (b"IEND", b""),
    (b"IHDR", struct.pack(">2L5B", 3, 3, 8, 0, 0, 0, 0)),
    (b"eXIf", b"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"),  # turn by 90 degrees
)  # fmt: skip


def files(n: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """`n` files, every kind in turn, each with a description that begins with its kind and a colon.

    "plain" is what a minimal reader must read: 8-bit grey or RGB of at most 65,536 bytes, nothing odd.
    """
    random, kinds = Random(seed), list(_KINDS.items())
    for number in range(n):
        kind, make = kinds[number % len(kinds)]
        yield f"{kind}: file {number} of seed {seed}", make(random)


def assemble(*chunks: Chunk) -> bytes:
    """A file of these chunks, each with its length and its checksum."""
    return SIGNATURE + b"".join(
        struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body)) for kind, body in chunks
    )


def header(width: int, height: int, *, depth: int = 8, colour: int = 0, interlaced: int = 0) -> Chunk:
    return b"IHDR", struct.pack(">2L5B", width, height, depth, colour, 0, 0, interlaced)


def picture(
    random: Random, *, size: tuple[int, int] | None = None, form: tuple[int, int] | None = None, interlaced: int = 0,
    damage_rows: Damage | None = None, damage_stream: Damage | None = None,
) -> list[Chunk]:  # fmt: skip
    """The chunks of a good file, of the kind "plain" if nothing is asked for but its size (width, height)."""
    width, height = size or (random.choice(_WIDTHS), random.choice(_HEIGHTS))
    colour, depth = form or random.choice(((0, 8), (0, 8), (2, 8)))
    filters = random.choice(((0,), (1,), (2,), (3,), (4,), range(5)))
    values = random.choice((bytes(range(256)), bytes(192) + 64 * b"\xff", 64 * b"\x7f\x80\x81\x82", bytes(256)))
    rows = bytearray()
    for x, y, step_x, step_y in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        n_columns, n_rows = (width - x + step_x - 1) // step_x, (height - y + step_y - 1) // step_y
        n_bytes = (n_columns * depth * _CHANNELS[colour] + 7) // 8
        for _ in range(n_rows if n_columns > 0 else 0):
            rows += bytes([random.choice(filters)]) + random.randbytes(n_bytes).translate(values)
    filtered = damage_rows(random, bytes(rows)) if damage_rows else bytes(rows)
    window, strategy = random.choice((9, 12, 15)), random.choice((0, 1, 2, 3, 4))
    deflater = zlib.compressobj(random.choice((0, 1, 6, 9)), zlib.DEFLATED, window, random.choice((1, 8)), strategy)
    stream = deflater.compress(filtered) + deflater.flush()
    stream = damage_stream(random, stream) if damage_stream else stream
    cuts = sorted(random.randrange(len(stream) + 1) for _ in range(random.choice((0, 0, 1, 4))))
    parts = [(b"IDAT", stream[a:b]) for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    palette = [(b"PLTE", random.randbytes(48))] if colour == 3 else []
    before, after = (random.choices(_HARMLESS, k=random.choice((0, 0, 1, 3))) for _ in range(2))
    head = header(width, height, depth=depth, colour=colour, interlaced=interlaced)
    return [head, *before, *palette, *parts, *after, (b"IEND", b"")]


def _wrong_header(random: Random, chunks: list[Chunk]) -> list[Chunk]:
    head = bytearray(chunks[0][1])
    head[random.randrange(13)] = random.choice((0, 1, 2, 3, 5, 7, 8, 16, 28, 128, 255))
    return [(b"IHDR", bytes(head)), *chunks[1:]]


def _odd_chunks(random: Random, chunks: list[Chunk]) -> list[Chunk]:
    at = random.randrange(len(chunks) + 1)
    return [*chunks[:at], *random.choices(_ODD, k=random.choice((1, 1, 2))), *chunks[at:]]


def _reordered(random: Random, chunks: list[Chunk]) -> list[Chunk]:
    at, other = random.randrange(len(chunks)), random.randrange(len(chunks))
    swapped = [chunks[{at: other, other: at}.get(i, i)] for i in range(len(chunks))]
    return random.choice((swapped, chunks[:at] + chunks[at + 1 :], [*chunks[:at], chunks[other], *chunks[at:]]))


def _one_chunk_flipped(random: Random, chunks: list[Chunk]) -> list[Chunk]:
    at = random.randrange(len(chunks))
    kind, body = chunks[at]
    flipped = (kind, _flipped(random, body)) if body and random.random() < 0.75 else (_flipped(random, kind), body)
    return [*chunks[:at], flipped, *chunks[at + 1 :]]


def _flipped(random: Random, data: bytes) -> bytes:
    damaged = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 5))):
        damaged[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(damaged)


def _damaged_rows(random: Random, rows: bytes) -> bytes:
    at, surplus = random.randrange(len(rows)), random.randbytes(random.choice((1, 5, 3000)))
    return random.choice((rows[:at], rows[:-1], rows + surplus, b"\5" + rows[1:], rows[:at] + b"\xff" + rows[at + 1 :]))


def _damaged_stream(random: Random, stream: bytes) -> bytes:
    cut, wrong_adler = stream[: -random.choice((1, 2, 3, 4, 5, len(stream) // 2))], stream[:-4] + random.randbytes(4)
    return random.choice((cut, wrong_adler, stream + random.randbytes(random.choice((1, 4, 30))), _flipped(random, stream)))


def _damaged_file(random: Random, data: bytes) -> bytes:
    at, tail = random.randrange(len(data)), random.choice((b"x", bytes(60), assemble((b"tEXt", b"a\0b"))[8:]))
    cut, lost, doubled = data[:at], data[:at] + data[at + 1 :], data[:at] + data[at:][:1] + data[at:]
    return random.choice((cut, cut, data[: -random.randrange(1, 40)], data + tail, lost, doubled))


_KINDS: dict[str, Callable[[Random], bytes]] = {
    "plain": lambda r: assemble(*picture(r)),
    "large": lambda r: assemble(*picture(r, size=r.choice(_LARGE), form=(0, 8))),
    "any type": lambda r: assemble(*picture(r, form=r.choice(_FORMS))),
    "interlaced": lambda r: assemble(*picture(r, form=r.choice(_FORMS), interlaced=1)),
    "interlaced grey or RGB": lambda r: assemble(*picture(r, interlaced=1)),
    "wrong header": lambda r: assemble(*_wrong_header(r, picture(r))),
    "odd chunks": lambda r: assemble(*_odd_chunks(r, picture(r))),
    "chunks out of place": lambda r: assemble(*_reordered(r, picture(r))),
    "chunk damaged, checksum remade": lambda r: assemble(*_one_chunk_flipped(r, picture(r))),
    "rows damaged": lambda r: assemble(*picture(r, damage_rows=_damaged_rows)),
    "stream damaged": lambda r: assemble(*picture(r, damage_stream=_damaged_stream)),
    "file damaged": lambda r: _damaged_file(r, assemble(*picture(r))),
    "bits flipped": lambda r: _flipped(r, assemble(*picture(r))),
    "no PNG": lambda r: SIGNATURE[: r.randrange(9)] + r.randbytes(r.randrange(100)),
}
