"""A folder of pictures becomes a data set that is the same every time, or is refused with the name of what is wrong."""

import errno
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from edge.contract import InputContract
from edge.errors import InputMissing, StorageError
from edge.pictures import read_pixels
from tests.train.datasets.conftest import COLOUR, fill, refusal
from train.datasets import folder

GREY = InputContract(height=16, width=16, channels=1, fit="resize")


def test_an_unsplit_folder_gives_three_tenths_of_each_class_to_the_test(pets):
    data = folder.load(pets, COLOUR)
    assert (data.name, data.class_names, data.contract) == ("my-pets", ("cat", "dog"), COLOUR)
    assert np.bincount(data.train.labels).tolist() == [7, 14] and np.bincount(data.test.labels).tolist() == [3, 6]
    assert data.train.images.shape == (21, 16, 20, 3) and data.train.images.dtype == np.uint8
    assert data.split == "stratified, 30% to test, seed 0"
    assert not set(data.train_files) & set(data.test_files)


def test_the_same_seed_gives_the_same_split_and_another_one_another(pets):
    first, again, other = folder.load(pets, COLOUR), folder.load(pets, COLOUR), folder.load(pets, COLOUR, seed=1)
    assert (first.digest, first.test_files) == (again.digest, again.test_files)
    assert set(first.test_files) != set(other.test_files) and first.digest != other.digest


def test_pixels_and_labels_belong_to_the_file_that_is_named(pets):
    data = folder.load(pets, GREY)
    for split, files in ((data.train, data.train_files), (data.test, data.test_files)):
        for image, label, file in zip(split.images, split.labels, files, strict=True):
            assert image.tobytes() == read_pixels(str(pets / file), GREY)
            assert file.startswith(data.class_names[label] + "/")


def test_train_and_test_folders_are_kept_and_their_classes_mixed(halves, capsys):
    data = folder.load(halves, COLOUR)
    assert capsys.readouterr().err == ""  # there are no doubles
    assert (data.n_training, len(data.train), len(data.test), data.split) == (16, 16, 8, "train/ and test/ as they are")
    assert all(file.startswith("test/") for file in data.test_files)
    assert len(set(data.train.labels[:8])) == 2  # the last tenth of train may become the validation split


@pytest.mark.parametrize("other", ["tram", "val"])
def test_a_class_may_be_called_train_and_another_val(other, tmp_path):
    for seed, name in enumerate(("train", other)):
        fill(tmp_path / "vehicles" / name, 10, seed=seed)
    assert folder.load(tmp_path / "vehicles", COLOUR).class_names == ("train", other)


def test_hidden_files_and_what_desktops_leave_are_not_pictures(pets):
    (pets / ".DS_Store").write_bytes(b"x")
    (pets / "cat" / ".hidden.png").write_bytes(b"x")
    (pets / "cat" / "Thumbs.db").write_bytes(b"x")
    (pets / ".ipynb_checkpoints").mkdir()
    assert len(folder.load(pets, COLOUR).train_files) == 21


def test_a_folder_called_like_a_published_data_set_does_not_pass_for_it(pets):
    named = pets.rename(pets.parent / "MNIST")
    assert folder.load(named, COLOUR).name == "mnist-pictures"


def test_a_bad_picture_is_named(pets):
    (pets / "dog" / "03.png").write_bytes((pets / "dog" / "04.png").read_bytes()[:200])
    assert "dog/03.png: " in refusal(pets)
    (pets / "dog" / "03.png").write_text("not a picture")
    assert "03.png: not a picture (begins b'not a pi'); PNG, JPEG, " in refusal(pets)


def test_a_picture_that_stands_twice_is_used_once_and_refused_in_two_classes(pets, capsys):
    shutil.copy(pets / "cat" / "03.png", pets / "cat" / "copy.png")
    data = folder.load(pets, COLOUR)
    assert len(data.train) + len(data.test) == 30
    assert "31 pictures, 30 of them distinct; each is used once" in capsys.readouterr().err
    shutil.copy(pets / "cat" / "04.png", pets / "dog" / "x.png")
    assert "cat/04.png and dog/x.png are the same picture in two classes: remove one; --skip-bad" in refusal(pets)


def test_a_picture_in_train_and_test_is_refused_by_what_it_shows(halves):
    Image.open(halves / "train" / "dog" / "03.png").save(halves / "test" / "dog" / "other.bmp")
    message = refusal(halves)
    assert "train/dog/03.png and test/dog/other.bmp are the same picture; a test on training images proves nothing" in message


def test_a_picture_that_stands_twice_in_test_is_counted_once(halves, capsys):
    Image.open(halves / "test" / "dog" / "03.png").save(halves / "test" / "dog" / "other.bmp")
    shutil.copy(halves / "test" / "cat" / "00.png", halves / "test" / "cat" / "copy.png")
    shutil.copy(halves / "train" / "cat" / "00.png", halves / "train" / "cat" / "copy.png")
    data = folder.load(halves, COLOUR)
    assert (len(data.train), len(data.test), len(data.test_files)) == (16, 8, 8)
    assert len({image.tobytes() for image in data.test.images}) == 8
    message = capsys.readouterr().err
    assert message == f"{halves}: 27 pictures, 24 of them distinct; each is used once (train 16, test 8)\n"


