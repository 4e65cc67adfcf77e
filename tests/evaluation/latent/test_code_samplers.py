"""Draws of the aggregate posterior of fake models whose posterior is known."""

import numpy as np
import pytest
import tensorflow as tf

from zoo.data.images import ImageDataset, Split
from zoo.evaluation.latent.aggregate_posterior import Draws, draw_aggregate
from zoo.evaluation.latent.code_samplers import Aggregate
from zoo.evaluation.latent.marginal_kl import marginal_kl
from zoo.evaluation.subject.subject import Subject
from zoo.noise import row_noise

SIZES = {"train": 5, "validation": 3, "test": 4}
N = SIZES["train"] + SIZES["validation"]


@pytest.fixture(scope="module")
def dataset():
    rng = np.random.default_rng(1)
    images = {k: rng.integers(0, 256, (n, 2, 2, 1), dtype=np.uint8) for k, n in SIZES.items()}
    return ImageDataset("tiny", {k: Split(v) for k, v in images.items()}, {})


class Model:
    """The first two pixels are the mean; `encoded` counts the images that were looked at."""

    def __init__(self, stddev):
        self.stddev, self.encoded = stddev, 0

    def encode(self, images):
        return {"z": self._mean(images)}

    def encode_gaussian(self, images):
        mean = self._mean(images)
        return {"z": mean, "mean": mean, "stddev": tf.fill(mean.shape, self.stddev)}

    def sample_posterior(self, images, seed):
        mean = self._mean(images)
        return {"z": mean + self.stddev * row_noise(seed).normal("it", (2,))}

    def _mean(self, images):
        self.encoded += len(images)
        return tf.reshape(images, (len(images), 4))[:, :2]


def fake(kind, cache=None):
    model = Model(0.0 if kind == "deterministic" else 0.05)
    encode = model.encode_gaussian if kind == "gaussian" else model.encode
    functions = {"encode": encode, "sample_posterior": model.sample_posterior}
    return Subject("fake", functions, "estimate", "weights", 5, cache), model


def means(dataset):
    images = np.concatenate([dataset.split(s).images for s in ("train", "validation")])
    return images.reshape(N, 4)[:, :2] / 255


@pytest.mark.parametrize("kind", ["gaussian", "deterministic", "implicit"])
def test_tells_the_posterior_and_draws_its_mixture(dataset, kind):
    subject, model = fake(kind)
    aggregate = Aggregate.of(subject, dataset)
    assert (aggregate.posterior, aggregate.latent_size) == (kind, 2)
    model.encoded = 0
    draws = aggregate.sampler(0)(4000)
    assert draws.shape == (4000, 2) and draws.dtype == np.float32
    assert model.encoded == (4000 if kind == "implicit" else 0)
    expected = means(dataset)
    np.testing.assert_allclose(draws.mean(0), expected.mean(0), atol=0.03)
    np.testing.assert_allclose(draws.std(0), np.hypot(expected.std(0), model.stddev), rtol=0.05)
    nearest = np.linalg.norm(draws[:, None] - expected, axis=2).argmin(axis=1)
    assert (np.bincount(nearest, minlength=N) > 300).all()  # each of both splits, 500 on average
    if kind == "deterministic":
        assert np.abs(draws - expected[nearest]).max() < 1e-6


@pytest.mark.parametrize("kind", ["gaussian", "implicit"])
def test_every_draw_is_fresh_and_follows_the_seed(dataset, kind):
    aggregate = Aggregate.of(fake(kind)[0], dataset)
    draw, same, other = (aggregate.sampler(seed) for seed in (0, 0, 1))
    first, second = draw(50), draw(50)
    assert len(np.unique(np.concatenate([first, second, other(50)]), axis=0)) == 150
    np.testing.assert_array_equal(same(50), first)


def test_draws_of_a_gaussian_are_those_of_algorithm_2(dataset):
    aggregate = Aggregate.of(fake("gaussian")[0], dataset)
    draws = np.concatenate(list(aggregate.blocks(5000, seed=3)))
    blocks = draw_aggregate(aggregate.encodings, 5000, 3)
    expected = Draws(*map(np.concatenate, zip(*blocks, strict=True)))
    np.testing.assert_array_equal(draws, expected.z)
    result = aggregate.monte_carlo_kl(5000, seed=3)
    mean, stddev = aggregate.encodings.mean, aggregate.encodings.stddev
    assert result.value == pytest.approx(marginal_kl(expected, mean, stddev).value)
    assert aggregate.monte_carlo_kl(None, seed=3).m == 2000


@pytest.mark.parametrize("kind", ["deterministic", "implicit"])
def test_what_has_no_density_has_no_algorithm_2(dataset, kind):
    assert Aggregate.of(fake(kind)[0], dataset).monte_carlo_kl(10, seed=0) is None


def test_encodings_are_kept(dataset, tmp_path):
    Aggregate.of(fake("gaussian", tmp_path / "e.npz")[0], dataset)
    subject, model = fake("gaussian", tmp_path / "e.npz")
    Aggregate.of(subject, dataset)
    assert model.encoded <= 3 * SIZES["train"]  # the probe alone


def test_without_a_file_a_subject_keeps_its_encodings(dataset):
    subject, model = fake("gaussian")
    first = Aggregate.of(subject, dataset).encodings
    before = model.encoded
    assert Aggregate.of(subject, dataset).encodings is first
    assert model.encoded - before <= 3 * SIZES["train"]  # the probe alone


def test_prior_draws_are_standard_and_fresh():
    draw = fake("gaussian")[0].prior_sampler(3, seed=0)
    first, second = draw(20_000), draw(20_000)
    assert first.dtype == np.float32 and not np.array_equal(first, second)
    np.testing.assert_allclose(first.mean(0), 0, atol=0.03)
    np.testing.assert_allclose(np.cov(first.T), np.eye(3), atol=0.04)
