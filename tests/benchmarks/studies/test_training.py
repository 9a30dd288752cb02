"""`make results`: what is run, what is not run again, and the table."""

import dataclasses
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time

import pytest

from benchmarks.studies import training
from benchmarks.studies.training import EXPERIMENTS, Experiment
from conftest import ROOT
from edge.errors import InputMissing
from train.recipe_book import MEASURED, RECIPES


@pytest.fixture
def elsewhere(tmp_path, monkeypatch, own_mnist):
    """Runs, figures and page of its own, and forty pictures."""
    monkeypatch.setenv("EDGEPROOF_DATA", str(own_mnist))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    return tmp_path


SMALL = Experiment("lenet5-relu", "modern", seeds=(4, 5), changes={"steps": 2, "epochs": 0}, label="small", goal="50")


def test_a_run_that_fails_stops_no_other_and_the_others_figures_are_kept_with_their_circumstances(
    elsewhere, monkeypatch, capsys
):
    monkeypatch.setattr(training, "DATA", ("custom",))
    experiment = dataclasses.replace(SMALL, changes={"steps": 2})
    broken, command = dataclasses.replace(SMALL, label="broken"), Experiment.command
    fails = [sys.executable, "-c", "exit(2)"]
    monkeypatch.setattr(Experiment, "command", lambda self, seed: fails if self == broken else command(self, seed))
    (failed,) = training.train([(broken, 4), (experiment, 4)], lanes=1)
    assert failed.exit_code == 2
    message = r"^benchmarks\.studies\.training: lenet5-relu-modern-broken, seed 4: ended with 2; runs/.*\.log says why$"
    assert re.search(message, capsys.readouterr().err, re.MULTILINE)
    assert not (elsewhere / "docs/results/lenet5-relu-modern-broken-4.json").exists()
    kept = json.loads((elsewhere / "docs/results/lenet5-relu-modern-small-4.json").read_text())
    assert (kept["network"], kept["seed"], kept["steps"], kept["threads"]) == ("lenet5-relu", 4, 2, os.cpu_count())
    assert {"top1", "n_images", "seconds", "epochs", "versions", "machine", "data", "recipe"} <= kept.keys()
    assert training.figures(experiment, 4) == kept and training.figures(experiment, 5) is None
    another = dataclasses.replace(experiment, changes={"steps": 3})
    assert training.figures(another, 4) is None and another.folder(4) != experiment.folder(4)


def test_other_pictures_than_the_table_is_about_are_refused_before_anything_is_trained(elsewhere):
    wanted = r"^the data is custom, wanted mnist, cifar10, cifar10-jpeg; name a folder in EDGEPROOF_DATA$"
    with pytest.raises(InputMissing, match=wanted):
        training.train([(SMALL, 4)], lanes=1)
    assert not (elsewhere / "runs").exists() and not (elsewhere / "docs").exists()


TWELVE_RUNS = """
import signal, sys
from benchmarks.studies import training

wait = "import signal; signal.signal(signal.SIGINT, lambda *_: exit()); print('begun', flush=True); signal.pause()"
signal.signal(signal.SIGINT, signal.default_int_handler)
training.Experiment.command = lambda experiment, seed: [sys.executable, "-c", wait]
training.check_data = lambda networks: None
training.train([(training.EXPERIMENTS[0], seed) for seed in range(12)], lanes=2)
"""


def test_ctrl_c_ends_what_runs_and_begins_no_further_run(elsewhere):
    command = [sys.executable, "-c", TWELVE_RUNS]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    logs = [EXPERIMENTS[0].folder(seed).with_suffix(".log") for seed in range(12)]
    while not all(log.exists() and log.read_text() == "begun\n" for log in logs[:2]):
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, trace = process.communicate(timeout=60)
    assert trace.endswith("KeyboardInterrupt\n") and not any(log.exists() for log in logs[2:])


def test_a_run_that_was_killed_says_so_and_ends_with_a_promised_code(elsewhere, monkeypatch):
    killed = [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]
    monkeypatch.setattr(Experiment, "command", lambda experiment, seed: killed)
    monkeypatch.setattr(training, "DATA", ("custom",))
    (failed,) = training.train([(SMALL, 4)], lanes=1)
    assert re.match(r"lenet5-relu-modern-small, seed 4: killed: Killed; runs/.*\.log says why$", str(failed))
    assert failed.exit_code == 70


def test_a_row_has_the_mean_over_its_seeds_and_says_how_many_there_are(elsewhere):
    folder = elsewhere / "docs/results"
    folder.mkdir(parents=True)
    for seed, top1 in ((4, 0.98), (5, 0.99)):
        figures = {
            "top1": top1, "recipe": dataclasses.asdict(SMALL.recipe_for(seed)), "n_parameters": 97_982,
            "epochs": 1.5, "seconds": 10 * seed, "cpu_seconds": 8 * seed, "threads": 1, "examples_per_second": 1234,
            "peak_rss_mib": 700 + seed, "data": "custom",
            "machine": f"machine {seed}", "backend": "jax",
        }  # fmt: skip
        (folder / f"{SMALL.name}-{seed}.json").write_text(json.dumps(figures))
    row = training.table([SMALL]).splitlines()[2]
    assert row == (
        "| `lenet5-relu` | modern small |  | 50 | 98.50 | 0.71 | 2 of 2 | 97,982 | 1.5 | 45 | 36 | 1 | 1,234 | 705 | custom "
        "| machine 4, jax; machine 5, jax |"
    )


def test_every_recipe_of_the_book_has_an_experiment():
    planned = {(experiment.network, experiment.recipe) for experiment in EXPERIMENTS}
    missing = {(network, recipe) for network in RECIPES for recipe in RECIPES[network]} - planned
    assert not missing
    assert len({experiment.name for experiment in EXPERIMENTS}) == len(EXPERIMENTS)


def test_the_figures_a_user_is_shown_are_those_that_were_measured(monkeypatch):
    monkeypatch.chdir(ROOT)
    measured = {}
    for experiment in EXPERIMENTS:
        top1 = [100 * kept["top1"] for seed in experiment.seeds if (kept := training.figures(experiment, seed))]
        if len(top1) == len(experiment.seeds) and not experiment.label:
            measured[experiment.network, experiment.recipe] = round(statistics.mean(top1), 2)
    assert measured == MEASURED


def test_the_page_in_the_repository_is_made_from_the_figures_in_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert training.table(EXPERIMENTS) in (ROOT / "docs/results.md").read_text()
