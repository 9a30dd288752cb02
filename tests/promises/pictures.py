"""Give `edge-predict` whatever may stand where a picture should; it answers in one line or refuses in one.

    python -m tests.promises.pictures --count 10000

Each case is a real process of the installed command with the model in the wheel. It must end with 0 and one answer, or with
65 or 66 and one line on stderr, in at most 2 seconds of processor time and 64 MiB of memory at its peak. A third are PNG
files of every form (tests/edge/pictures/png_files.py), a tenth good pictures in every mode and format, a third those
damaged, and the rest bombs (tests/promises/corpus.py) and what is no picture at all.
"""

import os
import struct
import subprocess
import sys
import tempfile
import threading
from random import Random

from tests.edge.pictures import png_files
from tests.promises.asking import COMMAND, ROOT, Tally, ask, environment, flags, in_lanes

MAX_CPU_S, MAX_PEAK_MIB = 2.0, 64.0
KINDS = 10 * ("PNG",) + 10 * ("damaged",) + 3 * ("good",) + 3 * ("bomb",) + 4 * ("other",)
N_BOMBS, FIRST_BOMB = KINDS.count("bomb"), KINDS.index("bomb")
TRACES = ("Traceback", "Warning", "defect")


def main() -> int:
    given = flags("pictures", __doc__, count=10_000).parse_args()
    tally = Tally()
    with tempfile.TemporaryDirectory() as scratch:
        surroundings, corpus = environment(scratch), os.path.join(scratch, "corpus")
        os.mkdir(corpus)
        n_bombs = N_BOMBS * -(-given.count // len(KINDS))
        subprocess.run([sys.executable, "-m", "tests.promises.corpus", corpus, str(n_bombs)], cwd=ROOT, check=True)
        names = sorted(os.listdir(corpus))
        wholes, bombs = ([os.path.join(corpus, n) for n in names if n.startswith(kind)] for kind in ("whole", "bomb"))

        drawing, pngs = threading.Lock(), png_files.files(given.count, given.seed)

        def case(number: int, folder: str) -> None:
            random = Random(f"{given.seed} {number}")
            turn, draw = divmod(number, len(KINDS))
            kind = KINDS[draw]
            if kind == "PNG":
                with drawing:
                    what, data = next(pngs)
                path = _put(folder, "picture.png", data)
            elif kind == "damaged":
                path = what = _put(folder, "picture.jpg", _damaged(random, random.choice(wholes), random.choice(wholes)))
            elif kind == "good":
                path = what = random.choice(wholes)
            elif kind == "bomb":
                path = what = bombs[(turn * N_BOMBS + draw - FIRST_BOMB) % len(bombs)]
            else:
                what, path = _no_picture(random, folder)
            ended = ask([COMMAND, "--", path], surroundings)
            tally.add(ended, f"{kind} {'answered' if not ended.code else 'refused'}")
            answered = ended.code == 0 and not ended.err and ended.out.count("\n") == 1
            if not (answered or (ended.code in (65, 66) and ended.refused)) or any(t in ended.err for t in TRACES):
                tally.broken.append(f"case {number} of seed {given.seed}, {what}: {ended}")
            elif ended.cpu_s > MAX_CPU_S or ended.peak_mib > MAX_PEAK_MIB:
                tally.broken.append(
                    f"case {number} of seed {given.seed}, {what}: {ended.cpu_s:.1f} s, {ended.peak_mib:.0f} MiB"
                )

        in_lanes(case, given.count, lanes=given.lanes)
    answered = sum(n for kind, n in tally.seen.items() if kind.endswith("answered"))
    costs = f"at most {tally.cpu_s:.1f} s and {tally.peak_mib:.0f} MiB"
    return tally.tell(f"{given.count:,} files, {answered:,} answered, {given.count - answered:,} refused, {costs}")


def _damaged(random: Random, path: str, other: str) -> bytes:
    """A good picture cut, flipped, overwritten, or joined to another."""
    with open(path, "rb") as file, open(other, "rb") as second:
        data, stranger = bytearray(file.read()), second.read()
    way = random.randrange(7)
    at = random.randrange(len(data))
    if way == 0:
        return bytes(data[:at])
    if way == 1:  # the header, where every length stands
        for _ in range(random.choice((1, 1, 2, 5))):
            data[random.randrange(min(len(data), 700))] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
    elif way == 2:
        for _ in range(random.choice((1, 3, 30))):
            data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    elif way == 3:
        data[at : at + random.choice((1, 4, 64, 512))] = bytes(random.choice((0, 3, 64, 512)))
    elif way == 4:
        return bytes(data[:at]) + bytes(len(data) - at)
    elif way == 5:
        return bytes(data[:at]) + stranger[random.randrange(len(stranger)) :]
    else:  # some number of four or two bytes becomes an extreme one
        number = random.choice((struct.pack(">l", -1), struct.pack("<l", -(2**31)), b"\x7f\xff\xff\xff", b"\0\0", b"\xff\xff"))
        at = random.randrange(min(len(data), 700))
        data[at : at + len(number)] = number
    return bytes(data)


def _no_picture(random: Random, folder: str) -> tuple[str, str]:
    """What it is, and the path of something that is no picture; some names are as bad as what they name."""
    stranger = os.path.join(folder, random.choice(("a\nb.png", "-h.png", "é\u202e.jpg", "\x1b[2J.bmp", "a" * 200 + ".png")))
    if os.path.lexists(stranger):
        os.unlink(stranger)
    contents = {
        "HTML": b"<!DOCTYPE html><html><title>404 Not Found</title>\n" * 20,
        "GIF": b"GIF89a\1\0\1\0",
        "PDF": b"%PDF-1.7\n",
        "nothing": b"",
        "noise": random.randbytes(random.choice((1, 2, 3, 7, 8, 9, 4000))),
        "a picture's first bytes": random.choice((png_files.SIGNATURE, b"\xff\xd8\xff", b"BM"))[: random.randrange(1, 9)],
        "zeros": bytes(random.choice((1, 8, 1 << 20))),
    }
    what = random.choice((*contents, "fifo", "huge", "link to itself", "gone", "device", "folder", "too long"))
    if what in contents:
        return what, _put(folder, stranger, contents[what])
    if what == "fifo":
        os.mkfifo(stranger)
    elif what == "huge":
        with open(stranger, "wb") as file:
            file.write(png_files.SIGNATURE)
            file.truncate(random.choice((20 << 20, 21 << 20, 1 << 32, 1 << 40)))
    elif what == "link to itself":
        os.symlink(stranger, stranger)
    elif what == "too long":
        return what, folder + "/x" * random.choice((200, 3000))
    elif what in ("device", "folder"):
        return what, random.choice({"device": ("/dev/zero", "/dev/urandom", "/dev/null"), "folder": ("/", "/proc", ROOT)}[what])
    return what, stranger


def _put(folder: str, name: str, data: bytes) -> str:
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


if __name__ == "__main__":
    sys.exit(main())
