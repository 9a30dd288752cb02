"""Every start tries the current model: one that keeps failing gives way to the one before, one that cannot be tried stays."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import run
from edge import errors, files
from edge.store import models
from tests.edge.on_device import current, done, edge, file_of, flip, in_the_trial, place, predict, refused, resealed, tree
from tests.promises.marks import needs_strace


@pytest.fixture
def store(model_files, store) -> Path:
    """The store after an update: `second` is current, `first` the model before it."""
    place(model_files["first"], model_files["second"], store=store)
    for name in ("first", "second"):  # in seconds, as FAT counts: the later one must be the newer
        os.utime(file_of(name, store), (0, len(name)))
    return store


def refused_with_the_way_out(store: Path) -> bool:
    """Whether `edge-predict` ends with 78 and one line, which says what repairs the store."""
    ended = predict(store)
    return (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (78, "", 1) and ended.stderr.endswith(
        "; python -m edge rollback or start repairs it\n"
    )


def test_an_installed_model_that_was_damaged_is_refused_and_start_mends_it_after_three_failures(store):
    flip(file_of("second", store))
    assert refused_with_the_way_out(store)
    for count in (1, 2):
        refused("start", store=store, code=78, says=f"; failure {count} of 3, then the model before takes over")
    assert edge("start", store=store).returncode == 0
    assert current(store) == "first"
    assert predict(store).returncode == 0


def with_a_failing_card(path: Path, *arguments, store: Path) -> subprocess.CompletedProcess[str]:
    """`python -m edge` where every read of the file `path` fails as from a bad sector."""
    strace = ("strace", "-qq", "-o", "/dev/null", "-P", path, "-e", "trace=read", "-e", "inject=read:error=EIO")
    return run(*strace, sys.executable, "-m", "edge", *arguments, "--store", store)


@needs_strace
def test_a_model_that_the_card_does_not_give_is_a_failing_one(store):
    bad = file_of("second", store)
    ended = with_a_failing_card(bad, "start", "--after", "2", store=store)
    assert (ended.returncode, ended.stderr.count("\n"), current(store)) == (78, 1, "second")
    assert "second.tflite: Input/output error" in ended.stderr and "; failure 1 of 2" in ended.stderr
    assert with_a_failing_card(bad, "start", "--after", "2", store=store).returncode == 0
    assert current(store) == "first"


@needs_strace
def test_a_current_that_the_card_does_not_give_is_like_a_damaged_one(model_files, store):
    bad, inode = store / "current", (store / "current").stat().st_ino
    ended = with_a_failing_card(bad, "start", "--after", "2", store=store)
    assert (ended.returncode, ended.stderr.count("\n")) == (78, 1)
    assert ended.stderr.startswith(f"edge: {bad}: Input/output error; ") and "; failure 1 of 2" in ended.stderr
    assert with_a_failing_card(bad, "start", "--after", "2", store=store).returncode == 0
    assert current(store) == "second" and bad.stat().st_ino != inode  # in sectors that can be read
    assert with_a_failing_card(bad, "install", model_files["third"], store=store).returncode == 0
    assert current(store) == "third"


@pytest.mark.parametrize("what", ["the model", "its folder", "models", "current"])
def test_a_model_that_may_not_be_read_has_not_failed_and_stays(what, store):
    before, model = tree(store), file_of("second", store)
    path = {"the model": model, "its folder": model.parent, "models": store / "models", "current": store / "current"}[what]
    mode = path.stat().st_mode
    path.chmod(0)
    ended = edge("start", "--after", "1", store=store, as_root=False), predict(store, as_root=False)
    path.chmod(mode)
    named = path if what == "current" else model
    for program, told in zip(("edge", "edge-predict"), ended, strict=True):
        assert (told.returncode, told.stdout, told.stderr) == (66, "", f"{program}: {named}: Permission denied\n")
    assert tree(store) == before and not (store / "failures").exists()


def test_a_device_that_cannot_try_a_model_just_now_keeps_it(tmp_path, store):
    # Of the children that try a model the first does not come up, as where processes are short; the next would.
    once = str(tmp_path / "once")
    scarce = in_the_trial(tmp_path, f"os.path.exists({once!r}) or (os.mkdir({once!r}), os._exit(1))")
    refused(
        "start",
        "--after",
        "1",
        store=store,
        code=74,
        says="second.tflite: cannot be tried: its process ended with 1",
        PYTHONPATH=scarce,
    )
    assert not (store / "failures").exists()


def test_failures_that_cannot_be_kept_stop_no_start_and_no_going_back_to_the_model_that_came_along(store):
    (store / "failures").mkdir()
    ended = edge("start", store=store)
    assert (ended.returncode, ended.stdout.startswith("second.tflite (")) == (0, True)
    assert ended.stderr == f"edge: {store}/failures: cannot be written: Is a directory; failures are not counted\n"
    done("rollback", store=store, says="first.tflite (")
    flip(file_of("first", store))
    ended = edge("start", store=store)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n"), current(store)) == (78, "", 1, "first")
    assert ended.stderr.endswith("/failures: cannot be written: Is a directory; failures are not counted\n")
    done("start", "--after", "1", store=store, says="mnist-int8.tflite (came with edgeproof): current again: 15 pictures")
    assert current(store) == ""


def test_a_current_that_cannot_be_read_is_not_removed_where_replacing_it_fails(store, monkeypatch):
    entries, before = models.history(str(store)), tree(store)

    def fails(*arguments, **keywords):
        monkeypatch.setattr(models, "open", open)  # only what lay there before cannot be read
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(models, "open", fails, raising=False)
    monkeypatch.setattr(files, "sync_folder", fails)
    with pytest.raises(errors.StorageError, match="Input/output error"):
        models.set_current(str(store), entries)
    assert tree(store) == before


def test_a_good_start_forgets_the_failures_before_it(store):
    whole = file_of("second", store).read_bytes()
    for _ in range(2):
        flip(file_of("second", store))
        refused("start", "--after", "2", store=store, code=78, says="; failure 1 of 2")
        file_of("second", store).write_bytes(whole)
        done("start", "--after", "2", store=store, says="second.tflite (")
    assert current(store) == "second"


def test_a_model_of_another_task_never_takes_over_by_itself(tmp_path, store):
    letters = resealed(tmp_path / "letters.tflite", name="letters", labels=tuple("abcdefghij"))
    place(letters, store=store)
    flip(file_of("letters", store))
    before = tree(store)
    ended = edge("start", "--after", "1", store=store)
    assert (ended.returncode, tree(store)) == (78, before)
    assert ended.stderr.count("has other labels than the model it would replace") == 3
    assert predict(store).returncode == 78
    done("rollback", store=store, says="second.tflite (")  # its owner may


@pytest.mark.parametrize("content", [bytes(100), b"0" * 64 + b" gone.tflite 0\n"])
def test_a_current_that_names_nothing_is_refused_and_mended(content, store):
    (store / "current").write_bytes(content)
    assert refused_with_the_way_out(store)
    assert edge("list", store=store).returncode == 0
    refused("start", store=store, code=78, says="failure 1 of 3")
    done("rollback", store=store, says="second.tflite (")
    assert predict(store).returncode == 0
