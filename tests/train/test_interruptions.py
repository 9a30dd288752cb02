"""Trainings that are killed, interrupted, or find something odd in their run folder. Real processes, real signals."""

import dataclasses
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from conftest import ROOT, call, run
from edge.errors import Interrupted
from train import checkpoint, datasets, evaluate, npz, training_state
from train import run as training
from train.architectures import architecture
from train.autosave import Autosave
from train.batches import Batches
from train.fit import fit
from train.recipes import Recipe

pytestmark = pytest.mark.slow
STEPS = 200  # some seconds: a run that is to be stopped in the middle has saved before its end
RECIPE = ("--data", "digits", "--arch", "lenet5-relu", "--steps", str(STEPS), "--batch", "64", "--deterministic")
COMMAND = (sys.executable, "-m", "train.mnist", *RECIPE)
RUN = "runs/lenet5-relu-digits-modern"


def begun(folder: Path, *flags: str) -> subprocess.Popen:
    """The command in `folder`, running, and its state saved since it began."""
    rows = folder / RUN / "history.csv"  # which is written last
    before = rows.stat().st_mtime_ns if rows.exists() else 0
    process = subprocess.Popen(
        [*COMMAND, "--save-every", "0.1", *flags], cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not rows.exists() or rows.stat().st_mtime_ns == before:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    return process


def train(folder: Path, *flags: str, **environment: str) -> subprocess.CompletedProcess:
    return run(*COMMAND, *flags, cwd=folder, PYTHONPATH=str(ROOT), **environment)


def train_here(folder: Path, *flags: str) -> subprocess.CompletedProcess:
    """The same in this process, where no bit of the weights counts."""
    return call("train.mnist", *RECIPE, *flags, cwd=folder)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A folder with a run that was killed, and how the same command ended there while the first still lived."""
    if sys.platform == "win32":
        pytest.skip("needs SIGSTOP and SIGKILL")
    folder = tmp_path_factory.mktemp("killed")
    process = begun(folder)
    process.send_signal(signal.SIGSTOP)  # or it might end before the other comes
    meanwhile = train_here(folder)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL and not (folder / RUN / "result.json").exists()
    return folder, meanwhile


@pytest.fixture
def half_done(killed, tmp_path):
    """A folder with a killed run, for one test alone."""
    shutil.copytree(killed[0], tmp_path, dirs_exist_ok=True)
    return tmp_path


def same_weights(one: Path, other: Path) -> bool:
    a, b = (checkpoint.load(folder).weights for folder in (one, other))
    return a.keys() == b.keys() and all(a[name].tobytes() == b[name].tobytes() for name in a)


def test_after_kill_9_and_ctrl_c_the_same_command_ends_with_the_weights_of_an_undisturbed_run(half_done, undisturbed):
    process = begun(half_done)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130 and out == ""
    assert re.search(r"^going on at step [\d,]+$", err, re.M)
    message = rf"train\.mnist: interrupted; step ([\d,]+) of {STEPS} is saved; the same command goes on"
    step = re.fullmatch(message, err.splitlines()[-1])[1]
    rows = (half_done / RUN / "history.csv").read_text().splitlines()[1:]
    assert len(rows) == int(step.replace(",", "")) // Recipe().log_every
    done = train(half_done, "--resume")
    assert done.returncode == 0 and f"going on at step {step}\n" in done.stderr
    assert same_weights(half_done / RUN, undisturbed)
    assert {p.name for p in (half_done / RUN).iterdir()} == {p.name for p in undisturbed.iterdir()}
    history, reference = [(path / "history.csv").read_text().splitlines() for path in (half_done / RUN, undisturbed)]
    assert [row.split(",")[:2] for row in history] == [row.split(",")[:2] for row in reference]


def test_a_folder_in_which_another_process_trains_is_refused(killed):
    _, meanwhile = killed
    assert meanwhile.returncode == 2
    assert meanwhile.stderr.endswith(f"another process is training in {RUN}; wait for it, or choose an --out\n")


def test_a_run_half_done_is_not_overwritten_by_another(half_done):
    before = (half_done / RUN / "training.npz").read_bytes()
    done = train_here(half_done, "--seed", "3")
    assert done.returncode == 2 and done.stderr.endswith("holds another run (seed 0, not 3); choose an --out\n")
    assert (half_done / RUN / "training.npz").read_bytes() == before


def test_a_run_folder_with_a_line_break_in_its_name_makes_no_second_line(tmp_path):
    done = train_here(tmp_path, "--resume", "--out", "a\nb")
    assert (
        done.returncode == 66
        and done.stderr.startswith(r"train.mnist: a\nb: no interrupted run")
        and done.stderr.count("\n") == 1
    )
    done = train_here(tmp_path, "--steps", "1", "--out", "a\nb")
    assert r" -> a\nb" in done.stderr.splitlines()[0]


def test_resume_without_a_run_to_go_on_with_is_one_line(tmp_path):
    done = train_here(tmp_path, "--resume")
    assert (done.returncode, done.stdout) == (66, "")
    assert done.stderr == f"train.mnist: {RUN}: no interrupted run to go on with; leave out --resume to begin one\n"
    assert not list(tmp_path.iterdir())


class Leaves(Autosave):
    """Is interrupted when it has seen `n_steps` steps."""

    def __init__(self, folder, run, *, n_steps):
        super().__init__(folder, run, every_s=1e9)
        self.n_steps = n_steps

    def on_train_batch_end(self, batch, logs=None):
        self._interrupted = batch + 1 == self.n_steps
        super().on_train_batch_end(batch, logs)


@pytest.mark.parametrize(
    "optimizer", ["adam", *(pytest.param(each, marks=pytest.mark.long) for each in ("momentum", "adadelta"))]
)
def test_left_between_two_rows_and_taken_up_a_run_has_the_same_weights_and_the_same_history(optimizer, tmp_path):
    digits = datasets.digits.load().train
    recipe = Recipe(steps=12, log_every=5, optimizer=optimizer, averaging=0.9, batch=32)
    straight = architecture("deep-mnist").build(recipe)  # it has a dropout, whose random state must come along
    rows = fit(straight, digits, recipe).rows
    with pytest.raises(Interrupted, match=r"^interrupted; step 7 of 12 is saved"):
        fit(architecture("deep-mnist").build(recipe), digits, recipe, Leaves(tmp_path, {}, n_steps=7))
    later = architecture("deep-mnist").build(recipe)
    state = fit(later, digits, recipe, Autosave(tmp_path, {}, every_s=1e9))
    assert [row.step for row in state.rows] == [row.step for row in rows] == [5, 10, 12]
    for ours, theirs in zip(state.rows, rows, strict=True):
        # Means of float32 means.
        assert (ours.loss, ours.accuracy) == pytest.approx((theirs.loss, theirs.accuracy), rel=1e-5)
    for ours, theirs in zip(later.get_weights(), straight.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_run_killed_after_its_last_step_trains_no_further(tmp_path):
    digits = datasets.digits.load().train
    recipe = Recipe(steps=3, batch=32)
    fit(architecture("lenet5-relu").build(recipe), digits, recipe, Autosave(tmp_path, {}, every_s=1e9))
    later = architecture("lenet5-relu").build(Recipe(seed=9))
    assert fit(later, digits, recipe, Autosave(tmp_path, {}, every_s=1e9)).step == 3
    assert len(Batches(digits, recipe, first=3)) == 0


NO_RUN = {"standing": dataclasses.asdict(training_state.TrainingState())}


@pytest.mark.parametrize(
    ("about", "why"),
    [
        (None, "damaged, or not one of ours"),
        ([], "of another version of edgeproof"),
        (NO_RUN | {"run": {"network": "x"}, "standing": {"lr_scale": 1.0}}, "of another version of edgeproof"),
    ],
)
def test_a_state_of_no_use_is_kept_under_another_name_and_trained_again_from_the_beginning(about, why, tmp_path, capsys):
    path = tmp_path / training_state.FILE
    if about is None:
        path.write_bytes(b"PK\3\4 half a file")
    else:
        npz.write(path, about, {})
    before = path.read_bytes()
    assert training_state.saved_run(tmp_path) is None
    assert training_state.load(tmp_path) is None
    assert capsys.readouterr().err == f"{path}: {why}; kept as training.npz.unusable, training from the beginning\n"
    assert not path.exists() and (tmp_path / "training.npz.unusable").read_bytes() == before


def test_a_second_state_of_no_use_does_not_replace_the_first(tmp_path, capsys):
    for text in (b"one", b"two"):
        (tmp_path / training_state.FILE).write_bytes(text)
        assert training_state.load(tmp_path) is None
    assert (tmp_path / "training.npz.unusable").read_bytes() == b"one"
    assert (tmp_path / "training.npz.unusable-2").read_bytes() == b"two"
    assert "kept as training.npz.unusable-2, training" in capsys.readouterr().err


def test_ctrl_c_behind_the_last_step_says_how_to_go_on(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate, "logits", interrupted)
    digits, recipe = datasets.digits.load(), Recipe(steps=2, batch=32)
    with pytest.raises(Interrupted, match=r"^interrupted after the last step, which is saved; the same command goes on$"):
        training.train("lenet5-relu", digits, recipe, tmp_path)
    monkeypatch.undo()
    assert training.train("lenet5-relu", digits, recipe, tmp_path)["steps"] == 2


@pytest.mark.parametrize(
    ("saved", "how"), [(False, "nothing is lost: no step was saved yet"), (True, "the same command goes on from the last save")]
)
def test_ctrl_c_before_the_first_step_says_whether_there_is_something_to_go_on_with(saved, how, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    digits, recipe = datasets.digits.load(), Recipe(steps=2, batch=32)
    if saved:
        with monkeypatch.context() as once:
            once.setattr(evaluate, "logits", interrupted)
            with pytest.raises(Interrupted):
                training.train("lenet5-relu", digits, recipe, tmp_path)
    monkeypatch.setattr("train.fit.optimizer", interrupted)
    with pytest.raises(Interrupted, match=f"^interrupted; {how}$"):
        training.train("lenet5-relu", digits, recipe, tmp_path)


def test_a_state_of_other_variables_is_said_and_trained_again_from_the_beginning(tmp_path, capsys):
    training_state.save(tmp_path, {}, training_state.TrainingState(step=2), [np.zeros(3)])
    model = architecture("lenet5-relu").build()
    model.compile("adam")
    assert Autosave(tmp_path, {}, every_s=1).restore(model) == training_state.TrainingState()
    assert "of another version of Keras; kept as training.npz.unusable" in capsys.readouterr().err


def test_what_a_kill_left_of_a_save_is_cleared_away(tmp_path, undisturbed):
    folder = tmp_path / "run"
    (folder / "tensorboard").mkdir(parents=True)
    for left in (".training.npz.4194305.partial", "tensorboard/.events.4194305.partial"):
        (folder / left).write_bytes(b"half")
    done = train_here(tmp_path, "--steps", "2", "--out", "run")
    assert done.returncode == 0, done.stderr
    assert {p.name for p in folder.rglob("*")} == {p.name for p in undisturbed.rglob("*")}


@pytest.mark.skipif(sys.platform != "linux", reason="a limit on a file's size stands in for a full disk")
def test_a_full_disk_ends_with_74_in_one_line_and_the_state_saved_before_stays(half_done):
    folder = half_done / RUN
    saved = (folder / "training.npz").read_bytes()
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, most))
    try:
        full = train_here(half_done, "--save-every", "0.1")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert (full.returncode, full.stdout) == (74, "")
    assert full.stderr.splitlines()[-1] == f"train.mnist: {RUN}/training.npz: cannot be written: File too large"
    assert (folder / "training.npz").read_bytes() == saved  # from which a killed run goes on, as shown above
    assert {path.name for path in folder.iterdir()} == {"training.npz", "history.csv"}
