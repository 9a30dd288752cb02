"""Other people's generators of C, for the .onnx beside a model; what they write is compiled as our program is."""

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import onnx

from edge import child, compiler, errors
from edge.artifact import Artifact


@dataclass(frozen=True)
class Generator:
    """`flags` come between the command and the .onnx; `function` is the network in its C: (pixels, logits as floats)."""

    name: str
    flags: tuple[str, ...]
    writes_a_file: bool  # named behind the .onnx; else the C goes to stdout
    function: str


GENERATORS = {
    "emx": Generator("emx-onnx-cgen", ("compile", "--large-weight-threshold", "0"), True, "model"),
    "onnx2c": Generator("onnx2c", (), False, "entry"),
}


@dataclass(frozen=True, eq=False)
class Other:
    """What another generator made of a model, loaded."""

    name: str
    function: ctypes.c_void_p
    library: ctypes.CDLL


def others(model: Artifact, commands: dict[str, str | None], folder: Path) -> Iterator[Other]:
    """The program of each generator with a command; where one refuses the model or writes no C, a line says so."""
    source = Path(model.path).with_suffix(".onnx")
    if not source.exists():
        return
    onnx_file = folder / source.name
    onnx.save(_readable(onnx.load(source)), onnx_file)
    for key, command in commands.items():
        if command is None:
            continue
        generator = GENERATORS[key]
        made, library = folder / f"{source.stem}-{key}.c", folder / f"{source.stem}-{key}.so"
        target = [str(made)] if generator.writes_a_file else []
        done = child.run([command, *generator.flags, str(onnx_file), *target])
        try:
            if done.returncode:
                raise errors.ModelError(child.last_line(done, default="failed"))
            if not generator.writes_a_file:
                made.write_text(done.stdout)
            compiler.build([str(made)], str(library), "-shared", "-fPIC")
        except errors.ModelError as error:
            errors.say("benchmarks.studies.programs", f"{source}: {generator.name}: {error}")
            continue
        loaded = ctypes.CDLL(str(library))
        yield Other(generator.name, ctypes.cast(getattr(loaded, generator.function), ctypes.c_void_p), loaded)


def _readable(model: onnx.ModelProto) -> onnx.ModelProto:
    """Without MaxPool's `storage_order` at its default, which tf2onnx writes and onnx2c does not read."""
    for node in model.graph.node:
        for attribute in [each for each in node.attribute if each.name == "storage_order" and each.i == 0]:
            node.attribute.remove(attribute)
    return model
