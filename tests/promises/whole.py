"""Give `edge-predict` pictures of sixteen megapixels, with models that take every pixel as other libraries do.

    python -m tests.promises.whole --count 39

Only the usual way decodes a JPEG at a fraction of its size. By any other a picture is decoded whole: up to 16 megapixels, at
a peak of at most 256 MiB of resident memory. Each kind of file meets each way in turn.
"""

import os
import subprocess
import sys
import tempfile

from tests.promises.asking import COMMAND, ROOT, Tally, ask, environment, flags, in_lanes

MAX_PEAK_MIB = 256.0
WAYS = {
    "opencv": {"resize": "bilinear", "alpha": "drop"},
    "ground": {"resize": "bicubic-antialias", "aspect": "resize-crop", "shorter_side": 256},
    "keras-pad": {"resize": "bicubic", "aspect": "pad", "exif": "ignore", "alpha": "white"},
}
# The second is as long as 16 million pixels, once its shorter side has 256.
REFUSED = {*(("too-large.png", way) for way in WAYS), ("tall.png", "ground")}
# Made in a process of its own: a child's peak memory includes what its parent held.
MAKE = """
import sys
from PIL import Image
from edge.contract import InputContract
from pathlib import Path
from tests.edge.on_device import resealed
from tests.promises.whole import WAYS
folder = Path(sys.argv[1])
for name, way in WAYS.items():
    input = InputContract(height=28, width=28, channels=1, fit="resize", **way)
    resealed(folder / f"{name}.tflite", name=name, input=input)
SIDE = 4096
tile = Image.effect_noise((512, 512), 60)
grey = Image.new("L", (SIDE, SIDE))
for at in range(64):
    grey.paste(tile, (at % 8 * 512, at // 8 * 512))
colours = Image.merge("RGB", (grey, grey.transpose(Image.Transpose.ROTATE_90), grey.transpose(Image.Transpose.ROTATE_180)))
exif = Image.Exif()
exif[0x0112] = 6
light = Image.linear_gradient("L").resize((SIDE, SIDE))
colours.save(folder / "photo.jpg", quality=60, exif=exif)
colours.save(folder / "progressive.jpg", quality=30, progressive=True, exif=exif)
colours.save(folder / "full-chroma.jpg", quality=20, progressive=True, subsampling=0, exif=exif)
colours.convert("CMYK").save(folder / "cmyk.jpg", quality=40)
light.convert("RGBA").save(folder / "rgba.png", compress_level=1, exif=exif)
Image.merge("LA", (light, light.transpose(Image.Transpose.ROTATE_90))).save(folder / "la.png", compress_level=1, exif=exif)
light.convert("P").save(folder / "palette.png", transparency=3, compress_level=1, exif=exif)
light.convert("I;16").save(folder / "sixteen.png", compress_level=1, exif=exif)
light.convert("1").save(folder / "bits.bmp")
light.save(folder / "grey.bmp")
Image.new("L", (1, 65535), 9).save(folder / "tall.png")
Image.new("RGB", (65535, 256), 9).save(folder / "wide.png", compress_level=1)
Image.new("RGB", (4097, 4096)).save(folder / "too-large.png", compress_level=1)
"""


def main() -> int:
    given = flags("whole", __doc__, count=39, seed=None).parse_args()
    tally = Tally()
    with tempfile.TemporaryDirectory() as scratch:
        surroundings, corpus = environment(scratch), os.path.join(scratch, "corpus")
        os.mkdir(corpus)
        subprocess.run([sys.executable, "-c", MAKE, corpus], cwd=ROOT, check=True)
        pictures = sorted(name for name in os.listdir(corpus) if not name.endswith(".tflite"))
        cases = [(picture, way) for way in WAYS for picture in pictures]

        def case(number: int, folder: str) -> None:
            picture, way = cases[number % len(cases)]
            model = os.path.join(corpus, f"{way}.tflite")
            ended = ask([COMMAND, "--trust", "--model", model, os.path.join(corpus, picture)], surroundings)
            tally.add(ended, "answered" if not ended.code else "refused")
            right = ended.code == 0 and not ended.err
            if right == ((picture, way) in REFUSED) or not (right or ended.refused) or ended.peak_mib > MAX_PEAK_MIB:
                tally.broken.append(f"{picture}, {way}: {ended}")

        in_lanes(case, given.count, lanes=1)
    said = (
        f"{given.count} pictures, {tally.seen['answered']} answered, at most {tally.cpu_s:.1f} s and {tally.peak_mib:.0f} MiB"
    )
    return tally.tell(said)


if __name__ == "__main__":
    sys.exit(main())
