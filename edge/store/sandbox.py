"""Try a model, its very bytes, in a child process: a crash, a hang or a wrong answer is one line in the parent."""

import os
import signal
import subprocess
import sys

from edge import artifact, child, contract, errors, predictor
from edge.artifact import Artifact
from edge.device import selftest
from edge.errors import ModelError

TIMEOUT_S = 60.0  # an import from a slow SD card takes its time

_VERDICTS: dict[int, type[errors.ToolchainError]] = {
    error.exit_code: error
    for error in (errors.Refused, errors.EngineMissing, errors.OutOfMemory, errors.StorageError, ModelError)
}


def run_in_child(model: Artifact) -> str:
    """The verdict of a child process on `model`. Raises ModelError or Refused if it is at fault, else what the device lacks."""
    command = [sys.executable, "-m", "edge.store.sandbox", model.path]
    parent = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # where -m finds this edge
    try:
        done = child.run(command, input=model.data, timeout_s=TIMEOUT_S, cwd=parent)
    except subprocess.TimeoutExpired:
        raise ModelError(f"{model.path}: gave no answer within {TIMEOUT_S:.0f} s when tried") from None
    except OSError as error:
        raise errors.StorageError(f"{model.path}: cannot be tried: {error.strerror or error}") from None
    if done.returncode == 0:
        return done.stdout.strip()
    if done.returncode == -signal.SIGKILL:
        raise errors.OutOfMemory(f"{model.path}: killed when tried, as for want of memory")
    if done.returncode < 0:
        raise ModelError(f"{model.path}: crashed when tried: {signal.strsignal(-done.returncode)}")
    reason = child.last_line(done, default=f"exit code {done.returncode}")
    if not reason.startswith("edge: ") or done.returncode not in _VERDICTS:  # Python itself did not start, say
        raise errors.StorageError(f"{model.path}: cannot be tried: {reason}")
    raise _VERDICTS[done.returncode](reason.removeprefix("edge: "))


def main() -> int:
    """The child: the bytes on stdin, the path as the argument; the verdict on stdout or stderr."""
    path = sys.argv[1]
    model = artifact.parse(path, sys.stdin.buffer.read())
    try:
        print(_tried(model))
    except errors.ToolchainError:
        raise
    except MemoryError:
        raise errors.OutOfMemory(f"{model.path}: out of memory when tried") from None
    except OSError as error:
        raise errors.StorageError(f"{model.path}: cannot be tried: {error}") from None
    except Exception as error:  # these bytes caused it, whatever it is
        raise ModelError(f"{model.path}: fails when tried: {type(error).__name__}: {error}") from None
    return 0


def _tried(model: Artifact) -> str:
    model.manifest()  # raises if manifest and contract disagree
    # First the engine that verifies the structure, then the one that runs it once it is installed.
    answers: dict[str, str] = {}
    for trusted in (False, True):
        ready = predictor.from_artifact(model, trusted=trusted)
        if ready.engine.name in answers:
            continue
        _compare(model, ready.engine.describe())
        replay = selftest.replay(ready)
        if replay.first_difference:
            raise errors.Refused(f"{model.path}: {replay.first_difference} ({ready.engine.name} {ready.engine.version})")
        answers[ready.engine.name] = f"{replay.n_exact} bit for bit by {ready.engine.name} {ready.engine.version}"
    return f"{replay.n_goldens} pictures: {', '.join(answers.values())}"


def _compare(model: Artifact, actual: contract.ModelContract) -> None:
    assert model.contract
    claimed, items = model.contract.items(), actual.items()
    for key in ("height", "width", "channels", "input-dtype", "output-dtype", "output-scale", "output-zero-point", "classes"):
        if items[key] != claimed[key]:
            raise ModelError(f"{model.path}: the contract says {key} {claimed[key]}, the model {items[key]}")


if __name__ == "__main__":
    sys.exit(errors.run(main, "edge"))
