"""Scale a decoded picture as the tool that trained the network did (docs/pixels.md).

Where Pillow has the same kernel, Pillow does the work. Without antialiasing it has none: its `transform` cuts off fractions,
and in bicubic is more than a step off TensorFlow's on most values. numpy follows TensorFlow there: the places and
weights of its float32 arithmetic.
"""

from PIL import Image

from edge.contract import InputContract
from edge.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import numpy as np

MAX_MEGAPIXELS = 16  # of a picture, also of one scaled to be cut: up to 256 MiB (SECURITY.md)
_STRIP_ROWS = 64  # rows of a large picture that are an array at a time
_TABLE_STEPS = 1024  # TensorFlow looks its bicubic weights up in a table
_WEIGHT_BITS = 22
_KEYS = -0.5  # the parameter of its bicubic kernel (Keys 1981)

_RESAMPLING = {
    "edgeproof": Image.Resampling.BICUBIC,
    "nearest": Image.Resampling.NEAREST,
    "bilinear-antialias": Image.Resampling.BILINEAR,
    "bicubic-antialias": Image.Resampling.BICUBIC,
}


def scale(image: Image.Image, contract: InputContract) -> bytes:
    """`image`, mode L or RGB, as `contract` describes: uint8 [height, width, channels]. Raises InputError if too long."""
    size = contract.width, contract.height
    if contract.aspect == "resize-crop":
        scaled = _resized(image, _bearable(_shorter_side_at(contract.shorter_side, image.size), image), contract.resize)
        # torchvision rounds half a pixel to the even number; Keras, below, cuts it off.
        left, top = round((scaled.width - size[0]) / 2), round((scaled.height - size[1]) / 2)
        return scaled.crop((left, top, left + size[0], top + size[1])).tobytes()
    if contract.aspect == "pad":
        return _padded(image, size, contract.resize).tobytes()
    if contract.aspect == "crop":
        image = _middle(image, _within(image.size, size))
    return _resized(image, size, contract.resize).tobytes()


def _bearable(size: tuple[int, int], image: Image.Image) -> tuple[int, int]:
    """`size`, unless so large a picture would take too much memory: then InputError."""
    if size[0] * size[1] > MAX_MEGAPIXELS << 20:
        becomes = f"{image.width}x{image.height} pixels become {size[0]}x{size[1]} before they are cut"
        raise InputError(f"{becomes}; at most {MAX_MEGAPIXELS} megapixels are taken: cut the picture to what matters")
    return size


def in_two_calls(image: Image.Image, size: tuple[int, int], kernel: Image.Resampling) -> Image.Image:
    """`image` scaled to `size`, first across, then down: in one call, Pillow 13 has another order than those before it."""
    return image.resize((size[0], image.height), kernel).resize(size, kernel)


def _resized(image: Image.Image, size: tuple[int, int], kernel: str) -> Image.Image:
    if image.size == size:
        return image
    if kernel in _RESAMPLING:
        return in_two_calls(image, size, _RESAMPLING[kernel])
    return _sampled(image, size, kernel)


def _shorter_side_at(n_pixels: int, size: tuple[int, int]) -> tuple[int, int]:
    """`size` scaled so that its shorter side has `n_pixels`; the longer one is cut off to whole pixels, as torchvision does."""
    shorter, longer = min(size), max(size)
    scaled = n_pixels * longer // shorter
    return (n_pixels, scaled) if size[0] <= size[1] else (scaled, n_pixels)


