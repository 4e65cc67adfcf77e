"""Ex-post priors: full mixtures and flows as densities, as samplers, and as what EM gave them."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from sklearn.mixture import GaussianMixture

from tests.models.known import Given, k
from zoo.distributions.density_models import MaskedAutoregressiveFlow
from zoo.distributions.ex_post import (
    DiagonalMixture50,
    FullMixture,
    FullMixture10,
    MaskedAutoregressiveFlowHead,
)
from zoo.noise import row_noise
from zoo.registry import EX_POST_PRIORS, follow

WEIGHTS = np.array([0.3, 0.7])
MEAN = np.array([[0, 1], [-1, 0.5]])
COVARIANCE = np.array([[[1, 0.5], [0.5, 2]], [[0.5, -0.2], [-0.2, 0.3]]])
Z = k(2, 2)
LOG_R = (-4.0139112871, -1.4526381515)
COUNT = 40_000


def mixture(dtype=np.float64):
    scale = np.linalg.cholesky(COVARIANCE)
    log_det = -0.5 * np.linalg.slogdet(COVARIANCE)[1]
    parts = MEAN, scale, np.log(WEIGHTS), np.linalg.inv(scale), log_det
    return FullMixture(*(part.astype(dtype) for part in parts))


def test_known_answer():
    log_r = mixture().log_prob(tf.constant(Z))
    np.testing.assert_allclose(log_r, LOG_R, rtol=1e-9)
    log_p = scipy.stats.norm.logpdf(Z).sum(axis=1)
    assert float(np.mean(log_r - log_p)) == pytest.approx(-0.4561398146, rel=1e-8)
    single = mixture(np.float32)
    np.testing.assert_allclose(single.log_prob(tf.constant(Z, tf.float32)), LOG_R, rtol=1e-6)
    np.testing.assert_array_equal(
        single.fixed().log_prob(tf.constant(Z, tf.float32)),
        single.log_prob(tf.constant(Z, tf.float32)),
    )


def test_draws_of_a_full_mixture_have_its_moments():
    z = mixture(np.float32).draw(row_noise(np.arange(COUNT))).numpy().astype(np.float64)
    mean = WEIGHTS @ MEAN
    second = sum(
        w * (c + np.outer(m, m)) for w, c, m in zip(WEIGHTS, COVARIANCE, MEAN, strict=True)
    )
    np.testing.assert_allclose(z.mean(axis=0), mean, atol=0.03)
    np.testing.assert_allclose(np.cov(z.T), second - np.outer(mean, mean), atol=0.04)
    first = mixture(np.float32).draw(Given(component=[0.0], prior=[[1.0, 2.0]]))
    expected = MEAN[0] + np.linalg.cholesky(COVARIANCE[0]) @ [1.0, 2.0]
    np.testing.assert_allclose(first[0], expected, rtol=1e-6)


@pytest.mark.parametrize("head", [FullMixture10, DiagonalMixture50])
def test_a_head_takes_what_em_fitted(head):
    codes = np.random.default_rng(0).normal(size=(600, 3)) @ np.diag([0.1, 1, 5]) + 3
    made = head(3, (28, 28, 3))
    fitted = GaussianMixture(
        made.components, covariance_type=made.fitted.covariance_type, random_state=0
    )
    made.take(fitted.fit(codes))
    found = made.distribution(None).log_prob(tf.constant(codes, tf.float32))
    np.testing.assert_allclose(found, fitted.score_samples(codes), rtol=1e-4, atol=1e-3)
    assert not made.trainable_variables


@pytest.mark.parametrize("name", EX_POST_PRIORS)
def test_is_the_standard_normal_before_it_is_fitted(name):
    head = follow(EX_POST_PRIORS[name])(3, (28, 28, 3))
    z = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
    expected = scipy.stats.norm.logpdf(z).sum(axis=1)
    np.testing.assert_allclose(head.distribution(None).log_prob(z), expected, rtol=1e-5)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_flow_is_inverted(size):
    flow = MaskedAutoregressiveFlow(size, blocks=3, hidden=16)
    flow.build()
    rng = np.random.default_rng(2)
    flow.set_weights([0.2 * rng.normal(size=w.shape) for w in flow.get_weights()])
    z = tf.constant(rng.normal(size=(7, size)), tf.float32)
    back = flow.from_base(flow.to_base(z)[0])
    np.testing.assert_allclose(back, z, rtol=1e-3, atol=1e-3)
    compiled = tf.function(flow.from_base)(flow.to_base(z)[0])
    np.testing.assert_allclose(compiled, back, rtol=1e-3, atol=1e-3)


def test_a_flow_on_standardized_codes_is_a_density():
    head = MaskedAutoregressiveFlowHead(2, (28, 28, 3))
    codes = np.random.default_rng(3).normal([5, -1], [0.01, 3], (5000, 2)).astype(np.float32)
    head.standardize(codes)
    prior = head.distribution(None)  # which of a flow at its start is a Gaussian
    moments = codes.mean(axis=0), codes.std(axis=0)
    expected = scipy.stats.norm.logpdf(codes, *moments).sum(axis=1)
    np.testing.assert_allclose(prior.log_prob(codes), expected, rtol=1e-3, atol=1e-3)
    z = prior.draw(row_noise(np.arange(COUNT))).numpy()
    np.testing.assert_allclose(z.mean(axis=0), moments[0], atol=0.06)
    np.testing.assert_allclose(z.std(axis=0), moments[1], rtol=0.02)
