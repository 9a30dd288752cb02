"""Is it worse? Made-up rounds in, verdicts and sentences out; and real processes that answer alike."""

import argparse
import math
import random
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.regression import answers, compare, false_alarms, sides
from benchmarks.regression.compare import Settings, conclude, judge_bytes, judge_time
from benchmarks.regression.rounds import FIGURES, Round, measure
from benchmarks.regression.sides import Side
from conftest import ROOT, run
from edge import artifact
from edge.artifact import Artifact
from edge.contract import ModelContract
from edge.errors import ToolchainError, UsageError
from edge.locate import shipped_model

ALPHA = 0.01 / 9
DEVELOPMENT = Side("development", Path(sys.prefix))


def made_up(ratio: float, *, noise: float = 0.002, n: int = 15) -> list[Round]:
    """Rounds whose change and noise are spread evenly about log(ratio) and 0."""
    spread = [noise * (2 * at / (n - 1) - 1) for at in range(n)]
    mixed = spread[::2] + spread[1::2]
    return [
        Round(change=math.log(ratio) + a, noise=b, base_ns=20_000, now_ns=20_000 * ratio)
        for a, b in zip(spread, mixed, strict=True)
    ]


def verdict(ratio: float, **how: float) -> str:
    return judge_time("pixels", made_up(ratio, **how), 0.10, alpha=ALPHA).verdict


@pytest.mark.parametrize(
    ("ratio", "noise", "wanted"),
    [
        (1.0, 0.002, "same"),
        (1.05, 0.002, "slower"),
        (1.15, 0.002, "worse"),
        (1.15, 0.05, "worse"),
        (1.15, 0.5, "undecided"),  # over the limit, and lost in the noise
        (1.0, 0.5, "undecided"),  # a machine on which nothing could be seen
        (0.9, 0.002, "better"),
        (0.4, 0.002, "suspicious"),
        (0.6, 0.002, "better"),
    ],
)
def test_a_time_is_judged_by_limit_and_noise(ratio, noise, wanted):
    assert verdict(ratio, noise=noise) == wanted


def test_a_time_shows_both_sides_the_change_and_the_noise():
    judged = judge_time("pixels", made_up(1.15), 0.10, alpha=ALPHA)
    assert judged.cells[:3] == ("pixels", "20.00 µs", "23.00 µs")
    assert judged.cells[3].startswith("+15.0 % (+14.9 % to +15.1 %)")
    assert judged.cells[4:] == ("±0.1 %", "worse")


@pytest.mark.parametrize(("now", "wanted"), [(100_000, "same"), (101_000, "same"), (101_001, "worse"), (49_999, "suspicious")])
def test_bytes_may_grow_by_one_per_cent(now, wanted):
    assert judge_bytes("model", 100_000, now).verdict == wanted


@pytest.mark.parametrize(
    ("noises", "wanted", "looks"),
    [
        ([0.002], "worse", 1),
        ([0.5, 0.002, 0.002], "worse", 3),  # a busy moment passes
        ([0.5, 0.5, 0.5], "undecided", compare.LOOKS),
    ],
)
def test_more_rounds_are_measured_while_a_time_is_undecided(noises, wanted, looks, monkeypatch):
    lines = []
    batches = iter(noises)

    def measured(*_, rounds, draw, **__):
        noise = next(batches)
        return {figure: made_up(1.15, noise=noise, n=rounds) for figure in FIGURES}

    monkeypatch.setattr(compare.rounds, "measure", measured)
    result = compare.compare_sides(DEVELOPMENT, DEVELOPMENT, Settings(base="0123456789abcdef"), tell=lines.append)
    assert (result.verdict, len(lines)) == (wanted, looks)
    assert lines[:2] == ["model in the wheel: 15 rounds", "model in the wheel: 15 more rounds"][:looks]


