"""Read a small, plain PNG with zlib alone: importing Pillow takes longer than the rest of a prediction.

Plain means 8-bit grey or RGB, not interlaced, no transparency, every checksum correct and every chunk in its place. All
other files are left to Pillow (None): no damaged file gets an answer here that Pillow would refuse.
"""

import zlib

# Undoing a filter in Python takes 0.08 to 0.26 µs per byte: beyond this size Pillow is faster, its import included. It also
# limits the decompressor: no file can make it write more.
MAX_PIXEL_BYTES = 65_536

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3}  # by colour type
# Chunks that Pillow reads or skips without changing a pixel, and the length each must have (None: any). Not among them:
# tRNS (transparency), eXIf (rotation), acTL (animation), PLTE, sBIT, iCCP and all unknown ones.
_HARMLESS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9, b"tIME": 7, b"bKGD": None, b"tEXt": None}


def read_plain_png(data: bytes, wanted: tuple[int, int, int] | None = None) -> tuple[int, int, int, bytes] | None:
    """Width, height, channels (1 or 3) and the pixels; None if they are not `wanted`, or if Pillow must decide."""
    if data[:8] != _SIGNATURE or data[8:16] != b"\0\0\0\x0dIHDR":
        return None
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    channels = _CHANNELS.get(data[25], 0) if data[24:25] == b"\x08" and data[26:29] == b"\0\0\0" else 0
    stride = width * channels
    if not 0 < stride * height <= MAX_PIXEL_BYTES or wanted not in (None, (width, height, channels)):
        return None
    compressed = _image_data(data)
    if compressed is None:
        return None
    filtered_bytes = height * (1 + stride)
    inflater = zlib.decompressobj()
    try:
        filtered = inflater.decompress(compressed, filtered_bytes)
        # One more byte is requested: the end of the stream, with its checksum, may not have been read yet.
        surplus = inflater.decompress(inflater.unconsumed_tail, 1)
    except zlib.error:
        return None
    if len(filtered) != filtered_bytes or surplus or not inflater.eof or inflater.unused_data:
        return None
    pixels = _unfilter(filtered, stride, channels)
    return None if pixels is None else (width, height, channels, pixels)


def _image_data(data: bytes) -> bytes | None:
    """The joined IDAT chunks of a file in which every chunk is complete, in its place and harmless; else None."""
    parts: list[bytes] = []
    position, before, size = 8, b"", len(data)
    while position + 12 <= size:
        length, kind = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        end = position + 8 + length
        if end + 4 > size or zlib.crc32(data[position + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            return None
        if kind == b"IDAT":
            if parts and before != b"IDAT":
                return None
            parts.append(data[position + 8 : end])
        elif kind == b"IEND":
            return b"".join(parts) if parts and not length and end + 4 == size else None
        elif kind == b"IHDR":
            if position != 8:
                return None
        elif kind not in _HARMLESS or _HARMLESS[kind] not in (None, length):
            return None
        position, before = end + 4, kind
    return None


def _unfilter(filtered: bytes, stride: int, step: int) -> bytes | None:
    """Undo PNG's row filters, each of which predicts a byte from its neighbours; None if a filter is unknown."""
    rows: list[bytearray] = []
    margin = bytes(step)  # left of a row, and above the first, the values are zero
    above = bytearray(step + stride)
    span = range(step, step + stride)
    for start in range(0, len(filtered), 1 + stride):
        kind = filtered[start]
        row = bytearray(margin + filtered[start + 1 : start + 1 + stride])
        if kind == 1:  # left
            for i in span:
                row[i] = (row[i] + row[i - step]) & 255
        elif kind == 2:  # above
            for i in span:
                row[i] = (row[i] + above[i]) & 255
        elif kind == 3:  # the mean of both
            for i in span:
                row[i] = (row[i] + (row[i - step] + above[i] >> 1)) & 255
        elif kind == 4:  # Paeth: left, above or above-left, whichever is nearest to left + above - above-left
            for i in span:
                left, up, corner = row[i - step], above[i], above[i - step]
                to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - corner - corner)
                if to_left > to_up or to_left > to_corner:
                    left = up if to_up <= to_corner else corner
                row[i] = (row[i] + left) & 255
        elif kind:
            return None
        rows.append(row[step:])
        above = row
    return b"".join(rows)
