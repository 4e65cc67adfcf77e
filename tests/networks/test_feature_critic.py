"""The features of an image critic: which layer's they are."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo import networks
from zoo.networks.critics import ImageCritic
from zoo.networks.feature_critic import FeatureCritic
from zoo.networks.own import OwnNetworks


def critic(shape, name=None, own=None):
    given = OwnNetworks("dcgan", ("image_critic",), {"image_critic": own})
    family = networks.family(shape, name) if own is None else given.family(shape, None)
    return ImageCritic(family, shape, 0.06, batch_norm=True)


@pytest.mark.parametrize(
    ("shape", "name", "features"),
    [
        ((28, 28, 3), "color_mnist", (7, 7, 2)),
        ((32, 32, 3), "dcgan", (8, 8, 8)),
        ((64, 64, 1), "dcgan", (8, 8, 15)),
        ((40, 64, 3), "dcgan", (5, 8, 15)),
        ((32, 32, 3), "resnet", (8, 8, 8)),
        ((64, 64, 3), "resnet", (8, 8, 31)),
    ],
)
def test_maps_of_8_pixels_or_the_next_smaller_ones(shape, name, features):
    plain = critic(shape, name)
    variables = [id(v) for v in plain.variables]
    network = FeatureCritic(plain, 8)
    assert [id(v) for v in network.variables] == variables
    images = tf.constant(np.random.default_rng(0).random((2, *shape), np.float32))
    logit, found = network(images)
    assert found.shape == (2, *features) and found.dtype == tf.float32
    np.testing.assert_allclose(logit, plain(images), rtol=1e-5, atol=1e-7)


def test_they_are_a_convolutions_output_before_its_batch_norm():
    plain = critic((28, 28, 3), "color_mnist")
    images = tf.constant(np.random.default_rng(0).random((2, 28, 28, 3), np.float32))
    x = images
    for layer in plain.trunk.layers[:7]:
        x = layer(x)
    assert isinstance(plain.trunk.layers[6], keras.layers.Conv2D)
    assert isinstance(plain.trunk.layers[7], keras.layers.BatchNormalization)
    np.testing.assert_array_equal(FeatureCritic(plain, 8)(images)[1], x)


def test_a_branch_is_no_place_for_them():
    """The first sum of two branches, though each has maps that are small enough before."""
    plain = critic((32, 32, 3), "resnet")
    trunk = FeatureCritic(plain, 8).trunk
    (layer,) = (x for x in trunk.layers if x.output is trunk.outputs[0])
    assert isinstance(layer, keras.layers.Add)


def test_one_pass_moves_batch_statistics_once():
    plain, other = (critic((28, 28, 3), "color_mnist") for _ in range(2))
    for one, two in zip(plain.variables, other.variables, strict=True):
        two.assign(one)
    images = tf.constant(np.random.default_rng(0).random((4, 28, 28, 3), np.float32))
    FeatureCritic(plain, 8)(images, training=True)
    other(images, training=True)
    for one, two in zip(plain.variables, other.variables, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-6)


def added_one_by_one():
    network = keras.Sequential([keras.Input((16, 16, 1))])
    for layer in (
        keras.layers.Conv2D(3, 4, 2, padding="same"),
        keras.layers.BatchNormalization(),
        keras.layers.Flatten(),
        keras.layers.Dense(5),
    ):
        network.add(layer)
    return network


def functional():
    images = keras.Input((16, 16, 1))
    maps = keras.layers.Conv2D(3, 4, 2, padding="same")(images)
    return keras.Model(images, keras.layers.Dense(1)(keras.layers.Flatten()(maps)))


def without_maps():
    images = keras.Input((16, 16, 1))
    return keras.Model(images, keras.layers.Dense(5)(keras.layers.Flatten()(images)))


@pytest.mark.parametrize(
    ("own", "features"),
    [(added_one_by_one, (8, 8, 3)), (functional, (8, 8, 3)), (without_maps, (5,))],
)
def test_those_of_ones_own_network(own, features):
    plain = critic((16, 16, 1), own=own())
    network = FeatureCritic(plain, 8)
    images = tf.constant(np.random.default_rng(0).random((2, 16, 16, 1), np.float32))
    before = [v.numpy() for v in network.non_trainable_variables]
    logit, found = network(images, training=True)
    assert logit.shape == (2,) and found.shape == (2, *features)
    after = [v.numpy() for v in network.non_trainable_variables]
    for old, new in zip(before, after, strict=True):
        assert not np.array_equal(old, new)
