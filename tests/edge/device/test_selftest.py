"""The picture files that an artifact carries: read as on the machine that sealed them, or the self-test says what differs."""

import pytest

from edge import artifact, locate, predictor
from edge.contract import DIGIT
from edge.device import selftest
from edge.errors import ModelError
from edge.pictures import pixels_of
from tests.edge.on_device import ROOT, resealed

NAMES = ("four-photo.jpg", "three-alpha.png", "two.png")


@pytest.fixture(scope="module")
def files():
    """Example pictures with the pixels and the output that this machine gives."""
    run = predictor.load(locate.shipped_model(), trusted=True).engine.run
    contents = {name: (ROOT / "examples" / name).read_bytes() for name in NAMES}
    pixels = {name: pixels_of(content, DIGIT) for name, content in contents.items()}
    return tuple((name, contents[name], pixels[name], run(pixels[name])) for name in NAMES)


@pytest.fixture
def replay(tmp_path):
    """A function: the self-test of the shipped model, sealed with these picture files."""

    def replay(files, **changes) -> selftest.Replay:
        path = resealed(tmp_path / "a.tflite", name="a", files=tuple(files), **changes)
        return selftest.replay(predictor.load(str(path)))

    return replay


def test_the_files_come_back_in_order_with_what_they_give(files, tmp_path):
    found = artifact.read(str(resealed(tmp_path / "a.tflite", name="a", files=files))).golden_files()
    assert found == [(*file, 1) for file in files]


def test_picture_files_that_give_the_same_pixels_and_answers_pass(files, replay):
    result = replay(files)
    assert (result.passed, result.n_files, result.n_files_exact) == (True, 3, 3)
    assert result.files == ", 3 of 3 picture files read to the same pixels"


def test_an_artifact_without_picture_files_passes_as_before(replay):
    assert replay(()).passed and replay(()).files == ""


@pytest.mark.parametrize(("steps", "passed"), [(1, True), (2, False)])
def test_pixels_may_be_off_by_the_tolerance_and_no_more(files, replay, steps, passed):
    name, content, pixels, output = files[0]
    moved = bytes([pixels[0] + steps]) + pixels[1:]  # the corner is black
    result = replay([(name, content, moved, output)])
    assert (result.passed, result.n_files_exact) == (passed, 0)
    if not passed:
        assert result.first_difference.startswith(
            "reading four-photo.jpg: 1 of 784 pixel values are off by up to 2 steps, tolerance 1"
        )


def test_the_engine_is_named_where_it_answers_the_right_pixels_otherwise(files, replay):
    name, content, pixels, output = files[0]
    difference = replay([(name, content, pixels, bytes([output[0] ^ 64]) + output[1:])]).first_difference
    assert difference.startswith("four-photo.jpg: expected (") and "reading" not in difference


def test_a_picture_file_that_cannot_be_read_fails_in_one_line(files, replay):
    _, content, pixels, output = files[0]
    difference = replay([("cut.jpg", content[:100], pixels, output)]).first_difference
    assert difference.startswith("reading cut.jpg: a damaged or unfinished JPEG")


def test_a_picture_file_without_a_stated_tolerance_is_no_valid_artifact(files, tmp_path, monkeypatch):
    monkeypatch.setattr(artifact.Artifact, "manifest", lambda self: {"pictures": {"tolerance": {"two.png": True}}})
    with pytest.raises(ModelError, match=r"states no tolerance from 0 to 64 for pictures/four-photo\.jpg"):
        artifact.read(str(resealed(tmp_path / "a.tflite", name="a", files=files))).golden_files()
