"""Is it worse? Made-up rounds in, verdicts and sentences out; and real processes that answer alike."""

import argparse
import math
import random
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.regression import answers, compare, false_alarms, sides
from benchmarks.regression.compare import Settings, conclude, judge_bytes, judge_time
from benchmarks.regression.rounds import FIGURES, Round, measure
from benchmarks.regression.sides import Side
from conftest import ROOT, call, run
from edge import artifact
from edge.artifact import Artifact
from edge.contract import ModelContract
from edge.errors import ToolchainError, UsageError
from edge.locate import shipped_model
from tests.edge.on_device import SHIPPED, resealed

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


def judged(ratio: float, **how: float) -> compare.FigureVerdict:
    return judge_time("pixels", made_up(ratio, **how), 0.10, alpha=ALPHA)


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
    assert judged(ratio, noise=noise).verdict == wanted


def test_a_time_shows_both_sides_the_change_and_the_noise():
    cells = judged(1.15).cells
    assert (cells[:3], cells[4:]) == (("pixels", "20.00 µs", "23.00 µs"), ("±0.1 %", "worse"))
    assert cells[3].startswith("+15.0 % (+14.9 % to +15.1 %)")


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
    asked, draw = Settings(base="0123456789abcdef"), random.Random(0)
    times = compare._judge_times("a model", DEVELOPMENT, DEVELOPMENT, "", asked, draw=draw, tell=lines.append)
    assert (conclude(times, commit=asked.base).verdict, len(lines)) == (wanted, looks)
    assert lines[:2] == ["a model: 15 rounds", "a model: 15 more rounds"][:looks]


def test_times_answers_and_bytes_of_both_sides_are_judged_together(monkeypatch):
    monkeypatch.delenv("EDGEPROOF_DATA", raising=False)  # or both answer ten thousand test pictures
    monkeypatch.setattr(compare.rounds, "measure", lambda *_, rounds, **__: {each: made_up(1.15, n=rounds) for each in FIGURES})
    result = compare.compare_sides(DEVELOPMENT, DEVELOPMENT, Settings(base="0123456789abcdef"), tell=lambda line: None)
    assert result.verdict == "worse"
    assert [figure.verdict for figure in result.figures] == ["worse"] * len(FIGURES) + ["same"] * 3


def of_answers(verdict: str, *cells: str) -> compare.FigureVerdict:
    return compare.FigureVerdict(name="answers", verdict=verdict, cells=("answers", *cells, "none", verdict))


OTHER_TASK = of_answers("not comparable", "a", "b", "another task: …")


@pytest.mark.parametrize(
    ("figures", "wanted", "why"),
    [
        ([judged(1.2)], "worse", "Worse than 0123456789ab beyond limit and noise: pixels +20.0 % (+19.9 % to +20.1 %)."),
        ([], "no worse", "No worse than 0123456789ab."),
        ([judged(1.05)], "no worse", "No worse than 0123456789ab beyond the limits; within them: pixels +5.0 %"),
        (
            [judged(0.3)],
            "suspicious",
            "Implausibly better than 0123456789ab; check that it still measures the same: pixels −7",
        ),
        ([judged(1.0, noise=0.5)], "undecided", "No worse than 0123456789ab, as far as this machine shows; too noisy for: pix"),
        ([OTHER_TASK], "not comparable", "Not comparable with 0123456789ab, which has another model: answers another task: …."),
    ],
)
def test_the_worst_figure_decides_and_is_named(figures, wanted, why):
    result = conclude([*figures, judge_bytes("model: bytes", 100, 100)], commit="0123456789abcdef")
    assert result.verdict == wanted and result.why.startswith(why)


def model(folder: Path, *, labels: str = "0123456789", fit: str = "digit", network: str | None = "lenet5-relu") -> Artifact:
    """The shipped model, saying this of itself."""
    other = re.sub(r"fit digit2?\b", f"fit {fit}", artifact.read(shipped_model()).contract.to_text())
    account = {"provenance": {"network": network, "data": "mnist"} if network else None}
    image = ModelContract.from_text(other).input
    path = resealed(folder / "model.tflite", name=SHIPPED.stem, labels=tuple(labels), account=account, input=image)
    return artifact.read(str(path))


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"labels": "abcdefghij"}, "another task: 10 classes from 0 to 9 there, 10 classes from a to j here"),
        ({"fit": "resize"}, "another task: 28x28x1 digit light-on-dark there, 28x28x1 resize light-on-dark here"),
        (
            {"network": "deep-mnist"},
            "another network: lenet5-relu-mnist there, deep-mnist-mnist here; name the test images' folder with --data-dir",
        ),
        ({}, ""),
        ({"fit": "digit2"}, ""),
        ({"network": None}, ""),  # no manifest of ours: the name says lenet5-relu-mnist too
    ],
)
def test_answers_to_another_question_are_not_compared_and_the_reason_is_given(tmp_path, changed, why):
    assert answers.not_comparable(model(tmp_path), model(tmp_path, **changed), judged=False) == why


