"""The C file around the layers: what it includes, one network function a path, and the choice among them at run time."""

from dataclasses import dataclass

from convert.to_c.emit import Layers, kernel
from convert.to_c.reader import Graph


@dataclass(frozen=True)
class Path:
    """An instruction path: when it compiles, the target its functions are compiled for, and the test that this machine has it.

    `vectors` are the files of kernels/paths/ with its vector operations, in which kernels/vector/ is written. Plain C has none.
    """

    name: str
    title: str
    compiles: str = ""
    target: str = ""
    runs: str = "1"
    vectors: tuple[str, ...] = ()


_X86, _ARM = "defined(__x86_64__)", "defined(__aarch64__)"
PATHS = (
    Path(
        "avx512vnni",
        "AVX-512 with VNNI",
        _X86,
        "avx512f,avx512bw,avx512vl,avx512vnni",
        '__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")',
        ("avx512vnni", "avx2_add"),
    ),
    Path(
        "avxvnni",
        "AVX-VNNI",
        f"{_X86} && HAVE_AVXVNNI",
        "avx2,avxvnni",
        "has_avxvnni()",
        ("avx2", "avxvnni_dot", "halves", "avx2_add"),
    ),
    Path("avx2", "AVX2", _X86, "avx2", '__builtin_cpu_supports("avx2")', ("avx2", "avx2_dot", "halves", "avx2_add")),
    Path("sse2", "SSE2", _X86, "sse2", "1", ("sse2", "halves", "sse2_add")),
    Path(
        "neondot",
        "NEON with dot products",
        f"{_ARM} && HAVE_DOT_PRODUCTS",
        "arch=armv8.2-a+dotprod",
        "has_dot_products()",
        ("neon", "neondot_dot", "halves", "neon_add"),
    ),
    Path("neon", "NEON", _ARM, "", "1", ("neon", "neon_dot", "halves", "neon_add")),
    Path("plain", "plain C"),
)
# What kernels/vector/ has, in the order of need; all other kernels are plain C on every path.
_VECTOR_KERNELS = {
    "convolve": ("strip16", "strip8", "convolve"),
    "add": ("add",),
    "depthwise": ("depthwise_strip16", "depthwise_strip8", "depthwise"),
}
# What kernels/bytes/ has: for all fast paths alike.
_BYTE_KERNELS = ("max_pool",)
_NEEDS_REQUANTIZE = {"convolve", "depthwise", "multiply", "mean"}


def text(
    layers: Layers, graph: Graph, *, name: str, symbol: str, n_bytes: int, n_floats: int
) -> tuple[str, str, tuple[str, ...]]:
    """The C source, the header, and the names of the paths."""
    used = list(dict.fromkeys(call.kernel for call in layers.calls))
    plain = (["requantize"] if _NEEDS_REQUANTIZE & set(used) else []) + used
    parts = [
        f"/* {name}: generated, not to be edited. See {name}.h for how to call it, and for what to compile it with. */",
        f'#include "{name}.h"\n\n#include <math.h>\n#include <string.h>',
        kernel("start.c"),
        kernel("machine.c"),
        kernel("types.c"),
        "/* ---- The layers ---- */",
        layers.definitions,
        "/* ---- Plain C ---- */",
        *(kernel(f"plain/{each}.c") for each in plain),
        *_bytewise(used),
        *(_path(path, layers, used, symbol) for path in PATHS),
        _choice(symbol, "float" if graph.exits[0].dtype == "float32" else "int8_t"),
    ]
    return (
        "\n".join(part.rstrip("\n") + "\n" for part in parts),
        _header(graph, name, symbol, n_bytes, n_floats),
        tuple(path.name for path in PATHS),
    )


def _bytewise(used: list[str]) -> list[str]:
    """The kernels of kernels/bytes that the network needs."""
    needed = [each for each in used if each in _BYTE_KERNELS]
    if not needed:
        return []
    return ["#if FAST_PATHS", *(kernel(f"bytes/{each}.c") for each in ("bytes16", *needed)), "#endif"]


def _path(path: Path, layers: Layers, used: list[str], symbol: str) -> str:
    fast = [each for each in used if each in _VECTOR_KERNELS] if path.compiles else []
    bytewise = _BYTE_KERNELS if path.compiles else ()
    kinds = {each: path.name if each in fast else "bytes" if each in bytewise else "plain" for each in used}
    calls = "".join(call.text(f"{call.kernel}_{kinds[call.kernel]}") for call in layers.calls)
    logits = "float" if layers.calls[-1].kernel == "leave_floats" else "int8_t"
    mark = "TARGET " if path.compiles else ""
    arguments = f"{symbol}_context *context, const uint8_t *pixels, {logits} *logits"
    network = f"{mark}static void network_{path.name}({arguments})\n{{\n{calls}}}\n"
    if not path.compiles:
        return f"/* ---- The network in {path.title} ---- */\n{network}"
    parts = [
        f"/* ---- {path.title} ---- */\n#if FAST_PATHS && {path.compiles}",
        f"#define ON(name) name##_{path.name}",
        f'#define TARGET __attribute__((target("{path.target}")))' if path.target else "#define TARGET",
        "#define INLINE TARGET static inline __attribute__((always_inline, unused))",
        *(kernel(f"paths/{each}.c") for each in path.vectors),
        *(_vector(part, path.name) for each in fast for part in _VECTOR_KERNELS[each]),
        network,
        "#undef ON\n#undef TARGET\n#undef INLINE\n#undef BIASES\n#endif",
    ]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _vector(part: str, path: str) -> str:
    """A kernel in vector operations; one whose name ends in a number is written for so many lanes."""
    lanes = part.lstrip("abcdefghijklmnopqrstuvwxyz_")
    body = kernel(f"vector/{part.removesuffix(lanes)}.c")
    if not lanes:
        return body
    return f"#define LANES {lanes}\n#define LANED(name) name##{lanes}_{path}\n{body}#undef LANES\n#undef LANED\n"


