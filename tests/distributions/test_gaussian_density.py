"""A Gaussian of full covariance, and the axes that it gives to others."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from zoo.distributions.density_models import DiagonalMixture, FullMixture
from zoo.distributions.gaussian_density import Gaussian, Whitened

MEAN = np.array([1.0, -2.0, 0.5])
FACTOR = np.array([[1.0, 0, 0], [0.8, 0.6, 0], [-0.3, 0.2, 0.1]])
COVARIANCE = FACTOR @ FACTOR.T


@pytest.fixture
def z():
    return MEAN + np.random.default_rng(0).standard_normal((4000, 3)) @ FACTOR.T


def test_density_is_that_of_scipy(z):
    expected = multivariate_normal(MEAN, COVARIANCE).logpdf(z)
    np.testing.assert_allclose(Gaussian(MEAN, COVARIANCE).log_prob(z), expected, rtol=1e-9)


def test_whitened_codes_are_standard(z):
    gaussian = Gaussian.fit(z)
    y = gaussian.whiten(z)
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(np.cov(y.T, bias=True), np.eye(3), atol=1e-9)
    assert gaussian.log_volume == pytest.approx(0.5 * np.linalg.slogdet(np.cov(z.T, bias=True))[1])


def test_moments_of_a_mixture_in_closed_form():
    rng = np.random.default_rng(1)
    mean, stddev = rng.standard_normal((50, 3)) @ FACTOR.T, rng.uniform(0.1, 1, (50, 3))
    chosen = rng.integers(50, size=200_000)
    drawn = Gaussian.fit(mean[chosen] + stddev[chosen] * rng.standard_normal((200_000, 3)))
    exact = Gaussian.of_mixture(mean, stddev)
    np.testing.assert_allclose(exact.mean, drawn.mean, atol=0.02)
    np.testing.assert_allclose(exact.covariance, drawn.covariance, atol=0.02)


def test_few_codes_are_shrunk():
    """Of 20 codes in 30 dimensions the covariance has no density; the shrunk one is close to I."""
    z = np.random.default_rng(0).standard_normal((20, 30))
    fresh = np.random.default_rng(1).standard_normal((500, 30))
    expected = multivariate_normal(np.zeros(30)).logpdf(fresh).mean()
    assert Gaussian.shrunk(z).log_prob(fresh).mean() > expected - 3
    assert np.isfinite(Gaussian.fit(z).log_prob(fresh)).all()
    assert Gaussian.fit(z).log_prob(fresh).mean() < expected - 1000


def test_codes_that_do_not_vary_have_a_finite_density():
    z = np.concatenate([np.random.default_rng(0).standard_normal((100, 1)), np.ones((100, 1))], 1)
    assert np.isfinite(Gaussian.fit(z).log_prob(z)).all()


def test_a_model_in_other_axes_is_a_density_of_the_codes(z):
    """A mixture of one component, in any axes, is the Gaussian."""
    gaussian = Gaussian.fit(z)
    for kind in (DiagonalMixture, FullMixture):
        one = Whitened(gaussian, kind.fit(gaussian.whiten(z), 1, seed=0))
        np.testing.assert_allclose(one.log_prob(z), gaussian.log_prob(z), atol=1e-3)
    full = FullMixture.fit(z, 1, seed=0)
    np.testing.assert_allclose(full.log_prob(z), gaussian.log_prob(z), atol=1e-2)
    diagonal = DiagonalMixture.fit(z, 1, seed=0)
    np.testing.assert_allclose(diagonal.log_prob(z), gaussian.diagonal().log_prob(z), atol=1e-3)
