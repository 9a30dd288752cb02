"""The comparisons, from real runs on the digits: what they write is what the runs found."""

import argparse
import dataclasses
import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from conftest import call
from edge.errors import InputError, InputMissing
from train.architectures import architecture
from train.compare.__main__ import COMPARISONS, table
from train.compare.variants import TrainingVariant, VariantOutcome, against, history, margin, train
from train.datasets import digits
from train.training_state import HistoryRow

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def optimizers(tmp_path_factory):
    """The first and the last of the five."""
    with pytest.MonkeyPatch.context() as few:
        few.setattr("train.compare.optimizers.FIVE", ("sgd", "adam"))
        return made(tmp_path_factory.mktemp("optimizers"), "optimizers", "--steps", "12")


@pytest.fixture(scope="module")
def activations(tmp_path_factory):
    """At the unchanged rate and at the lowest of the five."""
    with pytest.MonkeyPatch.context() as few:
        few.setattr("train.compare.activations.DIVISORS", (1, 10_000))
        return made(tmp_path_factory.mktemp("activations"), "activations", "--steps", "8")


@pytest.fixture(scope="module")
def widths(tmp_path_factory):
    return made(tmp_path_factory.mktemp("widths"), "widths", "--steps", "6")


def test_the_optimizers_differ_in_nothing_else(optimizers):
    from train import checkpoint

    flags = argparse.Namespace(arch="lenet5-relu", data="digits", epochs=None, steps=12, seed=None)
    planned = COMPARISONS["optimizers"].variants(flags)
    assert [variant.name for variant in planned] == ["sgd", "momentum", "adagrad", "rmsprop", "adam"]
    assert checkpoint.load(optimizers[0] / "adam").recipe == planned[-1].recipe
    recipes = [vars(variant.recipe) for variant in planned]
    assert {name for name in recipes[0] if len({recipe[name] for recipe in recipes}) > 1} == {"optimizer", "learning_rate"}
    assert recipes[0]["held_out"] == pytest.approx(1 / 6)


def test_the_optimizers_table_says_what_the_runs_say(optimizers):
    folder, done = optimizers
    rows = cells(done.stdout)
    assert [row["variant"] for row in rows] == ["sgd", "adam"]
    named = [f"variant {i} of 2: {row['variant']}" for i, row in enumerate(rows, 1)]
    assert re.findall("variant . of 2: [a-z]+", done.stderr) == named  # before each starts
    assert [float(row["learning rate"]) for row in rows] == [0.1, 1.5e-3]
    for row in rows:
        figures = json.loads((folder / row["variant"] / "result.json").read_text())
        assert row["steps"] == str(figures["steps"]) == "12"
        assert row["seconds"] == str(figures["seconds"])
        held_out = history(folder / row["variant"] / "history.csv")[-1].validation_accuracy
        assert row["held-out accuracy (n = 200)"] == f"{100 * held_out:.2f} %"


def test_the_page_names_the_best_and_the_circumstances(optimizers):
    folder, done = optimizers
    page = unwrapped(folder / "optimizers.md")
    best = max(cells(done.stdout), key=lambda row: float(row["held-out accuracy (n = 200)"][:-2]))
    assert f"in order: {best['variant']} {best['held-out accuracy (n = 200)']}" in page
    assert done.stdout in (folder / "optimizers.md").read_text()
    assert "Data: digits, 997 training images and 200 held out for the accuracy" in page
    assert re.search(r"Machine: .*python 3.*keras 3.*the test split is not used\. One run each, seed 0\. $", page)
    assert (folder / "optimizers.png").read_bytes().startswith(b"\x89PNG")


def test_a_variant_that_diverges_is_a_row(widths, tmp_path):
    dataset = digits.load()
    narrow, _ = COMPARISONS["widths"].variants(argparse.Namespace(data="digits", steps=6, seed=None))
    wild = TrainingVariant("wild", narrow.network, dataclasses.replace(narrow.recipe, learning_rate=1e30, steps=20))
    outcomes = [train(narrow, dataset, widths[0] / narrow.name), train(wild, dataset, tmp_path / "wild")]
    calm, diverged = cells(table(COMPARISONS["widths"], outcomes, dataset))
    assert (calm["variant"], calm["steps"]) == ("lenet5-relu", "6")
    assert (diverged["variant"], diverged["steps"]) == ("wild", f"diverged at step {outcomes[1].diverged_at}")
    assert set(list(diverged.values())[3:]) == {"–"}
    assert COMPARISONS["widths"].finding(outcomes, dataset).startswith("wild diverged")


def test_relu_is_tried_at_the_unchanged_rate_and_below_with_its_dead_units(activations):
    folder, done = activations
    sigmoid, unchanged, *_, last = cells(done.stdout)
    assert (sigmoid["variant"], sigmoid["steps"], sigmoid["dead units"]) == ("sigmoid-0.001", "8", "–")
    assert (unchanged["variant"], unchanged["learning rate"]) == ("relu-0.001", "0.001")
    assert (last["variant"], last["learning rate"]) == ("relu-1e-07", "1e-07")
    dead = [[int(n) for n in pair] for pair in re.findall(r"(\d+) of (\d+)", last["dead, by layer"])]
    assert [of for _, of in dead] == [6, 16, 120, 80]
    assert last["dead units"] == f"{100 * sum(n for n, _ in dead) / 222:.2f} %"
    page = unwrapped(folder / "activations.md")
    assert re.search(r" relu-0\.001 (diverged|reaches) .* at the unchanged rate ReLU does not help", page)
    assert (folder / "activations.png").exists()