def test_the_worst_figure_decides_and_is_named():
    figures = [judge_time("pixels", made_up(1.2), 0.10, alpha=ALPHA), judge_bytes("model: bytes", 100, 100)]
    result = conclude(figures, commit="0123456789abcdef")
    assert result.verdict == "worse"
    assert result.why == "Worse than 0123456789ab beyond limit and noise: pixels +20.0 % (+19.9 % to +20.1 %)."


def test_no_worse_is_said_plainly():
    result = conclude([judge_bytes("model: bytes", 100, 100)], commit="0123456789abcdef")
    assert (result.verdict, result.why) == ("no worse", "No worse than 0123456789ab.")


def test_better_beyond_belief_is_flagged():
    result = conclude([judge_time("pixels", made_up(0.3), 0.10, alpha=ALPHA)], commit="0123456789abcdef")
    assert result.verdict == "suspicious"
    assert result.why.startswith("Implausibly better than 0123456789ab; check that it still measures the same: pixels −70.0 %")


def test_a_noisy_machine_says_what_it_cannot_tell():
    result = conclude([judge_time("pixels", made_up(1.0, noise=0.5), 0.10, alpha=ALPHA)], commit="0123456789abcdef")
    assert result.verdict == "undecided"
    assert result.why.startswith("No worse than 0123456789ab, as far as this machine shows; too noisy for: pixels")


def model(folder: Path, *, labels: str = "0123456789", fit: str = "digit", network: str | None = "lenet5-relu") -> Artifact:
    """The shipped model, saying this of itself."""
    old = artifact.read(shipped_model())
    contract = ModelContract.from_text(old.contract.to_text().replace("fit digit", f"fit {fit}"))
    manifest = old.manifest() | {"provenance": {"network": network, "data": "mnist"} if network else None}
    path = folder / "model.tflite"
    parts = {"labels": tuple(labels), "goldens": old.goldens(), "manifest": manifest, "report": ""}
    path.write_bytes(artifact.seal(old.data[: contract.model_bytes], contract, **parts))
    return artifact.read(str(path))


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"labels": "abcdefghij"}, "another task: 10 classes from 0 to 9 there, 10 classes from a to j here"),
        (
            {"fit": "resize"},
            "another task: 28x28x1 digit light-on-dark there, 28x28x1 resize light-on-dark here",
        ),
        (
            {"network": "deep-mnist"},
            "another network: lenet5-relu-mnist there, deep-mnist-mnist here; name the test images' folder with --data-dir",
        ),
        ({}, ""),
        ({"network": None}, ""),  # no manifest of ours: the name says lenet5-relu-mnist too
    ],
)
def test_answers_to_another_question_are_not_compared_and_the_reason_is_given(tmp_path, changed, why):
    assert answers.not_comparable(model(tmp_path), model(tmp_path, **changed), judged=False) == why


def test_a_test_split_judges_another_network_of_the_same_task(tmp_path):
    other = model(tmp_path, network="deep-mnist")
    assert answers.not_comparable(model(tmp_path), other, judged=True) == ""


def test_what_cannot_be_compared_is_stated_instead_of_undecided():
    other = compare.FigureVerdict(
        name="answers", verdict="not comparable", cells=("answers", "a", "b", "another task: …", "none", "")
    )
    result = conclude([judge_bytes("model: bytes", 100, 100), other], commit="0123456789abcdef")
    assert (result.verdict, result.why) == (
        "not comparable",
        "Not comparable with 0123456789ab, which has another model: answers another task: ….",
    )


def test_answers_without_a_truth_may_not_differ():
    base = np.arange(10)
    assert answers.judge(base, base, truth=None, data="mnist").verdict == "same"
    result = answers.judge(base, np.where(base == 3, 5, base), truth=None, data="mnist")
    assert (result.verdict, result.change) == ("worse", "1 of 10 goldens differ")


def test_answers_with_a_truth_go_through_the_gate():
    truth = np.zeros(10_000, int)
    base = np.where(np.arange(10_000) < 50, 1, 0)  # 99.50 %
    three_lost = np.where(np.arange(10_000) < 53, 1, 0)
    hundred_lost = np.where(np.arange(10_000) < 150, 1, 0)
    result = answers.judge(base, three_lost, truth=truth, data="mnist")
    assert (result.verdict, result.base, result.now, result.change) == (
        "same",
        "99.50 %",
        "99.47 %",
        "3 lost, 0 gained of 10,000",
    )
    assert answers.judge(base, hundred_lost, truth=truth, data="mnist").verdict == "worse"


