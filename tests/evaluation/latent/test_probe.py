import numpy as np
import pytest
import tensorflow as tf

from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset, Split
from zoo.errors import UsageError
from zoo.evaluation.latent.probe import LinearProbe, linear_probe
from zoo.evaluation.subject.subject import Subject
from zoo.records import Record


def classes(n, distance, seed=0, count=3):
    """Codes of classes at the corners of a simplex, with noise of deviation 1, and the classes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % count
    return distance * np.eye(8)[labels] + rng.normal(size=(n, 8)), labels


def test_classes_far_apart_and_classes_of_chance():
    far = linear_probe(*classes(300, 30), *classes(200, 30, 1))
    assert (far.accuracy, far.standard_error, far.labels) == (1, None, 300)
    chance = linear_probe(*classes(300, 0), *classes(600, 0, 1))
    assert chance.accuracy == pytest.approx(1 / 3, abs=0.06)
    binomial = np.sqrt(chance.accuracy * (1 - chance.accuracy) / 600)
    assert chance.standard_error == pytest.approx(binomial)


def test_few_labels_tell_less_and_their_choice_is_in_the_error():
    train, test = classes(600, 3), classes(600, 3, 1)
    few, all_of = (linear_probe(*train, *test, share) for share in (0.02, 1.0))
    assert few.labels == 12 and few.accuracy < all_of.accuracy
    assert few.standard_error > np.sqrt(few.accuracy * (1 - few.accuracy) / 600)
    assert linear_probe(*train, *test, 0.01) is None  # two of a class, of three folds


def test_a_class_without_a_label_is_one_with_too_few():
    codes, labels = classes(3000, 3)
    kept = (labels < 2) | (np.arange(3000) < 30)
    rare = codes[kept], labels[kept]  # ten of the third class
    assert linear_probe(*rare, *classes(600, 3, 1), 0.05) is None
    assert linear_probe(*rare, *classes(600, 3, 1), 0.5) is not None


def test_dimensions_of_noise_do_no_harm():
    """Each divided by its own deviation they would drown the eight that tell."""
    (codes, labels), (fresh, truth) = classes(600, 4), classes(600, 4, 1)
    rng = np.random.default_rng(2)
    noisy = [np.concatenate([x, 0.02 * rng.normal(size=(600, 480))], 1) for x in (codes, fresh)]
    plain = linear_probe(codes, labels, fresh, truth, 0.05)
    with_noise = linear_probe(noisy[0], labels, noisy[1], truth, 0.05)
    assert with_noise.accuracy == pytest.approx(plain.accuracy, abs=0.02)
    scaled = [x / noisy[0].std(axis=0) for x in noisy]
    assert linear_probe(scaled[0], labels, scaled[1], truth, 0.05).accuracy < plain.accuracy - 0.1


def data(labelled=True, count=3):
    rng = np.random.default_rng(3)
    splits = {}
    for name, n in (("train", 400), ("test", 200)):
        labels = np.arange(n) % count
        images = rng.integers(0, 100, (n, 4, 4, 1), dtype=np.uint8)
        images[np.arange(n), 0, labels % 4] += 100
        splits[name] = Split(images, labels.astype(np.int64) if labelled else None)
    return ImageDataset("squares", splits, {})


# The first row of pixels, which tells the class.
ROW = Subject("row", {"encode": lambda images: {"z": images[:, 0, :, 0]}}, "none", "weights", 1)


def measured(of=ROW, data=data(), **settings):  # noqa: B008
    metric, settings = LinearProbe(), EvaluationConfig(**settings)
    metric.check(of, data, settings)
    items = list(metric.measure(of, data, settings))
    return {i.metric: i for i in items if isinstance(i, Record)}, items[-1]


def test_records_beside_those_of_pixels():
    records, picture = measured()
    # 1 % are four labels, too few for three folds of three classes.
    assert list(records) == ["probe_10_percent_data", "probe_data", "probe_10_percent", "probe"]
    assert records["probe"].value > 0.9 and records["probe"].n == 200
    assert records["probe"].details == {"labels": 400, "latent_size": 4}
    assert records["probe_10_percent"].details["labels"] == 40
    assert records["probe_10_percent"].value > records["probe_10_percent_data"].value
    assert picture.name == "labels"
    blind = Subject(
        "blind", {"encode": lambda images: {"z": tf.zeros((len(images), 2))}}, "", "weights", 1
    )
    assert measured(blind)[0]["probe"].value == pytest.approx(1 / 3, abs=0.01)


def test_guards():
    with pytest.raises(UsageError, match="squares has no labels: expected a data set with classes"):
        measured(data=data(labelled=False))
    with pytest.raises(UsageError, match="split='train' is what probe learns from: expected val"):
        measured(split="train")
    with pytest.raises(UsageError, match="squares has 1 classes, the rarest with 400 of 400"):
        measured(data=data(count=1))
    with pytest.raises(UsageError, match="has 180 classes, the rarest with 2 of 400"):
        measured(data=data(count=180))
