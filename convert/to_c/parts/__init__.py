"""The program around a generated network: its classes, its self-test, and the command that reads pictures.

The .c files here are C as it stands; `network_` and `NETWORK_` become the network's own prefix, `network_logit` its type.
"""

import re
from importlib import resources

from edge.c_program import GOLDENS
from edge.contract import ModelContract

_FILES = resources.files("convert.to_c.parts")
TOP = """\
#ifdef EDGEPROOF_MAIN
#define _POSIX_C_SOURCE 200809L
#endif
"""


def part(name: str, contract: ModelContract, symbol: str) -> str:
    """The text of the file `name` for the network whose names begin with `symbol`."""
    text = (_FILES / name).read_text()
    text = re.sub(r"\bnetwork_logit\b", "int8_t" if contract.output_dtype == "int8" else "float", text)
    text = re.sub(r"\bNETWORK_", f"{symbol.upper()}_", re.sub(r"\bnetwork_", f"{symbol}_", text))
    return text.replace('"network.h"', f'"{contract.name}.h"')


def declarations(contract: ModelContract, symbol: str, *, n_goldens: int, steps: int) -> str:
    """The lines of the header for what is here."""
    upper = symbol.upper()
    return f"""\
#define {upper}_GOLDENS {n_goldens}
#define {upper}_GOLDEN_STEPS {steps}

/* The name of class `index`, UTF-8, from 0 to CLASSES - 1; else 0. */
const char *{symbol}_label(int index);

/* sizeof({symbol}_context), for languages that cannot read this file. Any address that malloc returns will do. */
int {symbol}_context_bytes(void);

#ifdef EDGEPROOF_SELF_TEST
/* Answers the GOLDENS on every path of this machine; how many answers differ by more than GOLDEN_STEPS from those expected. */
int {symbol}_self_test({symbol}_context *context);
#endif
"""


def text(contract: ModelContract, symbol: str, *, labels: tuple[str, ...], goldens: list[tuple[bytes, bytes]]) -> str:
    """The C text of the classes, the self-test and the command."""
    upper, takes, names = symbol.upper(), contract.input, ",\n    ".join(map(string, labels))
    colour = "grey" if takes.channels == 1 else "RGB"
    kinds = "a plain PNG, a PGM or raw bytes" if takes.channels == 1 else "a plain PNG or raw bytes"
    unchanged = int(takes.shorter_side in (0, min(takes.height, takes.width)))
    kinds = kinds if unchanged else "raw bytes"
    texts = f"""\
static const char *const {symbol}_labels[{upper}_CLASSES] = {{
    {names},
}};
#define {upper}_NAME {string(contract.name)}
#define {upper}_TAKES "{kinds} of {takes.width}x{takes.height} {colour} pixels"
#define {upper}_IS_DIGIT {int(takes.is_digit)}
#define {upper}_UNCHANGED {unchanged}
"""
    label, self_test, *program = (
        part(name, contract, symbol) for name in ("label.c", "self_test.c", "picture.c", "png.c", "main.c")
    )
    return "\n".join((texts + "\n" + label, _goldens(contract, symbol, goldens) + self_test, *program))


def string(text: str) -> str:
    """`text` as a C string: whatever could end it, begin a trigraph or depend on the source's encoding is escaped."""
    plain = {*range(32, 127)} - set(b'"\\?')
    return '"' + "".join(chr(byte) if byte in plain else f"\\{byte:03o}" for byte in text.encode()) + '"'


def _goldens(contract: ModelContract, symbol: str, goldens: list[tuple[bytes, bytes]]) -> str:
    import struct

    n, upper, size = contract.n_classes, symbol.upper(), contract.input.n_values
    kind, letter = ("int8_t", "b") if contract.output_dtype == "int8" else ("float", "f")
    images = ",\n".join("    {" + ",\n     ".join(_rows(list(image))) + "}" for image, _ in goldens)
    values = [struct.unpack(f"<{n}{letter}", output) for _, output in goldens]
    outputs = ",\n".join("    {" + ",".join(f"{v!r}" for v in row) + "}" for row in values)
    first, second, end = GOLDENS
    return f"""\
/* ---- The self-test: images, and the logits a healthy machine answers. -DEDGEPROOF_SELF_TEST ---- */
#ifdef EDGEPROOF_SELF_TEST
{first}
static const uint8_t golden_pixels[{upper}_GOLDENS][{size}] = {{
{images}
}};
{second}
static const {kind} golden_logits[{upper}_GOLDENS][{n}] = {{
{outputs}
}};
{end}

"""


def _rows(values: list[int]) -> list[str]:
    return [",".join(map(str, values[at : at + 32])) for at in range(0, len(values), 32)]