def after_losing(lost: int, n: int = 10_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The base's answers, those with so many of its right ones lost, and the truth."""
    truth = np.zeros(n, int)
    return np.where(np.arange(n) < 50, 1, truth), np.where(np.arange(n) < 50 + lost, 1, truth), truth


def concluded(result: answers.AnswersVerdict) -> compare.RevisionComparison:
    cells = ("answers", result.base, result.now, result.change, "none", result.verdict)
    figure = compare.FigureVerdict(name="answers", verdict=result.verdict, cells=cells)
    return conclude([judge_bytes("model: bytes", 100, 100), figure], commit="0123456789abcdef")


def test_a_loss_that_may_be_over_the_limit_is_not_called_noise():
    base, now, truth = after_losing(40)
    result = answers.judge(base, now, truth=truth, data="mnist")
    shown = "40 lost, 0 gained of 10,000: too few images to show that this is within the limit of 0.5 points"
    assert (result.verdict, result.change) == ("not shown", shown)
    why = f"No worse than 0123456789ab, as far as the test images show: answers {shown}."
    assert (concluded(result).verdict, concluded(result).why) == ("not shown", why)


def test_a_loss_beyond_chance_and_within_the_limit_is_named_and_passes():
    base, now, truth = after_losing(20)
    result = answers.judge(base, now, truth=truth, data="mnist")
    assert (result.verdict, result.change) == ("fewer right", "20 lost, 0 gained of 10,000")
    why = "No worse than 0123456789ab beyond the limits; within them: answers 20 lost, 0 gained of 10,000."
    assert (concluded(result).verdict, concluded(result).why) == ("no worse", why)
    assert answers.judge(now, base, truth=truth, data="mnist").verdict == "better"


def test_equal_answers_are_the_same_however_few():
    base, _, truth = after_losing(0, n=100)
    assert answers.judge(base, base, truth=truth, data="mnist").verdict == "same"
    assert answers.judge(base, np.where(base == 1, 2, base), truth=truth, data="mnist").verdict == "not shown"


def test_a_slowdown_within_the_limit_is_named_and_passes():
    result = conclude([judge_time("pixels", made_up(1.05), 0.10, alpha=ALPHA)], commit="0123456789abcdef")
    assert result.verdict == "no worse"
    assert result.why.startswith("No worse than 0123456789ab beyond the limits; within them: pixels +5.0 %")


def flags(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    compare.add_flags(parser)
    return argparse.Namespace(**vars(parser.parse_args(arguments)), short=False, models=[], data_dir=None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-slower", "0"], "--max-slower 0: wanted a percentage above 0"),
        (["--rounds", "9"], "--rounds 9: 3 times need at least 10 rounds to show anything"),
    ],
)
def test_settings_that_could_tell_nothing_are_usage_errors(arguments, message):
    with pytest.raises(UsageError, match=message):
        compare.settings(flags("--compare", "HEAD", *arguments))


def test_where_there_are_many_models_there_are_rounds_enough(tmp_path, monkeypatch):
    for n in range(40):
        (tmp_path / f"{n}.tflite").touch()
    monkeypatch.setattr(compare.sides, "commit_of", str)
    asked = flags("--compare", "main")
    assert compare.settings(asked).rounds == compare.ROUNDS
    asked.models = [str(tmp_path)]
    assert compare.settings(asked).rounds == 16
    asked.rounds = 15
    with pytest.raises(UsageError, match="--rounds 15: 123 times need at least 16 rounds to show anything"):
        compare.settings(asked)


def test_an_unknown_base_is_a_usage_error():
    done = run(sys.executable, "-m", "benchmarks", "--compare", "no-such-revision")
    wanted = "no-such-revision: no commit of this checkout; a clone made for CI needs its history (fetch-depth: 0)"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"benchmarks: {wanted}\n")


