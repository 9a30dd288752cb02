"""How well-known libraries turn a picture into what a network takes: the named presets of `--pixels`.

The geometry runs on the device and stands in the contract; the arithmetic on values is folded into the network.
`python -m tests.edge.pictures.agreement` compares each preset with the library itself (docs/pixels.md).
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from edge.contract import InputContract

ORDERS = ("rgb", "bgr")
# ImageNet's mean and standard deviation of red, green and blue, as torchvision's pretrained networks want them.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# torchvision's usual evaluation scales the shorter side to 256 and cuts 224 out.
_SCALED, _CUT = 256, 224


@dataclass(frozen=True)
class Preset:
    """What one library does to a picture: geometry, then `scale · value + offset` of each channel in `order`.

    `scale` and `offset` hold one number a channel, in the order in which the network takes the channels.
    """

    resize: str
    exif: str
    alpha: str
    source: str  # where the library says or shows this
    aspect: str = "squash"
    order: str = "rgb"
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def keys(self, height: int, width: int, *, fit: str = "resize") -> dict[str, Any]:
        """The keys of a contract that this preset sets, for an input of `height` x `width`, by their names in the file.

        Where `fit` is `exact` no picture is scaled, and where it is `digit` or `digit2` the fit alone decides.
        """
        if fit != "resize":
            return {"exif": self.exif, "alpha": self.alpha} if fit == "exact" else {}
        keys: dict[str, Any] = {"resize": self.resize, "aspect": self.aspect, "exif": self.exif, "alpha": self.alpha}
        if self.aspect == "resize-crop":
            keys |= {"shorter-side": round(max(height, width) * _SCALED / _CUT)}
        return keys

    def contract(self, height: int, width: int, channels: int) -> InputContract:
        """The contract of a network that takes pictures of this size so."""
        keys = self.keys(height, width)
        shorter_side = keys.pop("shorter-side", 0)
        return InputContract(height=height, width=width, channels=channels, fit="resize", shorter_side=shorter_side, **keys)


def _each(value: float) -> tuple[float, float, float]:
    return value, value, value


PRESETS = MappingProxyType(
    {
        "edgeproof": Preset(
            resize="edgeproof", exif="apply", alpha="auto", source="edge/pictures/decode.py: what edgeproof does unless told"
        ),
        "keras": Preset(
            resize="bilinear", exif="ignore", alpha="drop",
            source="keras.utils.image_dataset_from_directory: tf.io.decode_image, then tf.image.resize (bilinear)",
        ),
        "keras-load-img": Preset(
            resize="nearest", exif="ignore", alpha="drop",
            source="keras.utils.load_img(target_size=…): Pillow's convert('RGB'), then its resize (nearest)",
        ),
        "torchvision": Preset(
            resize="bilinear-antialias", exif="ignore", alpha="drop", aspect="resize-crop",
            scale=tuple(1 / (255 * deviation) for deviation in _DEVIATION),  # type: ignore[arg-type]
            offset=tuple(-mean / deviation for mean, deviation in zip(_MEAN, _DEVIATION, strict=True)),  # type: ignore[arg-type]
            source="torchvision.datasets.ImageFolder; transforms Resize(256), CenterCrop(224), ToTensor, Normalize(ImageNet)",
        ),
        "opencv": Preset(
            resize="bilinear", exif="apply", alpha="drop", order="bgr", source="cv2.imread, then cv2.resize (INTER_LINEAR)"
        ),
        "caffe": Preset(
            resize="bilinear", exif="apply", alpha="drop", order="bgr", offset=(-103.939, -116.779, -123.68),
            source="Caffe's ReadImageToCVMat (OpenCV); mean of keras.applications' preprocess_input, mode 'caffe'",
        ),
        "tf-hub": Preset(
            resize="bilinear", exif="ignore", alpha="drop", scale=_each(1 / 255),
            source="tensorflow.org/hub/common_signatures/images: RGB from 0 to 1; tf.image.resize (bilinear)",
        ),
    }
)  # fmt: skip
