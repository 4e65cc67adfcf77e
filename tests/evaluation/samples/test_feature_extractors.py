"""What is loaded as a classifier: a run of the zoo's own, and Inception from a local file."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.config import RunConfig
from zoo.errors import UsageError
from zoo.evaluation.samples.feature_extractors import load_feature_extractor
from zoo.models import build_model
from zoo.run import Run

SHAPE = (28, 28, 3)


def made_run(folder, model="classifier", **settings):
    """A run folder with a checkpoint at step 0 + 7 and no training."""
    config = RunConfig.create(model=model, width=0.03, **settings)
    run = Run.create_or_resume(folder, config, "none", SHAPE)
    model = build_model(config.model, SHAPE)
    model.compile()
    model.step.assign(7)
    run.checkpoints.save(model)
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = made_run(tmp_path_factory.mktemp("classifier") / "run", classes=4)
    run.log({"step": 5, "test_error": 0.5})
    run.log({"step": 7, "test_error": 0.0125})
    return run


def images(*shape):
    return np.random.default_rng(0).random(shape, np.float32)


def test_the_classifier_of_a_run(run):
    classifier = load_feature_extractor(str(run.path), SHAPE)
    logits, features = classifier(images(3, *SHAPE))
    assert logits.shape == (3, 4) and features.shape == (3, classifier.features)
    expected, _ = run.model.classify(images(3, *SHAPE))
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)
    head = run.model.network.head
    np.testing.assert_allclose(features @ head.kernel + head.bias, logits, rtol=1e-4, atol=1e-5)
    assert "color_mnist_mini" in classifier.name and "step 7, test error 1.25 %" in classifier.name
    assert classifier.name.endswith(f"({run.name}, weights {run.model.fingerprint[:8]})")
    assert classifier.preprocessing == "images not resized"


def test_other_sizes_are_resized_and_grey_is_repeated(run):
    classifier = load_feature_extractor(str(run.path), (14, 14, 1))
    small = images(3, 14, 14, 1)
    large = tf.image.resize(np.repeat(small, 3, axis=-1), (28, 28))
    expected = load_feature_extractor(str(run.path), SHAPE)(large.numpy())
    for values, wanted in zip(classifier(small), expected, strict=True):
        np.testing.assert_allclose(values, wanted, rtol=1e-4, atol=1e-5)
    assert classifier.preprocessing == "images resized from 14x14 to 28x28, bilinear"


def test_rows_do_not_depend_on_their_neighbours(run):
    classifier = load_feature_extractor(str(run.path), SHAPE)
    together, alone = images(5, *SHAPE), images(5, *SHAPE)[2:3]
    for many, one in zip(classifier(together), classifier(alone), strict=True):
        np.testing.assert_allclose(many[2:3], one, rtol=1e-5, atol=1e-6)


def test_what_is_no_classifier_is_refused(run, tmp_path):
    with pytest.raises(UsageError, match="nowhere does not exist: expected a run folder of"):
        load_feature_extractor("nowhere", SHAPE)
    with pytest.raises(UsageError, match="takes images of 3 channels, not 2"):
        load_feature_extractor(str(run.path), (28, 28, 2))
    with pytest.raises(UsageError, match="is not a run folder"):
        load_feature_extractor(str(tmp_path), SHAPE)
    generative = Run.create_or_resume(tmp_path / "vae", RunConfig.create(), "none", SHAPE)
    with pytest.raises(UsageError, match="is a run of vae: expected one of --model=classifier"):
        load_feature_extractor(str(generative.path), SHAPE)
    untrained = RunConfig.create(model="classifier", width=0.03)
    Run.create_or_resume(tmp_path / "untrained", untrained, "none", SHAPE)
    with pytest.raises(UsageError, match="has no checkpoint yet"):
        load_feature_extractor(str(tmp_path / "untrained"), SHAPE)


@pytest.mark.slow
def test_inception_from_a_local_file(tmp_path):
    """Of random weights: what is tested is the loading, the door and which layer is which."""
    keras.utils.set_random_seed(0)
    network = keras.applications.InceptionV3(weights=None, classifier_activation=None)
    file = tmp_path / "inception.weights.h5"
    network.save_weights(file)
    classifier = load_feature_extractor(str(file), (32, 32, 3))
    batch = images(2, 32, 32, 3)
    logits, features = classifier(batch)
    assert logits.shape == (2, 1000) and features.shape == (2, 2048)
    kernel, bias = network.get_layer("predictions").get_weights()
    np.testing.assert_allclose(features @ kernel + bias, logits, rtol=1e-3, atol=1e-4)
    door = keras.applications.inception_v3.preprocess_input
    expected = network(door(tf.image.resize(batch, (299, 299)) * 255), training=False)
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-4)
    assert "inception.weights.h5, sha256" in classifier.name
    for words in ("32x32 to 299x299, bilinear", "[-1, 1]"):
        assert words in classifier.preprocessing


@pytest.mark.slow
@pytest.mark.parametrize("name", ["broken.h5", "broken.weights.h5", "imagenet"])
def test_a_file_of_other_things_is_refused(tmp_path, monkeypatch, name):
    """Even one that is called like the word that makes Keras download."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text("thesis")
    with pytest.raises(UsageError, match="is no file of InceptionV3's weights with its top"):
        load_feature_extractor(name, SHAPE)
