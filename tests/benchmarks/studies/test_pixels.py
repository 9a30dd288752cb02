"""A few pictures of the study that compares our pixels with the libraries': TensorFlow, Keras and Pillow are at hand here."""

import pytest

from benchmarks.studies.pixels import made
from benchmarks.studies.pixels.__main__ import ONE_CALL, WAYS, compare
from convert.pictures.presets import PRESETS

HERE = {way.loader: way for way in WAYS if not way.elsewhere}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Sixty pictures: the kinds of file and of picture, each in turn."""
    return made.draw(tmp_path_factory.mktemp("made"), n=60, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("loader", ["keras_dataset", "keras_pad", "keras_bicubic", "load_img"])
def test_our_pixels_are_the_librarys_within_a_step(pictures, loader):
    result = compare(HERE[loader], pictures)
    assert result.exact and result.n_files > 45
    assert set(result.values) == {".png", ".bmp", ".jpg"}


@pytest.mark.slow
def test_our_jpegs_are_tensorflows_with_its_accurate_decoder(pictures):
    result = compare(HERE["tensorflow_accurate"], pictures)
    assert result.within[".jpg"] >= 0.995 * result.values[".jpg"] > 0


def test_a_way_that_is_not_the_librarys_is_seen(pictures):
    nearest = HERE["load_img"]
    assert not compare(type(nearest)("", "load_img", "pillow", preset="keras"), pictures[:12]).exact


def test_every_preset_is_compared_or_has_the_geometry_of_one_that_is():
    compared = [PRESETS[way.preset].keys(224, 224) for way in (*WAYS, *ONE_CALL) if way.preset and not way.keys]
    assert all(preset.keys(224, 224) in compared for name, preset in PRESETS.items() if name != "edgeproof")