def test_a_side_that_fails_says_why():
    with DEVELOPMENT.start("no-such.tflite", "x.png") as worker, pytest.raises(ToolchainError) as caught:
        worker.ask("pixels 10")
    assert str(caught.value).startswith("development cannot be measured: ")
    assert "no-such.tflite" in str(caught.value)


def test_one_round_gives_every_figure():
    result = measure(DEVELOPMENT, DEVELOPMENT, models=("", ""), picture=compare.PICTURE, rounds=1, draw=random.Random(0))
    assert list(result) == list(FIGURES)
    assert all(each.base_ns > 0 and math.isfinite(each.change) for (each,) in result.values())


def test_both_sides_are_asked_about_the_pictures_they_carry(monkeypatch):
    monkeypatch.delenv("EDGEPROOF_DATA", raising=False)
    result = answers.compare(DEVELOPMENT, DEVELOPMENT, model="", picture=compare.PICTURE, data_dir=None)
    assert result.verdict == "same"
    assert result.change.startswith("0 of ") and result.change.endswith("goldens differ")


def test_the_working_tree_is_exported_and_a_slower_predictor_answers_the_same(tmp_path):
    tree = sides.export(None, tmp_path / "tree")
    assert (tree / "edge" / "predictor.py").read_bytes() == (ROOT / "edge" / "predictor.py").read_bytes()
    assert not (tree / ".git").exists()
    false_alarms.plant(tree, 0.15)
    ask = (
        "import sys; from edge import predictor as p; print(p.__file__); print(p.load(sys.argv[1]).predict(sys.argv[2]).label)"
    )
    model = ROOT / "edge" / "models" / "lenet5-relu-mnist-int8.tflite"
    done = run(sys.executable, "-c", ask, model, compare.PICTURE, cwd=tree)
    assert done.stdout.splitlines() == [str(tree / "edge" / "predictor.py"), "7"]


@pytest.mark.parametrize(("share", "wanted"), [(0.15, 11_500), (0.05, 10_500)])
def test_a_planted_slowdown_lasts_that_share_of_a_usual_answer_whatever_its_own_call_costs(share, wanted):
    clock = [0]

    def now() -> int:
        clock[0] += 100  # a look at the clock stands for all that a function of Python's costs
        return clock[0]

    def plain(self, pixels) -> str:
        clock[0] += 9_900  # with the look that ends it, an answer is 10,000
        return "7"

    def taken() -> int:
        started = now()
        assert ready.answer(b"") == "7"
        return now() - started

    space = {"Predictor": type("Predictor", (), {"answer": plain})}
    source = false_alarms.SLOWER.format(share=share).replace("from time import perf_counter_ns as _now", "")
    exec(source, space | {"_now": now})
    ready = space["Predictor"]()
    for _ in range(150):
        taken()
    # The loop ends with the first look that is late enough: up to one look late.
    assert {taken() for _ in range(20)} <= {wanted, wanted + 100}


def test_the_experiment_counts_alarms_and_what_was_noticed():
    def trial(planted: float, ratio: float) -> false_alarms.PlantedComparison:
        return false_alarms.PlantedComparison(
            planted=planted, comparison=conclude([judge_time("pixels", made_up(ratio), 0.10, alpha=ALPHA)], commit="itself")
        )

    text = false_alarms.page([trial(0.0, 1.0), trial(0.15, 1.15), trial(0.05, 1.05)], command="made up", rounds=15)
    assert "| 0 % | 1 | 0 | 0 | +0.0 to +0.0 % | ±0.1 % |" in text
    assert "| 15 % | 1 | 1 | 1 | +15.0 to +15.0 % | ±0.1 % |" in text
    assert "| 5 % | 1 | 0 | 1 | +5.0 to +5.0 % | ±0.1 % |" in text
    assert "| 1 | pixels | +0.0 % (−0.1 % to +0.1 %) | ±0.1 % | same |" in text
