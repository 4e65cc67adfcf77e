"""The VAE against a model whose log-likelihood has a closed form, in float64.

Decoder and encoder are linear, p(x|z) = N(Wz + b, s^2 I): then p(x) = N(b, WW' + s^2 I), and
p(z|x) = N(M^-1 W'(x - b), s^2 M^-1) with M = W'W + s^2 I, diagonal where W's columns are orthogonal
(probabilistic PCA). Bound, draws, KL and training are the zoo's own.
"""

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

from tests.models.variants import tiny_model
from zoo.distributions.likelihoods import Likelihood
from zoo.models.vae import VAE
from zoo.networks.encoder import Encoder
from zoo.noise import row_noise

SHAPE, PIXELS, LATENT, STDDEV, ROWS = (28, 28, 1), 784, 3, 0.5, 5
ROUNDING = 2e-3  # nats, of sums over 784 pixels in float32
tfd = tfp.distributions


class Normal(Likelihood):
    name, discrete = "normal", False

    def distribution(self, outputs):
        return tfd.Independent(tfd.Normal(outputs, STDDEV), reinterpreted_batch_ndims=3)


class LinearVAE(VAE):
    def take_images(self, images):
        return images  # of any real value

    def _build_networks(self):
        self.likelihood_head, self.prior_head = Normal(), self._make_prior()
        images = keras.Input(SHAPE)
        # A constant feature stands for the bias that the posterior heads do not have.
        features = keras.ops.pad(
            keras.layers.Flatten()(images), ((0, 0), (0, 1)), constant_values=1.0
        )
        self.encoder = Encoder(keras.Model(images, features), self._posterior_head())
        layers = [keras.layers.Dense(PIXELS), keras.layers.Reshape(SHAPE)]
        self.decoder = keras.Sequential([keras.Input((LATENT,)), *layers])


class Truth:
    """The generative model that the decoder is set to, and what follows from it."""

    def __init__(self, orthogonal):
        rng = np.random.default_rng(4)
        directions = rng.normal(size=(PIXELS, LATENT))
        if orthogonal:
            directions = np.linalg.qr(directions)[0]
        self.w = directions / np.linalg.norm(directions, axis=0) * [4.0, 1.0, 0.3]
        self.b = rng.normal(size=PIXELS)
        precision = self.w.T @ self.w + STDDEV**2 * np.eye(LATENT)
        self.to_mean = np.linalg.solve(precision, self.w.T)
        self.covariance = STDDEV**2 * np.linalg.inv(precision)
        z = rng.normal(size=(ROWS, LATENT))
        self.x = z @ self.w.T + self.b + STDDEV * rng.normal(size=(ROWS, PIXELS))

    @property
    def images(self):
        return tf.constant(self.x.reshape(-1, *SHAPE), tf.float32)

    def log_likelihood(self):
        covariance = self.w @ self.w.T + STDDEV**2 * np.eye(PIXELS)
        return scipy.stats.multivariate_normal.logpdf(self.x, self.b, covariance)

    def posterior_mean(self):
        return (self.x - self.b) @ self.to_mean.T

    def kl_to_posterior(self, mean, stddev):
        """KL(N(mean, diag stddev^2) || p(z|x)) of each row."""
        inverse = np.linalg.inv(self.covariance)
        distance = self.posterior_mean() - mean
        log_det = np.linalg.slogdet(self.covariance)[1] - 2 * np.log(stddev).sum(-1)
        trace = (stddev**2 * np.diag(inverse)).sum(-1)
        mahalanobis = np.einsum("ni,ij,nj->n", distance, inverse, distance)
        return 0.5 * (trace + mahalanobis - LATENT + log_det)


def model_of(truth, posterior="gaussian", exact=True, scale=0.02):
    """The VAE with the true decoder and, if `exact`, the exact posterior of an orthogonal W."""
    keras.utils.set_random_seed(5)
    model = LinearVAE(image_shape=SHAPE, posterior=posterior, latent_size=LATENT)
    model.decoder.layers[0].set_weights([truth.w.T, truth.b])
    kernel = scale * np.random.default_rng(6).normal(size=(PIXELS + 1, 2 * LATENT))
    if exact:
        kernel[:] = 0
        kernel[:-1, :LATENT] = truth.to_mean.T
        kernel[-1, :LATENT] = -truth.to_mean @ truth.b
        kernel[-1, LATENT:] = 0.5 * np.log(np.diag(truth.covariance))
    model.encoder.head.from_features.kernel.assign(kernel)
    return model


class Cubature:
    """Noise whose mean over `2 * size` rows per example is exact for quadratic functions."""

    def __init__(self, size):
        self.points = np.sqrt(size) * np.concatenate([np.eye(size), -np.eye(size)])

    def repeat(self, images):
        return tf.repeat(images, len(self.points), axis=0)

    def normal(self, purpose, shape):
        assert purpose == "posterior" and shape == self.points.shape[1:]
        return tf.constant(np.tile(self.points, (ROWS, 1)), tf.float32)

    def mean(self, values):
        return values.numpy().astype(np.float64).reshape(ROWS, -1).mean(axis=1)


