"""Pictures without labels: which of them count, which are put out to be labelled, and what the labels do."""

import hashlib
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from conftest import call
from convert.judging import labelling, unlabelled
from convert.judging.gate import Gate, UnlabelledCounts, Verdict
from convert.judging.labelling import NONE
from convert.judging.unlabelled import UNKNOWN, UnlabelledPictures
from convert.judging.verify import Verification
from convert.report import few
from edge import artifact
from edge.contract import InputContract
from edge.errors import InputError, InputMissing
from tests.convert.sources.keras_files import sound

GREY = InputContract(height=16, width=16, channels=1, fit="resize")


def key(path) -> bytes:
    return hashlib.sha256(Image.open(path).convert("L").tobytes()).digest()


def tones(folder, values, *, seed=0):
    """Grey pictures of 16x16, no two alike, whose mean is each of `values`."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for index, value in enumerate(values):
        pixels = np.full(256, int(value))
        pixels[: round(256 * (value % 1))] += 1
        Image.fromarray(rng.permutation(pixels).reshape(16, 16).astype(np.uint8)).save(folder / f"{index:03}.png")
    return folder


@pytest.fixture
def more(tmp_path):
    """Eight pictures in two sub-folders, whose names say nothing."""
    tones(tmp_path / "more" / "monday", [10.5, 20.5, 30.5, 40.5])
    tones(tmp_path / "more" / "tuesday", [210.5, 220.5, 230.5, 240.5], seed=1)
    return tmp_path / "more"


def pictures(labels=None, answers=(0, 0, 1, 1, 0)) -> UnlabelledPictures:
    paths = tuple(f"{index}.png" for index in range(len(answers)))
    return UnlabelledPictures(paths, np.zeros((len(paths), 1, 1, 1), np.uint8), labels, {}, np.array(answers))


def test_only_pictures_that_no_stage_saw_count_and_each_once(more, capsys):
    shutil.copy(more / "monday" / "000.png", more / "again.png")
    seen = {"in training": {key(more / "monday" / "001.png")}, "in the test": {key(more / "tuesday" / "002.png")}}
    read = unlabelled.read(more, GREY, seen=seen, labels=None)
    assert [path.removeprefix(f"{more}/") for path in read.paths] == [
        "again.png", "monday/002.png", "monday/003.png", "tuesday/000.png", "tuesday/001.png", "tuesday/003.png"
    ]  # fmt: skip
    assert read.left_out == {"in training": 1, "in the test": 1, "twice": 1} and read.images.shape == (6, 16, 16, 1)
    assert capsys.readouterr().err == f"{more}: 9 pictures; not counted: 1 in training, 1 in the test, 1 twice\n"


def test_a_folder_without_new_pictures_is_refused(more, tmp_path):
    with pytest.raises(InputError, match="no picture is left that was not trained on"):
        unlabelled.read(more, GREY, seen={"in training": {key(path) for path in more.rglob("*.png")}}, labels=None)
    with pytest.raises(InputMissing, match="gone"):
        unlabelled.read(tmp_path / "gone", GREY, seen={}, labels=None)
    (more / "monday" / "bad.jpg").write_text("no picture")
    with pytest.raises(InputError, match=r"bad.jpg: not a picture .*--skip-bad"):
        unlabelled.read(more, GREY, seen={}, labels=None)
    assert unlabelled.read(more, GREY, seen={}, labels=None, skip_bad=True).left_out == {"unreadable": 1}


def test_differing_answers_are_counted_by_their_labels():
    answers = np.array([0, 1, 0, 0, 1])  # all but the first differ
    assert pictures().counts(answers) == UnlabelledCounts(5, 4, unknown=4)
    labels = np.array([1, 0, 0, UNKNOWN, unlabelled.NONE])  # of the differing: lost, gained, unknown, neither
    assert pictures(labels).counts(answers) == UnlabelledCounts(5, 4, labelled=True, lost=1, gained=1, unknown=1)
    assert pictures().to_label([pictures().differing(answers)]) == ["1.png", "2.png", "3.png", "4.png"]
    assert pictures(labels).to_label([pictures().differing(answers), np.array([3])]) == ["3.png"]


def test_the_rule_is_said_with_what_nothing_can_pass_on():
    assert "5 pictures without labels: the share of all 105 answers" in (words := pictures().rule_in_words(Gate(1.0), 100))
    assert words.endswith("as fewer than 381 have labels; nothing can pass on fewer than 368")
    words = pictures().rule_in_words(Gate(1.0), 400)
    assert words.endswith(
        "lost and gained of all 405 decide; an answer that differs counts as lost until you label its picture"
    )


def test_names_and_order_of_what_is_put_out_tell_nothing(more, tmp_path):
    paths = [str(path) for path in sorted(more.rglob("*.png"))]
    assert labelling.write(tmp_path / "a", ("dark", "light"), paths) == 8
    assert labelling.write(tmp_path / "b", ("dark", "light"), reversed(paths)) == 8
    first, second = ({p.name: p.read_bytes() for p in (tmp_path / x).glob("*.png")} for x in "ab")
    assert first == second and sorted(first) == [f"{n:04}.png" for n in range(1, 9)]
    digests = [hashlib.sha256(first[name]).hexdigest() for name in sorted(first)]
    assert digests == sorted(digests)
    assert sorted(p.name for p in (tmp_path / "a").iterdir() if p.is_dir()) == ["dark", "light", NONE]
    assert "--label" in (tmp_path / "a" / "README.txt").read_text()


def test_labels_are_read_back_and_what_was_sorted_stays(more, tmp_path):
    paths, place = [str(path) for path in sorted(more.rglob("*.png"))], tmp_path / "to-label"
    labelling.write(place, ("dark", "light"), paths[:3])
    (place / "0001.png").rename(place / "light" / "renamed.png")
    (place / "0002.png").rename(place / NONE / "0002.png")
    assert labelling.read(place, ("dark", "light"), GREY) == {
        key(place / "light" / "renamed.png"): 1, key(place / NONE / "0002.png"): -1
    }  # fmt: skip
    assert labelling.write(place, ("dark", "light"), paths[:4]) == 2  # one more, and the one that nobody sorted
    assert (place / "light" / "renamed.png").exists() and (place / "0004.png").exists()


def test_labels_that_cannot_be_meant_are_refused(more, tmp_path):
    (more / "monday").rename(more / "dark")
    with pytest.raises(InputError, match="tuesday: no class is called so; wanted folders named dark, light or 'none of these'"):
        labelling.read(more, ("dark", "light"), GREY)
    (more / "tuesday").rename(more / "light")
    (more / "none of these").mkdir()
    with pytest.raises(InputError, match=f"holds a folder for each network; name that of this one: --label {more}"):
        labelling.read(more.parent, ("dark", "light"), GREY)
    shutil.copy(more / "dark" / "001.png", more / "light" / "x.png")
    with pytest.raises(InputError, match=r"dark/001.png and .*light/x.png are the same picture with two labels: remove one"):
        labelling.read(more, ("dark", "light"), GREY)
    with pytest.raises(InputMissing, match="gone: No such file"):
        labelling.read(tmp_path / "gone", ("dark", "light"), GREY)


def test_with_few_test_pictures_the_owner_labels_what_differs_and_the_model_passes(tmp_path):
    sound(tmp_path / "tones.keras")
    for part, n in (("train", 60), ("test", 20)):
        tones(tmp_path / "data" / part / "dark", np.linspace(10.2, 110.7, n), seed=n)
        tones(tmp_path / "data" / part / "light", np.linspace(140.2, 240.7, n), seed=n + 1)
    tones(tmp_path / "more" / "a", np.linspace(10.3, 110.8, 200), seed=3)
    tones(tmp_path / "more" / "b", np.linspace(140.3, 240.8, 200), seed=4)
    # Light by a hair, where int8 sees a tie and takes the first.
    tones(tmp_path / "more" / "c", [127.55, 127.57, 127.58, 127.6], seed=5)
    flags = ("convert", "--int8", "--formats", "tflite", "--no-repair", "--model", "tones.keras", "--data", "data",
             "--unlabelled", "more", "--out", "out")  # fmt: skip
    first = call(*flags, cwd=tmp_path)
    assert first.returncode == 1 and not list((tmp_path / "out").glob("*.tflite"))
    assert (
        "the share of all 444 answers that differ" in first.stderr
        and " of 444 answers are not the float model's" in first.stderr
    )
    place = tmp_path / "out" / "to-label" / "tones-data"
    waiting = sorted(place.glob("*.png"))
    assert 0 < len(waiting) <= 4 and f"--label out/to-label/{place.name}" in first.stderr
    for path in waiting:  # the owner calls them dark, as int8 does: gained
        path.rename(place / "dark" / path.name)
    second = call(*flags, "--label", place, cwd=tmp_path)
    assert second.returncode == 0, second.stderr
    assert "lost and gained of all 444 decide" in second.stderr
    verification = artifact.read(str(tmp_path / "out" / "tones-data-int8.tflite")).manifest()["verification"]
    decided = verification["decided_by"]
    assert (decided["rule"], decided["n_images"], decided["lost"], decided["gained"]) == ("labels", 444, 0, len(waiting))
    assert (verification["n_images"], verification["unlabelled"]["labelled"]) == (40, len(waiting))
    assert json.loads((tmp_path / "out" / "report.json").read_text())["rows"][0]["decided_by"] == decided


def test_labels_without_their_pictures_are_a_usage_error(tmp_path):
    done = call("convert", "--int8", "--label", "x", cwd=tmp_path)
    assert done.returncode == 2 and "--label goes with --unlabelled" in done.stderr


def outcome(name, decision, *, n_images, more=None, differing=()):
    test = Verification(n_images, 0, 0, agreeing=n_images, float_top1=1.0, top1=1.0)
    evaluation = SimpleNamespace(judged=None, grounds=Gate(1.0).grounds(test, more), differing=np.array(differing, np.int64))
    final = SimpleNamespace(file_name=name, verdict=Verdict(decision, ()), evaluation=evaluation)
    return SimpleNamespace(final=final)


def ways_on(folder, outcomes, pictures=None):
    network = SimpleNamespace(name="net", class_names=("dark", "light"))
    trial = SimpleNamespace(unlabelled=pictures, gate=Gate(1.0), network=network)
    return few.ways_on(SimpleNamespace(trial=trial, outcomes=outcomes), folder)


def test_where_test_images_are_too_few_it_says_what_passed_and_what_else_counts(tmp_path):
    passed = outcome("net-float16.tflite", "passed", n_images=400)
    hint = "pictures without labels count too, and may be enough: --unlabelled FOLDER"
    assert ways_on(tmp_path, [passed, outcome("net-int8.tflite", "undecided", n_images=400)]) == [
        "what did pass: net-float16.tflite", hint
    ]  # fmt: skip
    assert ways_on(tmp_path, [outcome("net-int8.tflite", "failed", n_images=80)]) == [hint]  # of 80 one lost is a failure
    assert ways_on(tmp_path, [passed, outcome("net-int8.tflite", "failed", n_images=400)]) == []


def test_more_than_anyone_labels_are_not_put_out(tmp_path):
    many = pictures(answers=(0,) * 501)
    said = outcome("net-int8.tflite", "undecided", n_images=80, more=UnlabelledCounts(501, 501), differing=range(501))
    assert ways_on(tmp_path, [said], many) == [
        "net: 501 pictures without a label are answered otherwise than by the float model: too many to label (at most 500)"
    ]
    assert not list(tmp_path.iterdir())


def test_labels_of_other_pictures_are_counted_apart(more, capsys):
    labels = {key(more / "monday" / "000.png"): 0, b"another": 1}
    assert unlabelled.read(more, GREY, seen={}, labels=labels).labels.tolist() == [0] + [UNKNOWN] * 7
    assert capsys.readouterr().err == f"{more}: 1 of the labelled pictures not among these: not counted\n"
