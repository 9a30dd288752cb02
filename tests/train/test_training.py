"""Runs that leave what they promise."""

import csv
import dataclasses
import json
import re
import shutil
import sys

import numpy as np
import pytest

from conftest import ROOT, call, run
from edge.errors import InputError, InputMissing
from train import checkpoint, datasets, evaluate, npz
from train import run as training_run
from train.architectures import architecture
from train.recipes import Recipe


@pytest.fixture(scope="module")
def finished(workshop):
    return workshop / "runs" / "lenet5-relu-digits-modern"


def test_scoring_in_batches_equals_scoring_at_once():
    model = architecture("lenet5-relu").build()
    images = np.random.default_rng(0).integers(0, 256, (evaluate.BATCH + 3, 28, 28, 1), np.uint8)
    np.testing.assert_allclose(evaluate.logits(model, images), model(images.astype(np.float32)), atol=1e-4)


def test_the_run_folder_holds_what_is_promised(finished):
    names = {path.name for path in finished.iterdir()}
    assert names == {
        "checkpoint.npz", "history.csv", "curves.png", "predictions.png", "network.png", "tensorboard", "result.json",
    }  # fmt: skip
    assert any((finished / "tensorboard").glob("events.out.tfevents.*"))
    rows = list(csv.DictReader((finished / "history.csv").open()))
    assert [int(row["step"]) for row in rows] == [100, 200, 300, 400, 500, 562]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"]) / 4


def test_the_figures_carry_their_circumstances(finished):
    figures = json.loads((finished / "result.json").read_text())
    assert figures["data"] == "digits" and figures["n_images"] == 600 and figures["seed"] == 0
    assert figures["top1"] > 0.97 and figures["seconds"] > 0
    assert figures["epochs"] == pytest.approx(562 * 128 / 1197, abs=1e-3)
    assert figures["examples_per_second"] == pytest.approx(562 * 128 / figures["seconds"], rel=0.05)
    assert figures["versions"].keys() == {"python", "tensorflow", "keras", "numpy"}


def test_the_checkpoint_scores_what_the_run_reported(finished):
    saved = checkpoint.load(finished)
    test = datasets.digits.load().test
    assert evaluate.top1(evaluate.logits(saved.build(), test.images), test.labels) == saved.figures["top1"]


def test_the_same_command_again_trains_nothing_and_prints_the_same(finished):
    before = (finished / "checkpoint.npz").stat().st_mtime_ns
    done = train("--data", "digits", "--arch", "lenet5-relu", cwd=finished.parents[1])
    assert done.returncode == 0 and "nothing to train" in done.stderr
    assert done.stdout.startswith("lenet5-relu on digits: top-1 9")
    assert (finished / "checkpoint.npz").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("flags", "differs"), [(("--seed", "1"), "seed 0, not 1"), (("--deterministic",), "deterministic False, not True")]
)
def test_a_finished_run_is_not_overwritten_by_another_nor_passed_off_as_it(finished, flags, differs):
    done = train("--data", "digits", "--arch", "lenet5-relu", *flags, cwd=finished.parents[1])
    assert done.returncode == 2
    assert done.stderr.endswith(f"holds another run ({differs}); choose an --out\n")


@pytest.mark.parametrize("content", [b"", b"PK", b"\x80\x04N.", b"\x93NUMPY\x01\x00"])
def test_what_does_not_begin_like_a_checkpoint_is_called_so_and_nobody_is_told_to_unpickle_it(content, tmp_path):
    (tmp_path / "checkpoint.npz").write_bytes(content)
    with pytest.raises(InputError) as refused:
        checkpoint.load(tmp_path)
    message = "not a checkpoint (it does not begin like one): train again or copy it again"
    assert str(refused.value) == f"{tmp_path}/checkpoint.npz: {message}"


def test_an_array_of_objects_in_a_checkpoint_is_damage_and_nobody_is_told_to_unpickle_it(tmp_path):
    np.savez(tmp_path / "checkpoint.npz", weights=np.array([None]))
    message = r"checkpoint\.npz: damaged \(an array in it is not of plain numbers\); remove its folder and train again, or copy"
    with pytest.raises(InputError, match=message):
        checkpoint.load(tmp_path)