def expected_elbo(model, images):
    """E_q of the bound of each image: log p(x|z) is quadratic in z here."""
    cubature = Cubature(LATENT)
    return cubature.mean(model.elbo(cubature.repeat(images), cubature)["elbo"])


def test_the_elbo_of_the_exact_posterior_is_the_log_likelihood():
    truth = Truth(orthogonal=True)
    elbo = expected_elbo(model_of(truth), truth.images)
    np.testing.assert_allclose(elbo, truth.log_likelihood(), rtol=0, atol=ROUNDING)


def test_every_draw_of_the_exact_flow_posterior_gives_the_log_likelihood():
    """log p(x|z) + log p(z) - log q(z|x) = log p(x) whatever z, where q(z|x) is p(z|x)."""
    truth = Truth(orthogonal=True)
    model, draws = model_of(truth, posterior="real_nvp"), 3
    images = tf.repeat(truth.images, draws, axis=0)
    elbo = model.elbo(images, row_noise(tf.range(ROWS * draws)))["elbo"]
    expected = np.repeat(truth.log_likelihood(), draws)
    np.testing.assert_allclose(elbo, expected, rtol=0, atol=ROUNDING)


@pytest.mark.parametrize(("orthogonal", "scale"), [(True, 0.002), (False, 0.02)])
def test_elsewhere_the_gap_is_the_divergence_from_the_posterior(orthogonal, scale):
    truth = Truth(orthogonal)
    model = model_of(truth, exact=False, scale=scale)
    q = {name: value.numpy() for name, value in model.encode(truth.images).items()}
    gap = truth.log_likelihood() - expected_elbo(model, truth.images)
    assert (gap > 0.1).all()
    expected = truth.kl_to_posterior(q["mean"].astype(np.float64), q["stddev"].astype(np.float64))
    np.testing.assert_allclose(gap, expected, rtol=1e-5, atol=ROUNDING)


def test_a_flow_elsewhere_stays_below():
    truth, draws = Truth(orthogonal=True), 500
    model = model_of(truth, posterior="real_nvp")
    rng = np.random.default_rng(7)
    for net in model.encoder.head.nets:
        net.last.kernel.assign(0.1 * rng.normal(size=net.last.kernel.shape))
    images = tf.repeat(truth.images, draws, axis=0)
    elbo = model.elbo(images, row_noise(tf.range(ROWS * draws)))["elbo"].numpy()
    gap = truth.log_likelihood()[:, None] - elbo.reshape(ROWS, draws)
    assert (gap.mean(axis=1) > 4 * gap.std(axis=1) / draws**0.5).all()


def test_training_the_encoder_reaches_the_log_likelihood_from_below():
    truth = Truth(orthogonal=True)
    model = model_of(truth, exact=False, scale=0.001)
    model.compile({"encoder": 3e-4, "decoder": 1e-30}, seed=1)
    step = tf.function(model.train_step)
    batch = tf.repeat(truth.images, 8, axis=0)
    gaps = []
    for rate in (3e-4, 3e-4, 3e-5, 3e-6):  # the noise of the draws keeps a constant rate away
        model.optimizers["encoder"].learning_rate = rate
        gaps.append((truth.log_likelihood() - expected_elbo(model, truth.images)).mean())
        for _ in range(60):
            step(batch)
    gaps.append((truth.log_likelihood() - expected_elbo(model, truth.images)).mean())
    assert gaps[0] > 10 and gaps[-1] < 0.02 and min(gaps) > -ROUNDING, gaps


def test_a_new_flow_reproduces_the_elbo_of_the_gaussian():
    """Paper.md section 8: identity at initialisation, through the networks of the zoo."""
    gaussian = tiny_model({"model": "vae"})
    flow = tiny_model({"model": "vae", "posterior": "real_nvp"})
    flow.decoder.set_weights(gaussian.decoder.get_weights())
    flow.encoder.trunk.set_weights(gaussian.encoder.trunk.get_weights())
    kernel = 7 * gaussian.encoder.head.from_features.kernel  # posteriors that differ from the prior
    for model in (gaussian, flow):
        model.encoder.head.from_features.kernel.assign(kernel)
    images = np.random.default_rng(8).random((ROWS, 28, 28, 3), np.float32)
    cubature = Cubature(gaussian.latent_size)
    repeated = cubature.repeat(tf.constant(images))
    one, other = (model.elbo(repeated, cubature) for model in (gaussian, flow))
    np.testing.assert_array_equal(one["log_likelihood"], other["log_likelihood"])
    # The flow's KL is of one draw, quadratic in its noise while the flow is the identity.
    np.testing.assert_allclose(cubature.mean(one["kl"]), cubature.mean(other["kl"]), atol=1e-5)
    np.testing.assert_allclose(cubature.mean(one["elbo"]), cubature.mean(other["elbo"]), rtol=1e-6)
