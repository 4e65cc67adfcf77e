"""The synthetic experiments' truth, and a learner that learns."""

import dataclasses

import numpy as np
import pytest
import tensorflow_probability as tfp

from zoo.evaluation.latent.density_ratio_kl import RatioOptions
from zoo.paper import synthetic as module
from zoo.paper.gaussian_learner import GaussianLearner
from zoo.paper.lab import Lab
from zoo.paper.scales import SCALES
from zoo.paper.synthetic import gaussian_kl, random_gaussian, sampler, synthetic

tfd = tfp.distributions


def test_kl_equals_that_of_tfp(rng):
    one, two = random_gaussian(4, rng), random_gaussian(4, rng)
    sides = [tfd.MultivariateNormalFullCovariance(b, a @ a.T) for a, b in (one, two)]
    assert gaussian_kl(one, two) == pytest.approx(float(sides[0].kl_divergence(sides[1])), rel=1e-9)
    assert gaussian_kl(one, one) == pytest.approx(0, abs=1e-9)


def test_kl_from_a_singular_gaussian_is_infinite():
    full, flat = (np.eye(2), np.zeros(2)), (np.diag([1.0, 0.0]), np.zeros(2))
    assert gaussian_kl(full, flat) == np.inf


def test_kl_of_the_construction_in_100_dimensions():
    """About 5.6 nats (paper.md section 13, item 16)."""
    generator = np.random.default_rng(0)
    pairs = [(random_gaussian(100, generator), random_gaussian(100, generator)) for _ in range(9)]
    assert np.median([gaussian_kl(*pair) for pair in pairs]) == pytest.approx(5.6, rel=0.1)


def test_sampler_draws_the_gaussian(rng):
    a, b = random_gaussian(3, rng)
    drawn = sampler((a, b), 0)(200_000)
    np.testing.assert_allclose(drawn.mean(0), b, atol=0.1)
    np.testing.assert_allclose(np.cov(drawn.T), a @ a.T, atol=1.0)


def test_an_experiment_that_was_stopped_goes_on_to_the_same_rows(tmp_path, monkeypatch):
    scale = dataclasses.replace(SCALES["smoke"], dimensions=(1,))
    whole = synthetic(Lab(scale, tmp_path / "whole")).tables
    learn, trained = module._learn, []

    def stopped_at_the_second(steps, bar, d, seed):
        trained.append(seed)
        if trained == [0, 1]:
            raise KeyboardInterrupt
        return learn(steps, bar, d, seed)

    monkeypatch.setattr(module, "_learn", stopped_at_the_second)
    lab = Lab(scale, tmp_path / "stopped")
    with pytest.raises(KeyboardInterrupt):
        synthetic(lab)
    assert synthetic(lab).tables == whole
    assert trained == [0, 1, 1]


def test_a_gaussian_learns_another_in_one_dimension():
    target, start = (np.array([[1.0]]), np.array([0.5])), (np.array([[1.0]]), np.array([-0.5]))
    options = RatioOptions(hidden_layers=2, units=32, learning_rate=1e-2)
    learner = GaussianLearner(target, start, options, seed=0)
    learner.train(3000)
    assert learner.steps == 3000
    assert gaussian_kl(learner.gaussian(), target) < 0.8 * gaussian_kl(start, target)