def test_a_checkpoint_that_is_not_there_or_cannot_be_read_is_not_called_damaged(tmp_path):
    with pytest.raises(InputMissing, match=r"checkpoint\.npz: no such file; train first"):
        checkpoint.load(tmp_path)
    (tmp_path / "checkpoint.npz").mkdir()
    with pytest.raises(InputMissing, match=r"checkpoint\.npz: Is a directory"):
        checkpoint.load(tmp_path)


def test_a_result_without_a_whole_checkpoint_is_trained_again(finished, tmp_path):
    shutil.copy(finished / "result.json", tmp_path)
    done = train("--data", "digits", "--arch", "lenet5-relu", "--steps", "2", "--out", ".", cwd=tmp_path)
    assert done.returncode == 0 and "without a checkpoint.npz; training again" in done.stderr
    assert checkpoint.load(tmp_path).figures == json.loads((tmp_path / "result.json").read_text())


def test_a_run_that_diverges_ends_with_1_in_one_line_and_writes_nothing(tmp_path):
    flags = ("--learning-rate", "1e30", "--steps", "200", "--log-every", "20", "--save-every", "3600")
    done = train("--data", "digits", "--arch", "lenet5-relu", *flags, cwd=tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    assert re.search(r"\ntrain\.mnist: the .* at step 20; try a --learning-rate below 1e\+30\n$", done.stderr)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("flags", "code", "says"),
    [
        (("--batch", "0", "--data-dir", "gone"), 2, "--batch 0 is out of range"),  # before the data is looked for
        (("--data", "digits", "--data-dir", "x"), 2, "--data digits come with scikit-learn; leave out --data-dir"),
        (("--data-dir", "."), 66, "train-images-idx3-ubyte: no such file, nor "),
    ],
)
def test_a_slip_is_one_line_and_leaves_nothing(flags, code, says, tmp_path):
    done = train(*flags, cwd=tmp_path)
    assert (done.returncode, done.stdout, list(tmp_path.iterdir())) == (code, "", [])
    (line,) = done.stderr.splitlines()
    assert line.startswith("train.mnist: ") and says in line


