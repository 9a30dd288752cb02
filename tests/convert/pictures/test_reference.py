"""The owner's own answers: read from a CSV or .npz, compared through the device's path, and explained where they differ."""

import numpy as np
import pytest
from PIL import Image

from convert.calibration.images import CalibrationSet
from convert.pictures import answers, reference
from convert.pictures.conventions import Search
from edge.errors import InputError, InputMissing, Refused
from tests.convert.pictures.owned import CLASSES, by_colour, colours, owned


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("colours")
    colours(folder)
    return folder


@pytest.fixture(scope="module")
def files(pictures):
    """The test pictures, by their path under the folder of pictures."""
    return sorted(str(path.relative_to(pictures)) for path in (pictures / "test").glob("*/*.png"))


def owner(pictures, files, order="rgb"):
    """Probabilities, float [N, 3], as the owner's own code works them out of the files."""
    images = np.stack([np.asarray(Image.open(pictures / file)) for file in files])
    return by_colour(order).predict_on_batch((images if order == "rgb" else images[..., ::-1]).astype(np.float32))


def as_csv(path, files, cells, head=""):
    path.write_text(head + "".join(f"{file},{cell}\n" for file, cell in zip(files, cells, strict=True)))
    return path


def check(network, file, pictures, tmp_path, calibration=None):
    chosen = calibration if calibration is not None else network.dataset.train.images[:5]
    return reference.check(network, file, pictures, CalibrationSet(chosen, (), 0), drawing=tmp_path / "pixels" / "my.png")


@pytest.mark.parametrize("form", ["labels", "numbers", "probabilities", "named columns", "npz"])
def test_every_form_says_the_same(pictures, files, tmp_path, form):
    given = owner(pictures, files)
    file = tmp_path / "answers.csv"
    if form == "labels":
        as_csv(file, files, [CLASSES[k] for k in given.argmax(axis=1)], "file,label\n")
    elif form == "numbers":
        as_csv(file, files, given.argmax(axis=1))
    elif form == "probabilities":
        as_csv(file, files, [",".join(map(str, row)) for row in given])
    elif form == "named columns":
        as_csv(file, files, [",".join(map(str, row[::-1])) for row in given], "file,red,green,blue\n")
    else:
        np.savez(file.with_suffix(".npz"), files=np.array(files), probabilities=given)
        file = file.with_suffix(".npz")
    read = answers.read(file, pictures, CLASSES)
    np.testing.assert_array_equal(read.classes, given.argmax(axis=1))
    assert read.paths[0] == str(pictures / files[0])


@pytest.mark.parametrize(("given", "wanted"), [([0.2, 0.5, 0.7, 1], [0, 0, 1, 1]), ([-3, 0, 0.2, 5], [0, 0, 1, 1])])
@pytest.mark.parametrize("columns", [1, 0])
def test_one_number_a_picture_is_the_second_class_s_probability_or_logit(pictures, files, tmp_path, given, wanted, columns):
    given = np.array(given, np.float32).reshape((-1, 1) if columns else -1)
    keys = {"probabilities" if columns else "answers": given}
    np.savez(tmp_path / "a.npz", files=np.array(files[:4]), **keys)
    assert answers.read(tmp_path / "a.npz", pictures, ("cat", "dog")).classes.tolist() == wanted


def test_full_agreement_is_counted_and_the_unseen_pictures_of_known_class_judge(pictures, files, tmp_path):
    network = owned(by_colour(), pictures)
    classes = owner(pictures, files).argmax(axis=1)
    seen = [f"train/{network.dataset.train_files[0].removeprefix('train/')}"]
    label = CLASSES[int(owner(pictures, seen).argmax())]
    calibrated = network.dataset.test.images[:3]
    file = as_csv(tmp_path / "a.csv", files + seen + files[:1], [*(CLASSES[k] for k in classes), label, CLASSES[classes[0]]])
    agreement = check(network, file, pictures, tmp_path, calibrated)
    assert (agreement.n, agreement.agreeing) == (121, 121)  # a picture named twice counts once
    assert len(agreement.judging) == len(agreement.paths) == 117  # neither the training picture nor those calibrated on
    assert agreement.judging.labels.tolist() == [CLASSES.index(path.split("/")[-2]) for path in agreement.paths]
    low, high = agreement.as_json()["interval"]
    assert 0.96 < low < high == 1.0 and "answers as the owner's own code on 121 of 121 pictures" in agreement.in_words


def test_answers_in_bgr_are_explained_and_named(pictures, files, tmp_path):
    """The file holds a network of BGR; the device was told RGB."""
    network = owned(by_colour("bgr"), pictures)
    given = owner(pictures, files, "bgr").argmax(axis=1)
    with pytest.raises(InputError) as refused:
        check(network, as_csv(tmp_path / "a.csv", files, given), pictures, tmp_path)
    assert "120 of 120 with channels in BGR, " in str(refused.value)
    assert 'say so with --contract contract.json, which holds {"order": "bgr"' in str(refused.value)


