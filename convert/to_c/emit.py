"""Write a laid-out program as C: numbers and layers once, kernels and the network once for each instruction path."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources

import numpy as np

from convert.to_c import steps, weights
from convert.to_c.steps import Plane, Step

_KERNELS = resources.files("convert.to_c") / "kernels"
_TYPES = {"int8": "int8_t", "uint8": "uint8_t", "int32": "int32_t", "int64": "int32_t", "float32": "float"}
# Octal escapes of three digits end by themselves; ? could begin a trigraph.
_ESCAPES = [chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}" for byte in range(256)]


@dataclass(frozen=True)
class Call:
    """One call of a kernel: which, and its arguments in C."""

    kernel: str
    arguments: tuple[object, ...]
    remark: str = ""

    def text(self, function: str) -> str:
        remark = f"    /* {self.remark} */\n" if self.remark else ""
        return f"{remark}    {function}({', '.join(map(str, self.arguments))});\n"


@dataclass(frozen=True)
class Layers:
    """The numbers and descriptions of the layers, in C, and the calls in their order."""

    definitions: str
    calls: tuple[Call, ...]
    names: tuple[str, ...]


def kernel(name: str) -> str:
    """A kernel's C text."""
    return (_KERNELS / name).read_text()


def array(name: str, values: np.ndarray) -> str:
    """A constant array, 64-byte aligned: GCC 12 miscompiles vector loads of arrays declared with less."""
    kind = _TYPES[values.dtype.name]
    if kind == "int8_t" or kind == "uint8_t":
        return f"static const {kind} {name}[{values.size + 1}] ALIGNED =\n{_literal(values)};\n"
    if kind == "float":
        items = [_float(value) for value in values.ravel()]
    else:
        items = [str(value) for value in values.ravel().tolist()]
    per_line = 8 if kind == "float" else 12
    lines = "\n".join("    " + ",".join(items[at : at + per_line]) + "," for at in range(0, len(items), per_line))
    return f"static const {kind} {name}[{len(items)}] ALIGNED = {{\n{lines}\n}};\n"


def _literal(values: np.ndarray) -> str:
    """Bytes as string literals, which compilers read many times faster than lists of numbers."""
    raw = values.tobytes()
    return "\n".join('    "' + "".join(map(_ESCAPES.__getitem__, raw[at : at + 64])) + '"' for at in range(0, len(raw), 64))


def _float(value: np.float32) -> str:
    """A float32 that reads back exactly."""
    if not np.isfinite(value):
        return "NAN" if np.isnan(value) else "INFINITY" if value > 0 else "-INFINITY"
    text = np.format_float_scientific(value, unique=True, trim="-") if value else "0"
    return f"{text}.f" if "e" not in text and "." not in text else f"{text}f"


