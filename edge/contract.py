"""What images a model takes, and how its outputs are read: shared by training, calibration, gate and device."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from edge.confidence import Confidence

FITS = ("exact", "resize", "digit", "digit2")
POLARITIES = ("any", "light-on-dark")
# How pictures become images: the keys of format 2, each with its values, the default first. docs/pixels.md defines them.
GEOMETRY = {
    "resize": ("edgeproof", "nearest", "tf-nearest", "bilinear", "bicubic", "bilinear-antialias", "bicubic-antialias"),
    "aspect": ("squash", "crop", "pad", "resize-crop"),
    "exif": ("apply", "ignore"),
    "alpha": ("auto", "drop", "black", "white"),
}
MAX_SHORTER_SIDE = 1024
MAX_PIXELS = 1 << 22  # of an image: as many as a picture may have
CONFIDENCE = ("temperature", "extra", "reject", "sets")  # the keys of format 3, of edge/confidence.py
MAX_CLASSES = 1 << 16
MAX_NAME = 300  # characters of a name or a label
SCALES = (1e-30, 1e30)  # of an int8 output: within these every logit is a finite number


class InputContract:
    """The image a model takes: uint8 [height, width, channels], 0 to 255.

    `fit` says how a picture becomes such an image: `exact` refuses any other size, `resize` scales, `digit` prepares it
    as MNIST was prepared, `digit2` too, but refuses a picture of other than one digit. `polarity` is `light-on-dark` if the
    ink must be the brighter, else `any`.

    `resize` names the kernel and `aspect` what becomes of another shape: `squash` changes it, `crop` takes the picture's
    middle, `pad` adds black, `resize-crop` scales the shorter side to `shorter_side` pixels (else 0) and takes the middle.
    `exif` says whether a photo is turned upright, `alpha` what shows through transparent parts.
    """

    __slots__ = ("alpha", "aspect", "channels", "exif", "fit", "height", "polarity", "resize", "shorter_side", "width")

    def __init__(
        self, *, height: int, width: int, channels: int, fit: str, polarity: str = "any", resize: str = "edgeproof",
        aspect: str = "squash", exif: str = "apply", alpha: str = "auto", shorter_side: int = 0,
    ) -> None:  # fmt: skip
        if min(height, width) < 1 or channels not in (1, 3):
            raise ValueError(f"no image is {height}x{width}x{channels}; channels are 1 or 3")
        if height * width > MAX_PIXELS:
            raise ValueError(f"{height}x{width}: over {MAX_PIXELS:,} pixels")
        if fit not in FITS or polarity not in POLARITIES:
            raise ValueError(f"fit {fit!r} with polarity {polarity!r}; known are {FITS} and {POLARITIES}")
        self.fit, self.polarity = fit, polarity
        if self.is_digit and (height, width, channels, polarity) != (28, 28, 1, "light-on-dark"):
            raise ValueError("a digit contract is 28x28x1, light on dark")
        self.height, self.width, self.channels = height, width, channels
        self.resize, self.aspect, self.exif, self.alpha, self.shorter_side = resize, aspect, exif, alpha, shorter_side
        if stated := self.geometry():
            for key, values in GEOMETRY.items():
                if (value := getattr(self, key)) not in values:
                    raise ValueError(f"{key} {value!r}; known are {', '.join(values)}")
            if self.is_digit or (fit == "exact" and not stated.keys() <= {"exif", "alpha"}):
                raise ValueError(f"fit {fit} with {' and '.join(stated)}; wanted fit resize")
            least = max(height, width) if aspect == "resize-crop" else 0
            if type(shorter_side) is not int or not least <= shorter_side <= (MAX_SHORTER_SIDE if least else 0):
                wanted = f"{least} to {MAX_SHORTER_SIDE} with" if least else "none but with"
                raise ValueError(f"shorter-side {shorter_side!r}; wanted {wanted} aspect resize-crop")

    def geometry(self) -> dict[str, str | int]:
        """What differs from the usual way from picture to image, by the keys of contract.txt; empty in format 1."""
        stated: dict[str, str | int] = {
            key: getattr(self, key) for key, values in GEOMETRY.items() if getattr(self, key) != values[0]
        }
        if self.shorter_side:
            stated["shorter-side"] = self.shorter_side
        return stated

    @property
    def is_digit(self) -> bool:
        """Whether pictures are made digits, as MNIST's are."""
        return self.fit in ("digit", "digit2")

    @property
    def n_values(self) -> int:
        """Bytes in one image."""
        return self.height * self.width * self.channels

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, InputContract):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in self.__slots__))

    def __repr__(self) -> str:
        stated = "".join(f" {key} {value}" for key, value in self.geometry().items())
        return f"{self.height}x{self.width}x{self.channels} {self.fit} {self.polarity}{stated}"