def test_a_test_split_judges_another_network_of_the_same_task(tmp_path):
    other = model(tmp_path, network="deep-mnist")
    assert answers.not_comparable(model(tmp_path), other, judged=True) == ""


def test_answers_without_a_truth_may_not_differ():
    base = np.arange(10)
    assert answers.judge(base, base, truth=None, data="mnist").verdict == "same"
    result = answers.judge(base, np.where(base == 3, 5, base), truth=None, data="mnist")
    assert (result.verdict, result.change) == ("worse", "1 of 10 goldens differ")


def after_losing(lost: int, n: int = 10_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The base's answers (of 10,000, 99.50 % right), those with so many of its right ones lost, and the truth."""
    truth = np.zeros(n, int)
    return np.where(np.arange(n) < 50, 1, truth), np.where(np.arange(n) < 50 + lost, 1, truth), truth


@pytest.mark.parametrize(
    ("lost", "wanted", "now", "concluded", "why"),
    [
        (3, "same", "99.47 %", "no worse", "No worse than 0123456789ab."),
        (20, "fewer right", "99.30 %", "no worse", "No worse than 0123456789ab beyond the limits; within them: answers "),
        (40, "not shown", "99.10 %", "not shown", "No worse than 0123456789ab, as far as the test images show: answers "),
        (100, "worse", "98.50 %", "worse", "Worse than 0123456789ab beyond limit and noise: answers "),
    ],
)
def test_answers_with_a_truth_go_through_the_gate_and_a_loss_is_not_called_noise(lost, wanted, now, concluded, why):
    before, after, truth = after_losing(lost)
    result = answers.judge(before, after, truth=truth, data="mnist")
    assert (result.verdict, result.base, result.now) == (wanted, "99.50 %", now)
    assert result.change.startswith(f"{lost} lost, 0 gained of 10,000")
    assert result.change.endswith(": too few images to show that this is within the limit of 0.5 points") == (lost == 40)
    figure = of_answers(result.verdict, result.base, result.now, result.change)
    comparison = conclude([judge_bytes("model: bytes", 100, 100), figure], commit="0123456789abcdef")
    assert (comparison.verdict, comparison.why) == (concluded, f"{why}{result.change}." if why.endswith(" ") else why)


def test_as_many_answers_gained_beyond_chance_are_better():
    now, base, truth = after_losing(20)
    assert answers.judge(base, now, truth=truth, data="mnist").verdict == "better"


def test_equal_answers_are_the_same_however_few():
    base, _, truth = after_losing(0, n=100)
    assert answers.judge(base, base, truth=truth, data="mnist").verdict == "same"
    assert answers.judge(base, np.where(base == 1, 2, base), truth=truth, data="mnist").verdict == "not shown"


def flags(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    compare.add_flags(parser)
    return argparse.Namespace(**vars(parser.parse_args(arguments)), short=False, models=[], data_dir=None, instructions=False)


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
    done = call("benchmarks", "--compare", "no-such-revision", cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "no-such-revision: no commit of this checkout" in done.stderr and "(fetch-depth: 0)" in done.stderr


def test_a_side_that_fails_says_why():
    with DEVELOPMENT.start("no-such.tflite", "x.png") as worker, pytest.raises(ToolchainError) as caught:
        worker.ask("pixels 10")
    assert str(caught.value).startswith("development cannot be measured: ")
    assert "no-such.tflite" in str(caught.value)


def test_one_round_gives_every_figure():
    result = measure(DEVELOPMENT, DEVELOPMENT, model="", picture=compare.PICTURE, rounds=1, draw=random.Random(0))
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
    ask = "import sys; from edge import predictor as p; print(p.__file__, p.load(sys.argv[1]).predict(sys.argv[2]).label)"
    done = run(sys.executable, "-c", ask, shipped_model(), compare.PICTURE, cwd=tree)
    assert done.stdout.split() == [str(tree / "edge" / "predictor.py"), "7"]


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
    trials = [
        false_alarms.PlantedComparison(planted=planted, comparison=conclude([judged(1 + planted)], commit="itself"))
        for planted in (0.0, 0.15, 0.05)
    ]
    text = false_alarms.page(trials, command="made up", rounds=15)
    assert "| 0 % | 1 | 0 | 0 | +0.0 to +0.0 % | ±0.1 % |" in text
    assert "| 15 % | 1 | 1 | 1 | +15.0 to +15.0 % | ±0.1 % |" in text
    assert "| 5 % | 1 | 0 | 1 | +5.0 to +5.0 % | ±0.1 % |" in text
    assert "| 1 | pixels | +0.0 % (−0.1 % to +0.1 %) | ±0.1 % | same |" in text