class _Writer:
    def __init__(self) -> None:
        self.definitions: list[str] = []
        self.calls: list[Call] = []
        self.names: dict[str, int] = {}

    def unique(self, name: str) -> str:
        """A C identifier of the layer `name` that no other has."""
        base = re.sub(r"\W", "_", name) or "layer"
        base = f"layer_{base}" if base[0].isdigit() else base
        count = self.names[base] = self.names.get(base, 0) + 1
        return f"{base}_layer" if count == 1 else f"{base}_layer{count}"

    def structure(self, kind: str, name: str, **fields: object) -> None:
        body = "".join(f"    .{key} = {value},\n" for key, value in fields.items())
        self.definitions.append(f"static const {kind} {name} = {{\n{body}}};\n")

    def call(self, kernel: str, *arguments: object, remark: str = "") -> None:
        self.calls.append(Call(kernel, arguments, remark))

    def border(self, plane: Plane) -> None:
        if any(plane.border):
            top, left, bottom, right = plane.border
            c = plane.channels
            self.call(
                "border", plane.at, plane.height, plane.width * c, plane.line, top, left * c, bottom, right * c, plane.zero
            )

    def write(self, step: Step) -> None:
        name = self.unique(step.name)
        if not isinstance(step, (steps.Reshape, steps.Leave)):
            self.border(step.out)
        getattr(self, f"_{type(step).__name__.lower()}")(step, name)

    def _enter(self, step: steps.Enter, name: str) -> None:
        out, line = step.out, step.width * step.out.channels
        source = f"pixels + {step.top * line + step.left * out.channels}"
        remark = f"{step.name}: {_shape((step.height, step.width, out.channels))} -> {_shape(out.shape)}"
        if step.tables is None:
            self.call("copy", out.height, 1, out.width * out.channels, source, line, 0, out.at, out.line, 0, remark=remark)
        else:
            self.definitions.append(array(f"{name}_tables", step.tables))
            self._by_table(step.tables, f"{name}_tables", out, source, line, remark)

    def _by_table(self, tables: np.ndarray, name: str, out: Plane, source: str, line: int, remark: str) -> None:
        rows, columns, channels = tables.shape[:3]
        by_channel = 256 * (channels > 1)
        by_column = 256 * channels * (columns > 1)
        by_row = 256 * channels * columns * (rows > 1)
        self.call(
            "look_up", out.height, out.width, out.channels, name, by_row, by_column, by_channel,
            source, line, out.at, out.line, remark=remark,
        )  # fmt: skip

    def _convolve(self, step: steps.Convolve, name: str) -> None:
        (source,), out, packed = step.sources, step.out, weights.pack(step)
        _, rows, columns, _ = step.weights.shape
        self.definitions += [
            array(f"{name}_weights", packed.weights),
            array(f"{name}_biases", packed.biases),
            array(f"{name}_signed_biases", packed.biases + 128 * packed.sums),
            array(f"{name}_scales", packed.scales),
        ]
        self.structure(
            "convolution", name,
            weights=f"{name}_weights", biases=f"{name}_biases", signed_biases=f"{name}_signed_biases", scales=f"{name}_scales",
            height=out.height, width=out.width, channels=out.channels,
            rows=packed.rows, words=packed.words, taps=rows * columns, columns=columns,
            step=step.stride[1] * source.channels, line=step.stride[0] * source.line, input_line=source.line,
            output_line=out.line, zero=out.zero, low=step.low, high=step.high,
        )  # fmt: skip
        kind = "depthwise" if step.depthwise else "dense" if source.shape[:2] == (1, 1) else "convolution"
        remark = f"{step.name}: {kind} {rows}x{columns}" + (", then 2x2 max-pool" if step.pool == 2 else "")
        remark += f": {_shape(source.shape)} -> {_shape(out.shape)}"
        start = _moved(source, step.pad)
        if step.depthwise:
            self.call("depthwise", f"&{name}", start, out.at, remark=remark)
        else:
            self.call("convolve", f"&{name}", step.pool, start, out.at, remark=remark)

    def _pool(self, step: steps.Pool, name: str) -> None:
        (source,), out = step.sources, step.out
        self.structure(
            "window", name,
            height=out.height, width=out.width, channels=out.channels, input_height=source.height, input_width=source.width,
            rows=step.window[0], columns=step.window[1], down=step.stride[0], across=step.stride[1],
            top=step.pad[0], left=step.pad[1], input_line=source.line, output_line=out.line, low=step.low, high=step.high,
        )  # fmt: skip
        kind = "average_pool" if step.average else "max_pool"
        self.call(kind, f"&{name}", source.at, out.at, remark=_remark(step, kind.replace("_", "-")))

    def _lookup(self, step: steps.LookUp, name: str) -> None:
        (source,) = step.sources
        self.definitions.append(array(f"{name}_tables", step.tables))
        self._by_table(step.tables, f"{name}_tables", step.out, source.at, source.line, _remark(step, "table"))

    def _add(self, step: steps.Add, name: str) -> None:
        (first, second), out = step.sources, step.out
        self.structure(
            "addition", name,
            height=out.height, width=out.width * out.channels,
            first_line=first.line, second_line=second.line, output_line=out.line,
            a=step.a, b=step.b, bias=step.bias, shift=step.shift, zero=out.zero, low=step.low, high=step.high,
        )  # fmt: skip
        self.call("add", f"&{name}", first.at, second.at, out.at, remark=_remark(step, "sum"))

    def _multiply(self, step: steps.Multiply, _: str) -> None:
        (a, b), out = step.sources, step.out
        self.call(
            "multiply", out.height, out.width * out.channels, a.at, a.line, a.zero, b.at, b.line, b.zero,
            _float(step.scale), out.at, out.line, out.zero, step.low, step.high, remark=_remark(step, "product"),
        )  # fmt: skip

    def _mean(self, step: steps.Mean, _: str) -> None:
        (source,), out = step.sources, step.out
        self.call(
            "mean", source.height, source.width, source.channels, source.at, source.line, source.zero,
            _float(step.scale), out.at, out.zero, remark=_remark(step, "mean"),
        )  # fmt: skip

    def _copy(self, step: steps.Copy, _: str) -> None:
        (source,), out = step.sources, step.out
        rows, places, channels = step.shape
        size = 4 if source.is_float else 1
        (y, x, c), (to_y, to_x, to_c) = step.source_at, step.out_at
        source_start = f"{source.at} + {y * source.line + x * source.channels + c}"
        out_start = f"{out.at} + {to_y * out.line + to_x * out.channels + to_c}"
        if source.is_float:
            source_start, out_start = f"(const uint8_t *)({source_start})", f"(uint8_t *)({out_start})"
        if step.pads:  # and no convolution took it over
            self.call("border", out_start, rows, places * channels, out.line, to_y, to_x * channels,
                      out.height - to_y - rows, (out.width - to_x - places) * channels, out.zero)  # fmt: skip
        self.call(
            "copy", rows, places, channels * size, source_start, source.line * size, source.channels * size,
            out_start, out.line * size, out.channels * size, remark=_remark(step, "copy"),
        )  # fmt: skip

    def _reshape(self, step: steps.Reshape, _: str) -> None:
        """Nothing moves."""

    def _softmax(self, step: steps.Softmax, name: str) -> None:
        (source,), out = step.sources, step.out
        self.definitions.append(array(f"{name}_exponentials", step.exponentials))
        places = source.height * source.width
        self.call(
            "softmax", places, source.channels, f"{name}_exponentials", source.at, out.at, remark=_remark(step, "softmax")
        )

    def _float(self, step: steps.Float, _: str) -> None:
        out, source, width = step.out, step.sources[0], step.out.width * step.out.channels
        remark = _remark(step, step.function.replace("_", " "))
        if step.function == "quantize":
            inverse = _float(np.float32(1) / out.scale)
            self.call("quantize", out.height, width, source.at, source.line, out.at, out.line, out.zero, inverse, remark=remark)
        elif step.function == "dequantize":
            scale = _float(source.scale)
            self.call(
                "dequantize", out.height, width, source.at, source.line, out.at, out.line, source.zero, scale, remark=remark
            )
        else:
            kernel = f"{step.function}_floats" if len(step.sources) == 2 else step.function
            self.call(kernel, out.size, *(plane.at for plane in step.sources), out.at, remark=remark)

    def _lookupfloat(self, step: steps.LookUpFloat, name: str) -> None:
        (source,), out = step.sources, step.out
        self.definitions.append(array(f"{name}_floats", step.table))
        width = out.width * out.channels
        self.call(
            "look_up_floats", out.height, width, f"{name}_floats", source.at, source.line, out.at, out.line,
            remark=_remark(step, "table of floats"),
        )  # fmt: skip

    def _leave(self, step: steps.Leave, _: str) -> None:
        kernel = "leave_floats" if step.out.is_float else "leave"
        self.call(kernel, step.out.height * step.out.width * step.out.channels, step.out.at, _from("logits", step.start))


def _from(array: str, start: int) -> str:
    return f"{array} + {start}" if start else array


def _shape(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape))


def _remark(step: Step, kind: str) -> str:
    return f"{step.name}: {kind}: {_shape(step.sources[0].shape)} -> {_shape(step.out.shape)}"


def _moved(plane: Plane, pad: tuple[int, int]) -> str:
    """Where a kernel that begins `pad` before the image starts, in C."""
    start = plane.storage.offset + plane.start - pad[0] * plane.line - pad[1] * plane.channels
    return f"context->bytes + {start}"


def layers(program: list[Step]) -> Layers:
    """`program` as C text, layer by layer."""
    writer = _Writer()
    for step in program:
        writer.write(step)
    return Layers("\n".join(writer.definitions), tuple(writer.calls), tuple(step.name for step in program))
