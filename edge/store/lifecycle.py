"""python -m edge install, rollback, list, start: a new model becomes current once it is verified; the one before stays."""

import argparse
import contextlib
import os

from edge import artifact, errors, locate
from edge.artifact import Artifact
from edge.errors import EngineMissing, InputMissing, ModelError, OutOfMemory, Refused, StorageError, ToolchainError, one_line
from edge.store import models, sandbox
from edge.store.models import Entry

CODES = """\
exit codes: 0 done, and the model that answers from now on is verified; 1 the self-test fails, a later version
was installed, or there is no model to go back to; 2 usage; 65 not a key; 66 no such file, or not readable; 69 the engine for
this kind of model, or model-signing, is not installed or broken; 71 out of memory; 74 the store cannot be written;
78 the model is damaged, crashes, hangs, contradicts its contract, or is not signed as required; 130 interrupted. After any code
but 0 the current model is the same as before.
"""
LIST_CODES = """\
exit codes: 0 listed, damaged models included; 2 usage; 66 not readable; 74 the store cannot be read. Only seals are checked.
"""
NOT_COUNTED = "failures are not counted"


def install(path: str, *, store: str, key: str | None = None, allow_downgrade: bool = False) -> str:
    """Make the model in `path`, signed by `key` if there is one, current; if anything is raised, the one before stays.

    Raises Refused if a later version of the same network with the same labels was installed, unless `allow_downgrade`.
    """
    model = artifact.read(path)
    if model.kind == "c":
        raise errors.UsageError(f"{model.path}: a C program is built, not installed; install the .tflite that it was made of")
    if key is not None:
        from edge.store import signature

        signature.verify(path, model.data, key=key)
    new, network, version = Entry.of(model), _network(model), _version(model)
    if not allow_downgrade:
        _check_not_older(model, new, store)
    verdict = sandbox.run_in_child(model)
    with models.locked(store):
        if not allow_downgrade:  # another install may have been quicker
            _check_not_older(model, new, store)
        models.collect_garbage(store)
        before = models.known_models(store)
        try:
            if not _is_intact(new, store):
                models.put(store, new, model.data)
            # First: killed between the two, the store has the model before, and this one can be installed again.
            models.keep_version(store, network, new.labels, version)
            models.set_current(store, [new, *(entry for entry in before if entry != new)])
        finally:
            models.collect_garbage(store)
    if before[:1] == [new]:
        return f"{new}: was current already: {verdict}"
    return f"{new}: installed, and current: {verdict}; before it: {before[0] if before else _shipped_name()}"


def rollback(*, store: str) -> str:
    """Make the newest good model before the current one current again. Raises Refused if none is installed, or ModelError."""
    if not _has_current(store):
        raise Refused(f"nothing to go back to: nothing is installed in {store}")
    with models.locked(store):
        failing = None
        with contextlib.suppress(ModelError):  # `current` is damaged
            failing = _current(store)
        return _go_back(store, failing, labels=None)


