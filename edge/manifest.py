"""Read manifest.json in full, once: its form, its types, its numbers, and that it says what contract.txt and labels.txt say.

What is not checked here (which layers, which tools, a recipe) is only ever shown, and shown in one line.
"""

import json
import math

MAX_DEPTH = 16
MAX_VERSION = 2**31 - 1  # of a model


def parse(text: str, contract: dict[str, str | int | float], labels: tuple[str, ...]) -> dict[str, object]:
    """The manifest in `text`. Raises ValueError if it is not JSON with finite numbers and each key once, if it contradicts
    `contract` or `labels`, or if a value that is computed with is of another kind."""
    try:
        manifest = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("contract"), dict) or "labels" not in manifest:
        raise ValueError("wanted an object with `contract` and `labels`")
    if _depth(manifest) > MAX_DEPTH:
        raise ValueError(f"nested too deeply; at most {MAX_DEPTH} levels are read")
    # repr, because True equals 1 and 28.0 equals 28.
    claimed, own = (repr(sorted(items.items())) for items in (manifest["contract"], contract))
    if claimed != own or manifest["labels"] != list(labels):
        raise ValueError("contract.txt or labels.txt says otherwise; make the artifact again")
    for path, kind, wanted in _KINDS:
        value: object = manifest
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None and not kind(value):
            raise ValueError(f"{path} is {str(value)[:40]!r}; wanted {wanted}")
    return manifest


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key stands twice")
    return members


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not a number")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text[:40]} is too large")
    return value


def _depth(value: object) -> int:
    """How deep lists and objects lie in each other; no further than one over MAX_DEPTH."""
    level, deep = [value], 0
    while level and deep <= MAX_DEPTH:
        inner: list[object] = []
        for outer in level:
            inner += outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ()
        level, deep = [each for each in inner if isinstance(each, (dict, list))], deep + 1
    return deep


def _is_whole(value: object, least: int = 0, most: int = 2**53) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 300 and value.isprintable()


# What commands compute with or print of it: where it stands, what it may be, that in words.
_KINDS = (
    ("format", lambda value: _is_whole(value, 1, 99), "a whole number"),
    ("precision", _is_text, "a printable text"),
    ("model_version", lambda value: _is_whole(value, 0, MAX_VERSION), f"a whole number from 0 to {MAX_VERSION}"),
    ("quantization", lambda value: isinstance(value, dict), "an object"),
    ("verification", lambda value: isinstance(value, dict), "an object"),
    ("verification.n_images", _is_whole, "a whole number"),
    ("verification.drop_points", _is_number, "a number"),
    ("verification.top1", _is_number, "a number"),
    ("verification.float_top1", _is_number, "a number"),
    ("goldens", lambda value: isinstance(value, dict), "an object"),
    ("goldens.tolerance", lambda value: _is_number(value) and not value < 0, "a number from 0"),
    ("goldens.engine", _is_text, "a printable text"),
    ("goldens.engine_version", _is_text, "a printable text"),
    ("provenance", lambda value: isinstance(value, dict), "an object"),
    ("provenance.network", _is_text, "a printable text"),
    ("provenance.data", _is_text, "a printable text"),
)
