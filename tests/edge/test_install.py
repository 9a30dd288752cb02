"""Models arriving on a device: the real commands on real files, with good, damaged and malicious-looking models."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import ROOT, run, without_roots_privilege
from edge import artifact, errors, files, install, installed, trial
from tests.promises.faults import may_trace

COMMAND = Path(sys.executable).parent / "edge-predict"
SEVEN = ROOT / "examples" / "seven.png"
SHIPPED = ROOT / "edge" / "models" / "lenet5-relu-mnist-int8.tflite"


def resealed(path: Path, *, name: str, model: bytes | None = None, alter=lambda goldens: goldens, **contract: object) -> Path:
    """The shipped model sealed anew in the file `path`, under another name, and with whatever else is changed."""
    shipped = artifact.read(str(SHIPPED))
    manifest = {k: v for k, v in shipped.manifest().items() if k not in ("contract", "labels")}
    labels = contract.pop("labels", shipped.labels)
    for key, value in ({"name": name} | contract).items():
        setattr(shipped.contract, key, value)
    data = artifact.seal(
        model or shipped.data[: shipped.contract.model_bytes],
        shipped.contract,
        labels=labels,
        goldens=alter(shipped.goldens()),
        manifest=manifest,
        report="",
    )
    path.write_bytes(data)
    return path


@pytest.fixture
def models(tmp_path) -> dict[str, Path]:
    """Three good models, by name: the same network under three names."""
    return {name: resealed(tmp_path / f"{name}.tflite", name=name) for name in ("first", "second", "third")}


@pytest.fixture
def store(tmp_path) -> Path:
    """Where the models go, as $EDGEPROOF_STORE names it."""
    return tmp_path / "data" / "edgeproof"


def place(*paths: Path, store: Path) -> None:
    """Put good models into the store, the last of them current, without the seconds that trying each would take."""
    with installed.held(str(store)):
        for path in paths:
            model = artifact.read(str(path))
            new = installed.Entry.of(model)
            installed.put(str(store), new, model.data)
            installed.switch(str(store), [new, *installed.known(str(store))])


def edge(*arguments, store: Path, **environment) -> subprocess.CompletedProcess[str]:
    """`python -m edge` with the user's data folder around `store`."""
    return run(sys.executable, "-m", "edge", *arguments, XDG_DATA_HOME=str(store.parent), EDGEPROOF_STORE="", **environment)


def predict(store: Path, **environment) -> subprocess.CompletedProcess[str]:
    return run(COMMAND, SEVEN, "--verbose", XDG_DATA_HOME=str(store.parent), EDGEPROOF_STORE="", **environment)


def done(*arguments, store: Path, says: str, **environment) -> None:
    """The command succeeds, and the one line it prints says `says`."""
    ended = edge(*arguments, store=store, **environment)
    assert (ended.returncode, ended.stdout.count("\n")) == (0, 1), ended
    assert says in ended.stdout


def refused(*arguments, store: Path, code: int, says: str, **environment) -> None:
    """The command ends with `code`, its one line on stderr says `says`, and what is current has not changed."""
    before = tree(store)
    ended = edge(*arguments, store=store, **environment)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (code, "", 1), ended
    assert ended.stderr.startswith("edge: ") and says in ended.stderr, ended.stderr
    assert tree(store) == before


def tree(store: Path) -> dict[str, bytes]:
    """Every file of the store but the lock and the count of failures."""
    kept = (path for path in store.rglob("*") if path.is_file() and path.name not in ("lock", "failures"))
    return {str(path.relative_to(store)): path.read_bytes() for path in kept}


def current(store: Path) -> str:
    """The name of the current model; empty where there is none."""
    named = installed.history(str(store))
    return named[0].file_name.removesuffix(".tflite") if named else ""


