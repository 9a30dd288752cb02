"""Picture folders as people have them: other names for the parts, files in between, files that cannot be used."""

import shutil

import numpy as np
import pytest
from PIL import Image, features

from edge.errors import InputError
from edge.pictures import read_pixels
from tests.train.datasets.conftest import COLOUR, fill, refusal
from train.datasets import folder
from train.datasets.listing import part_of


@pytest.mark.parametrize(
    ("train", "test", "val"),
    [
        ("Train", "Test", "Val"),
        ("training_set", "test_set", None),
        ("TRAINING", "eval", "Validation"),
        ("trainset", "Testing", None),
    ],
)
def test_parts_are_known_by_their_usual_names_in_any_case(halves, train, test, val):
    (halves / "train").rename(halves / "renamed")  # train and Train are one on some disks
    (halves / "renamed").rename(halves / train)
    (halves / "test").rename(halves / "renamed")
    (halves / "renamed").rename(halves / test)
    if val:
        for seed, name in enumerate(("cat", "dog")):
            fill(halves / val / name, 3, seed=30 + seed)
    data = folder.load(halves, COLOUR)
    assert (data.n_training, len(data.test), len(data.train)) == (16, 8, 22 if val else 16)
    assert all(file.startswith(f"{test}/") for file in data.test_files)
    assert data.split == f"{train}/, {val + '/ ' if val else ''}and {test}/ as they are".replace(", and", " and")


def test_validation_pictures_are_the_test_where_there_is_no_other(halves, capsys):
    (halves / "test").rename(halves / "validation")
    data = folder.load(halves, COLOUR)
    assert (len(data.train), len(data.test), data.split) == (16, 8, "train/ and validation/ as they are")
    assert "no test folder; the pictures in validation are the test images" in capsys.readouterr().err


def test_test_pictures_without_labels_are_told_where_to_go(halves):
    shutil.rmtree(halves / "test")
    fill(halves / "test", 4, seed=9)
    assert "test: 4 files and 0 sub-folders; wanted one per class" in (message := refusal(halves))
    assert message.endswith("move pictures without labels out, for --unlabelled")


def test_names_that_are_none_of_a_part():
    assert [part_of(name) for name in ("trains", "set", "tested", "tram", "test1", "evaluations")] == [""] * 6


def test_two_names_for_one_part_are_refused(halves):
    shutil.copytree(halves / "test", halves / "Evaluation")
    assert "Evaluation and test are both names of the test folder; wanted one: rename or move the other" in refusal(halves)


def test_a_folder_unpacked_into_another_is_found_and_what_lies_around_passed_over(halves, capsys):
    outer = halves.parent / "archive"
    outer.mkdir()
    halves.rename(outer / "halves")
    (outer / "__MACOSX" / "halves" / "train").mkdir(parents=True)
    (outer / "README.txt").write_text("x")
    (outer / "halves" / "labels.csv").write_text("x")
    (outer / "halves" / "train" / "vectorize.py").write_text("x")
    (outer / "halves" / "train" / "cat" / "00.xml").write_text("x")
    (outer / "halves" / "train" / "cat" / "LICENSE").write_text("x")
    data = folder.load(outer, COLOUR)
    assert (data.name, len(data.train), len(data.test)) == ("archive", 16, 8)
    assert data.train_files[0].startswith("halves/train/") and read_pixels(str(outer / data.test_files[0]), COLOUR)
    line = capsys.readouterr().err
    assert line.startswith(f"{outer}: 5 files that are no pictures are ignored: README.txt, ") and line.count("\n") == 1


def test_train_inside_train_is_one_folder_too_many(halves):
    for part in ("train", "test"):
        (halves / part).rename(halves / "inner")
        (halves / part).mkdir()
        (halves / "inner").rename(halves / part / part)
    assert len(folder.load(halves, COLOUR).train) == 16


def test_parts_of_unknown_names_are_not_taken_for_classes(halves):
    (halves / "train").rename(halves / "seg_train")
    (halves / "test").rename(halves / "seg_test")
    fill(halves / "seg_pred", 3, seed=9)
    assert "seg_test, seg_train hold folders and no pictures; call the parts train and test" in refusal(halves)


