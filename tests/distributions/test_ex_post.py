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
)
from zoo.distributions.ex_post_networks import (
    CodeVAE,
    MaskedAutoregressiveFlowHead,
    TwoStageHead,
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


ROWS = np.random.default_rng(4).normal(size=(2, 4))


def stage():
    """A second stage with every weight moved."""
    made = CodeVAE(4)
    rng = np.random.default_rng(5)
    for weight in made.trainable_variables:
        weight.assign(rng.normal(size=weight.shape) * 0.03)
    return made


def test_the_bound_of_a_second_stage_is_the_papers():
    """Against its equation, in float64."""
    made, normals = stage(), np.random.default_rng(6).normal(size=(2, 4))

    def network(part, x):
        h = x
        for layer in part.layers:
            h = np.maximum(h @ layer.kernel.numpy().astype(float) + layer.bias.numpy(), 0)
        together = np.concatenate([h, x], axis=1)
        return [together @ head.kernel.numpy().astype(float) + head.bias for head in part.heads]

    mean, log_stddev = network(made.encoder, ROWS)
    u = mean + np.exp(log_stddev) * normals
    (decoded,) = network(made.decoder, u)
    log_gamma = float(made.log_gamma.numpy())
    square = ((ROWS - decoded) ** 2).sum(1)
    error = square / (2 * np.exp(2 * log_gamma)) + 4 * (log_gamma + 0.5 * np.log(2 * np.pi))
    log_q = scipy.stats.norm.logpdf(u, mean, np.exp(log_stddev)).sum(1)
    expected = -error + scipy.stats.norm.logpdf(u).sum(1) - log_q
    z, given = tf.constant(ROWS, tf.float32), tf.constant(normals, tf.float32)
    np.testing.assert_allclose(made.log_weights(z, given), expected, rtol=1e-5)
    assert float(made.loss(z, given)) == pytest.approx(-expected.mean(), rel=1e-5)


def test_the_density_of_a_second_stage_is_known_from_below():
    """On codes whose r(z) is a Gaussian in closed form: a linear decoder, any encoder."""
    made = stage()
    for layer in (*made.encoder.layers, *made.decoder.layers):
        layer.kernel.assign(tf.zeros_like(layer.kernel))
        layer.bias.assign(tf.zeros_like(layer.bias))
    (head,) = made.decoder.heads
    kernel = np.zeros(head.kernel.shape)
    kernel[-4:] = np.random.default_rng(7).normal(size=(4, 4)) * 0.5
    head.kernel.assign(kernel)
    linear, gamma = kernel[-4:], float(made.gamma)
    covariance = linear.T @ linear + gamma**2 * np.eye(4)
    truth = scipy.stats.multivariate_normal(head.bias.numpy(), covariance)
    z = truth.rvs(4000, random_state=8).astype(np.float32)
    bound, exact = made.log_prob(z).numpy(), truth.logpdf(z)
    single = made.log_weights(z, np.random.default_rng(9).normal(size=z.shape).astype(np.float32))
    assert np.mean(single) < np.mean(bound) < np.mean(exact)
    drawn = made.draw(row_noise(np.arange(COUNT))).numpy()
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.05)


def test_the_likelihood_does_not_run_off():
    head = TwoStageHead(2, (28, 28, 3))
    head.network.log_gamma.assign(-9)
    assert float(head.network.gamma) == pytest.approx(np.exp(-4))
