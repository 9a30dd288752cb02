"""python -m edge: verify, time, install and roll back models on this device, and examine the device itself."""

import argparse
import sys

from edge import artifact, c_program, errors
from edge.bench import command
from edge.console import called
from edge.device import doctor, host, selftest
from edge.store import lifecycle

ONLY_TELL = ("verify", "doctor", "bench", "list")  # the others change the store, whoever listens


def main() -> int:
    what = "Verify, time, install and roll back models on this device."
    parser = argparse.ArgumentParser(prog=called("edge"), description=what)
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    verify = _add(commands, "verify", "replay the images that a model carries and compare the outputs")
    verify.add_argument("model", metavar="MODEL", help="an edgeproof model")
    verify.add_argument("--engine", metavar="NAME", help="litert-c, litert, tflite-runtime or onnxruntime")
    verify.add_argument(
        "--trust",
        action="store_true",
        help="allow litert-c, which skips structure checks, and building and running a C program; for models you trust",
    )
    verify.set_defaults(run=_verify)
    examine = _add(commands, "doctor", "say whether this device is fit, and what to do if not")
    doctor.add_flags(examine)
    time = _add(commands, "bench", "time an answer on this device, and each stage of it")
    command.add_flags(time)
    lifecycle.add_commands(commands)
    flags, unknown = parser.parse_known_args()
    if unknown:  # argparse would print them raw, and a shell's * may give the names of anybody's files
        parser.error(errors.one_line(f"unrecognized arguments: {' '.join(unknown)}"))
    if flags.command in ONLY_TELL:
        errors.need_stdout()
    return int(flags.run(flags))


def _add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, what: str) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=what, description=what)


def _verify(flags: argparse.Namespace) -> int:
    model = artifact.read(flags.model)
    manifest = model.manifest()  # raises if it contradicts the contract
    if model.kind == "c" and not flags.trust:
        c_program.check_header(model.path, manifest)
        errors.put(c_program.in_words(model.path, manifest))
        return 0
    ready = selftest.apart(model, engine_name=flags.engine, trusted=flags.trust)
    replay = selftest.replay(ready)
    device = host.read()
    where = f"{ready.engine.name} {ready.engine.version}, {ready.engine.kernels} kernels, {device.cpu_model}, {device.machine}"
    if not replay.passed:
        raise errors.Refused(f"{flags.model}: {replay.first_difference}; {where}")
    n_others = selftest.answer_others(ready)
    path = errors.one_line(flags.model)
    counted = f"{replay.n_goldens} pictures, {replay.n_exact} bit for bit{replay.files}"
    errors.put(f"{path}: passed: {counted} ({where}); {n_others} others answered")
    return 0


if __name__ == "__main__":
    sys.exit(errors.run(main, "edge"))
