"""What images a model takes, and how its outputs are read: shared by training, calibration, gate and device."""

FITS = ("exact", "resize", "digit")
POLARITIES = ("any", "light-on-dark")


class InputContract:
    """The image a model takes: uint8 [height, width, channels], 0 to 255.

    `fit` says how a picture becomes such an image: `exact` refuses any other size, `resize` scales, `digit` prepares it
    as MNIST was prepared. `polarity` is `light-on-dark` if the ink must be the brighter, else `any`.
    """

    __slots__ = ("channels", "fit", "height", "polarity", "width")

    def __init__(self, *, height: int, width: int, channels: int, fit: str, polarity: str = "any") -> None:
        if min(height, width) < 1 or channels not in (1, 3):
            raise ValueError(f"no image is {height}x{width}x{channels}; channels are 1 or 3")
        if fit not in FITS or polarity not in POLARITIES:
            raise ValueError(f"fit {fit!r} with polarity {polarity!r}; known are {FITS} and {POLARITIES}")
        if fit == "digit" and (height, width, channels, polarity) != (28, 28, 1, "light-on-dark"):
            raise ValueError("a digit contract is 28x28x1, light on dark")
        self.height, self.width, self.channels = height, width, channels
        self.fit, self.polarity = fit, polarity

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
        return f"{self.height}x{self.width}x{self.channels} {self.fit} {self.polarity}"


DIGIT = InputContract(height=28, width=28, channels=1, fit="digit", polarity="light-on-dark")
CIFAR = InputContract(height=32, width=32, channels=3, fit="resize")

KINDS = ("tflite", "onnx")
INPUTS = ("int8", "uint8", "float32")
OUTPUTS = ("int8", "float32")


class ModelContract:
    """What a prediction needs to know of a model file, besides its labels.

    `name` is `<network>-<data>-<precision>`; `kind` is `tflite` or `onnx`; `model_bytes` is the length of the model part of
    the file. `input_dtype` says how an image enters: `uint8` unchanged, `int8` minus 128 (scale 1, zero point -128),
    `float32` as numbers from 0 to 255. `output_dtype` is the type of the logits; int8 logits mean `output_scale * (value -
    output_zero_point)`, float32 logits have scale 1 and zero point 0.
    """

    __slots__ = (
        "input", "input_dtype", "kind", "model_bytes", "n_classes", "name", "output_dtype", "output_scale",
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
    ) -> None:
        if kind not in KINDS or input_dtype not in INPUTS or output_dtype not in OUTPUTS:
            raise ValueError(f"kind {kind!r}, input {input_dtype!r}, output {output_dtype!r}: not one we know")
        if n_classes < 2 or model_bytes < 1 or not 0 < output_scale < float("inf"):
            raise ValueError(f"{n_classes} classes, {model_bytes} model bytes, output scale {output_scale}")
        self.name, self.kind, self.model_bytes = name, kind, model_bytes
        self.input, self.input_dtype = input, input_dtype
        self.output_dtype, self.output_scale, self.output_zero_point = output_dtype, output_scale, output_zero_point
        self.n_classes = n_classes

    @property
    def n_output_bytes(self) -> int:
        """Bytes in one output tensor."""
        return self.n_classes * (1 if self.output_dtype == "int8" else 4)

    def items(self) -> dict[str, str | int | float]:
        """The values by key, from which both contract.txt and the manifest are written."""
        return {
            "edgeproof": 1,
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
        }

    def to_text(self) -> str:
        """contract.txt: one line `key value` per item. Floats read back exactly."""
        return "".join(f"{key} {value}\n" for key, value in self.items().items())

    @classmethod
    def from_text(cls, text: str) -> "ModelContract":
        """The inverse of `to_text`. Raises ValueError if a key is missing, unknown or has an invalid value."""
        pairs = [line.split(" ", 1) for line in text.splitlines()]
        if any(len(pair) != 2 for pair in pairs):
            raise ValueError("a line is not `key value`")
        values = dict(pairs)
        if len(values) != len(pairs):
            raise ValueError("a key stands twice")
        if values.pop("edgeproof", None) != "1":
            raise ValueError("not format 1; a newer edgeproof may read it")
        try:
            contract = cls(
                name=values.pop("name"),
                kind=values.pop("kind"),
                model_bytes=int(values.pop("model-bytes")),
                input=InputContract(
                    height=int(values.pop("height")),
                    width=int(values.pop("width")),
                    channels=int(values.pop("channels")),
                    fit=values.pop("fit"),
                    polarity=values.pop("polarity"),
                ),
                input_dtype=values.pop("input-dtype"),
                output_dtype=values.pop("output-dtype"),
                output_scale=float(values.pop("output-scale")),
                output_zero_point=int(values.pop("output-zero-point")),
                n_classes=int(values.pop("classes")),
            )
        except KeyError as error:
            raise ValueError(f"no line for {error}") from None
        if values:
            raise ValueError(f"unknown key {min(values)!r}")
        return contract


# p - 128 as a two's-complement byte is p with its top bit flipped; and the reverse. For `bytes.translate`.
TOP_BIT_FLIPPED = bytes(range(128, 256)) + bytes(range(128))


def is_light_on_dark(pixels: bytes, width: int) -> bool:
    """Whether the border of grey `pixels`, in rows of `width`, is nearer the darkest value than the lightest."""
    border = sorted(pixels[:width] + pixels[-width:] + pixels[::width] + pixels[width - 1 :: width])
    return 2 * border[len(border) // 2] < min(pixels) + max(pixels)