def test_one_test_picture_in_two_classes_is_refused(halves):
    shutil.copy(halves / "test" / "cat" / "03.png", halves / "test" / "dog" / "x.png")
    assert "test/cat/03.png and test/dog/x.png are the same picture in two classes: remove one" in refusal(halves)


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_validation_pictures_of_the_folders_own_stand_behind_those_to_train_on(halves, name):
    alone = folder.load(halves, COLOUR)
    for seed, label in enumerate(("cat", "dog")):
        fill(halves / name / label, 5, seed=20 + seed)
    data = folder.load(halves, COLOUR)
    assert (data.n_training, len(data.train), len(data.test)) == (16, 26, 8)
    assert data.train_files[:16] == alone.train_files and data.test_files == alone.test_files
    assert all(file.startswith(f"{name}/") for file in data.train_files[16:])
    assert data.split == f"train/, {name}/ and test/ as they are"
    for image, label, file in zip(data.train.images, data.train.labels, data.train_files, strict=True):
        assert image.tobytes() == read_pixels(str(halves / file), COLOUR) and f"/{data.class_names[label]}/" in file


def test_a_validation_picture_may_not_be_tested_and_counts_once_if_trained_on(halves, capsys):
    for seed, label in enumerate(("cat", "dog")):
        fill(halves / "val" / label, 5, seed=20 + seed)
    shutil.copy(halves / "train" / "dog" / "03.png", halves / "val" / "dog" / "x.png")
    data = folder.load(halves, COLOUR)
    assert (data.n_training, len(data.train)) == (16, 26)
    assert "35 pictures, 34 of them distinct; each is used once (train 16, test 8, val 10)" in capsys.readouterr().err
    shutil.copy(halves / "test" / "dog" / "03.png", halves / "val" / "dog" / "y.png")
    assert "val/dog/y.png and test/dog/03.png are the same picture; a test on training images" in refusal(halves)


def test_validation_pictures_need_the_same_classes_and_one_folder(halves):
    fill(halves / "val" / "cat", 3, seed=20)
    fill(halves / "val" / "cow", 3, seed=21)
    assert "val/cow: " in (message := refusal(halves)) and "train has no such class; both need the same sub-folders" in message
    (halves / "valid").mkdir()
    assert "val and valid are both names of the val folder; wanted one" in refusal(halves)


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"train": "val"}, "test and val but no train: put the classes directly in the folder"),
        ({"train": None}, "test but no train: put the classes directly in the folder"),
        ({"test": None}, "train but no test: put the classes directly in the folder"),
    ],
)
def test_where_a_half_is_missing_nobody_is_told_to_take_the_classes_apart(halves, parts, says):
    for part, other in parts.items():
        if other:
            (halves / part).rename(halves / other)
        else:
            shutil.rmtree(halves / part)
    assert refusal(halves) == f"{halves}: {says}"


def test_a_class_that_is_missing_in_one_half_is_named(halves):
    shutil.rmtree(halves / "test" / "dog")
    fill(halves / "test" / "cow", 4, seed=9)
    assert "train has no such class; both need the same sub-folders" in refusal(halves)


def test_a_class_with_too_few_pictures_or_none_is_named(pets, tmp_path):
    for index in range(3):
        (pets / "cat" / f"0{index}.png").unlink()
    assert "class 'cat' has 5 pictures to train and 2 to test; wanted at least 7 and 3: add pictures" in refusal(pets)
    (pets / "bird").mkdir()
    assert "class 'bird' has 0 pictures to train and 0 to test" in refusal(pets)
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
    assert "class 'cat' has 0 pictures to train and 0 to test" in refusal(tmp_path / "pets")


def test_other_layouts_are_refused_in_words(pets, tmp_path):
    assert "gone: no such folder; wanted" in refusal(tmp_path / "gone", kind=InputMissing)
    (tmp_path / "pets.zip").touch()
    assert "pets.zip: a file; wanted a folder" in refusal(tmp_path / "pets.zip", kind=InputMissing)
    assert "cat: 10 files and 0 sub-folders; wanted one per class, 2 to 1000" in refusal(pets / "cat")
    (pets / "dog" / "more").mkdir()
    assert "dog/more: a folder inside a class" in refusal(pets)
    (pets / "dog" / "more").rmdir()
    shutil.copy(pets / "dog" / "03.png", pets / "loose.png")
    assert "loose.png: outside the sub-folders" in refusal(pets)


def test_sizes_that_are_not_a_small_networks_are_refused(pets):
    large = InputContract(height=321, width=224, channels=3, fit="resize")
    assert refusal(pets, large) == "images of 321x224; wanted sides from 8 to 320 pixels"


def test_the_smallest_and_the_largest_images_are_read(pets):
    for height, width in ((8, 8), (320, 320)):
        data = folder.load(pets, InputContract(height=height, width=width, channels=3, fit="resize"))
        assert data.test.images.shape == (9, height, width, 3)


def test_labels_beyond_255_are_kept(tmp_path, monkeypatch):
    for label in range(260):
        (tmp_path / "many" / f"{label:03}").mkdir(parents=True)
        for n in range(10):
            (tmp_path / "many" / f"{label:03}" / f"{n}.png").touch()

    def made(path, _):  # each class its colour: 2,600 pictures are not drawn for this
        label, n = map(int, path.removesuffix(".png").split("/")[-2:])
        return bytes((label % 256, label // 256, n)) * 64

    monkeypatch.setattr(folder, "read_pixels", made)
    data = folder.load(tmp_path / "many", InputContract(height=8, width=8, channels=3, fit="exact"))
    assert data.test.labels.max() == 259
    for split in (data.train, data.test):
        assert np.array_equal(split.images[:, 0, 0, 0] + 256 * split.images[:, 0, 0, 1].astype(int), split.labels)


def test_a_disk_without_room_for_the_pixels_is_said_before_a_picture_is_read(pets, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    monkeypatch.setattr(folder, "read_pixels", None)
    assert "no room for 1 MiB of pixels (No space left on device): free it" in refusal(pets, kind=StorageError)