def test_the_widths_are_compared_at_the_same_steps_and_by_the_time_of_one(widths):
    folder, done = widths
    for row in cells(done.stdout):
        rows = history(folder / row["variant"] / "history.csv")
        assert [r.step for r in rows] == [2, 4, 6]
        for r in rows:
            assert row[f"training accuracy at step {r.step}"] == f"{100 * r.accuracy:.2f} %"
        assert row["milliseconds a step"] == f"{1000 * (rows[-1].seconds - rows[0].seconds) / 4:.1f}"
    assert [row["parameters"] for row in cells(done.stdout)] == ["97,982", "3,274,634"]
    assert "Data: digits, 1,197 training images; the test" in unwrapped(folder / "widths.md")


def test_the_same_command_again_trains_nothing_and_says_the_same(widths):
    folder, first = widths
    page = (folder / "widths.md").read_bytes()
    _, again = made(folder, "widths", "--steps", "6")
    assert again.stderr.count("nothing to train") == 2
    assert again.stdout == first.stdout and (folder / "widths.md").read_bytes() == page


def test_other_variants_in_the_folder_are_refused(widths):
    folder, _ = widths
    done = compare("widths", "--data", "digits", "--steps", "7", "--out", str(folder), cwd=folder)
    assert done.returncode == 2 and done.stdout == ""
    assert "lenet5-relu holds another run (steps 6, not 7); choose an --out" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("optimizers", "--steps", "3", "--epochs", "1"), "--epochs and --steps both set the length; give one"),
        (("activations", "--steps", "-1"), "--steps -1 is out of range"),
        (("widths", "--seed", "-1"), "--seed -1 is out of range"),
        (("optimizers", "--data", "digits"), "--data digits come with scikit-learn; leave out --data-dir"),
    ],
)
def test_what_makes_no_sense_is_said_before_the_data_is_looked_for(flags, message, tmp_path):
    done = compare(*flags, "--data-dir", str(tmp_path / "gone"), cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, f"train.compare: {message}\n")
    assert list(tmp_path.iterdir()) == []


def test_a_dead_neuron_and_a_dead_kernel_are_found_and_sigmoids_are_not_called_dead():
    from train.compare.activations import dead_units

    assert dead_units(architecture("lenet5-sigmoid").build(), np.zeros((1, 28, 28, 1), np.uint8)) == {}
    model = architecture("lenet5-relu").build()
    for name, dead, enough in (("conv2", 3, 1), ("dense1", 7, 1e3)):
        kernel, bias = model.get_layer(name).get_weights()
        # A ReLU of nothing but a negative bias. The others get a positive one, enough for their inputs not to undo it.
        kernel[..., dead], bias[:], bias[dead] = 0, enough, -1
        model.get_layer(name).set_weights([kernel, bias])
    kernel, bias = model.get_layer("conv1").get_weights()
    model.get_layer("conv1").set_weights([kernel, bias + 1e-3])  # alive on black pictures too
    images = np.zeros((3, 28, 28, 1), np.uint8)
    assert dead_units(model, images) == {"conv1": (0, 6), "conv2": (1, 16), "dense1": (1, 120)}


def test_the_loss_at_the_end_is_weighted_by_steps():
    rows = (row(80, loss=9.0), row(90, loss=9.0), row(98, loss=1.0), row(100, loss=2.0))
    # Of the last tenth, eight steps at 1 and two at 2.
    assert VariantOutcome(variant=None, folder=None, rows=rows).training_loss() == pytest.approx(1.2)


def test_a_difference_that_may_be_chance_is_called_so():
    # 0.9 and 0.8 of 100 pictures: 1.96 √((0.09 + 0.16) / 100) = 0.098, by hand.
    assert math.isclose(margin(0.9, 0.8, n=100), 0.098)
    assert against(0.9, 0.8, n=100) == "10.00 points above"
    assert against(0.8, 0.9, n=100) == "10.00 points below"
    assert against(0.9, 0.8, n=50) == "level within chance (+10.00 points, 95 % margin 13.86) with"


def test_a_missing_or_damaged_history_is_one_line(widths, tmp_path):
    with pytest.raises(InputMissing, match=r"history\.csv: No such file"):
        history(tmp_path / "history.csv")
    shutil.copy(widths[0] / "lenet5-relu" / "history.csv", tmp_path)
    (tmp_path / "history.csv").write_text((tmp_path / "history.csv").read_text() + "7,x\n")
    with pytest.raises(InputError, match=r"history\.csv: damaged .*; remove the run's folder and train again"):
        history(tmp_path / "history.csv")


def row(step: int, *, loss: float) -> HistoryRow:
    return HistoryRow(step=step, epoch=0.0, seconds=0.0, loss=loss, accuracy=0.0, validation_accuracy=None)


def cells(table: str) -> list[dict[str, str]]:
    """The rows of a Markdown table, each by column."""
    header, _, *rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in table.strip().splitlines()]
    return [dict(zip(header, row, strict=True)) for row in rows]


def unwrapped(page: Path) -> str:
    return page.read_text().replace("\n", " ")


def made(folder: Path, comparison: str, *flags: str):
    done = compare(comparison, "--data", "digits", "--out", str(folder), *flags, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done


def compare(*flags: str, cwd: Path):
    return call("train.compare", *flags, cwd=cwd)