def _within(size: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int]:
    """The largest size of the same proportions as `shape` inside `size`, cut off to whole pixels, as Keras does."""
    (width, height), (wide, high) = size, shape
    return max(1, min(width, height * wide // high)), max(1, min(height, width * high // wide))


def _middle(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    left, top = (image.width - size[0]) // 2, (image.height - size[1]) // 2
    return image.crop((left, top, left + size[0], top + size[1]))


def _padded(image: Image.Image, size: tuple[int, int], kernel: str) -> Image.Image:
    """`image` scaled to fit inside `size`, with black around it: tf.image.resize_with_pad, in its float32 arithmetic."""
    from numpy import float32

    ratio = max(float32(image.width) / float32(size[0]), float32(image.height) / float32(size[1]))
    width, height = float32(image.width) / ratio, float32(image.height) / ratio
    whole = Image.new(image.mode, size)
    scaled = _resized(image, (max(1, int(width)), max(1, int(height))), kernel)
    whole.paste(scaled, (int((size[0] - width) / 2), int((size[1] - height) / 2)))
    return whole


def _sampled(image: Image.Image, size: tuple[int, int], kernel: str) -> Image.Image:
    """`image` at `size` as tf.image.resize makes it by default, without antialiasing; rounded and cut to 0…255."""
    import numpy as np

    weigh = {"tf-nearest": _nearest, "bilinear": _bilinear, "bicubic": _bicubic}[kernel]
    columns, across = weigh(image.width, size[0])
    rows, down = weigh(image.height, size[1])
    wanted, places = np.unique(rows, return_inverse=True)
    # In whole numbers: sums of floats differ from one processor to another, and so would what is rounded.
    lines = np.einsum("rwtc,wt->rwc", _pixels(image, wanted, columns), _whole(across))
    values = np.einsum("htwc,ht->hwc", lines[places.reshape(rows.shape)], _whole(down))
    pixels = np.clip((values + (1 << 2 * _WEIGHT_BITS - 1)) >> 2 * _WEIGHT_BITS, 0, 255).astype(np.uint8)
    return Image.frombytes(image.mode, size, pixels.tobytes())


def _whole(weights: "np.ndarray") -> "np.ndarray":
    """Weights as multiples of 2^-_WEIGHT_BITS, int64: products with a byte and another weight stay below 2^63."""
    import numpy as np

    return np.rint(weights.astype(np.float64) * (1 << _WEIGHT_BITS)).astype(np.int64)


def _pixels(image: Image.Image, rows: "np.ndarray", columns: "np.ndarray") -> "np.ndarray":
    """Of these rows, ascending, these columns, int64 [W, taps]: int64 [len(rows), W, taps, C].

    In strips, so that a large picture is not in memory twice.
    """
    import numpy as np

    n_channels = len(image.getbands())
    out = np.empty((len(rows), *columns.shape, n_channels), np.int64)
    for top in range(0, image.height, _STRIP_ROWS):
        bottom = min(top + _STRIP_ROWS, image.height)
        here = np.flatnonzero((rows >= top) & (rows < bottom))
        if len(here):
            strip = np.frombuffer(image.crop((0, top, image.width, bottom)).tobytes(), np.uint8)
            out[here] = strip.reshape(bottom - top, image.width, n_channels)[rows[here] - top][:, columns]
    return out


def _centres(n_in: int, n_out: int) -> "tuple[np.ndarray, np.ndarray]":
    """Where the `n_out` pixels' centres lie among `n_in` pixels: the pixel before, int64, and how far behind it, float32."""
    import numpy as np

    step = np.float32(n_in) / np.float32(n_out)
    at = (np.arange(n_out, dtype=np.float32) + np.float32(0.5)) * step - np.float32(0.5)
    before = np.floor(at)
    return before.astype(np.int64), at - before


def _nearest(n_in: int, n_out: int) -> "tuple[np.ndarray, np.ndarray]":
    """The pixel that each of `n_out` is, int64 [n_out, 1], and its weight, 1. At ties Pillow may take another."""
    import numpy as np

    step = np.float32(n_in) / np.float32(n_out)
    pixels = np.floor((np.arange(n_out, dtype=np.float32) + np.float32(0.5)) * step).astype(np.int64)
    return np.minimum(pixels, n_in - 1)[:, np.newaxis], np.ones((n_out, 1), np.float32)


def _bilinear(n_in: int, n_out: int) -> "tuple[np.ndarray, np.ndarray]":
    """Pixels that each of `n_out` is made of, int64 [n_out, 2], and their weights, float32."""
    import numpy as np

    before, behind = _centres(n_in, n_out)
    return np.clip(np.stack([before, before + 1], axis=1), 0, n_in - 1), np.stack([1 - behind, behind], axis=1)


def _bicubic(n_in: int, n_out: int) -> "tuple[np.ndarray, np.ndarray]":
    """Pixels that each of `n_out` is made of, int64 [n_out, 4], and their weights, float32; none outside the picture counts."""
    import numpy as np

    before, behind = _centres(n_in, n_out)
    near = np.rint(behind * _TABLE_STEPS) / _TABLE_STEPS
    apart = np.stack([1 + near, near, 1 - near, 2 - near], axis=1)  # distances
    inner = ((_KEYS + 2) * apart - (_KEYS + 3)) * apart**2 + 1
    outer = ((_KEYS * apart - 5 * _KEYS) * apart + 8 * _KEYS) * apart - 4 * _KEYS
    pixels = before[:, np.newaxis] + np.arange(-1, 3)
    inside = (pixels >= 0) & (pixels < n_in)
    weights = np.where(apart <= 1, inner, outer) * inside
    weights /= weights.sum(axis=1, keepdims=True)
    return np.clip(pixels, 0, n_in - 1), weights.astype(np.float32)