@pytest.mark.parametrize("ending", ["gif", "tiff", "webp", "avif"])
def test_other_formats_are_pictures_of_a_class(pets, ending):
    if ending in ("webp", "avif") and not features.check(ending):
        pytest.skip(f"this Pillow does not read {ending}")
    first, second = (Image.new("RGB", (24, 18), colour) for colour in ("red", "blue"))
    first.save(
        pets / "cat" / f"a.{ending}",
        **({} if ending in ("tiff", "webp", "avif") else {"save_all": True, "append_images": [second]}),
    )
    data = folder.load(pets, COLOUR)
    at = (data.train_files + data.test_files).index(f"cat/a.{ending}")
    red, green, blue = np.concatenate([data.train.images, data.test.images])[at].reshape(-1, 3).mean(axis=0)
    assert red > 240 and green < 10 and blue < 10  # of an animation, the first picture


@pytest.fixture
def untidy(halves):
    """One of each fault: unreadable in train, equal in train and test, equal in two classes, out of place."""
    (halves / "train" / "cat" / "08.png").write_bytes((halves / "train" / "cat" / "00.png").read_bytes())
    Image.new("RGB", (24, 18), "green").save(halves / "train" / "cat" / "00.png")
    (halves / "train" / "cat" / "09.png").write_bytes(b"")
    shutil.copy(halves / "train" / "dog" / "01.png", halves / "test" / "dog" / "again.png")
    shutil.copy(halves / "train" / "cat" / "02.png", halves / "train" / "dog" / "other.png")
    shutil.copy(halves / "train" / "cat" / "03.png", halves / "train" / "loose.png")
    (halves / "train" / "cat" / "more").mkdir()
    fill(halves / "sample" / "cat", 1, seed=50)
    return halves


def test_all_that_cannot_be_used_is_told_at_once(untidy, capsys):
    message = refusal(untidy)
    assert (
        f"{untidy}: 7 files cannot be used: 3 stray, 1 unreadable, 2 in two classes, 1 in test and elsewhere (the first: "
        in message
    )
    assert message.endswith("mend or remove them, or leave them out with --skip-bad")
    lines = capsys.readouterr().err.splitlines()
    for line, part in zip(
        lines,
        ("sample: a folder beside train and test", "train/loose.png: outside the sub-folders", "train/cat/more: a folder in",
         "train/cat/09.png: an empty file", "train/cat/02.png and train/dog/other.png are the same picture in two classes",
         "train/dog/01.png and test/dog/again.png are the same picture; a test"),
        strict=True,
    ):  # fmt: skip
        assert part in line


def test_what_cannot_be_used_is_left_out_when_asked(untidy, capsys):
    data = folder.load(untidy, COLOUR, skip_bad=True)
    assert data.left_out == {"stray": 3, "unreadable": 1, "in two classes": 2, "in test and elsewhere": 1}
    # Of seventeen that can be read, one is of no sure class; of the test, only the copy goes.
    assert (len(data.train), len(data.test)) == (16, 8)
    assert "train/dog/01.png" in data.train_files and "test/dog/again.png" not in data.test_files
    assert not {"train/cat/09.png", "train/cat/02.png", "train/dog/other.png"} & set(data.train_files)
    told = capsys.readouterr().err
    assert told == f"{untidy}: 7 files left out: 3 stray, 1 unreadable, 2 in two classes, 1 in test and elsewhere\n"


def test_many_faults_are_counted_and_only_some_named(pets, capsys):
    for index in range(30):
        (pets / "dog" / f"bad{index:02}.jpg").write_text("no picture")
    with pytest.raises(InputError, match="30 files cannot be used: 30 unreadable"):
        folder.load(pets, COLOUR)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 21 and lines[-1] == "… and 10 more unreadable"


def test_a_picture_that_may_not_be_read_is_named(pets):
    (pets / "cat" / "gone.png").symlink_to(pets / "nowhere.png")
    assert "cat/gone.png: No such file or directory; --skip-bad leaves out what cannot be used" in refusal(pets)