def file_of(name: str, store: Path) -> Path:
    """The stored file of an installed model."""
    (path,) = store.glob(f"models/*/{name}.tflite")
    return path


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_an_installed_model_answers_and_the_one_before_stays(models, store):
    assert "lenet5-relu-mnist-int8.tflite: litert-c" in predict(store).stderr
    done("install", models["first"], store=store, says="first.tflite (")
    done("install", models["second"], store=store, says="; before it: first.tflite (")
    ended = predict(store)
    assert f"{file_of('second', store)}: litert-c" in ended.stderr  # verified when installed, so the fast engine runs it
    assert ended.stdout.startswith(f"{SEVEN}: 7 (")
    assert file_of("first", store).read_bytes() == models["first"].read_bytes()
    assert "first.tflite: litert " in predict(store, EDGEPROOF_MODEL=str(models["first"])).stderr


def test_installing_the_same_model_again_is_fine_and_says_so(models, store):
    done("install", models["first"], store=store, says="installed, and current: 15 pictures: 15 bit for bit by litert ")
    before = tree(store)
    done("install", models["first"], store=store, says="was current already")
    assert tree(store) == before


def test_installing_mends_a_stored_file_that_was_damaged(models, store):
    done("install", models["first"], store=store, says="installed")
    flip(file_of("first", store))
    done("install", models["first"], store=store, says="was current already")
    assert predict(store).returncode == 0


def test_installing_an_earlier_model_brings_it_to_the_front(models, store):
    for name in ("first", "second", "first"):
        install.install(str(models[name]), store=str(store))
    assert [entry.file_name for entry in installed.history(str(store))] == ["first.tflite", "second.tflite"]


def test_of_many_models_the_current_one_and_two_before_it_are_kept(models, tmp_path, store):
    models["fourth"] = resealed(tmp_path / "fourth.tflite", name="fourth")
    place(*(models[name] for name in ("first", "second", "third")), store=store)
    install.install(str(models["fourth"]), store=str(store))
    assert sorted(path.name for path in store.glob("models/*/*")) == ["fourth.tflite", "second.tflite", "third.tflite"]


def damaged(folder: Path) -> Path:
    path = folder / "new.tflite"
    path.write_bytes(SHIPPED.read_bytes())
    flip(path)
    return path


def wrong_answers(folder: Path) -> Path:
    def alter(goldens):
        return [(picture, bytes(256 - 128 & 255 for _ in output)) for picture, output in goldens]

    return resealed(folder / "new.tflite", name="wrong", alter=alter)


