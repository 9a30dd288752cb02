"""Kill an update at random moments, again and again in one store; one whole model answers after every kill.

    python -m tests.promises.killed --count 1000

Each case runs `python -m edge install` of another model than the current one and kills it: every other one anywhere in its
run, the rest once the store has begun to change, where the moments are milliseconds. Then `edge-predict` must answer right
from the model that was or the one that was to be, `python -m edge start` must pass, and nothing may lie in the store but
the models that `current` names. The next case goes on in the same store, so what one kill leaves meets the next install.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from random import Random

from edge import artifact
from edge.errors import ToolchainError
from tests.edge.on_device import resealed
from tests.promises.asking import COMMAND, EDGE, ROOT, SEVEN, Tally, ask, environment, flags, in_lanes

N_MODELS = 3
CHANGING_S = 0.03  # from the first change in the store to the last, with room


def main() -> int:
    given = flags("killed", __doc__, count=1000).parse_args()
    tally, guard = Tally(), threading.Lock()
    with tempfile.TemporaryDirectory() as scratch:
        surroundings = environment(scratch) | {"PYTHONPATH": ROOT}
        models = variants(scratch, N_MODELS)
        span = _undisturbed(os.path.join(scratch, "first"), models[0], surroundings)
        turns: defaultdict[str, int] = defaultdict(int)

        def case(number: int, folder: str) -> None:
            random, killed = Random(f"{given.seed} {number}"), False
            store = os.path.join(folder, "store")
            while not killed:  # a kill that comes too late is no kill
                turns[folder] += 1
                process = subprocess.Popen(
                    [*EDGE, "install", models[turns[folder] % N_MODELS], "--store", store], env=surroundings,
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                )  # fmt: skip
                if number % 2:
                    time.sleep(random.uniform(0, span))
                else:
                    _wait_for_a_change(store, process)
                    time.sleep(random.uniform(0, CHANGING_S))
                process.send_signal(signal.SIGKILL)
                killed = process.wait() < 0
                faults = _faults(store, surroundings)
                with guard:
                    tally.seen["killed" if killed else "too late"] += 1
                    tally.seen["leftovers"] += faults.pop("leftovers")
                    tally.broken += [f"case {number} of seed {given.seed}: {what}: {why}" for what, why in faults.items()]

        in_lanes(case, given.count, lanes=given.lanes)
    killed, late, left = (tally.seen[name] for name in ("killed", "too late", "leftovers"))
    told = f"{killed:,} installs killed, {left} of them with files half written, and {late} that had ended"
    return tally.tell(f"{told}: one whole model after each, nothing left over by the next start")


def variants(folder: str, count: int) -> list[str]:
    """The model in the wheel, sealed `count` times under different names, so that each has a digest of its own."""
    return [str(resealed(Path(folder, f"variant-{n}.tflite"), name=f"variant-{n}")) for n in range(count)]


def _undisturbed(store: str, model: str, surroundings: dict[str, str]) -> float:
    """Seconds that an install takes. Raises RuntimeError where it fails."""
    for _ in range(2):  # the first makes the bytecode
        started = time.monotonic()
        done = subprocess.run([*EDGE, "install", model, "--store", store], env=surroundings, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr)
    return time.monotonic() - started


def _wait_for_a_change(store: str, process: "subprocess.Popen[bytes]") -> None:
    def seen() -> set[str]:
        return {name for _, folders, names in os.walk(store) for name in (*folders, *names) if name != "lock"}

    before = seen()
    while seen() == before and process.poll() is None:
        time.sleep(0.0005)


def _faults(store: str, surroundings: dict[str, str]) -> dict[str, object]:
    """What is wrong with a store after a kill, by name; `leftovers` is whether something half done lay there."""
    left = any(name.endswith(".partial") for _, _, names in os.walk(store) for name in names)
    faults: dict[str, object] = {"leftovers": left}
    answered = ask([COMMAND, SEVEN], surroundings | {"EDGEPROOF_STORE": store})
    if answered.code or not answered.out.startswith(f"{SEVEN}: 7 (") or answered.err:
        faults["edge-predict"] = answered
    faults |= dict.fromkeys(answered.survivors, "left behind")
    start = ask([*EDGE, "start", "--store", store], surroundings)
    if start.code or start.err:
        faults["edge start"] = start
    if os.path.isdir(store):
        faults |= leftovers(store)
    return faults


def leftovers(store: str) -> dict[str, object]:
    """What lies in the store besides whole models that `current` names, `current` itself and the lock."""
    faults: dict[str, object] = {}
    current = os.path.join(store, "current")
    named: set[str] = set()
    if os.path.exists(current):
        with open(current) as file:
            named = {os.path.join(store, "models", *line.split()[:2]) for line in file}
    found = {os.path.join(folder, name) for folder, _, names in os.walk(store) for name in names}
    for path in found - named - {current, os.path.join(store, "lock")}:
        faults[path] = "left over"
    for path in named:
        try:
            artifact.read(path)
        except ToolchainError as error:
            faults[path] = error
    return faults


if __name__ == "__main__":
    sys.exit(main())