def _choice(symbol: str, logits: str) -> str:
    """The exported functions: which paths there are, and the prediction on one of them or on the best."""
    rows = "".join(
        _guarded(path, f'    {{"{path.name}", runs_{path.name}, network_{path.name}}},\n', f'    {{"{path.name}", 0, 0}},\n')
        for path in PATHS
    )
    tests = "".join(_guarded(path, f"static int runs_{path.name}(void)\n{{\n    return {path.runs};\n}}\n\n") for path in PATHS)
    return f"""\
/* ---- The choice among the paths, the fastest first ---- */
{tests}typedef struct {{
    const char *name;
    int (*runs)(void);
    void (*network)({symbol}_context *, const uint8_t *, {logits} *);
}} choice;

static const choice paths[] = {{
{rows}}};

const char *{symbol}_path(int path)
{{
    return path >= 0 && path < (int)(sizeof paths / sizeof *paths) ? paths[path].name : 0;
}}

int {symbol}_predict_on(int path, {symbol}_context *context, const uint8_t *pixels, {logits} *logits)
{{
    if (!{symbol}_path(path) || !paths[path].network || !paths[path].runs())
        return 0;
    paths[path].network(context, pixels, logits);
    return 1;
}}

void {symbol}_predict({symbol}_context *context, const uint8_t *pixels, {logits} *logits)
{{
    for (int path = 0; !{symbol}_predict_on(path, context, pixels, logits); path++)
        ;
}}
"""


def _guarded(path: Path, text: str, otherwise: str = "") -> str:
    """`text` where the path compiles, else `otherwise`: a path has the same number everywhere."""
    if not path.compiles:
        return text
    return f"#if FAST_PATHS && {path.compiles}\n{text}{f'#else{chr(10)}{otherwise}' if otherwise else ''}#endif\n"


def _header(graph: Graph, name: str, symbol: str, n_bytes: int, n_floats: int) -> str:
    upper, entry, (leaves, *more) = symbol.upper(), graph.entry.shape, graph.exits
    height, width, channels = (1, 1, *entry[1:])[-3:]
    floats = f"    float floats[{n_floats}];\n" if n_floats else ""
    logits = "float" if leaves.dtype == "float32" else "int8_t"
    scale, zero_point = (f"{float(leaves.scale)!r}", leaves.zero_point) if logits == "int8_t" else ("1.0", 0)
    n_classes, n_outputs = leaves.shape[-1], sum(each.shape[-1] for each in graph.exits)
    extra = ""
    if more:
        coding = (f"{float(more[0].scale)!r}", more[0].zero_point) if logits == "int8_t" else ("1.0", 0)
        extra = f"#define {upper}_EXTRA_SCALE {coding[0]}\n#define {upper}_EXTRA_ZERO_POINT {coding[1]}\n"
    return f"""\
/* {name}: a network of edgeproof in C99. Generated, not to be edited.

   Compile {name}.c with any C99 compiler; gcc and clang add faster paths, chosen at run time:
       cc -O3 -c {name}.c    (link with -lm) */
#ifndef {upper}_H
#define {upper}_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

#define {upper}_HEIGHT {height}
#define {upper}_WIDTH {width}
#define {upper}_CHANNELS {channels}
#define {upper}_CLASSES {n_classes}
#define {upper}_OUTPUTS {n_outputs}
#define {upper}_OUTPUT_SCALE {scale}
#define {upper}_OUTPUT_ZERO_POINT {zero_point}
{extra}
/* Memory for one prediction at a time; what it holds before a call does not matter. */
typedef struct {{
    uint8_t bytes[{n_bytes}];
{floats}}} {symbol}_context;

/* pixels: {height}x{width}x{channels} bytes, rows from the top, channels together.
   logits: OUTPUTS of them, one a class and then extra values, if there are any, that are no class; the greatest of the
   CLASSES first is the answer. A logit's value is (logit - OUTPUT_ZERO_POINT) * OUTPUT_SCALE. */
void {symbol}_predict({symbol}_context *context, const uint8_t *pixels, {logits} *logits);

/* For tests: the name of a path, 0 behind the last; a prediction on it, 0 where this machine lacks its instructions. */
const char *{symbol}_path(int path);
int {symbol}_predict_on(int path, {symbol}_context *context, const uint8_t *pixels, {logits} *logits);

#ifdef __cplusplus
}}
#endif
#endif
"""