DIGIT = InputContract(height=28, width=28, channels=1, fit="digit", polarity="light-on-dark")
DIGIT2 = InputContract(height=28, width=28, channels=1, fit="digit2", polarity="light-on-dark")
CIFAR = InputContract(height=32, width=32, channels=3, fit="resize")

FOREIGN = "foreign"  # the name of the contract that a model without one gets
KINDS = ("tflite", "onnx", "c")
INPUTS = ("int8", "uint8", "float32")
OUTPUTS = ("int8", "float32")


class ModelContract:
    """What a prediction needs to know of a model file, besides its labels.

    `name` is `<network>-<data>-<precision>`; `kind` is `tflite` or `onnx`; `model_bytes` is the length of the model part of
    the file. `input_dtype` says how an image enters: `uint8` unchanged, `int8` minus 128 (scale 1, zero point -128),
    `float32` as numbers from 0 to 255. `output_dtype` is the type of the logits; int8 logits mean `output_scale * (value -
    output_zero_point)`, float32 logits have scale 1 and zero point 0; extra values have the same type. `confidence` says what
    an answer is worth; None: logits alone, as in formats 1 and 2.
    """

    __slots__ = (
        "confidence", "input", "input_dtype", "kind", "model_bytes", "n_classes", "name", "output_dtype", "output_scale",
        "output_zero_point",
    )  # fmt: skip

    def __init__(
        self,
        *,
        name: str,
        kind: str,
        model_bytes: int,
        input: InputContract,
        input_dtype: str,
        output_dtype: str,
        output_scale: float = 1.0,
        output_zero_point: int = 0,
        n_classes: int,
        confidence: "Confidence | None" = None,
    ) -> None:
        if kind not in KINDS or input_dtype not in INPUTS or output_dtype not in OUTPUTS:
            raise ValueError(f"kind {kind!r}, input {input_dtype!r}, output {output_dtype!r}: not one we know")
        if not is_label(name):
            raise ValueError(f"name {shortened(name)!r}; wanted 1 to {MAX_NAME} printable characters")
        if not 2 <= n_classes <= MAX_CLASSES or model_bytes < 1:
            raise ValueError(f"{n_classes} classes, {model_bytes} model bytes")
        _check_coding("output", output_dtype, output_scale, output_zero_point)
        if confidence and confidence.extra:
            _check_coding("extra", output_dtype, confidence.extra_scale, confidence.extra_zero_point)
            if confidence.extra == n_classes:  # else one output could be taken for the other
                raise ValueError(f"{n_classes} classes and as many extra values; wanted another number")
        self.name, self.kind, self.model_bytes = name, kind, model_bytes
        self.input, self.input_dtype = input, input_dtype
        self.output_dtype, self.output_scale, self.output_zero_point = output_dtype, float(output_scale), output_zero_point
        self.n_classes, self.confidence = n_classes, confidence

    @property
    def n_outputs(self) -> int:
        """Values in all outputs of one image: a logit for each class, then the extra ones, which are a second output."""
        return self.n_classes + (self.confidence.extra if self.confidence else 0)

    @property
    def n_output_bytes(self) -> int:
        """Bytes in all outputs of one image."""
        return self.n_outputs * (1 if self.output_dtype == "int8" else 4)

    def items(self) -> dict[str, str | int | float]:
        """The values by key, from which both contract.txt and the manifest are written."""
        geometry, confidence = self.input.geometry(), self.confidence.items() if self.confidence else {}
        return {
            "edgeproof": 3 if confidence else 2 if geometry else 1,
            "name": self.name,
            "kind": self.kind,
            "model-bytes": self.model_bytes,
            "height": self.input.height,
            "width": self.input.width,
            "channels": self.input.channels,
            "fit": self.input.fit,
            "polarity": self.input.polarity,
            "input-dtype": self.input_dtype,
            "output-dtype": self.output_dtype,
            "output-scale": self.output_scale,
            "output-zero-point": self.output_zero_point,
            "classes": self.n_classes,
            **geometry,
            **confidence,
        }

    def to_text(self) -> str:
        """contract.txt: one line `key value` per item. Floats read back exactly."""
        return "".join(f"{key} {value}\n" for key, value in self.items().items())

    @classmethod
    def from_text(cls, text: str) -> "ModelContract":
        """The inverse of `to_text`. Raises ValueError if a key is missing, unknown or has an invalid value."""
        pairs = [line.split(" ", 1) for line in text.removesuffix("\n").split("\n")]
        if any(len(pair) != 2 for pair in pairs):
            raise ValueError("a line is not `key value`")
        values = dict(pairs)
        if len(values) != len(pairs):
            raise ValueError("a key stands twice")
        version = values.pop("edgeproof", None)
        if version not in ("1", "2", "3"):
            raise ValueError("not format 1, 2 or 3; a newer edgeproof may read it")
        confidence = None
        if version == "3":
            from edge.confidence import Confidence

            confidence = Confidence.from_items({key: values.pop(key) for key in CONFIDENCE if key in values})
        geometry = {key: values.pop(key) for key in GEOMETRY if key in values} if version != "1" else {}
        stated = geometry.keys() | ({"shorter-side"} & values.keys())
        try:
            contract = cls(
                name=values.pop("name"),
                kind=values.pop("kind"),
                model_bytes=whole("model-bytes", values.pop("model-bytes")),
                input=InputContract(
                    height=whole("height", values.pop("height")),
                    width=whole("width", values.pop("width")),
                    channels=whole("channels", values.pop("channels")),
                    fit=values.pop("fit"),
                    polarity=values.pop("polarity"),
                    shorter_side=whole("shorter-side", values.pop("shorter-side", "0")) if version != "1" else 0,
                    **geometry,
                ),
                input_dtype=values.pop("input-dtype"),
                output_dtype=values.pop("output-dtype"),
                output_scale=_number("output-scale", values.pop("output-scale")),
                output_zero_point=whole("output-zero-point", values.pop("output-zero-point")),
                n_classes=whole("classes", values.pop("classes")),
                confidence=confidence,
            )
        except KeyError as error:
            raise ValueError(f"no line for {error}") from None
        if values:
            raise ValueError(f"unknown key {shortened(min(values))!r}; a newer edgeproof may know it")
        if str(contract.items()["edgeproof"]) != version or not stated <= contract.input.geometry().keys():
            raise ValueError(f"not as format {version} is written: what is usual is not stated")
        return contract


