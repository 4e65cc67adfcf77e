"""Density models of codes, against autodiff, quadrature, TFP and Algorithm 2."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy.stats import norm
from sklearn.mixture import GaussianMixture

from zoo.distributions.density_models import (
    AutoregressiveLSTM,
    DiagonalMixture,
    MaskedAutoregressiveFlow,
)
from zoo.distributions.made import LOG_SCALE_LIMIT, MADE
from zoo.errors import UsageError
from zoo.evaluation.latent.aggregate_posterior import log_aggregate_posterior

tfb, tfd = tfp.bijectors, tfp.distributions


def built(layer, perturbation=0.2):
    """With weights away from the start, where the models are the prior."""
    keras.utils.set_random_seed(1)
    layer.build()
    rng = np.random.default_rng(2)
    for v in layer.trainable_variables:
        v.assign(v + perturbation * rng.normal(size=v.shape))
    return layer


def flow(size, perturbation=0.2):
    return built(MaskedAutoregressiveFlow(size, blocks=3, hidden=12), perturbation)


def lstm(size, perturbation=0.2):
    return built(AutoregressiveLSTM(size, units=6), perturbation)


def codes(size, count=7):
    return tf.constant(np.random.default_rng(3).normal(size=(count, size)), tf.float32)


@pytest.mark.parametrize(("size", "hidden"), [(1, 4), (2, 5), (5, 16), (6, 3)])
def test_made_is_autoregressive(size, hidden):
    net, z = built(MADE(size, hidden)), codes(size, 40)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(z)
        outputs = net(z)
    for output in outputs:
        slopes = np.abs(tape.batch_jacobian(output, z)).max(axis=0)
        assert (slopes[np.triu_indices(size)] == 0).all()
        if hidden >= size:  # fewer degrees than inputs leave some unseen
            assert (slopes[np.tril_indices(size, -1)] > 1e-3).all()


def test_made_scales_are_bounded():
    net = built(MADE(2, 4))
    net.last.bias.assign([0, 0, 1e4, -1e4])
    _, log_scale = net(codes(2))
    np.testing.assert_allclose(log_scale, [[LOG_SCALE_LIMIT, -LOG_SCALE_LIMIT]] * 7, rtol=1e-6)


@pytest.mark.parametrize("model", [flow, lstm])
@pytest.mark.parametrize("size", [1, 4])
def test_starts_as_the_prior(model, size):
    z = codes(size)
    expected = norm.logpdf(z).sum(axis=1)
    np.testing.assert_allclose(model(size, perturbation=0).log_prob(z), expected, rtol=1e-5)
    assert np.abs(model(size).log_prob(z) - expected).max() > 0.1


@pytest.mark.parametrize("size", [1, 2, 5])
def test_flow_determinant_is_that_of_autodiff(size):
    model, z = flow(size), codes(size)
    with tf.GradientTape() as tape:
        tape.watch(z)
        u, log_det = model.to_base(z)
    _, expected = np.linalg.slogdet(tape.batch_jacobian(u, z).numpy().astype(np.float64))
    np.testing.assert_allclose(log_det, expected, rtol=1e-4, atol=1e-5)
    density = norm.logpdf(u).sum(axis=1) + expected
    np.testing.assert_allclose(model.log_prob(z), density, rtol=1e-4, atol=1e-5)


def test_flow_agrees_with_tfp():
    model, z = flow(4), codes(4)
    turn = tfb.Permute([3, 2, 1, 0])
    chain = [
        tfb.MaskedAutoregressiveFlow(lambda z, *_, net=net, **__: net(z)) for net in model.nets
    ]
    bijector = tfb.Chain([b for block in chain for b in (block, turn)])
    expected = tfd.TransformedDistribution(
        tfd.MultivariateNormalDiag(tf.zeros(4), tf.ones(4)), bijector
    )
    np.testing.assert_allclose(model.log_prob(z), expected.log_prob(z), rtol=1e-5, atol=1e-5)


def test_lstm_is_the_product_of_its_conditionals():
    model, z = lstm(4), codes(4).numpy()
    total = np.zeros(len(z))
    for i in range(4):
        before = np.concatenate([np.zeros((len(z), 1), np.float32), z[:, :i]], axis=1)
        outputs = model.head(model.lstm(before[..., None]))[:, -1].numpy()
        total += norm.logpdf(z[:, i], outputs[:, 0], np.exp(outputs[:, 1]))
    np.testing.assert_allclose(model.log_prob(z), total, rtol=1e-5)


@pytest.mark.parametrize("model", [flow, lstm])
@pytest.mark.parametrize("size", [1, 2])
def test_integrates_to_one(model, size):
    axis = np.linspace(-15, 15, 601, dtype=np.float32)
    grid = np.stack(np.meshgrid(*[axis] * size), axis=-1).reshape(-1, size)
    log_prob = np.asarray(model(size, 0.1).log_prob(tf.constant(grid)), np.float64)
    np.testing.assert_allclose(np.exp(log_prob).sum() * 0.05**size, 1, atol=1e-3)


@pytest.mark.parametrize(("model", "variables"), [(flow, 3 * 6), (lstm, 5)])
def test_keras_tracks_every_weight(model, variables):
    density, z = model(4), codes(4)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(density.log_prob(z))
    gradients = tape.gradient(loss, density.trainable_variables)
    assert len(gradients) == variables
    assert all(np.abs(g).max() > 0 for g in gradients)


def mixture_of(mean, stddev):
    """A mixture that nobody fitted."""
    mixture = GaussianMixture(len(mean), covariance_type="diag")
    mixture.weights_ = np.full(len(mean), 1 / len(mean))
    mixture.means_, mixture.covariances_ = mean, stddev**2
    mixture.precisions_cholesky_ = 1 / stddev
    return DiagonalMixture(mixture)


def test_mixture_of_the_encoder_outputs_is_the_aggregate_posterior(rng):
    """Oracle 5 of Algorithm 4."""
    mean, stddev = rng.normal(size=(50, 6)), np.exp(0.3 * rng.normal(size=(50, 6)))
    z = rng.normal(size=(30, 6))
    expected = log_aggregate_posterior(z, mean, stddev)
    np.testing.assert_allclose(mixture_of(mean, stddev).log_prob(z), expected, rtol=1e-9)


def test_mixture_finds_its_components(rng):
    centres, stddevs = np.array([[-4.0, 0.0], [4.0, 2.0]]), np.array([[0.5, 1.0], [1.0, 0.3]])
    chosen = rng.integers(2, size=4000)
    z = centres[chosen] + stddevs[chosen] * rng.normal(size=(4000, 2))
    fitted = DiagonalMixture.fit(z.astype(np.float32), 2, seed=0)
    expected = log_aggregate_posterior(z, centres, stddevs)
    assert fitted.log_prob(z).mean() == pytest.approx(expected.mean(), abs=0.01)
    assert fitted.log_prob(z).mean() >= expected.mean()  # the likeliest on its own samples


def test_mixture_needs_as_many_codes_as_components():
    with pytest.raises(UsageError, match="5 components need as many codes: there are 4"):
        DiagonalMixture.fit(np.zeros((4, 2)), 5, seed=0)
