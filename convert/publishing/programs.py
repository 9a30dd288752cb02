"""The C program of a published int8 .tflite: generated, compared with it on this machine, sealed; and checked again later."""

import hashlib
import re
import sys
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path

import numpy as np

from convert import to_c
from convert.interfaces import Candidate
from convert.judging.gate import Verdict
from convert.judging.verify import compare
from convert.publishing.publish import publish
from convert.results import ConversionResult, Outcome, Trial
from convert.to_c import identity, parts
from edge import artifact, c_program
from edge.artifact import Artifact
from edge.contract import ModelContract
from edge.errors import EngineMissing, ModelError, Refused, UsageError
from edge.predictor import Predictor

FORMAT = 1


@dataclass(frozen=True)
class SealedProgram:
    """NAME.c, sealed, and NAME.h as bytes.

    The first `text_bytes` of NAME.c are the code; `paths` are its instruction paths, the fastest first; `symbol` begins its
    names; an output may differ from the .tflite's by `steps`: 1 with float islands, else 0.
    """

    source: bytes
    text_bytes: int
    header: bytes
    paths: tuple[str, ...]
    symbol: str
    steps: int


def program(model: Artifact) -> SealedProgram:
    """The program of `model`, a sealed int8 .tflite: equal for equal models. Raises Refused for a network not supported."""
    contract, made_of = model.contract, model.manifest()
    if contract is None or contract.kind != "tflite" or made_of.get("precision") != "int8":
        raise UsageError(f"{model.path}: not a sealed int8 .tflite, of which C programs are made")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", contract.name):
        raise Refused(f"{model.path}: its name, {contract.name}, is not one that C can include")
    generated = to_c.generate(model.data[: contract.model_bytes], name=contract.name)
    steps = int(generated.has_floats)  # float islands may round otherwise on another machine
    header = generated.header.replace(
        "/* For tests:",
        parts.declarations(contract, generated.symbol, n_goldens=len(model.goldens()), steps=steps) + "\n/* For tests:",
    ).encode()
    body = parts.text(contract, generated.symbol, labels=model.labels, goldens=model.goldens())
    source = f"{c_program.MARK.decode()}{FORMAT}: {contract.name} */\n{parts.TOP}{generated.source}\n{body}"
    values = {name: getattr(contract, name) for name in ModelContract.__slots__}
    own = ModelContract(**values | {"kind": "c", "model_bytes": len(source.encode())})
    about = {
        key: value for key, value in made_of.items() if key != "pictures"
    }  # the .tflite's picture files are not in the C file
    manifest = about | {
        "contract": own.items(),
        "generated": {
            "file": f"{contract.name}.tflite",
            "seal": model.digest,
            "generator": to_c.VERSION,
            "edgeproof": version("edgeproof"),
            "symbol": generated.symbol,
            "header_sha256": hashlib.sha256(header).hexdigest(),
        },
        "goldens": dict(made_of["goldens"]) | {"tolerance": float(steps) or 0.5},  # type: ignore[call-overload]
    }
    return SealedProgram(c_program.seal(source, manifest), own.model_bytes, header, generated.paths, generated.symbol, steps)


def write_program(outcome: Outcome, trial: Trial, *, folder: Path, key: Path | None) -> Outcome:
    """The outcome of the C program of `outcome`, a .tflite in `folder`: published there if its answers are that model's."""
    of, evaluation = outcome.final, outcome.final.evaluation
    if evaluation is None or not of.verdict.passed:
        return _refused(of, f"{of.file_name}, of which it is made, did not pass")
    print(f"{of.name}.c: building it, {len(trial.dataset.test):,} images to compare on each instruction path", file=sys.stderr)
    try:
        made = program(artifact.read(str(folder / of.file_name)))
        proof = compared(made, of.name, evaluation.predictor, trial.dataset.test.images, evaluation.outputs)
    except (Refused, EngineMissing, ModelError) as error:
        return _refused(of, str(error))
    verification = compare(proof.logits, trial.dataset.test.labels, trial.reference)
    publish(folder / f"{of.name}.h", made.header, key=key)
    publish(folder / f"{of.name}.c", made.source, key=key)
    own = replace(
        evaluation,
        candidate=Candidate(of.name, "c", of.plan, made.source[: made.text_bytes]),
        verification=verification,
        logits=proof.logits,
        median_us=proof.median_us,
        sensitivity=None,
    )
    verdict = Verdict("passed", (*of.verdict.reasons, proof.in_words))
    result = ConversionResult(of.name, "c", of.plan, verdict, own)
    return Outcome(result, result)


def compared(
    made: SealedProgram, name: str, predictor: Predictor, images: np.ndarray, outputs: np.ndarray
) -> identity.Identity:
    """The program beside `predictor`, whose `outputs` for `images` are known. Raises what `identity.compare` raises."""
    files = {f"{name}.c": made.source, f"{name}.h": made.header}
    return identity.compare(files, made.paths, made.symbol, predictor, images, outputs, steps=made.steps)


def _refused(of: ConversionResult, why: str) -> Outcome:
    result = ConversionResult(of.name, "c", of.plan, Verdict("refused", (why,)))
    return Outcome(result, result)


def check(path: str, source: str) -> str:
    """A line that says NAME.c and NAME.h are what `source`, the .tflite, gives now. Raises ModelError if they are not."""
    there = artifact.read(path)
    if there.kind != "c":
        raise UsageError(f"{path}: a .{there.kind} model; --check compares a C program with its .tflite")
    made = c_program.made_of(there.manifest())
    model = artifact.read(source)
    if made.get("seal") != model.digest:
        raise ModelError(
            f"{path}: made of a .tflite with seal {str(made.get('seal'))[:12]}; {source} has "
            f"{model.digest[:12]}: name that one, or convert again"
        )
    versions = {"generator": to_c.VERSION, "edgeproof": version("edgeproof")}
    if versions != {key: made.get(key) for key in versions}:
        raise ModelError(
            f"{path}: made by generator {made.get('generator')} of edgeproof {made.get('edgeproof')}, and this is generator "
            f"{to_c.VERSION} of edgeproof {version('edgeproof')}: check it with that version, or convert again"
        )
    now = program(model)
    header = c_program.header_path(path)
    for name, found, wanted in ((path, there.data, now.source), (header, c_program.read_header(path), now.header)):
        if found != wanted:
            lines = zip_longest(found.split(b"\n"), wanted.split(b"\n"))
            line = next(number for number, (a, b) in enumerate(lines, start=1) if a != b)
            raise ModelError(f"{name}: not what {source} gives: line {line} differs; trust nothing in it, and convert again")
    return f"{path}: every byte, and its header's, is what generator {to_c.VERSION} makes of {source}"
