"""Networks of exactly the documented size and behaviour."""

import numpy as np
import pytest

from edge.errors import UsageError
from train.architectures import ARCHITECTURES, architecture
from train.recipes import Recipe

_DEEP = {
    "conv1": 5 * 5 * 1 * 32 + 32,
    "conv2": 5 * 5 * 32 * 64 + 64,
    "dense1": 7 * 7 * 64 * 1024 + 1024,
    "logits": 1024 * 10 + 10,
}
# Worked by hand from the layers in the documents; those the documents give themselves stand as numbers.
LAYERS = {
    "deep-mnist": _DEEP,
    "deep-mnist-conv": _DEEP,
    "lenet5-wide": _DEEP,
    "keras-cnn": {
        "conv1": 3 * 3 * 1 * 32 + 32,
        "conv2": 3 * 3 * 32 * 48 + 48,
        "norm2": 52,
        "conv3": 2 * 2 * 48 * 64 + 64,
        "norm3": 28,
        "dense1": 576 * 3168 + 3168,
        "logits": 3168 * 10 + 10,
    },
    "lenet5-1998": {"C1": 156, "S2": 12, "C3": 1_516, "S4": 32, "C5": 48_120, "F6": 10_164, "logits": 850},
    "lenet5-sigmoid": {
        "conv1": 5 * 5 * 1 * 6 + 6,
        "conv2": 5 * 5 * 6 * 16 + 16,
        "conv3": 5 * 5 * 16 * 120 + 120,
        "dense1": 5880 * 80 + 80,
        "logits": 80 * 10 + 10,
    },
    "lenet5-relu": {
        "conv1": 5 * 5 * 1 * 6 + 6,
        "conv2": 5 * 5 * 6 * 16 + 16,
        "dense1": 7 * 7 * 16 * 120 + 120,
        "logits": 120 * 10 + 10,
    },
    "cifar-lrn": {
        "conv1": 5 * 5 * 3 * 64 + 64,
        "conv2": 5 * 5 * 64 * 64 + 64,
        "dense1": 2304 * 384 + 384,
        "dense2": 384 * 192 + 192,
        "logits": 192 * 10 + 10,
    },
}
TOTALS = {name: sum(counts.values()) for name, counts in LAYERS.items()} | {"resnet8": 78_666}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_layer_has_exactly_its_documented_parameters_and_pixels_become_ten_logits(name):
    model, contract = architecture(name).build(), architecture(name).contract
    n_parameters = model.count_params()
    assert n_parameters == architecture(name).n_parameters
    assert n_parameters <= 8_000 if name == "mnist-tiny" else n_parameters == TOTALS[name]
    if name in LAYERS:
        assert {layer.name: layer.count_params() for layer in model.layers if layer.count_params()} == LAYERS[name]
    images = np.random.default_rng(0).integers(0, 256, (2, contract.height, contract.width, contract.channels))
    answers = np.array(model(images.astype(np.float32)))
    assert answers.shape == (2, 10) and np.isfinite(answers).all() and answers.min() < 0


def test_forty_parameters_of_keras_cnn_are_not_trainable():
    model = architecture("keras-cnn").build()
    assert sum(int(np.prod(v.shape)) for v in model.non_trainable_weights) == 40


def test_resnet8_has_77706_parameters_once_its_batch_norms_are_folded():
    model = architecture("resnet8").build()
    norms = sum(layer.count_params() for layer in model.layers if layer.name.endswith("-norm"))
    assert model.count_params() - norms == 77_706


def test_documented_weights_start_as_the_document_says():
    kernel, bias = architecture("deep-mnist").build(Recipe(initialization="documented")).get_layer("dense1").get_weights()
    # A normal of σ 0.1 cut at two σ has σ 0.088 and no value beyond 0.2.
    assert np.abs(kernel).max() <= 0.2 and kernel.std() == pytest.approx(0.088, abs=0.001)
    assert set(bias) == {np.float32(0.1)}


def test_lenet5_sigmoid_starts_its_biases_as_its_weights():
    kernel, bias = architecture("lenet5-sigmoid").build(Recipe(initialization="documented")).get_layer("dense1").get_weights()
    for values in (kernel, bias):
        assert np.abs(values).max() <= 2 and values.std() == pytest.approx(0.88, abs=0.15)


def test_cifar_lrn_starts_and_is_penalized_as_its_document_says():
    model = architecture("cifar-lrn").build(Recipe(initialization="documented", l2=0.004))
    spread = {"conv1": 0.05, "conv2": 0.05, "dense1": 0.04, "dense2": 0.04, "logits": 1 / 192}
    for name, stddev in spread.items():
        kernel, biases = model.get_layer(name).get_weights()
        assert np.abs(kernel).max() <= 2 * stddev and kernel.std() == pytest.approx(0.88 * stddev, rel=0.05), name
        assert set(biases) == {np.float32(0 if name in ("conv1", "logits") else 0.1)}, name
    # 0.004 · Σw²/2 over the two wide layers, and nothing else.
    squares = sum(float((model.get_layer(name).kernel.numpy() ** 2).sum()) for name in ("dense1", "dense2"))
    assert sum(map(float, model.losses)) == pytest.approx(0.002 * squares, rel=1e-5)