def test_holding_every_picture_out_is_a_usage_error(tmp_path):
    done = train("--data", "digits", "--held-out", "0.9999", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.endswith("train.mnist: --held-out 0.9999 of 1,197 images leaves none to train on\n")


ONE_STEP = ("--data", "digits", "--arch", "lenet5-relu", "--steps", "1")
MISSING = "is not installed: in a clone of edgeproof, pip install '.[train]'"


@pytest.mark.parametrize("library", ["keras", pytest.param("tensorboard", marks=pytest.mark.long)])
def test_an_install_without_what_our_modules_import_says_what_to_install(library, tmp_path):
    gone = f"import sys; sys.modules[{library!r}] = None\nfrom train.mnist import errors, main; sys.exit(errors.run(main, 'x'))"
    done = run(sys.executable, "-c", gone, *ONE_STEP, cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert (done.returncode, done.stderr.splitlines()[-1]) == (69, f"x: {library} {MISSING}")


@pytest.mark.parametrize("library", ["sklearn", "matplotlib"])
def test_so_does_one_without_what_a_run_imports(library, tmp_path, monkeypatch):
    for name in [library, *(name for name in sys.modules if name.startswith(f"{library}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    datasets.digits.load.cache_clear()
    monkeypatch.delitem(sys.modules, "train.plots", raising=False)
    monkeypatch.delattr("train.plots", raising=False)
    done = train(*ONE_STEP, cwd=tmp_path)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (69, f"train.mnist: {library} {MISSING}")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell that closes stderr")
def test_with_stderr_closed_a_training_goes_on_and_the_answer_stands_alone_on_stdout(tmp_path):
    command = f"exec {sys.executable} -m train.mnist {' '.join(ONE_STEP)} 2>&-"
    done = run("sh", "-c", command, cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert done.returncode == 0 and re.fullmatch("lenet5-relu on digits: .*\n", done.stdout)


def test_tensorboard_events_stand_at_the_time_they_were_made(tmp_path):
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    from train.progress import as_events
    from train.training_state import HistoryRow

    (tmp_path / "events").write_bytes(as_events([HistoryRow(5, 0.1, 2.5, 0.7, 0.8, None)], started=1.7e9))
    *_, event = EventFileLoader(str(tmp_path / "events")).Load()
    assert (event.step, event.wall_time) == (5, 1.7e9 + 2.5)
    assert {value.tag for value in event.summary.value} == {"loss", "accuracy"}


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that cannot be written to")
def test_a_run_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "runs").write_text("a file where the folder should be")
    done = train("--data", "digits", "--arch", "lenet5-relu", "--steps", "2", cwd=tmp_path)
    assert done.returncode == 74
    assert done.stderr.splitlines()[-1].startswith("train.mnist: runs/lenet5-relu-digits-modern")
    assert " left" not in done.stderr  # found out before the training, not after


def test_what_a_kill_left_beside_a_finished_run_is_cleared_away_and_a_damaged_checkpoint_not_trained_over(finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    (folder / "training.npz").write_bytes(b"left")
    assert train("--data", "digits", "--arch", "lenet5-relu", "--out", "run", cwd=tmp_path).returncode == 0
    assert not (folder / "training.npz").exists()
    half = (folder / "checkpoint.npz").read_bytes()[:100_000]
    (folder / "checkpoint.npz").write_bytes(half)
    done = train("--data", "digits", "--arch", "lenet5-relu", "--out", "run", cwd=tmp_path)
    assert done.returncode == 65 and done.stderr.splitlines()[-1].startswith("train.mnist: run/checkpoint.npz: damaged (")
    assert (folder / "checkpoint.npz").read_bytes() == half


@pytest.mark.parametrize("n_bits", [1, 3])
def test_no_flipped_bit_is_more_than_one_line(n_bits, tmp_path):
    path = tmp_path / "small.npz"
    npz.write(path, {"run": 1}, {"a": np.arange(3.0), "b": np.zeros((2, 2), np.float32)})
    data = path.read_bytes()
    rng, refused = np.random.default_rng(n_bits), 0
    for _ in range(1500):
        damaged = bytearray(data)
        for at in rng.integers(0, 8 * len(data), n_bits):
            damaged[at // 8] ^= 1 << (at % 8)
        path.write_bytes(damaged)
        try:
            npz.read(path)
        except InputError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 1000  # the others flipped what nobody reads, such as a date


@pytest.mark.long
def test_progress_that_nobody_reads_does_not_stop_a_training(tmp_path):
    command = (
        f"set -o pipefail; {sys.executable} -m train.mnist --data digits --arch lenet5-relu --steps 30 2>&1 >answer | head -c 0"
    )
    done = run("bash", "-c", command, cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert done.returncode == 0
    assert (tmp_path / "answer").read_text().startswith("lenet5-relu on digits: top-1")


def test_a_backend_that_is_not_there_is_one_line(tmp_path):
    for module in ("train", "train.mnist", "train.compare optimizers"):
        done = run(sys.executable, "-m", *module.split(), cwd=tmp_path, PYTHONPATH=str(ROOT), KERAS_BACKEND="torch")
        message = f"{module.split()[0]}: KERAS_BACKEND=torch: not supported; set tensorflow or jax\n"
        assert (done.returncode, done.stderr) == (2, message)
    gone = "import sys; sys.modules['jax'] = None\nfrom train.mnist import errors, main; sys.exit(errors.run(main, 'x'))"
    done = run(
        sys.executable, "-c", gone, "--data", "digits", "--arch", "lenet5-relu", cwd=tmp_path, PYTHONPATH=str(ROOT),
        KERAS_BACKEND="jax",
    )  # fmt: skip
    assert (done.returncode, done.stderr.splitlines()[-1]) == (69, "x: jax is not installed: pip install jax")


def train(*flags, cwd):
    return call("train.mnist", *flags, cwd=cwd)


def test_beside_outliers_some_digits_are_redrawn_and_keep_their_labels():
    digits = datasets.digits.load()
    few = dataclasses.replace(digits, train=digits.train[:10])
    shown = training_run._shown(few, Recipe(background=True, held_out=0.2))
    changed = (shown.images != few.train.images).any(axis=(1, 2, 3))
    assert changed.tolist() == [True, *[False] * 3] * 2 + [False] * 2  # every fourth of the eight that are trained on
    assert shown.labels is few.train.labels
    assert training_run._shown(few, Recipe()) is few.train
