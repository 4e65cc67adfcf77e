"""The metrics of classes and features, with classifiers of which the answers are known."""

import dataclasses
import functools
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset, Split
from zoo.errors import UsageError
from zoo.evaluation.protocol import Picture
from zoo.evaluation.runner import evaluate, make_metric
from zoo.evaluation.samples import features, precision_recall
from zoo.evaluation.samples.feature_extractors import FeatureExtractor
from zoo.evaluation.samples.kid import kernel_distance
from zoo.evaluation.subject.subject import Subject
from zoo.records import Record

SIZES = {"train": 300, "validation": 120, "test": 200}
NAMES = ["inception_score", "fid", "kid", "precision_recall"]
SETTINGS = EvaluationConfig(feature_extractor="fake")
CLASSES = 5


@pytest.fixture
def dataset():
    """2 x 2 pixels of 0..199: room to move them without leaving [0, 1]."""
    rng = np.random.default_rng(1)
    images = {k: rng.integers(0, 200, (n, 2, 2, 1), dtype=np.uint8) for k, n in SIZES.items()}
    for values in images.values():
        values[:, 0, 0, 0] = np.arange(len(values)) % CLASSES  # says the class
    return ImageDataset("tiny", {k: Split(v) for k, v in images.items()}, {})


def subject_of(images, name="fake"):
    """A subject whose samples are these images, one after the other."""
    place = 0

    def sample(seed):
        nonlocal place
        place += len(seed)
        return {"images": tf.constant(images[place - len(seed) : place], tf.float32)}

    subject = Subject(name, {"sample": sample}, "not_available", "weights", step=5)
    subject.image_shape = images.shape[1:]
    return subject


@dataclasses.dataclass
class Fake:
    """A classifier that sees the class in the first pixel, sharply or not at all."""

    sharpness: float = 100.0
    seen: int = 0

    def __call__(self, images):
        self.seen += len(images)
        classes = tf.cast(tf.round(images[:, 0, 0, 0] * 255), tf.int32) % CLASSES
        logits = self.sharpness * tf.one_hot(classes, CLASSES)
        return logits, tf.reshape(images[:, 1:], [len(images), -1]) * 10


@pytest.fixture
def classifier(monkeypatch):
    fake = Fake()

    def load(source, image_shape):
        return FeatureExtractor(f"{Path(source).name} of {fake.sharpness}", "as they are", 2, fake)

    monkeypatch.setattr(features, "load_feature_extractor", load)
    # k-means once: ten times take seconds, and its own tests have them.
    once = functools.partial(precision_recall.precision_recall_curve, runs=1)
    monkeypatch.setattr(precision_recall, "precision_recall_curve", once)
    return fake


def moved(dataset, by, split="test"):
    return dataset.split(split).images.astype(np.float64) / 255 + by


def measure(name, subject, dataset, settings=SETTINGS):
    metric = make_metric(name)
    metric.check(subject, dataset, settings)
    items = list(metric.measure(subject, dataset, settings))
    records = {item.metric: item for item in items if isinstance(item, Record)}
    return records, [item for item in items if isinstance(item, Picture)]


def test_inception_score_of_uniform_and_of_perfect_predictions(classifier, dataset):
    classifier.sharpness = 0.0
    records, _ = measure("inception_score", subject_of(moved(dataset, 0)), dataset)
    names = [f"inception_score{part}" for part in ("_data", "_corrected_data", "", "_corrected")]
    assert list(records) == names
    for record in records.values():
        assert record.value == pytest.approx(1) and record.n == 200
    classifier.sharpness = 100.0
    records, pictures = measure("inception_score", subject_of(moved(dataset, 0)), dataset)
    for name, record in records.items():
        if "corrected" in name:
            assert record.value == pytest.approx(CLASSES, rel=0.05) and not record.warnings
        else:
            # Twenty images a split are not quite balanced.
            assert 0.8 * CLASSES < record.value <= CLASSES
            assert record.standard_error == pytest.approx(
                record.details["standard_deviation"] / np.sqrt(9)
            )
            assert "n = 200, of at least 50000" in record.warnings[0]
        assert record.feature_extractor == "fake of 100.0" and "as they are" in record.definition
    assert [picture.name for picture in pictures] == ["classes"]


def test_collapsed_samples_score_one(classifier, dataset):
    one = np.repeat(moved(dataset, 0)[:1], 200, axis=0)
    records, _ = measure("inception_score", subject_of(one), dataset)
    assert records["inception_score"].value == pytest.approx(1)


def test_fid_of_moved_data_is_the_squared_distance(classifier, dataset):
    """Equal covariances leave |m_r - m_g|^2: two features that move by 10 * 0.1 each."""
    records, _ = measure("fid", subject_of(moved(dataset, 0.1)), dataset)
    assert list(records) == ["fid_data", "fid_jackknife_data", "fid", "fid_jackknife"]
    assert records["fid"].value == pytest.approx(2.0, rel=1e-4)
    assert records["fid"].standard_error is None
    corrected = records["fid_jackknife"]
    assert abs(corrected.value - 2.0) < 2 * corrected.standard_error < 2
    assert "see fid_jackknife" in records["fid"].warnings[0] and not corrected.warnings
    assert 0 < records["fid_data"].value < 0.3
    assert records["fid"].details == {"features": 2, "rank_deficient": False}
    same, _ = measure("fid", subject_of(moved(dataset, 0)), dataset)
    assert same["fid"].value == pytest.approx(0, abs=1e-5)


