"""Pictures scaled, cut, padded and laid on a ground as the contract says. Expected values are worked by hand."""

import random

import pytest
from PIL import Image

from edge.contract import InputContract
from edge.errors import InputError
from edge.pictures import geometry, read_pixels
from edge.pictures.decode import fit

ROW = bytes([0, 100, 200, 40])
SQUARE = Image.frombytes("L", (4, 4), bytes(range(0, 160, 10)))


def contract(height: int, width: int, *, channels: int = 1, **keys: object) -> InputContract:
    return InputContract(height=height, width=width, channels=channels, fit="resize", **keys)


@pytest.mark.parametrize(
    ("kernel", "wanted"),
    [
        # Centres of two pixels among four lie at 0.5 and 2.5.
        ("nearest", [100, 40]),  # the pixel that holds the centre, cut off: numbers 1 and 3
        ("tf-nearest", [100, 40]),
        ("bilinear", [50, 120]),
        # Weights -1/16, 9/16, 9/16, -1/16 of four pixels; of three, as one is outside, they add up to 17/16.
        ("bicubic", [41, 121]),  # (9 · 0 + 9 · 100 - 200) / 17, (-100 + 9 · 200 + 9 · 40) / 17
    ],
)
def test_each_kernel_without_antialiasing_samples_at_pixel_centres(kernel, wanted):
    assert list(fit(Image.frombytes("L", (4, 1), ROW), contract(1, 2, resize=kernel))) == wanted


def test_enlarged_bilinearly_the_border_is_the_outermost_pixel():
    # Centres at -0.25, 0.25, 0.75, 1.25: the first and the last lie outside.
    assert list(fit(Image.frombytes("L", (2, 1), bytes([0, 100])), contract(1, 4, resize="bilinear"))) == [0, 25, 75, 100]


def test_bicubic_does_not_leave_the_range_of_a_byte():
    edge = Image.frombytes("L", (4, 1), bytes([0, 0, 255, 255]))
    assert {*fit(edge, contract(1, 16, resize="bicubic"))} >= {0, 255}


def test_crop_cuts_the_middle_of_the_proportions_out():
    picture = Image.frombytes("L", (6, 2), bytes([1, 2, 3, 4, 5, 6] * 2))
    assert list(fit(picture, contract(2, 2, aspect="crop"))) == [3, 4, 3, 4]


def test_pad_adds_black_on_both_sides():
    assert list(fit(Image.new("L", (8, 4), 9), contract(4, 4, aspect="pad"))) == [0] * 4 + [9] * 8 + [0] * 4


def test_resize_crop_scales_the_shorter_side_then_cuts_the_middle_out():
    picture = Image.frombytes("L", (6, 4), bytes(range(24)))
    keys = {"aspect": "resize-crop", "shorter_side": 4, "resize": "nearest"}
    assert list(fit(picture, contract(2, 2, **keys))) == [8, 9, 14, 15]


def test_resize_crop_also_scales_a_plain_png_of_the_right_size(tmp_path):
    SQUARE.save(tmp_path / "a.png")
    keys = {"aspect": "resize-crop", "resize": "nearest"}
    assert read_pixels(str(tmp_path / "a.png"), contract(4, 4, **keys, shorter_side=4)) == SQUARE.tobytes()
    enlarged = read_pixels(str(tmp_path / "a.png"), contract(4, 4, **keys, shorter_side=8))
    assert list(enlarged[:4]) == [50, 50, 60, 60]  # from the middle of the picture, doubled


@pytest.mark.parametrize("kernel", ["nearest", "bilinear", "bicubic", "bilinear-antialias", "bicubic-antialias"])
def test_a_picture_of_the_right_size_keeps_its_pixels(kernel):
    assert fit(SQUARE, contract(4, 4, resize=kernel)) == SQUARE.tobytes()


@pytest.mark.parametrize(("alpha", "wanted"), [("drop", 80), ("black", 40), ("white", 168)])
def test_what_shows_through_transparent_parts_is_as_the_contract_says(alpha, wanted):
    # Half transparent (127 of 255): 80 alone, with black behind, with white behind (80 · 127/255 + 255 · 128/255 = 167.8).
    assert abs(fit(Image.new("LA", (1, 1), (80, 127)), contract(1, 1, alpha=alpha))[0] - wanted) <= 1


@pytest.mark.parametrize("exif", ["apply", "ignore"])
def test_a_turned_photo_is_turned_upright_unless_the_contract_ignores_that(exif, tmp_path):
    image = Image.frombytes("L", (2, 1), bytes([0, 200]))
    tags = image.getexif()
    tags[0x0112] = 3  # upside down
    image.save(tmp_path / "a.png", exif=tags)
    wanted = [0, 200] if exif == "ignore" else [200, 0]
    assert list(read_pixels(str(tmp_path / "a.png"), contract(1, 2, exif=exif))) == wanted


def test_only_the_usual_way_decodes_a_large_jpeg_at_a_fraction_of_its_size(tmp_path):
    # Single white pixels: shrunk while decoding they are grey, decoded in full some are met.
    stripes = Image.frombytes("L", (1600, 1600), (bytes([255]) + bytes(7)) * 200 * 1600)
    stripes.save(tmp_path / "a.jpg", quality=95)
    keys = {"resize": "nearest"}
    assert max(read_pixels(str(tmp_path / "a.jpg"), contract(1600 // 8, 1600 // 5, **keys))) > 200
    assert max(read_pixels(str(tmp_path / "a.jpg"), contract(20, 20))) < 60


def test_a_picture_too_long_to_be_scaled_so_is_refused_unscaled():
    with pytest.raises(InputError, match="1x60000 pixels become 512x30720000 before they are cut; at most 16 megapixels"):
        fit(Image.new("L", (1, 60_000)), contract(32, 32, aspect="resize-crop", shorter_side=512))


def test_other_libraries_pictures_have_up_to_sixteen_megapixels(tmp_path):
    Image.new("1", (4096, 4097)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"4096x4097 is 16\.8 megapixels; at most 16 are read"):
        read_pixels(str(tmp_path / "a.png"), contract(8, 8, resize="nearest"))
    Image.new("1", (4096, 4096), 1).save(tmp_path / "a.png")
    assert set(read_pixels(str(tmp_path / "a.png"), contract(8, 8, resize="nearest"))) == {255}
    with pytest.raises(InputError, match="at most 4 are read"):
        read_pixels(str(tmp_path / "a.png"), contract(8, 8))


def test_a_large_picture_is_sampled_in_strips_as_it_would_be_whole(monkeypatch):
    picture = Image.frombytes("RGB", (50, 300), random.Random(0).randbytes(50 * 300 * 3))
    wanted = contract(31, 17, channels=3, resize="bicubic")
    in_strips = fit(picture, wanted)
    monkeypatch.setattr(geometry, "_STRIP_ROWS", 1000)
    assert fit(picture, wanted) == in_strips
