"""The aggregate posterior of a fake model whose encoder is known."""

import math

import numpy as np
import pytest
import tensorflow as tf

from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset, Split
from zoo.errors import UsageError
from zoo.evaluation.latent.aggregate_posterior import draw_aggregate
from zoo.evaluation.latent.marginal_kl import MarginalKLMetric, marginal_kl
from zoo.evaluation.subject.encodings import Encodings, encode_dataset
from zoo.evaluation.subject.subject import Subject
from zoo.records import Record

TRAIN, VALIDATION = 7, 3


@pytest.fixture
def dataset():
    rng = np.random.default_rng(1)
    sizes = {"train": TRAIN, "validation": VALIDATION, "test": 4}
    images = {k: rng.integers(0, 256, (n, 2, 2, 1), dtype=np.uint8) for k, n in sizes.items()}
    return ImageDataset("tiny", {k: Split(v) for k, v in images.items()}, {})


def posterior(images):
    """Mean: the first two pixels, in [0, 1]; stddev: 0.1 more than the other two."""
    pixels = np.reshape(images, (len(images), 4)).astype(np.float32) / np.float32(255)
    return pixels[:, :2], pixels[:, 2:] + np.float32(0.1)


class Encoder:
    """The signature `encode` of `posterior`, which counts its calls."""

    calls = 0

    def __call__(self, images):
        self.calls += 1
        mean, stddev = posterior(images.numpy() * 255)
        return {"mean": tf.constant(mean), "stddev": tf.constant(stddev)}


def subject(step=5, cache=None):
    encoder = Encoder()
    return Subject("fake", {"encode": encoder}, "bound", f"weights {step}", step, cache), encoder


def test_encodes_train_and_validation_in_order(dataset):
    encodings = encode_dataset(subject()[0], dataset)
    images = [dataset.split(s).images for s in ("train", "validation")]
    mean, stddev = posterior(np.concatenate(images))
    np.testing.assert_allclose(encodings.mean, mean, rtol=1e-6)
    np.testing.assert_allclose(encodings.stddev, stddev, rtol=1e-6)


def test_cache_is_used_not_recomputed(dataset, tmp_path):
    first = encode_dataset(subject()[0], dataset, cache=tmp_path / "e.npz")
    again, encoder = subject()
    second = encode_dataset(again, dataset, cache=tmp_path / "e.npz")
    assert encoder.calls == 0
    np.testing.assert_array_equal(first.mean, second.mean)
    np.testing.assert_array_equal(first.stddev, second.stddev)


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "other arrays"])
def test_damaged_cache_is_remade(dataset, tmp_path, damage):
    cache = tmp_path / "e.npz"
    sound = encode_dataset(subject()[0], dataset, cache=cache)
    if damage == "other arrays":
        np.savez(cache, other=np.zeros(3))
    else:
        content = {"truncated": cache.read_bytes()[:-30], "empty": b"", "text": b"not a zip"}
        cache.write_bytes(content[damage])
    model, encoder = subject()
    np.testing.assert_array_equal(encode_dataset(model, dataset, cache=cache).mean, sound.mean)
    assert encoder.calls == 2  # one per split
    encode_dataset(model, dataset, cache=cache)
    assert encoder.calls == 2


def test_cache_of_other_weights_data_or_split_is_remade(dataset, tmp_path):
    cache = tmp_path / "e.npz"
    encode_dataset(subject()[0], dataset, cache=cache)
    later, encoder = subject(step=6)
    encode_dataset(later, dataset, cache=cache)
    assert encoder.calls == 2
    assert len(encode_dataset(later, dataset, ("test",), cache).mean) == 4
    assert encoder.calls == 3
    swapped = {**dataset.splits, "train": Split(dataset.split("train").images[::-1].copy())}
    encode_dataset(later, ImageDataset("tiny", swapped, {}), ("test",), cache)
    assert encoder.calls == 4


def test_encoder_without_stddev_is_refused(dataset):
    model = Subject("point", {"encode": lambda images: {"z": images}}, "bound", "weights", 1)
    with pytest.raises(UsageError, match="point: its encode gives z; expected mean and stddev"):
        encode_dataset(model, dataset)


def test_draws_have_the_moments_of_the_mixture():
    encodings = Encodings(np.array([[-2.0, 0.0], [4.0, 1.0]]), np.array([[0.5, 1.0], [1.5, 2.0]]))
    blocks = list(draw_aggregate(encodings, 20_000, seed=0))
    draws = np.concatenate([block.z for block in blocks])
    assert draws.shape == (20_000, 2) and len(blocks) > 1
    np.testing.assert_allclose(draws.mean(0), [1.0, 0.5], atol=0.06)
    np.testing.assert_allclose(draws.var(0), [9 + 1.25, 0.25 + 2.5], rtol=0.05)


def test_draws_follow_the_seed():
    encodings = Encodings(np.zeros((3, 2)), np.ones((3, 2)))
    one, same, other = (next(draw_aggregate(encodings, 5, seed)).z for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(("count", "fewest", "most"), [(5, 0, 1), (7, 1, 1), (17, 2, 3)])
def test_every_example_has_its_turn(count, fewest, most):
    encodings = Encodings(np.zeros((7, 2)), np.ones((7, 2)))
    index = np.concatenate([draws.example for draws in draw_aggregate(encodings, count, 0)])
    times = np.bincount(index, minlength=7)
    assert (times.min(), times.max(), times.sum()) == (fewest, most, count)


def test_metric_agrees_with_the_estimator_on_the_same_draws(dataset, tmp_path):
    cache = tmp_path / "e.npz"
    settings = EvaluationConfig("test", 500, seed=3)
    found = MarginalKLMetric().measure(subject(cache=cache)[0], dataset, settings)
    records = {r.metric: r for r in found if isinstance(r, Record)}
    mean, stddev = posterior(
        np.concatenate([dataset.split(s).images for s in ("train", "validation")])
    )
    (draws,) = draw_aggregate(Encodings(mean, stddev), 500, 3)
    expected = marginal_kl(draws, mean, stddev)
    n = TRAIN + VALIDATION
    assert records["marginal_kl"].value == pytest.approx(expected.value, rel=1e-5)
    assert records["marginal_kl"].standard_error == pytest.approx(expected.standard_error, rel=1e-5)
    assert records["marginal_kl"].n == 500 and records["average_kl"].n == n
    closed = 0.5 * (stddev**2.0 + mean**2 - 1 - 2 * np.log(stddev)).sum(1).astype(np.float64)
    assert records["average_kl"].value == pytest.approx(closed.mean(), rel=1e-5)
    error = closed.std(ddof=1) / math.sqrt(n)
    assert records["average_kl"].standard_error == pytest.approx(error, rel=1e-5)
    assert records["log_n"].value == pytest.approx(math.log(n))
    floor = max(0.0, closed.mean() - math.log(n))
    assert records["marginal_kl_floor"].value == pytest.approx(floor, abs=1e-5)
    difference = records["average_kl"].value - records["marginal_kl"].value
    assert records["mutual_information"].value == pytest.approx(difference)
    rate = records["identification_rate"]
    assert rate.value == pytest.approx(expected.identification_rate, rel=1e-4)
    assert 0 < rate.standard_error < 0.05 and rate.n == 500
    assert {r.split for r in records.values()} == {"train+validation"}
    assert cache.exists()
