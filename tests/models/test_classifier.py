"""What the classifier has beside the training contract of all models."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.config import ModelConfig
from zoo.data.images import ImageDataset, Split
from zoo.errors import UsageError
from zoo.models import build_model, model_class
from zoo.models.classifier import Classifier, mirrored, shifted
from zoo.networks.vgg import VGG
from zoo.noise import row_noise


def dataset_of(labels, n=4):
    images = np.zeros((n, 28, 28, 3), np.uint8)
    labels = None if labels is None else np.asarray(labels, np.int64)
    splits = {name: Split(images, labels) for name in ("train", "validation", "test")}
    return ImageDataset("tiny", splits, {})


@pytest.mark.parametrize(
    ("side", "blocks", "features"), [(28, 4, 512), (32, 5, 512), (64, 5, 512), (8, 3, 256)]
)
def test_the_depth_follows_the_side(side, blocks, features):
    network = VGG((side, side, 3), 10, 1.0)
    assert sum("pooling" in layer.name for layer in network.trunk.layers) == blocks - 1
    logits, found = network(tf.zeros((2, side, side, 3)))
    assert logits.shape == (2, 10) and found.shape == (2, features)


def test_the_layers_of_vgg_16():
    """13 convolutions of 3x3 without biases, batch norm behind each, and one linear head."""
    network, pairs, channels = VGG((32, 32, 3), 10, 1.0), 0, 3
    for maps in (64, 64, 128, 128, 256, 256, 256, *[512] * 6):
        pairs, channels = pairs + 9 * channels * maps + 2 * maps, maps
    assert sum(int(np.prod(v.shape)) for v in network.trainable_variables) == pairs + 513 * 10


def test_dropout_follows_the_row():
    network = VGG((28, 28, 3), 10, 0.5)
    image = np.random.default_rng(0).random((1, 28, 28, 3), np.float32)
    images = tf.constant(np.repeat(image, 4, axis=0))

    def logits(*seeds):
        return network(images, noise=row_noise(np.array(seeds, np.int32)), training=True)[0].numpy()

    first, second = logits(1, 2, 3, 1), logits(1, 2, 3, 1)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first[0], first[3], rtol=1e-4, atol=1e-4)
    assert not np.allclose(first[0], first[1], atol=1e-3)


def test_shifts_and_mirrors():
    pixels = np.random.default_rng(0).random((64, 8, 8, 1), np.float32)
    noise = row_noise(np.arange(64, dtype=np.int32))
    moved, seen = shifted(tf.constant(pixels), (1, 1), noise).numpy(), set()
    padded = np.pad(pixels, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    for image, original in zip(moved, padded, strict=True):
        places = [
            (y, x)
            for y in range(3)
            for x in range(3)
            if np.array_equal(image, original[y : y + 8, x : x + 8])
        ]
        assert len(places) == 1
        seen |= set(places)
    assert len(seen) == 9
    turned = mirrored(tf.constant(pixels), noise).numpy()
    as_they_were = (turned == pixels).all(axis=(1, 2, 3))
    assert 16 < as_they_were.sum() < 48
    np.testing.assert_array_equal(turned[~as_they_were], pixels[~as_they_were, :, ::-1])


def test_each_side_is_shifted_by_its_own_eighth():
    pixels = np.zeros((256, 16, 8, 1), np.float32)
    pixels[:, 8, 4] = 1.0
    noise = row_noise(np.arange(256, dtype=np.int32))
    _, rows, columns, _ = np.nonzero(shifted(tf.constant(pixels), (2, 1), noise).numpy())
    assert set(rows) == {6, 7, 8, 9, 10} and set(columns) == {3, 4, 5}


@pytest.mark.parametrize("shape", [(16, 24, 1), (96, 8, 4)])
def test_oblong_images_train(shape):
    config = ModelConfig(model="classifier", classes=3, width=0.06, mirror=True)
    model = build_model(config, shape)
    model.compile(seed=1)
    images = tf.constant(np.random.default_rng(0).random((4, *shape), np.float32))
    for _ in range(2):
        logs = model.train_step((images, tf.constant([0, 1, 2, 0], tf.int64)))
    assert np.isfinite([float(value) for value in logs.values()]).all()
    assert model.classify(images)[0].shape == (4, 3)


def test_the_classes_are_those_of_the_data():
    config = ModelConfig(model="classifier")
    assert Classifier.resolve_for(config, dataset_of([0, 1, 6, 2])).classes == 7
    more = ModelConfig(model="classifier", classes=9)
    assert Classifier.resolve_for(more, dataset_of([0, 1, 6, 2])).classes == 9
    fewer = ModelConfig(model="classifier", classes=5)
    with pytest.raises(UsageError, match="classes=5 is not accepted: expected at least the 7 of"):
        Classifier.resolve_for(fewer, dataset_of([0, 1, 6, 2]))
    with pytest.raises(UsageError, match="tiny has no labels: expected a data set with classes"):
        Classifier.resolve_for(config, dataset_of(None))
    with pytest.raises(UsageError, match="classifier has no option latent_size .given 3.; it has"):
        Classifier.resolve_for(ModelConfig(model="classifier", latent_size=3), dataset_of([1] * 4))
    with pytest.raises(UsageError, match="vae has no option classes"):
        model_class("vae").resolve(ModelConfig(classes=3), (28, 28, 3))


def test_the_optimiser():
    model = build_model(ModelConfig(model="classifier", width=0.03), (28, 28, 3))
    model.compile({"all": 0.1})
    optimizer = model.optimizers["network"]
    assert isinstance(optimizer, keras.optimizers.SGD) and optimizer.nesterov
    optimizer.iterations.assign(500)
    assert float(optimizer.learning_rate) == pytest.approx(0.025)


def test_it_learns_and_counts_its_errors():
    """Three colours, told apart within a few steps."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 96)
    pixels = rng.integers(0, 80, (96, 8, 8, 3)) + 150 * np.eye(3)[labels][:, None, None]
    pixels = pixels.astype(np.uint8)
    config = ModelConfig(model="classifier", classes=3, width=0.1, mirror=True)
    model = build_model(config, (8, 8, 3))
    model.compile(seed=1)
    step = tf.function(model.train_step)
    for first in range(0, 40 * 32, 32):
        rows = np.arange(first, first + 32) % 96
        step((tf.cast(pixels[rows], tf.float32) / 255.0, tf.constant(labels[rows])))
    assert model.error_rate(pixels, labels) < 0.05
    assert model.error_rate(pixels, (labels + 1) % 3) > 0.95
