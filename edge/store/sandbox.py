"""Try a model, its very bytes, in child processes: a crash, a hang or a wrong answer is one line here."""

from edge.artifact import Artifact
from edge.device import selftest
from edge.errors import Refused


def run_in_child(model: Artifact) -> str:
    """The verdict on `model`. Raises ModelError or Refused if it is at fault, else the error for what the device lacks."""
    model.manifest()  # raises if it contradicts the contract
    # First the engine that verifies the structure, then the one that runs it once it is installed.
    answers: dict[str, str] = {}
    for trusted in (False, True):
        ready = selftest.apart(model, trusted=trusted)
        engine = ready.engine
        if engine.name in answers:
            continue
        replay = selftest.replay(ready)
        if replay.first_difference:
            raise Refused(f"{model.path}: {replay.first_difference} ({engine.name} {engine.version})")
        n_others = selftest.answer_others(ready)
        answers[engine.name] = f"{replay.n_exact} bit for bit by {engine.name} {engine.version}"
    return f"{replay.n_goldens} pictures: {', '.join(answers.values())}{replay.files}; {n_others} others answered"
