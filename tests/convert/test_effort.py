"""What a network is worth: fewer images where they are large, a number of trials, and that number in the file."""

import pytest

from convert import effort
from convert.effort import Trials
from edge import artifact
from edge.contract import InputContract
from tests.convert.command_line import convert


def of(side: int) -> InputContract:
    return InputContract(height=side, width=side, channels=3, fit="resize")


def test_large_images_are_fewer_in_proportion_and_never_fewer_than_the_least():
    assert [effort.n_images(5000, of(side), least=400) for side in (8, 64, 128, 224, 320)] == [5000, 5000, 1250, 408, 400]
    assert [effort.n_images(512, of(side), least=128, side=112) for side in (112, 160, 224, 320)] == [512, 250, 128, 128]
    assert effort.n_images(100, of(320), least=128) == 100


def test_only_of_large_images_are_trials_limited_unless_asked():
    assert effort.usual_trials(of(128), repairs=True) is None
    assert effort.usual_trials(of(129), repairs=True) > effort.usual_trials(of(320), repairs=False) > 0


def test_minutes_become_trials_for_every_model_and_never_none():
    assert effort.trials_in(10, seconds_each=3, n_models=2) == 100
    assert effort.trials_in(0.01, seconds_each=3, n_models=2) == 1
    assert effort.trials_in(10_000, seconds_each=0, n_models=1) == effort.MAX_TRIALS


def test_trials_are_taken_until_those_that_must_be_left():
    trials = Trials(5)
    assert trials.take() and trials.take(2, leave=2) and not trials.take(leave=2) and trials.left == 2
    assert Trials().take(1000, leave=1000)  # no limit


def test_minutes_of_work_are_told_in_words():
    assert [effort.in_words(seconds) for seconds in (45, 99, 150)] == ["45 s", "99 s", "3 minutes"]
    assert effort.seconds_to_judge(0.06, n_test=1000, n_calibration=128) == pytest.approx(30 + 78 + 46.08)


def test_a_budget_becomes_a_number_that_gives_the_same_file_again(workshop, tmp_path):
    flags = ("--formats", "tflite", "--no-reject", "--diagnose")
    timed = convert(workshop, tmp_path / "timed", *flags, "--budget", "0.02")
    assert timed.returncode == 0 and "--budget 0.02: " in timed.stderr
    number = timed.stderr.split("--trials ")[1].split()[0]
    again = convert(workshop, tmp_path / "again", *flags, "--trials", number)
    assert again.returncode == 0 and "gives the same files" not in again.stderr
    (one,), (other,) = ((tmp_path / name).glob("*.tflite") for name in ("timed", "again"))
    assert one.read_bytes() == other.read_bytes()
    assert artifact.read(str(one)).manifest()["quantization"]["trials"] == int(number)


@pytest.mark.parametrize(
    "flags", [("--budget", "0"), ("--budget", "nan"), ("--trials", "0"), ("--trials", "1", "--budget", "1")]
)
def test_a_number_that_says_nothing_is_a_usage_error(flags, workshop, tmp_path):
    assert convert(workshop, tmp_path / "out", *flags).returncode == 2
