"""Installs that are killed, meet a full disk, another command or a store that may not be written leave one whole model."""

import itertools
import os
import shutil
import signal
import subprocess
import sys

import pytest

from conftest import run
from edge import errors
from edge.store import lifecycle, models, sandbox
from tests.edge.on_device import current, done, edge, file_of, place, predict, tree


def test_leftovers_of_a_killed_install_are_cleared_and_strangers_files_are_not(model_files, tmp_path, store):
    place(model_files["first"], store=store)
    half = store / "models" / ("a" * 64) / ".half.tflite.1.partial"
    half.parent.mkdir()
    ours = [half, store / ".current.1.partial", file_of("first", store).parent / ".first.tflite.1.partial"]
    (store / "models" / ("b" * 64)).symlink_to(tmp_path)
    theirs = [store / "models" / "notes.txt", store / ".holiday.partial", store / "photo.png"]
    theirs.append(tmp_path / ".behind-the-link.partial")
    for path in ours + theirs:
        path.write_bytes(b"x")
    done("start", store=store, says="first.tflite (")
    assert not half.parent.exists() and not any(path.exists() for path in ours)
    assert all(path.exists() for path in (*theirs, model_files["first"]))


def test_a_first_install_that_was_killed_leaves_nothing_after_a_start(model_files, store):
    place(model_files["first"], store=store)
    (store / "current").unlink()
    done("start", store=store, says="nothing is installed; lenet5-relu-mnist-int8.tflite (came with edgeproof): passed")
    assert tree(store) == {}


# Installs the model sys.argv[2] in the store sys.argv[3], and is killed before it changes or flushes anything once more
# than sys.argv[1] - 1 times.
KILLED = """
import os, signal, sys
from edge.store import lifecycle, sandbox

def counted(call):
    def last(*arguments, **keywords):
        global left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **keywords)
    return last

sandbox.run_in_child, left = lambda model: "tried", int(sys.argv[1])  # the trial comes before all that is written
for name in ("mkdir", "open", "fsync", "replace", "unlink", "rmdir"):
    setattr(os, name, counted(getattr(os, name)))
lifecycle.install(sys.argv[2], store=sys.argv[3])
"""


def test_an_install_killed_before_any_step_leaves_the_old_or_the_new_model(model_files, store, monkeypatch):
    monkeypatch.setattr(sandbox, "run_in_child", lambda model: "tried")
    left = []
    for step in itertools.count(1):
        shutil.rmtree(store, ignore_errors=True)
        place(model_files["first"], store=store)
        ended = run(sys.executable, "-c", KILLED, str(step), model_files["second"], store)
        if ended.returncode == 0:  # it has no such step
            break
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        left.append(current(store))
        assert predict(store).stderr.startswith(f"edge-predict: {file_of(left[-1], store)}: litert-c")
        lifecycle.start(store=str(store))
        assert {path.parent.parent.name for path in store.glob("models/*/*")} == {"models"}
        assert {path.stem for path in store.glob("models/*/*")} == {"first", left[-1]}
        assert not list(store.rglob(".*"))
    assert len(left) > 8 and set(left) == {"first", "second"}
    assert left == sorted(left)  # the new one from some step on


@pytest.mark.parametrize("call", ["open", "fsync", "replace", "makedirs"])
def test_a_full_disk_at_any_step_keeps_the_old_model(call, model_files, store, monkeypatch):
    # The trial comes before all that is written; a real one each time would take minutes.
    monkeypatch.setattr(sandbox, "run_in_child", lambda model: "tried")
    real, number = getattr(os, call), 0

    def fails_once(*arguments, **keywords):
        nonlocal number
        if call == "open" and arguments[1] & os.O_NONBLOCK:  # to read, which needs no room on a disk
            return real(*arguments, **keywords)
        number += 1
        if number == step:
            raise OSError(28, "No space left on device")
        return real(*arguments, **keywords)

    for step in range(1, 20):
        shutil.rmtree(store, ignore_errors=True)
        place(model_files["first"], store=store)
        before, number = tree(store), 0
        with monkeypatch.context() as patched:
            patched.setattr(os, call, fails_once)
            try:
                lifecycle.install(str(model_files["second"]), store=str(store))
            except errors.StorageError as error:
                assert "No space left on device" in str(error)
        if number < step:
            break
        assert tree(store) == before
        assert not list(store.rglob(".*"))
    assert 1 < step == number + 1


def test_two_installs_at_once_end_with_one_of_the_two_and_both_in_the_history(model_files, store):
    place(model_files["first"], store=store)
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "edge", "install", model_files[name], "--store", store], stdout=subprocess.DEVNULL
        )
        for name in ("second", "third")
    ]
    assert [process.wait() for process in both] == [0, 0]
    names = [entry.file_name for entry in models.history(str(store))]
    assert sorted(names[:2]) == ["second.tflite", "third.tflite"] and names[2] == "first.tflite"


def test_a_second_command_waits_for_the_first_and_says_so(model_files, store):
    with models.locked(str(store)):
        waiting = subprocess.Popen(
            [sys.executable, "-m", "edge", "install", model_files["first"], "--store", store], stderr=subprocess.PIPE, text=True
        )
        assert waiting.stderr.readline() == f"edge: {store}: in use by another edge command; waiting for it\n"
        assert not (store / "current").exists()
    assert waiting.wait() == 0 and current(store) == "first"
    waiting.stderr.close()


def test_a_store_that_cannot_be_written_still_answers_and_is_verified(model_files, store):
    place(model_files["first"], store=store)
    (store / "lock").chmod(0o444)
    store.chmod(0o555)
    ended = {
        words[0]: edge(*words, store=store, as_root=False)
        for words in (("start",), ("install", model_files["second"]), ("rollback",), ("list",))
    }
    store.chmod(0o755)
    assert ended["start"].returncode == 0 and "first.tflite (" in ended["start"].stdout
    assert ended["start"].stderr == f"edge: {store}: cannot be written: Permission denied; failures are not counted\n"
    for name in ("install", "rollback"):
        assert (ended[name].returncode, ended[name].stderr) == (74, f"edge: {store}: cannot be written: Permission denied\n")
    assert ended["list"].returncode == 0 and ended["list"].stdout.startswith("current")
    assert current(store) == "first"


def test_a_store_that_may_not_be_read_is_no_reason_to_answer_with_another_model(model_files, store):
    place(model_files["first"], store=store)
    store.chmod(0)
    done = predict(store, as_root=False)
    store.chmod(0o755)
    assert (done.returncode, done.stdout, done.stderr) == (66, "", f"edge-predict: {store}/current: Permission denied\n")
