"""Find in an AVIF file how large the pictures are that its decoder will be given, whatever the container says of them.

Sources: ISO/IEC 14496-12, 8.11.3 (where the items lie); the AV1 specification, 5.3 and 5.5 (what they hold).
"""

MAX_ITEMS = 256
MAX_PARTS = 16_384  # extents of all items, and OBUs of all: each takes a microsecond or two here
_SEQUENCE_HEADER = 1  # an OBU type


def most_pixels(content: bytes) -> int:
    """Width times height of the largest AV1 frame among the items of `content`. Raises ValueError for no plausible file."""
    boxes = dict(_boxes(content, 0, len(content)))
    if b"moov" in boxes:
        raise ValueError("it holds moving pictures")
    if b"meta" not in boxes:
        raise ValueError("it holds no items")
    start, end = boxes[b"meta"]
    inner = dict(_boxes(content, start + 4, end))
    if b"iloc" not in inner:
        raise ValueError("nothing says where its items are")
    sizes, left = [1], MAX_PARTS
    for item in _items(content, inner[b"iloc"], inner.get(b"idat", (0, 0))):
        found, left = _frame_sizes(item, left)
        sizes += [width * height for width, height in found]
    return max(sizes)


def _boxes(content: bytes, at: int, end: int) -> list[tuple[bytes, tuple[int, int]]]:
    """The boxes from `at` to `end`: type, and where the inside begins and ends."""
    found: list[tuple[bytes, tuple[int, int]]] = []
    while at + 8 <= end:
        if len(found) == MAX_ITEMS:  # what a decoder would find behind them counts too
            raise ValueError(f"over {MAX_ITEMS} boxes")
        size, kind, head = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(content[at + 8 : at + 16], "big"), 16
        stop = at + size if size else end
        if stop < at + head or stop > end:
            raise ValueError(f"box {kind!r} reaches past its end")
        found.append((kind, (at + head, stop)))
        at = stop
    return found


def _items(content: bytes, iloc: tuple[int, int], idat: tuple[int, int]) -> list[bytes]:
    """The bytes of each item, its extents joined."""
    at, end = iloc

    def take(size: int) -> int:
        nonlocal at
        at += size
        if at > end:
            raise ValueError("its list of items is cut short")
        return int.from_bytes(content[at - size : at], "big")

    version, sizes = take(4) >> 24, take(2)
    offset_bytes, length_bytes, base_bytes, index_bytes = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    n_items, items, total, n_parts = take(2 if version < 2 else 4), [], 0, 0
    if n_items > MAX_ITEMS:
        raise ValueError(f"{n_items} items")
    for _ in range(n_items):
        take(2 if version < 2 else 4)  # its number
        in_idat = version > 0 and take(2) & 15 == 1
        take(2)  # the file it is in
        base, parts, n_extents = take(base_bytes), [], take(2)
        n_parts += n_extents
        if n_parts > MAX_PARTS:
            raise ValueError(f"its items are in over {MAX_PARTS:,} pieces")
        for _ in range(n_extents):
            if version > 0:
                take(index_bytes)
            start = base + take(offset_bytes) + (idat[0] if in_idat else 0)
            length = take(length_bytes) or len(content)
            parts.append(content[start : start + length])
            total += len(parts[-1])
            if total > 2 * len(content):
                raise ValueError("its items overlap")
        items.append(b"".join(parts))
    return items


def _frame_sizes(item: bytes, left: int) -> tuple[list[tuple[int, int]], int]:
    """Width and height in each sequence header among the OBUs of `item`, at most `left`; how many more there may be."""
    at, found = 0, list[tuple[int, int]]()
    while at < len(item):
        if not left:
            raise ValueError(f"over {MAX_PARTS:,} OBUs")
        left -= 1
        head = item[at]
        at += 2 if head & 4 else 1
        length = len(item) - at
        if head & 2:
            length, shift = 0, 0
            while at < len(item) and shift < 56:
                byte, at = item[at], at + 1
                length |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    break
        if head >> 3 & 15 == _SEQUENCE_HEADER:
            found.append(_sequence_size(item[at : at + min(length, 256)]))
        at += length
    return found, left


def _sequence_size(header: bytes) -> tuple[int, int]:
    """The largest width and height that a sequence header allows (5.5.1)."""
    bits, left = int.from_bytes(header, "big"), 8 * len(header)

    def take(n: int) -> int:
        nonlocal left
        left -= n
        if left < 0:
            raise ValueError("a sequence header is cut short")
        return bits >> left & (1 << n) - 1

    take(3 + 1)  # profile, still picture
    if take(1):  # reduced header
        take(5)
    else:
        delay_bits = 0
        if take(1):  # timing
            take(64)
            if take(1):  # equal intervals, in Exp-Golomb
                zeros = 0
                while zeros < 32 and not take(1):
                    zeros += 1
                take(zeros if zeros < 32 else 0)
            if take(1):  # decoder model
                delay_bits = 1 + take(5)
                take(32 + 5 + 5)
        has_model, has_display_delay = bool(delay_bits), take(1)
        for _ in range(1 + take(5)):  # operating points
            take(12)
            if take(5) > 7:
                take(1)
            if has_model and take(1):
                take(2 * delay_bits + 1)
            if has_display_delay and take(1):
                take(4)
    width_bits, height_bits = 1 + take(4), 1 + take(4)
    return 1 + take(width_bits), 1 + take(height_bits)