def test_a_network_that_no_document_starts_refuses_a_documented_start():
    with pytest.raises(UsageError, match=r"^--initialization documented: resnet8 has a fixed initialization"):
        architecture("resnet8").build(Recipe(initialization="documented"))


def test_c3_of_lenet5_1998_starts_by_the_number_of_its_inputs():
    kernel = architecture("lenet5-1998").build().get_layer("C3").get_weights()[0]
    # 60 kernels of 25 lead to 16 maps: He's deviation is the root of 2/93.75.
    assert kernel.std() == pytest.approx((2 / 93.75) ** 0.5, rel=0.05)


def test_the_same_seed_starts_with_the_same_weights():
    first, second, other = (architecture("lenet5-relu").build(Recipe(seed=seed)).get_weights()[0] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_deep_mnist_conv_with_deep_mnists_weights_gives_the_same_logits():
    dense, conv = architecture("deep-mnist").build(Recipe(seed=5)), architecture("deep-mnist-conv").build()
    for theirs, ours in zip(conv.weights, dense.weights, strict=True):
        theirs.assign(np.reshape(ours, theirs.shape))
    images = np.random.default_rng(0).integers(0, 256, (8, 28, 28, 1)).astype(np.float32)
    # float32 sums of 3,136 products in another order.
    np.testing.assert_allclose(conv(images), dense(images), rtol=1e-4, atol=1e-4)


def test_the_activation_is_a_choice_where_a_network_leaves_it_open_and_an_error_elsewhere():
    selu = architecture("keras-cnn").build(Recipe(activation="selu"))
    assert selu.get_layer("dense1").activation.__name__ == "selu"
    assert architecture("keras-cnn").build().get_layer("dense1").activation.__name__ == "relu"
    assert architecture("lenet5-sigmoid").build().get_layer("conv1").activation.__name__ == "sigmoid"
    with pytest.raises(UsageError, match=r"^--dropout 0\.5: lenet5-relu has a fixed dropout"):
        architecture("lenet5-relu").build(Recipe(dropout=0.5))


# Table I of the 1998 paper, a column a C3 map, by S2 map; copied from the page.
TABLE_I = (
    "X...XXX..XXXX.XX",
    "XX...XXX..XXXX.X",
    "XXX...XXX..X.XXX",
    ".XXX..XXXX..X.XX",
    "..XXX..XXXX.XX.X",
    "...XXX..XXXX.XXX",
)


def test_each_c3_map_of_lenet5_1998_sees_the_s2_maps_of_table_i_and_no_others():
    layer = architecture("lenet5-1998").build().get_layer("C3")
    maps = np.random.default_rng(0).normal(size=(1, 14, 14, 6)).astype(np.float32)
    before = np.array(layer(maps))
    for s2, row in enumerate(TABLE_I):
        changed = maps.copy()
        changed[..., s2] += 1
        moved = np.abs(np.array(layer(changed)) - before).max(axis=(0, 1, 2)) > 1e-6
        assert "".join(".X"[int(m)] for m in moved) == row


def test_subsampling_adds_squares_of_four_and_squashes_them():
    layer = architecture("lenet5-1998").build().get_layer("S2")
    layer.coefficient.assign(np.arange(6.0))
    layer.bias.assign(np.full(6, 0.5))
    maps = np.random.default_rng(0).normal(size=(1, 28, 28, 6)).astype(np.float32)
    total = maps[0, 4:6, 8:10, 3].sum()
    assert float(layer(maps)[0, 2, 4, 3]) == pytest.approx(1 / (1 + np.exp(-(3 * total + 0.5))), abs=1e-6)


def test_the_image_standardization_is_tensorflows_own_flat_pictures_too():
    import tensorflow as tf

    layer = architecture("cifar-lrn").build().get_layer("standardize")
    images = np.random.default_rng(0).integers(0, 256, (3, 24, 24, 3)).astype(np.float32)
    images[1] = 7
    np.testing.assert_allclose(layer(images), tf.image.per_image_standardization(images), atol=1e-5)


def test_a_shift_before_the_networks_central_crop_is_a_crop_anywhere():
    from train.batches import augment

    image = np.random.default_rng(0).integers(1, 256, (1, 32, 32, 3), np.uint8)
    crops = {image[0, y : y + 24, x : x + 24].tobytes(): (y, x) for y in range(9) for x in range(9)}
    network = architecture("cifar-lrn").build(Recipe(standardization="data-set"))
    places = set()
    for k in range(400):
        moved = augment(image, Recipe(shift=4), np.random.default_rng(k))
        places.add(crops[np.array(network.get_layer("crop")(moved)).astype(np.uint8).tobytes()])
    assert len(places) > 70  # of 81 places