def broken_structure(folder: Path) -> Path:
    shipped = artifact.read(str(SHIPPED))
    model = bytearray(shipped.data[: shipped.contract.model_bytes])
    for at in range(len(model) * 3 // 4, len(model) - 4, 4):  # where the tables of the flatbuffer lie
        model[at : at + 4] = b"\xff\xff\xff\x7f"
    return resealed(folder / "new.tflite", name="broken", model=bytes(model))


def other_contract(folder: Path) -> Path:
    return resealed(folder / "new.tflite", name="untrue", output_scale=1.5)


def no_goldens(folder: Path) -> Path:
    return resealed(folder / "new.tflite", name="silent", alter=lambda goldens: [])


def foreign(folder: Path) -> Path:
    path = folder / "new.tflite"
    path.write_bytes(SHIPPED.read_bytes()[:100_000].replace(b"edgeproof", b"otherwise"))
    return path


def a_folder(folder: Path) -> Path:
    return folder


def a_fifo(folder: Path) -> Path:
    os.mkfifo(folder / "new.tflite")
    return folder / "new.tflite"


def a_link_to_a_device(folder: Path) -> Path:
    (folder / "new.tflite").symlink_to("/dev/zero")
    return folder / "new.tflite"


def a_link_to_itself(folder: Path) -> Path:
    (folder / "new.tflite").symlink_to("new.tflite")
    return folder / "new.tflite"


def two_lines(folder: Path) -> Path:
    return folder / "no\nsuch.tflite"


@pytest.mark.parametrize(
    ("make", "code", "says"),
    [
        (damaged, 78, "new.tflite: damaged: the seal reads"),
        (wrong_answers, 1, "new.tflite: picture 0: expected ("),
        (broken_structure, 78, "new.tflite: litert refuses the model"),
        (other_contract, 78, "new.tflite: the contract says output-scale 1.5, the model 0.238"),
        (no_goldens, 78, "new.tflite: carries no pictures to test itself with"),
        (foreign, 78, "new.tflite: not sealed by edgeproof"),
        (a_folder, 66, "not a file; name a .tflite or .onnx model"),
        (a_fifo, 66, "not a file; name a .tflite or .onnx model"),
        (a_link_to_a_device, 66, "not a file; name a .tflite or .onnx model"),
        (a_link_to_itself, 66, "new.tflite: Too many levels of symbolic links"),
        (two_lines, 66, "no\\nsuch.tflite: No such file or directory"),
    ],
)
def test_a_model_that_does_not_prove_itself_changes_nothing(make, code, says, models, tmp_path, store):
    place(models["first"], store=store)
    refused("install", make(tmp_path), store=store, code=code, says=says)
    assert current(store) == "first"


@pytest.mark.parametrize(
    ("module", "code", "says"),
    [
        ("import os; os.kill(os.getpid(), 11)", 78, "first.tflite: crashed when tried: Segmentation fault"),
        ("import os; os.kill(os.getpid(), 9)", 71, "first.tflite: killed when tried, as for want of memory"),
        ("raise MemoryError", 71, "first.tflite: out of memory when tried"),
        ("raise ValueError('odd\\nshape')", 78, "first.tflite: fails when tried: ValueError: odd\\nshape"),
        ("raise ModuleNotFoundError(name='ai_edge_litert')", 69, "first.tflite needs LiteRT, which is not installed"),
    ],
)
def test_whatever_the_library_does_to_the_child_is_one_line(module, code, says, models, tmp_path, store):
    # Stands in for the engine's library, whose own crashes cannot be had at will.
    (tmp_path / "library" / "ai_edge_litert").mkdir(parents=True)
    (tmp_path / "library" / "ai_edge_litert" / "__init__.py").write_text(module)
    library = os.pathsep.join((str(tmp_path / "library"), str(ROOT)))
    refused("install", models["first"], store=store, code=code, says=says, PYTHONPATH=library)
    assert not store.exists()


def test_a_model_that_hangs_is_given_up(models, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("import time; time.sleep(600)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(trial, "TIMEOUT_S", 0.2)
    with pytest.raises(errors.ModelError, match=r"first\.tflite: gave no answer within 0 s when tried"):
        trial.hold(artifact.read(str(models["first"])))


def test_a_child_that_does_not_come_up_is_no_verdict_on_the_model(models, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("import os; os.write(2, b'no room'); os._exit(1)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(errors.StorageError, match=r"first\.tflite: cannot be tried: no room"):
        trial.hold(artifact.read(str(models["first"])))


def in_the_trial(folder: Path, program: str) -> str:
    """A PYTHONPATH with which every child that tries a model runs `program` first."""
    (folder / "early").mkdir()
    (folder / "early" / "sitecustomize.py").write_text(f"import os, sys\nif 'edge.trial' in sys.orig_argv:\n    {program}\n")
    return os.pathsep.join((str(folder / "early"), str(ROOT)))


def test_what_is_installed_is_what_was_tried_though_the_file_changes_meanwhile(models, tmp_path, store):
    first = models["first"].read_bytes()
    swap = in_the_trial(tmp_path, f"os.replace({str(models['second'])!r}, {str(models['first'])!r})")
    done("install", models["first"], store=store, says="first.tflite (", PYTHONPATH=swap)
    assert models["first"].read_bytes() != first
    assert file_of("first", store).read_bytes() == first and current(store) == "first"


def test_an_onnx_model_is_installed_and_answers(onnx, store):
    done("install", onnx, store=store, says="bit for bit by onnxruntime ")
    assert "lenet5-relu-digits-int8.onnx: onnxruntime " in predict(store).stderr


def test_rollback_goes_back_model_by_model_to_the_one_that_came_along(models, store):
    refused("rollback", store=store, code=1, says="nothing to go back to: nothing is installed in ")
    place(models["first"], models["second"], store=store)
    done("rollback", store=store, says="first.tflite (")
    assert current(store) == "first"
    done("rollback", store=store, says="lenet5-relu-mnist-int8.tflite (came with edgeproof): current again")
    assert "lenet5-relu-mnist-int8.tflite: litert-c" in predict(store).stderr
    refused("rollback", store=store, code=1, says="nothing to go back to")


def test_rollback_passes_over_a_model_that_was_damaged_meanwhile(models, store):
    place(*models.values(), store=store)
    flip(file_of("second", store))
    ended = edge("rollback", store=store)
    assert (ended.returncode, current(store)) == (0, "first")
    assert ended.stderr.startswith("edge: passed over: ") and "second.tflite: damaged" in ended.stderr


def test_list_names_every_model_its_part_and_its_state(models, store):
    done("list", store=store, says=f"nothing is installed in {store}: lenet5-relu-mnist-int8.tflite (came with edgeproof)")
    place(*models.values(), store=store)
    install.rollback(store=str(store))
    flip(file_of("first", store))
    lines = edge("list", store=store).stdout.splitlines()
    size = f"int8  {models['second'].stat().st_size:,} bytes  drop "
    assert [line.split()[0] for line in lines] == ["current", "previous", "unused"]
    assert "second.tflite (" in lines[0] and size in lines[0] and lines[0].endswith(" points (n = 10,000)")
    assert "first.tflite: damaged: the seal reads" in lines[1]
    assert "third.tflite (" in lines[2]


def test_an_installed_model_that_was_damaged_is_refused_and_start_mends_it_after_three_failures(models, store):
    place(models["first"], models["second"], store=store)
    flip(file_of("second", store))
    ended = predict(store)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (78, "", 1)
    assert ended.stderr.endswith("; python -m edge rollback or start mends it\n")
    for count in (1, 2):
        refused("start", store=store, code=78, says=f"; failure {count} of 3, then the model before takes over")
    assert edge("start", store=store).returncode == 0
    assert current(store) == "first"
    assert predict(store).returncode == 0


needs_strace = pytest.mark.skipif(not may_trace(), reason="strace is not installed, or may not trace here")


def with_a_failing_card(path: Path, *arguments, store: Path) -> subprocess.CompletedProcess[str]:
    """`python -m edge` where every read of the file `path` fails as from a bad sector."""
    strace = ("strace", "-qq", "-o", "/dev/null", "-P", path, "-e", "trace=read", "-e", "inject=read:error=EIO")
    return run(*strace, sys.executable, "-m", "edge", *arguments, "--store", store)


@needs_strace
def test_a_model_that_the_card_does_not_give_is_a_failing_one(models, store):
    place(models["first"], models["second"], store=store)
    bad = file_of("second", store)
    ended = with_a_failing_card(bad, "start", "--after", "2", store=store)
    assert (ended.returncode, ended.stderr.count("\n"), current(store)) == (78, 1, "second")
    assert "second.tflite: Input/output error" in ended.stderr and "; failure 1 of 2" in ended.stderr
    assert with_a_failing_card(bad, "start", "--after", "2", store=store).returncode == 0
    assert current(store) == "first"


@needs_strace
def test_a_current_that_the_card_does_not_give_is_like_a_damaged_one(models, store):
    place(models["first"], models["second"], store=store)
    for name in ("first", "second"):
        os.utime(file_of(name, store), (0, len(name)))
    bad, inode = store / "current", (store / "current").stat().st_ino
    ended = with_a_failing_card(bad, "start", "--after", "2", store=store)
    assert (ended.returncode, ended.stderr.count("\n")) == (78, 1)
    assert ended.stderr.startswith(f"edge: {bad}: Input/output error; ") and "; failure 1 of 2" in ended.stderr
    assert with_a_failing_card(bad, "start", "--after", "2", store=store).returncode == 0
    assert current(store) == "second" and bad.stat().st_ino != inode  # in sectors that can be read
    assert with_a_failing_card(bad, "install", models["third"], store=store).returncode == 0
    assert current(store) == "third"


@pytest.mark.parametrize("what", ["the model", "its folder", "models", "current"])
def test_a_model_that_may_not_be_read_has_not_failed_and_stays(what, models, store):
    place(models["first"], models["second"], store=store)
    before, model = tree(store), file_of("second", store)
    path = {"the model": model, "its folder": model.parent, "models": store / "models", "current": store / "current"}[what]
    mode = path.stat().st_mode
    path.chmod(0)
    commands = ([sys.executable, "-m", "edge", "start", "--after", "1", "--store", store], [COMMAND, SEVEN])
    ended = [
        subprocess.run(
            command, capture_output=True, text=True, check=False, preexec_fn=without_roots_privilege,
            env=os.environ | {"EDGEPROOF_STORE": str(store)},
        )
        for command in commands
    ]  # fmt: skip
    path.chmod(mode)
    named = path if what == "current" else model
    for program, done in zip(("edge", "edge-predict"), ended, strict=True):
        assert (done.returncode, done.stdout, done.stderr) == (66, "", f"{program}: {named}: Permission denied\n")
    assert tree(store) == before and not (store / "failures").exists()


def test_a_device_that_cannot_try_a_model_just_now_keeps_it(models, tmp_path, store):
    place(models["first"], models["second"], store=store)
    # Of the children that try a model the first does not come up, as where processes are short; the next would.
    once = str(tmp_path / "once")
    scarce = in_the_trial(tmp_path, f"os.path.exists({once!r}) or (os.mkdir({once!r}), os.write(2, b'no room'), os._exit(1))")
    refused("start", "--after", "1", store=store, code=74, says="second.tflite: cannot be tried: no room", PYTHONPATH=scarce)
    assert not (store / "failures").exists()


def test_failures_that_cannot_be_kept_stop_no_start_and_no_rollback(models, store):
    place(models["first"], models["second"], store=store)
    (store / "failures").mkdir()
    ended = edge("start", store=store)
    assert (ended.returncode, ended.stdout.startswith("second.tflite (")) == (0, True)
    assert ended.stderr == f"edge: {store}/failures: cannot be written: Is a directory; failures are not counted\n"
    done("rollback", store=store, says="first.tflite (")
    flip(file_of("first", store))
    ended = edge("start", store=store)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n"), current(store)) == (78, "", 1, "first")
    assert ended.stderr.endswith("/failures: cannot be written: Is a directory; failures are not counted\n")
    done("start", "--after", "1", store=store, says="lenet5-relu-mnist-int8.tflite (came with edgeproof): current again")


def test_a_current_that_cannot_be_read_is_not_removed_where_replacing_it_fails(models, store, monkeypatch):
    place(models["first"], models["second"], store=store)
    entries, before = installed.history(str(store)), tree(store)

    def fails(*arguments):
        monkeypatch.setattr(installed, "open", open)  # only what lay there before cannot be read
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(installed, "open", fails, raising=False)
    monkeypatch.setattr(files, "sync_folder", fails)
    with pytest.raises(errors.StorageError, match="Input/output error"):
        installed.switch(str(store), entries)
    assert tree(store) == before


def test_a_good_start_forgets_the_failures_before_it(models, store):
    place(models["first"], models["second"], store=store)
    whole = file_of("second", store).read_bytes()
    for _ in range(2):
        flip(file_of("second", store))
        refused("start", "--after", "2", store=store, code=78, says="; failure 1 of 2")
        file_of("second", store).write_bytes(whole)
        done("start", "--after", "2", store=store, says="second.tflite (")
    assert current(store) == "second"


def test_start_with_nothing_before_leaves_the_model_that_came_along(models, store):
    place(models["first"], store=store)
    flip(file_of("first", store))
    ended = edge("start", "--after", "1", store=store)
    assert (ended.returncode, current(store)) == (0, "")
    assert ended.stdout.startswith("lenet5-relu-mnist-int8.tflite (came with edgeproof): current again: 15 pictures")


def test_a_model_of_another_task_never_takes_over_by_itself(models, tmp_path, store):
    letters = resealed(tmp_path / "letters.tflite", name="letters", labels=tuple("abcdefghij"))
    place(models["first"], letters, store=store)
    flip(file_of("letters", store))
    before = tree(store)
    ended = edge("start", "--after", "1", store=store)
    assert (ended.returncode, tree(store)) == (78, before)
    assert ended.stderr.count("has other labels than the model it would stand in for") == 2
    assert predict(store).returncode == 78
    done("rollback", store=store, says="first.tflite (")  # its owner may


@pytest.mark.parametrize("content", [b"", bytes(100), b"../../etc x y\n", b"0" * 64 + b" gone.tflite 0\n", b"\xff" * 600])
def test_a_current_that_names_nothing_is_refused_and_mended(content, models, store):
    place(models["first"], models["second"], store=store)
    for name in ("first", "second"):  # in seconds, as FAT counts: the later one must be the newer
        os.utime(file_of(name, store), (0, len(name)))
    (store / "current").write_bytes(content)
    ended = predict(store)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (78, "", 1)
    assert "rollback or start mends it" in ended.stderr
    assert edge("list", store=store).returncode == 0
    refused("start", store=store, code=78, says="failure 1 of 3")
    done("rollback", store=store, says="second.tflite (")
    assert predict(store).returncode == 0


def test_leftovers_of_a_killed_install_are_cleared_and_strangers_files_are_not(models, store):
    place(models["first"], store=store)
    half = store / "models" / ("a" * 64) / ".half.tflite.1.partial"
    half.parent.mkdir()
    ours = [half, store / ".current.1.partial", file_of("first", store).parent / ".first.tflite.1.partial"]
    theirs = [store / "models" / "notes.txt", store / ".holiday.partial", store / "photo.png"]
    for path in ours + theirs:
        path.write_bytes(b"x")
    done("start", store=store, says="first.tflite (")
    assert not half.parent.exists() and not any(path.exists() for path in ours)
    assert all(path.exists() for path in theirs)


def test_nothing_behind_a_symbolic_link_is_cleared(models, tmp_path, store):
    place(models["first"], store=store)
    theirs = tmp_path / ".holiday.partial"
    theirs.write_bytes(b"x")
    (store / "models" / ("a" * 64)).symlink_to(tmp_path)
    done("start", store=store, says="first.tflite (")
    assert theirs.exists() and models["first"].exists()


def test_a_first_install_that_was_killed_leaves_nothing_after_a_start(models, store):
    place(models["first"], store=store)
    (store / "current").unlink()
    done("start", store=store, says="nothing is installed; lenet5-relu-mnist-int8.tflite (came with edgeproof): passed")
    assert tree(store) == {}


@pytest.mark.parametrize("moment", [0, 0.0005, 0.001, 0.002, 0.004, 0.008])
def test_an_install_killed_at_any_moment_leaves_the_old_or_the_new_model(moment, models, store):
    place(models["first"], store=store)
    arriving = store / "models" / artifact.read(str(models["second"])).digest
    process = subprocess.Popen(
        [sys.executable, "-m", "edge", "install", models["second"], "--store", store], stdout=subprocess.DEVNULL
    )
    while not arriving.exists() and process.poll() is None:
        time.sleep(0.0002)
    time.sleep(moment)
    process.send_signal(signal.SIGKILL)
    process.wait()
    named = current(store)
    assert named in ("first", "second")
    assert predict(store).stderr.startswith(f"edge-predict: {file_of(named, store)}: litert-c")
    install.start(store=str(store))
    assert {path.parent.parent.name for path in store.glob("models/*/*")} == {"models"}
    assert {path.stem for path in store.glob("models/*/*")} == {"first", named}
    assert not list(store.rglob(".*"))


@pytest.mark.parametrize("call", ["open", "fsync", "replace", "makedirs"])
def test_a_full_disk_at_any_step_keeps_the_old_model(call, models, store, monkeypatch):
    # The trial comes before all that is written; a real one each time would take minutes.
    monkeypatch.setattr(trial, "hold", lambda model: "tried")
    real, number = getattr(os, call), 0

    def fails_once(*arguments, **keywords):
        nonlocal number
        number += 1
        if number == step:
            raise OSError(28, "No space left on device")
        return real(*arguments, **keywords)

    for step in range(1, 20):
        shutil.rmtree(store, ignore_errors=True)
        place(models["first"], store=store)
        before, number = tree(store), 0
        with monkeypatch.context() as patched:
            patched.setattr(os, call, fails_once)
            try:
                install.install(str(models["second"]), store=str(store))
            except errors.StorageError as error:
                assert "No space left on device" in str(error)
        if number < step:
            break
        assert tree(store) == before
        assert not list(store.rglob(".*"))
    assert 1 < step == number + 1


def test_two_installs_at_once_end_with_one_of_the_two_and_both_in_the_history(models, store):
    place(models["first"], store=store)
    both = [
        subprocess.Popen([sys.executable, "-m", "edge", "install", models[name], "--store", store], stdout=subprocess.DEVNULL)
        for name in ("second", "third")
    ]
    assert [process.wait() for process in both] == [0, 0]
    names = [entry.file_name for entry in installed.history(str(store))]
    assert sorted(names[:2]) == ["second.tflite", "third.tflite"] and names[2] == "first.tflite"


def test_a_second_command_waits_for_the_first_and_says_so(models, store):
    with installed.held(str(store)):
        waiting = subprocess.Popen(
            [sys.executable, "-m", "edge", "install", models["first"], "--store", store], stderr=subprocess.PIPE, text=True
        )
        assert waiting.stderr.readline() == f"edge: {store}: in use by another edge command; waiting for it\n"
        assert not (store / "current").exists()
    assert waiting.wait() == 0 and current(store) == "first"
    waiting.stderr.close()


def test_a_store_that_cannot_be_written_still_answers_and_is_verified(models, store):
    place(models["first"], store=store)
    (store / "lock").chmod(0o444)
    store.chmod(0o555)
    ended = {}
    for command in (("start",), ("install", models["second"]), ("rollback",), ("list",)):
        ended[command[0]] = subprocess.run(
            [sys.executable, "-m", "edge", *command, "--store", store],
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=without_roots_privilege,
        )
    store.chmod(0o755)
    assert ended["start"].returncode == 0 and "first.tflite (" in ended["start"].stdout
    assert ended["start"].stderr == f"edge: {store}: cannot be written: Permission denied; failures are not counted\n"
    for name in ("install", "rollback"):
        assert (ended[name].returncode, ended[name].stderr) == (74, f"edge: {store}: cannot be written: Permission denied\n")
    assert ended["list"].returncode == 0 and ended["list"].stdout.startswith("current")
    assert current(store) == "first"


def test_a_store_that_may_not_be_read_is_no_reason_to_answer_with_another_model(models, store):
    place(models["first"], store=store)
    store.chmod(0)
    done = subprocess.run(
        [COMMAND, SEVEN],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"EDGEPROOF_STORE": str(store)},
        preexec_fn=without_roots_privilege,
    )
    store.chmod(0o755)
    assert (done.returncode, done.stdout) == (66, "")
    assert done.stderr == f"edge-predict: {store}/current: Permission denied\n"


def test_a_slip_of_the_keyboard_is_2(store):
    refused("start", "--after", "0", store=store, code=2, says="--after 0: wanted 1 or more")
    refused("install", SHIPPED, "--store", "", store=store, code=2, says="--store is empty; name a folder")
    assert not store.exists()


def test_the_help_says_which_exit_code_means_what(store):
    text = edge("install", "--help", store=store).stdout
    assert all(f" {code} " in text.replace("\n", " ") for code in (0, 1, 2, 65, 66, 69, 71, 74, 78, 130))