def test_what_no_convention_explains_is_refused_and_drawn(pictures, files, tmp_path):
    network = owned(by_colour(), pictures)
    given = owner(pictures, files).argmax(axis=1)
    given[::10] = (given[::10] + 1) % 3
    with pytest.raises(Refused, match=r"108 of 120 pictures answered as the owner's code did.* 15\.\d % differ.*both ways"):
        check(network, as_csv(tmp_path / "a.csv", files, given), pictures, tmp_path)
    with Image.open(tmp_path / "pixels" / "my.png") as sheet:
        assert sheet.width == 8 * 92 + 8  # ten pictures, each twice, in rows of eight


def test_a_network_whose_answers_all_tie_is_refused_too(pictures, files, tmp_path):
    network = owned(by_colour(softness=0.0), pictures)
    given = owner(pictures, files).argmax(axis=1)
    with pytest.raises(Refused, match=r"no convention tried explains it; .*shows the worst pictures both ways"):
        check(network, as_csv(tmp_path / "a.csv", files, given), pictures, tmp_path)


def test_of_many_pictures_the_search_takes_some_of_every_class(pictures, files, tmp_path, monkeypatch):
    """A file of answers lists one class after the other."""
    monkeypatch.setattr(reference, "N_SEARCHED", 60)  # half; of the first 60 none is red
    searched = []
    monkeypatch.setattr(reference, "Search", lambda owned, paths: searched.append(paths) or Search(owned, paths))
    given = owner(pictures, files, "bgr").argmax(axis=1)
    with pytest.raises(InputError, match=r": 60 of 60 pictures tried with channels in BGR, "):
        check(owned(by_colour("bgr"), pictures), as_csv(tmp_path / "a.csv", files, given), pictures, tmp_path)
    assert {path.split("/")[-2] for path in searched[-1]} == set(CLASSES) and len(set(searched[-1])) == 60


def test_equal_pixels_that_the_owner_tells_apart_do_not_agree(pictures, files, tmp_path):
    network = owned(by_colour(), pictures)
    given = owner(pictures, files).argmax(axis=1)
    file = as_csv(tmp_path / "a.csv", [*files, files[0]], [*given, (given[0] + 1) % 3])
    agreement = check(network, file, pictures, tmp_path)
    assert (agreement.n, agreement.agreeing) == (121, 120)


def test_one_of_many_that_differs_is_said_and_passes(pictures, files, tmp_path, capsys):
    network = owned(by_colour(), pictures)
    given = owner(pictures, files).argmax(axis=1)
    given[0] = (given[0] + 1) % 3
    agreement = check(network, as_csv(tmp_path / "a.csv", files, given), pictures, tmp_path)
    assert (agreement.n, agreement.agreeing) == (120, 119)
    assert "119 of 120 pictures answered as the owner's code did" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows", "kind", "message"),
    [
        ("", InputError, "no rows"),
        ("test/red/000.png\n", InputError, "row 1 has 1 cells; wanted 2"),
        ("test/red/000.png,red\ntest/red/001.png,0.1,0.2,0.7\n", InputError, "row 2 has 4 cells; wanted 2"),
        ("test/red/gone.png,red\n", InputMissing, "test/red/gone.png: no such picture in "),
        ("test/red/000.png,purple\n", InputError, "row 1: 'purple' is no class; wanted blue, green, red, or their numbers"),
        ("test/red/000.png,3\n", InputError, "row 1: '3' is no class"),
        ("test/red/000.png,0.5,0.5\n", InputError, "2 answers a picture; wanted 3 finite numbers"),
        ("test/red/000.png,0.5,0.5,nan\n", InputError, "wanted 3 finite numbers"),
        ("test/red/000.png,a,b,c\n", InputError, "wanted numbers, file,p0,p1"),
        ("test/red/000.png,red\n", InputError, "1 distinct pictures; at least 59 are wanted"),
        ("PK\x03\x04 not a zip", InputError, "cannot be read"),
        ("\x00\xff", InputError, "a.csv: "),
    ],
)
def test_a_file_that_says_nothing_usable_is_one_line(pictures, tmp_path, rows, kind, message):
    (tmp_path / "a.csv").write_bytes(rows.encode("latin-1"))
    with pytest.raises(kind) as refused:
        check(owned(by_colour(), pictures), tmp_path / "a.csv", pictures, tmp_path)
    assert message in str(refused.value) and "\n" not in str(refused.value)


def test_a_pickle_in_an_npz_is_not_loaded(pictures, tmp_path):
    np.savez(tmp_path / "a.npz", files=np.array([{}], object), answers=np.array([0]))
    with pytest.raises(InputError, match=r"a\.npz: cannot be read"):
        answers.read(tmp_path / "a.npz", pictures, CLASSES)
    with pytest.raises(InputMissing, match=r"gone\.csv: No such file"):
        answers.read(tmp_path / "gone.csv", pictures, CLASSES)