def _check_coding(what: str, dtype: str, scale: float, zero_point: int) -> None:
    if not SCALES[0] <= scale <= SCALES[1] or not -128 <= zero_point <= 127:
        raise ValueError(f"{what} scale {scale} and zero point {zero_point} are not those of an int8 tensor")
    if dtype == "float32" and (scale, zero_point) != (1, 0):
        raise ValueError(f"float32 {what} with scale {scale} and zero point {zero_point}; wanted 1.0 and 0")


def whole(key: str, text: str) -> int:
    """The whole number that `text` writes as Python prints it; ValueError for any other writing, or 12 digits and more."""
    if len(text) > 12 or not text.isascii() or not text.removeprefix("-").isdigit() or str(int(text)) != text:
        raise ValueError(f"{key} {shortened(text)!r}; wanted a whole number")
    return int(text)


def _number(key: str, text: str) -> float:
    value = float(text) if len(text) <= 30 and text.isascii() else 0.0
    if repr(value) != text:
        raise ValueError(f"{key} {shortened(text)!r}; wanted a number in its shortest form")
    return value


# Printable for Python, and drawn as nothing: fillers, the blank of braille, joiners, variation selectors (U+E0100 and on, too).
_UNSEEN = (
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0\U00016fe4\U0001d159"
    "\ufe00\ufe01\ufe02\ufe03\ufe04\ufe05\ufe06\ufe07\ufe08\ufe09\ufe0a\ufe0b\ufe0c\ufe0d\ufe0e\ufe0f"
)


def is_label(text: str) -> bool:
    """Whether `text` can stand for a class or a model: printable characters, one of them seen, and no space at either end."""
    if not (0 < len(text) <= MAX_NAME and text.isprintable() and text == text.strip()):
        return False
    return text.isascii() or any(c not in _UNSEEN and not "\U000e0100" <= c <= "\U000e01ef" for c in text)


def shortened(text: str) -> str:
    """The beginning of a `text` that is too long to show."""
    return text if len(text) <= 40 else text[:40] + "…"


# p - 128 as a two's-complement byte is p with its top bit flipped; and the reverse. For `bytes.translate`.
TOP_BIT_FLIPPED = bytes(range(128, 256)) + bytes(range(128))


def is_light_on_dark(pixels: bytes, width: int) -> bool:
    """Whether the border of grey `pixels`, in rows of `width`, is nearer the darkest value than the lightest."""
    border = sorted(pixels[:width] + pixels[-width:] + pixels[::width] + pixels[width - 1 :: width])
    return 2 * border[len(border) // 2] < min(pixels) + max(pixels)
