"""What the tests of models arriving on a device share: models to install, the commands, and what is then in the store."""

import os
import subprocess
import sys
from pathlib import Path

from conftest import ROOT, run
from edge import artifact
from edge.confidence import Confidence
from edge.store import models

COMMAND = Path(sys.executable).parent / "edge-predict"
SEVEN = ROOT / "examples" / "seven.png"
SHIPPED = ROOT / "edge" / "models" / "lenet5-relu-mnist-int8.tflite"


def resealed(
    path: Path, *, name: str, model: bytes | None = None, alter=lambda goldens: goldens,
    files: tuple[tuple[str, bytes, bytes, bytes], ...] = (), account: dict[str, object] | None = None, **contract: object,
) -> Path:  # fmt: skip
    """The shipped model sealed anew in the file `path`, under another name, and with whatever else is changed.

    `files` are picture files for the self-test, with one step of tolerance; `account` replaces keys of the manifest.
    """
    shipped = artifact.read(str(SHIPPED))
    manifest = {k: v for k, v in shipped.manifest().items() if k not in ("contract", "labels")} | (account or {})
    manifest |= {"pictures": {"tolerance": {file[0]: 1 for file in files}}} if files else {}
    labels, goldens = contract.pop("labels", shipped.labels), shipped.goldens()
    for key, value in ({"name": name} | contract).items():
        setattr(shipped.contract, key, value)
    data = artifact.seal(
        model or shipped.data[: shipped.contract.model_bytes],
        shipped.contract,
        labels=labels,
        goldens=alter(goldens),
        manifest=manifest,
        report="",
        files=files,
    )
    path.write_bytes(data)
    return path


def judged(path: Path, *, alter=lambda goldens: goldens, **said: object) -> Path:
    """The shipped model sealed anew, as `m`, with what is `said` of its answers, as for Confidence."""
    own = artifact.read(str(SHIPPED)).contract.confidence
    coding = {name: getattr(own, name) for name in ("extra", "extra_scale", "extra_zero_point")}
    return resealed(path, name="m", confidence=Confidence(**coding | said), alter=alter)


def place(*paths: Path, store: Path) -> None:
    """Put good models into the store, the last of them current, without the seconds that trying each would take."""
    with models.locked(str(store)):
        for path in paths:
            model = artifact.read(str(path))
            new = models.Entry.of(model)
            models.put(str(store), new, model.data)
            models.set_current(str(store), [new, *models.known_models(str(store))])


def edge(*arguments, store: Path, **environment) -> subprocess.CompletedProcess[str]:
    """`python -m edge` with the user's data folder around `store`."""
    return run(sys.executable, "-m", "edge", *arguments, XDG_DATA_HOME=str(store.parent), EDGEPROOF_STORE="", **environment)


def predict(store: Path, **environment) -> subprocess.CompletedProcess[str]:
    return run(COMMAND, SEVEN, "--verbose", XDG_DATA_HOME=str(store.parent), EDGEPROOF_STORE="", **environment)


def done(*arguments, store: Path, says: str, **environment) -> None:
    """The command succeeds, and the one line it prints says `says`."""
    ended = edge(*arguments, store=store, **environment)
    assert (ended.returncode, ended.stdout.count("\n")) == (0, 1), ended
    assert says in ended.stdout, ended


def refused(*arguments, store: Path, code: int, says: str, **environment) -> None:
    """The command ends with `code`, its one line on stderr says `says`, and what is current has not changed."""
    before = tree(store)
    ended = edge(*arguments, store=store, **environment)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (code, "", 1), ended
    assert ended.stderr.startswith("edge: ") and says in ended.stderr, ended.stderr
    assert tree(store) == before, f"{store} has changed"


def tree(store: Path) -> dict[str, bytes]:
    """Every file of the store but the lock and the count of failures."""
    kept = (path for path in store.rglob("*") if path.is_file() and path.name not in ("lock", "failures"))
    return {str(path.relative_to(store)): path.read_bytes() for path in kept}


def current(store: Path) -> str:
    """The name of the current model; empty where there is none."""
    named = models.history(str(store))
    return named[0].file_name.removesuffix(".tflite") if named else ""


def file_of(name: str, store: Path) -> Path:
    """The stored file of an installed model."""
    (path,) = store.glob(f"models/*/{name}.tflite")
    return path


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def in_the_trial(folder: Path, program: str) -> str:
    """A PYTHONPATH with which every child that tries a model runs `program` first."""
    (folder / "early").mkdir()
    early = (
        f"import os\ndef fork(fork=os.fork):\n    child = fork()\n    child or {program}\n    return child\nos.fork = fork\n"
    )
    (folder / "early" / "sitecustomize.py").write_text(early)
    return os.pathsep.join((str(folder / "early"), str(ROOT)))
