"""Estimate from its headers what a JPEG costs to decode (ITU-T T.81, annex B): a small file can be expensive."""

# A colour profile takes up to 255 segments, other metadata of a photo some dozens more.
MAX_SEGMENTS = 1000
# Some cameras leave a few bytes between segments.
MAX_STRAY_BYTES = 65_536

_ALONE = frozenset((0x00, 0x01, *range(0xD0, 0xD9)))  # markers without a segment
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset((0xC2, 0xC6, 0xCA, 0xCE))


def decode_cost(data: bytes) -> tuple[int, int]:
    """Bytes of coefficients that a decoder keeps, and its passes over them. Raises ValueError for no plausible photo."""
    at, n_segments, n_stray, frame, progressive = 2, 0, 0, b"", False
    while True:
        start, at = at, data.find(b"\xff", at)
        while at >= 0 and data[at + 1 : at + 2] == b"\xff" and at - start <= MAX_STRAY_BYTES:
            at += 1
        n_stray += at - start
        n_segments += 1
        if at < 0 or at + 1 == len(data) or n_stray > MAX_STRAY_BYTES or n_segments > MAX_SEGMENTS:
            raise ValueError("no picture among its segments")
        kind, at = data[at + 1], at + 2
        if kind in _ALONE:
            continue
        if kind == 0xDA:
            break
        end = at + int.from_bytes(data[at : at + 2], "big")
        if kind in _FRAMES:
            frame, progressive = data[at + 2 : end], kind in _PROGRESSIVE
        at = end
    # A card that lost power leaves zeros: they decode to grey without an error, but contain no end marker.
    if data.find(b"\xff\xd9", at) < 0:
        raise ValueError("its end is missing")
    # A scan of fewer components than the picture has waits for the others, as a progressive one does.
    if len(frame) < 6 or (not progressive and data[at + 2 : at + 3] == frame[5:6]):
        return 0, 1
    return _coefficient_bytes(frame), data.count(b"\xff\xda", at) + 1


def _coefficient_bytes(frame: bytes) -> int:
    """Two bytes per sample of every component; a component with lower sampling factors has fewer samples."""
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    factors = [(each >> 4, each & 15) for each in frame[7::3]]
    most = max((h for h, _ in factors), default=0) * max((v for _, v in factors), default=0)
    return 2 * height * width * sum(h * v for h, v in factors) // most if most else 0
