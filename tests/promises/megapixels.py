"""Give `edge-predict` the same page in every format at 1 to 16 megapixels: answered within 64 MiB, or refused in one line.

    python -m tests.promises.megapixels [--write docs/cli.md]

It prints a table of peak memory. Each case is a process of the installed command with the model in the wheel. What is refused
is refused by its header, so beyond 4 megapixels only JPEGs hold the page.
"""

import os
import subprocess
import sys
import tempfile

from benchmarks import pages
from tests.promises.asking import COMMAND, ROOT, Ended, Tally, ask, environment, flags, in_lanes

MAX_PEAK_MIB = 64.0
SIZES = (1, 2, 3, 4, 8, 16, 60)  # megapixels, 10^6
FORMS: dict[str, tuple[str, dict[str, object]]] = {
    "PNG": ("PNG", {"compress_level": 1}),
    "BMP": ("BMP", {}),
    "PPM": ("PPM", {}),
    "GIF": ("GIF", {}),
    "TIFF": ("TIFF", {}),
    "TIFF, Deflate": ("TIFF", {"compression": "tiff_deflate"}),
    "TIFF, JPEG": ("TIFF", {"compression": "jpeg"}),
    "JPEG": ("JPEG", {"quality": 85}),
    "JPEG, progressive": ("JPEG", {"quality": 85, "progressive": True}),
    "WebP": ("WEBP", {"method": 0}),
    "WebP, lossless": ("WEBP", {"method": 0, "lossless": True}),
    "AVIF": ("AVIF", {"speed": 10}),
}
# In a process of its own: a child's peak memory includes what its parent held. Light noise makes files as long as a camera's.
MAKE = """
import sys
from functools import lru_cache
from pathlib import Path
from PIL import Image, features
from tests.promises.megapixels import FORMS, SIZES
folder, every, page = Path(sys.argv[1]), int(sys.argv[2]), Image.open("examples/seven-page.png").convert("L")

@lru_cache(maxsize=1)  # every format shows the same
def drawn(size, megapixels):
    noise = Image.effect_noise((size[0] // 2, size[1] // 2), 40).resize(size) if megapixels <= 16 else Image.new("L", size, 128)
    return Image.blend(page.resize(size), noise, 0.1).convert("RGB")

for megapixels, name in [(megapixels, name) for megapixels in SIZES for name in FORMS][::every]:
    form, settings = FORMS[name]
    width = round((megapixels * 1e6 * page.width / page.height) ** 0.5)
    size = width, int(megapixels * 1e6 / width)
    if (form != "AVIF" or features.check("avif")) and (form != "WEBP" or max(size) < 16384):
        is_drawn = megapixels <= 4 or name.startswith("JPEG")
        image = drawn(size, megapixels) if is_drawn else Image.new("RGB", size, "white")
        image.save(folder / f"{name}-{megapixels}", form, **settings)
"""


def main() -> int:
    parser = flags("megapixels", __doc__, count=len(SIZES) * len(FORMS), seed=None)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every N-th picture alone (default: %(default)s)")
    pages.add_write(parser)
    given = parser.parse_args()
    tally, ended = Tally(), dict[tuple[str, int], Ended]()
    with tempfile.TemporaryDirectory() as scratch:
        surroundings, folder = environment(scratch), os.path.join(scratch, "pictures")
        os.mkdir(folder)
        subprocess.run([sys.executable, "-c", MAKE, folder, str(given.every)], cwd=ROOT, check=True)
        cases = [(name, size) for size in SIZES for name in FORMS if os.path.exists(os.path.join(folder, f"{name}-{size}"))]

        def case(number: int, _: str) -> None:
            name, size = cases[number]
            path = os.path.join(folder, f"{name}-{size}")
            found = ended[name, size] = ask([COMMAND, path], surroundings)
            tally.add(found, "refused" if found.code else "answered")
            kept = found.code == 65 and found.refused if found.code else found.out.startswith(f"{path}: 7 (") and not found.err
            if not kept or found.peak_mib > MAX_PEAK_MIB:
                tally.broken.append(f"{name}, {size} megapixels: {found}")

        in_lanes(case, min(given.count, len(cases)), lanes=1)
    pages.show(_table(ended), given.write)
    found = f"{tally.seen['answered']} answered, at most {tally.peak_mib:.0f} MiB"
    return tally.tell(f"{len(ended)} pictures of 1 to {SIZES[-1]} megapixels, {found}")


def _table(ended: dict[tuple[str, int], Ended]) -> str:
    """Peak resident MiB of each format and size."""
    from tests.promises.__main__ import circumstances

    lines = [
        f"{circumstances()} Peak MiB of an `edge-predict`; – : refused.",
        "",
        f"| megapixels | {' | '.join(map(str, SIZES))} |",
        f"|---|{'--:|' * len(SIZES)}",
    ]
    for name in FORMS:
        found = [ended.get((name, size)) for size in SIZES]
        cells = ["" if each is None else "–" if each.code else f"{each.peak_mib:.0f}" for each in found]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
