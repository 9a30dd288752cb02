"""What the owner's code does to pixel values after resizing: channel order, scale and offset. It is folded into the network."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from convert.pictures.presets import ORDERS, Preset


@dataclass(frozen=True)
class Arithmetic:
    """The network's own input is `scale * pixel + offset`, channels in `order`.

    `scale` and `offset` hold one number for all channels, or one for each, in the network's order.
    """

    order: str = "rgb"
    scale: tuple[float, ...] = (1.0,)
    offset: tuple[float, ...] = (0.0,)

    @property
    def is_scalar(self) -> bool:
        """Whether one scale and one offset say it all."""
        return self.order == "rgb" and len(self.scale) == len(self.offset) == 1

    def apply(self, images: np.ndarray) -> np.ndarray:
        """What the network is fed for `images`, uint8 [N, H, W, C]: float32 of the same shape."""
        ordered = images[..., ::-1] if self.order == "bgr" else images
        return ordered.astype(np.float32) * np.asarray(self.scale, np.float32) + np.asarray(self.offset, np.float32)

    def shown(self, image: np.ndarray) -> np.ndarray:
        """`image`, uint8 [H, W, C], with its channels as the network takes them, to be drawn."""
        return image[..., ::-1] if self.order == "bgr" else image

    def as_json(self) -> dict[str, object]:
        """The keys of a contract file that say it."""

        def plain(values: tuple[float, ...]) -> object:
            return values[0] if len(values) == 1 else list(values)

        order = {"order": self.order} if self.order != "rgb" else {}
        return order | {"scale": plain(self.scale), "offset": plain(self.offset)}


PLAIN = Arithmetic()


def _standardized(*channels: tuple[float, float], order: str = "rgb") -> Arithmetic:
    """(pixel / 255 − mean) / deviation; `channels` hold mean and deviation of each."""
    scale, offset = (1 / (255 * deviation) for _, deviation in channels), (-mean / deviation for mean, deviation in channels)
    return Arithmetic(order, tuple(scale), tuple(offset))


_IMAGENET = (0.485, 0.229), (0.456, 0.224), (0.406, 0.225)
# How values are commonly prepared before training, in words. ImageNet's means and deviations are those of torchvision and
# keras.applications.imagenet_utils; CIFAR-10's and MNIST's those of most examples for PyTorch.
USUAL = {
    "pixels as they are": PLAIN,
    "pixels divided by 255": Arithmetic(scale=(1 / 255,)),
    "pixels divided by 127.5, minus 1": Arithmetic(scale=(1 / 127.5,), offset=(-1.0,)),
    "pixels inverted": Arithmetic(scale=(-1.0,), offset=(255.0,)),
    "pixels inverted, divided by 255": Arithmetic(scale=(-1 / 255,), offset=(1.0,)),
    "ImageNet's mean and deviation": _standardized(*_IMAGENET),
    "CIFAR-10's mean and deviation": _standardized((0.4914, 0.2470), (0.4822, 0.2435), (0.4465, 0.2616)),
    "MNIST's mean and deviation": _standardized((0.1307, 0.3081)),
    "pixels less ImageNet's mean": Arithmetic(offset=(-123.68, -116.779, -103.939)),
    "channels in BGR": Arithmetic("bgr"),
    "channels in BGR, divided by 255": Arithmetic("bgr", (1 / 255,)),
    "channels in BGR, divided by 127.5, minus 1": Arithmetic("bgr", (1 / 127.5,), (-1.0,)),
    "channels in BGR, ImageNet's mean and deviation": _standardized(*_IMAGENET[::-1], order="bgr"),
    "channels in BGR, ImageNet's mean and deviation of red first": _standardized(*_IMAGENET, order="bgr"),
    "channels in BGR less ImageNet's mean, as Caffe does": Arithmetic("bgr", (1.0,), (-103.939, -116.779, -123.68)),
}


def usual(n_channels: int) -> dict[str, Arithmetic]:
    """Those of USUAL that fit pictures of `n_channels`."""
    return {words: each for words, each in USUAL.items() if n_channels == 3 or each.is_scalar}


def of_preset(preset: Preset, n_channels: int) -> Arithmetic:
    """The arithmetic of `preset`; of one channel, the mean of the three."""
    scale, offset = preset.scale, preset.offset
    if n_channels == 1:
        return Arithmetic(scale=(sum(scale) / 3,), offset=(sum(offset) / 3,))
    return Arithmetic(preset.order, *(values[:1] if len(set(values)) == 1 else values for values in (scale, offset)))


def parse(values: dict[str, Any], *, n_channels: int, usual: Arithmetic) -> Arithmetic:
    """From the keys order, scale and offset of a contract file; `usual` for those not there. Raises ValueError."""
    order = values.get("order", usual.order)
    if order not in ORDERS or (order == "bgr" and n_channels != 3):
        raise ValueError(f"order {order!r} of {n_channels} channels; wanted rgb, or bgr of 3")
    scale, offset = (
        _numbers(name, values[name], n_channels) if name in values else getattr(usual, name) for name in ("scale", "offset")
    )
    if 0 in scale:
        raise ValueError(f"scale {values['scale']!r}; {_WANTED}, below 0 where you inverted the pixels")
    return Arithmetic(order, scale, offset)


_WANTED = "wanted a number, such as 0.00392156862745098 for 1/255, or a list of one for each channel"


def _numbers(name: str, value: Any, n_channels: int) -> tuple[float, ...]:
    numbers = value if isinstance(value, list) else [value]
    if not all(isinstance(each, int | float) and not isinstance(each, bool) and math.isfinite(each) for each in numbers):
        raise ValueError(f"{name} {value!r}; {_WANTED}")
    if len(numbers) not in (1, n_channels):
        raise ValueError(f"{name} of {len(numbers)} numbers for {n_channels} channels; {_WANTED}")
    return tuple(map(float, numbers[:1] if len(set(numbers)) == 1 else numbers))