def start(*, store: str, after: int = 3) -> str:
    """For a boot service: verify the current model; after `after` failing starts in a row, roll back.

    Only a model with the same labels takes over: one of another task would give wrong answers. A failure is counted and
    raised. If no other model is good, it is raised at every start, and edge-predict refuses the failing model. A file that
    cannot be read from the disk has failed, like a damaged one. A model without read permission, or one that this device
    cannot try now, has not failed: that is raised and not counted. Nothing is counted if the store cannot be written.
    """
    if after < 1:
        raise errors.UsageError(f"--after {after}: wanted 1 or more")
    with contextlib.ExitStack() as stack:
        uncounted, current = "", None
        try:
            if os.path.isdir(store):  # locking would make it
                stack.enter_context(models.locked(store))
                models.collect_garbage(store)
        except StorageError as error:
            uncounted = str(error)
        if not _has_current(store):
            return f"nothing is installed; {_shipped_name()}: passed: {sandbox.run_in_child(models.shipped())}"
        try:
            current = _current(store)
            verdict = sandbox.run_in_child(current.read(store))
        except (EngineMissing, InputMissing, OutOfMemory, StorageError):
            raise  # the device or a permission is at fault: a rollback would not help
        except ToolchainError as error:
            count = models.failures(store) + 1
            if uncounted or count < after:
                uncounted = uncounted or _remember(store, count)
                counted = f"failure {count} of {after}, then the model before takes over"
                raise type(error)(f"{error}; {f'{uncounted}; {NOT_COUNTED}' if uncounted else counted}") from None
            errors.say("edge", f"{error}; failure {count}, going back")
            intended = current or next(iter(models.known_models(store)), None)
            return _go_back(store, current, labels=intended.labels if intended else "")
        uncounted = uncounted or _remember(store, 0)
        if uncounted:
            errors.say("edge", f"{uncounted}; {NOT_COUNTED}")
        return f"{current}: current, passed: {verdict}"


def listing(*, store: str) -> list[str]:
    """One line per installed model, its seal checked, the current one first; or a line that there is none."""
    if os.path.lexists(store) and not os.path.isdir(store):
        raise StorageError(f"{one_line(store)}: not a folder; name one with --store or in EDGEPROOF_STORE")
    if not _has_current(store):
        return [f"nothing is installed in {one_line(store)}: {_shipped_name()} answers"]
    try:
        named, lines = models.history(store), []
    except ModelError as error:
        named, lines = [], [f"current   {error}"]
    rest = models.rollback_candidates(store, named)
    roles = ["current", "previous", *["earlier"] * len(named)][: len(named)] + ["unused"] * len(rest)
    return lines + [f"{role:<8}  {_described(entry, store)}" for role, entry in zip(roles, named + rest, strict=True)]


def _go_back(store: str, failing: Entry | None, *, labels: str | None) -> str:
    """Make the newest good model before `failing` current; with `labels`, only one with these, else other ones are said."""
    before = [entry for entry in models.known_models(store) if entry != failing]
    # Each with those before it; the last, with none, is the model that came with edgeproof.
    for entries in (before[n:] for n in range(len(before) + 1)):
        try:
            model = entries[0].read(store) if entries else models.shipped()
            if labels is not None and Entry.of(model).labels != labels:
                raise ModelError(f"{model.path}: has other labels than the model it would replace")
            verdict = sandbox.run_in_child(model)
        except (InputMissing, StorageError):
            raise  # it may be good
        except ToolchainError as error:
            errors.say("edge", f"passed over: {error}")
            continue
        models.set_current(store, entries)
        name = entries[0] if entries else _shipped_name()
        if failing and Entry.of(model).labels != failing.labels:
            errors.say("edge", f"{name} has other labels than {failing}; if it is not what you want, install one")
        return f"{name}: current again: {verdict}"
    raise ModelError(f"no model before {failing or 'it'} is good: install one; python -m edge doctor examines the device")


def _network(model: Artifact) -> str:
    """What a version counts: the network, at whatever precision and in whatever format."""
    provenance = model.manifest().get("provenance")
    named = provenance.get("network") if isinstance(provenance, dict) else None
    assert model.contract
    return str(named or model.contract.name)


def _version(model: Artifact) -> int:
    version = model.manifest().get("model_version", 0)
    return version if isinstance(version, int) else 0


def _check_not_older(model: Artifact, new: Entry, store: str) -> None:
    version, highest = _version(model), models.highest_version(store, _network(model), new.labels)
    if version < highest:
        older = f"version {version} of {_network(model)}; version {highest} was installed"
        raise Refused(f"{model.path}: {older}; --allow-downgrade takes it all the same, rollback goes back")


def _has_current(store: str) -> bool:
    path = locate.current_file(store)
    try:
        os.lstat(path)
        return True
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise errors.missing(path, error) from None


