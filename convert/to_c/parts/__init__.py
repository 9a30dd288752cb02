"""The program around a generated network: its classes, its self-test, and the command that reads pictures.

The .c files here are C as it stands; `network_` and `NETWORK_` become the network's own prefix, `network_logit` its type.
"""

import re
from importlib import resources

from edge.c_program import GOLDENS
from edge.confidence import Confidence
from edge.contract import ModelContract
from edge.errors import Refused

_FILES = resources.files("convert.to_c.parts")
TOP = """\
#ifdef EDGEPROOF_MAIN
#define _POSIX_C_SOURCE 200809L
#endif
"""


def part(name: str, contract: ModelContract, symbol: str) -> str:
    """The text of the file `name` for the network whose names begin with `symbol`."""
    text = (_FILES / name).read_text()
    text = re.sub(r"\bnetwork_logit\b", _logit(contract), text)
    text = re.sub(r"\bNETWORK_", f"{symbol.upper()}_", re.sub(r"\bnetwork_", f"{symbol}_", text))
    return text.replace('"network.h"', f'"{contract.name}.h"')


def _logit(contract: ModelContract) -> str:
    return "int8_t" if contract.output_dtype == "int8" else "float"


def declarations(contract: ModelContract, symbol: str, *, n_goldens: int, steps: int) -> str:
    """The lines of the header for what is here."""
    upper, logit = symbol.upper(), _logit(contract)
    return f"""\
#define {upper}_GOLDENS {n_goldens}
#define {upper}_GOLDEN_STEPS {steps}

/* The name of class `index`, UTF-8, from 0 to CLASSES - 1; else 0. */
const char *{symbol}_label(int index);

/* The probability of class `index`, from 0 to 1, by the logits of a prediction. */
double {symbol}_probability(const {logit} *logits, int index);

/* Whether the picture is none of the classes, as far as the network can tell; 0 where its file sets no threshold. */
int {symbol}_rejected(const {logit} *logits);

/* sizeof({symbol}_context), for languages that cannot read this file. Any address that malloc returns will do. */
int {symbol}_context_bytes(void);

#ifdef EDGEPROOF_SELF_TEST
/* Answers the GOLDENS on every path of this machine; how many answers differ by more than GOLDEN_STEPS from those expected. */
int {symbol}_self_test({symbol}_context *context);
#endif
"""


def text(contract: ModelContract, symbol: str, *, labels: tuple[str, ...], goldens: list[tuple[bytes, bytes]]) -> str:
    """The C text of the classes, of what an answer is worth, the self-test and the command.

    Raises Refused where the contract rejects by a score that is not written in C.
    """
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
    scored, stated = _confidence(contract, upper)
    label, confidence, *score, rejected, self_test, picture, png, main = (
        part(name, contract, symbol)
        for name in ("label.c", "confidence.c", *scored, "rejected.c", "self_test.c", "picture.c", "png.c", "main.c")
    )
    first = texts + stated + "\n" + label
    return "\n".join((first, confidence, *score, rejected, _goldens(contract, symbol, goldens) + self_test, picture, png, main))


def _confidence(contract: ModelContract, upper: str) -> tuple[tuple[str, ...], str]:
    """The file of the contract's score, and the macros that say how its logits are read."""
    told = contract.confidence or Confidence()
    sets = "".join(f" {{{level!r}, {quantile!r}}}," for level, quantile in told.sets)
    stated = f"""\
#define {upper}_TEMPERATURE {told.temperature!r}
#define {upper}_SETS{sets}
#define {upper}_PROMISED {string(told.promised)}
"""
    if not told.reject:
        return (), stated
    kind, threshold = told.reject
    if not _FILES.joinpath("scores", f"{kind}.c").is_file():
        raise Refused(f"{contract.name}: rejects by {kind}, which is not written in C: use the .tflite, or convert --no-reject")
    return (f"scores/{kind}.c",), f"{stated}#define {upper}_THRESHOLD ({threshold!r})\n"


def string(text: str) -> str:
    """`text` as a C string: whatever could end it, begin a trigraph or depend on the source's encoding is escaped."""
    plain = {*range(32, 127)} - set(b'"\\?')
    return '"' + "".join(chr(byte) if byte in plain else f"\\{byte:03o}" for byte in text.encode()) + '"'


def _goldens(contract: ModelContract, symbol: str, goldens: list[tuple[bytes, bytes]]) -> str:
    import struct

    n, upper, size = contract.n_outputs, symbol.upper(), contract.input.n_values
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