def test_kid_is_that_of_the_features(classifier, dataset):
    records, _ = measure("kid", subject_of(moved(dataset, 0.1)), dataset)
    data, samples = (moved(dataset, by)[:, 1:].reshape(200, -1) * 10 for by in (0, 0.1))
    assert records["kid"].value == pytest.approx(kernel_distance(data, samples).value, rel=1e-4)
    assert abs(records["kid_data"].value) < records["kid"].value


def test_precision_and_recall_of_the_same_and_of_far_samples(classifier, dataset):
    same, pictures = measure("precision_recall", subject_of(moved(dataset, 0)), dataset)
    names = ["precision", "recall", "density", "coverage", "prd_f8", "prd_f_one_eighth"]
    assert list(same) == [f"{n}_data" for n in names] + names
    for name in names:
        # Of each five neighbours' balls those of an example hold it, and its own.
        assert same[name].value == pytest.approx(1, rel=0.4 if name == "density" else 1e-6)
    assert 0 < same["precision"].standard_error < 0.1  # halves differ where the whole does not
    assert [picture.name for picture in pictures] == ["prd"]
    near, _ = measure("precision_recall", subject_of(moved(dataset, 0.2)), dataset)
    share = near["precision"].value
    assert 0.1 < share < 0.9 < near["precision_data"].value
    binomial = np.sqrt(share * (1 - share) / 200)
    assert binomial / 2 < near["precision"].standard_error < 2 * binomial
    white, _ = measure("precision_recall", subject_of(np.ones((200, 2, 2, 1))), dataset)
    assert (white["precision"].value, white["recall"].value) == (0, 0)
    assert white["precision"].standard_error is None  # none to be had where all halves say 0


@pytest.mark.parametrize(
    ("settings", "other", "n"),
    [
        (EvaluationConfig("test"), "train", 200),
        (EvaluationConfig("test", 100), "validation", 100),
        (EvaluationConfig("train"), "test", 200),  # no other split has 300
        (EvaluationConfig("validation"), "test", 120),
    ],
)
def test_the_floor_has_as_much_other_data_held_out_if_it_can(
    classifier, dataset, settings, other, n
):
    settings = dataclasses.replace(settings, feature_extractor="fake")
    records, _ = measure("fid", subject_of(moved(dataset, 0, settings.split)), dataset, settings)
    assert f"({other} split)" in records["fid_data"].definition and records["fid_data"].n == n
    assert records["fid"].n == (settings.num_samples or SIZES[settings.split])


def test_each_image_is_classified_once_for_all_metrics(classifier, dataset, tmp_path):
    subject = subject_of(moved(dataset, 0.1))
    evaluate(subject, dataset, NAMES, SETTINGS, tmp_path / "e.json")
    assert classifier.seen == 3 * 200  # data, other data, samples
    content = json.loads((tmp_path / "e.json").read_text())
    assert {r["feature_extractor"] for r in content["records"]} == {"fake of 100.0"}
    shown = [p["file"].rsplit("-", 1)[0] for p in content["pictures"]]
    assert shown == ["e/inception_score-classes", "e/precision_recall-prd"]


def test_a_classifier_that_was_trained_further_measures_again(classifier, dataset, tmp_path):
    said = []
    for sharpness in (100.0, 100.0, 50.0):
        classifier.sharpness = sharpness
        subject = subject_of(moved(dataset, 0))
        evaluate(subject, dataset, ["fid"], SETTINGS, tmp_path / "e.json", said.append)
    assert said == ["fid ...", "fid: already measured", "fid ..."]


def test_without_a_classifier_all_says_what_it_leaves_out(dataset, tmp_path):
    said = []
    subject = subject_of(moved(dataset, 0))
    evaluate(subject, dataset, ["all"], EvaluationConfig(), tmp_path / "e.json", said.append)
    for name in NAMES:
        assert any(
            line.startswith(f"{name}: left out: {name} needs --feature_extractor") for line in said
        )


@pytest.mark.parametrize("name", NAMES)
def test_guards(classifier, dataset, name):
    good = subject_of(moved(dataset, 0))
    with pytest.raises(UsageError, match=f"{name} needs --feature_extractor"):
        measure(name, good, dataset, EvaluationConfig())
    with pytest.raises(UsageError, match=f"{name} needs at least [0-9]+ images; there are 1"):
        measure(name, good, dataset, EvaluationConfig("test", 1, feature_extractor="fake"))
    with pytest.raises(UsageError, match="fake has no signature 'sample'"):
        measure(name, Subject("fake", {}, "not_available", "weights", 5), dataset)
    in_range = r"expected finite numbers in \[0, 1\]"
    for bad, message in ((np.nan, "images that are not finite"), (1.5, in_range), (-0.5, in_range)):
        images = moved(dataset, 0)
        images[150, 0, 0, 0] = bad
        with pytest.raises(UsageError, match=message):
            measure(name, subject_of(images), dataset)


def test_few_samples_for_the_features_are_noted(classifier, dataset):
    settings = EvaluationConfig("test", 2, feature_extractor="fake")
    records, _ = measure("fid", subject_of(moved(dataset, 0)), dataset, settings)
    assert records["fid"].details["rank_deficient"]
    assert list(records) == ["fid_data", "fid"]
    assert "no fid_jackknife, which takes n = 20" in records["fid"].warnings[1]