def _current(store: str) -> Entry:
    """The current model. Raises ModelError if `current` is damaged, InputMissing if it may not be read."""
    named = models.history(store)
    if not named:
        raise ModelError(f"{locate.current_file(store)}: names no model; {locate.RECOVERY_HINT}")
    return named[0]


def _is_intact(entry: Entry, store: str) -> bool:
    try:
        return bool(entry.read(store))
    except (InputMissing, ModelError):
        return False


def _remember(store: str, failures: int) -> str:
    try:
        models.set_failures(store, failures)
    except StorageError as error:
        return str(error)
    return ""


def _shipped_name() -> str:
    return f"{os.path.basename(locate.shipped_model())} (came with edgeproof)"


def _described(entry: Entry, store: str) -> str:
    try:
        model = entry.read(store)
        manifest = model.manifest()
    except (InputMissing, ModelError) as error:
        return str(error)
    verification = manifest.get("verification")
    drop, n = (verification.get(key) for key in ("drop_points", "n_images")) if isinstance(verification, dict) else (None, None)
    measured = f"drop {drop:.2f} points (n = {n:,})" if isinstance(drop, float) and isinstance(n, int) else "drop not stated"
    return f"{entry}  {manifest.get('precision')}  {len(model.data):,} bytes  {measured}"


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add install, rollback, list and start to the commands of `python -m edge`."""

    def command(name: str, help: str, codes: str = CODES) -> argparse.ArgumentParser:
        plain = argparse.RawDescriptionHelpFormatter
        parser = commands.add_parser(name, help=help, description=help, epilog=codes, formatter_class=plain)
        where = "where models are installed (default: $EDGEPROOF_STORE, else ~/.local/share/edgeproof)"
        parser.add_argument("--store", metavar="DIR", help=where)
        return parser

    new = command("install", "verify a model and make it the one that edge-predict runs")
    new.add_argument("model", metavar="NEW", help="an edgeproof model")
    signed = "only if NEW.sig is an OpenSSF model signature of it by this elliptic-curve public key (PEM)"
    new.add_argument("--require-signature", metavar="KEY", help=signed)
    new.add_argument("--allow-downgrade", action="store_true", help="also if a later version of the network was installed")
    new.set_defaults(run=_install)
    back = command("rollback", "go back to the model before")
    back.set_defaults(run=lambda flags: _tell(rollback(store=_store(flags))))
    listed = command("list", "list the installed models", LIST_CODES)
    listed.set_defaults(run=_list)
    boot = command("start", "for a boot service: verify the current model, and roll back if it keeps failing")
    boot.add_argument("--after", type=int, default=3, metavar="N", help="failing starts in a row before that (default: 3)")
    boot.set_defaults(run=lambda flags: _tell(start(store=_store(flags), after=flags.after)))


def _install(flags: argparse.Namespace) -> int:
    if flags.require_signature == "":  # as of `--require-signature "$UNSET"`
        raise errors.UsageError("--require-signature is empty; name the file of a public key")
    store, key = _store(flags), flags.require_signature
    return _tell(install(flags.model, store=store, key=key, allow_downgrade=flags.allow_downgrade))


def _store(flags: argparse.Namespace) -> str:
    store = locate.store_folder() if flags.store is None else flags.store
    if flags.store == "":  # as of `--store "$UNSET"`
        raise errors.UsageError("--store is empty; name a folder")
    if not store:
        raise errors.UsageError("no home folder to install into; name a folder with --store or in EDGEPROOF_STORE")
    return str(store)


def _list(flags: argparse.Namespace) -> int:
    errors.put("\n".join(listing(store=_store(flags))))
    return 0


def _tell(done: str) -> int:
    """Print what was `done`. It was, whoever listens: where stdout cannot be written, stderr gets the line."""
    try:
        errors.put(done)
    except StorageError as error:
        errors.say("edge", f"{error}; {done}")
    return 0
