"""Priors: their densities, their draws, and the KL of a posterior from them, in float64."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf

from tests.models.known import Given, k
from zoo.distributions.code_distributions import GaussianPosterior
from zoo.distributions.priors import Mixture, StandardNormal, VampHead
from zoo.noise import row_noise

COMPONENTS, LATENT = 3, 2
i, j = np.indices((COMPONENTS, LATENT))
MEAN, STDDEV = np.sin(i + 2.0 * j), np.exp(0.1 * (i - j))
Z = k(2, LATENT)
LOG_PRIOR = (-2.3404893918, -2.4813340663)
RESPONSIBILITIES = (0.3398838033, 0.4556815076, 0.2044346891)  # for the first code


def mixture(dtype=tf.float64, log_weights=None):
    return Mixture(*(tf.constant(values, dtype) for values in (MEAN, STDDEV)), log_weights)


def codes(dtype=tf.float64):
    return tf.constant(Z, dtype)


def test_known_answer():
    z = codes()
    with tf.GradientTape() as tape:
        tape.watch(z)
        log_p = mixture(log_weights=np.full(3, -np.log(3))).log_prob(z)
    np.testing.assert_allclose(log_p, LOG_PRIOR, rtol=1e-9)
    # The score is the responsibilities' mean of those of the components.
    scores = (MEAN - Z[0]) / STDDEV**2
    expected = np.array(RESPONSIBILITIES) @ scores
    np.testing.assert_allclose(tape.gradient(log_p, z)[0], expected, rtol=1e-8)
    np.testing.assert_allclose(mixture(tf.float32).log_prob(codes(tf.float32)), LOG_PRIOR, 1e-6)


def test_kl_of_a_draw():
    q = GaussianPosterior(*(tf.fill(Z.shape, tf.constant(v, tf.float64)) for v in (0.1, 0.5)))
    kl = mixture(log_weights=np.full(3, -np.log(3))).kl(q, codes())
    np.testing.assert_allclose(kl, (-0.1188255546, 1.1092040062), rtol=1e-9)
    # Of N(0, I) it is the closed form, whatever the draw.
    closed = StandardNormal(LATENT).kl(q, codes())
    np.testing.assert_allclose(closed, [2 * 0.5 * (0.01 + 0.25 - 1 - 2 * np.log(0.5))] * 2, 1e-6)


def test_weights_far_tails_and_sample_axes():
    weights = np.array([0.2, 0.5, 0.3])
    z = np.stack([Z, 40 * Z])  # of which no component's density is above 1e-300
    terms = scipy.stats.norm.logpdf(z[..., None, :], MEAN, STDDEV).sum(-1) + np.log(weights)
    expected = scipy.special.logsumexp(terms, axis=-1)
    found = mixture(log_weights=np.log(weights)).log_prob(tf.constant(z))
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_draws_are_of_the_density():
    weights = np.float32([0.2, 0.5, 0.3])
    count = 40_000
    prior = Mixture(np.float32(10 * MEAN), np.float32(STDDEV), np.log(weights))
    z = prior.draw(row_noise(np.arange(count))).numpy()
    assert z.dtype == np.float32 and z.shape == (count, LATENT)
    nearest = np.argmin(np.square(z[:, None] - 10 * MEAN).sum(-1), axis=1)
    for component in range(COMPONENTS):
        own = z[nearest == component]
        assert len(own) / count == pytest.approx(weights[component], abs=0.01)
        np.testing.assert_allclose(own.mean(0), 10 * MEAN[component], atol=0.05)
        np.testing.assert_allclose(own.std(0), STDDEV[component], rtol=0.03)


def test_every_component_can_be_drawn_and_none_beyond():
    prior = Mixture(np.float32(np.arange(7)[:, None]), np.full((7, 1), 1e-6, np.float32))
    position = [0, 1 / 7 + 1e-6, 3.5 / 7, 1 - 2.0**-24]
    z = prior.draw(Given(component=position, prior=np.zeros((4, 1))))
    np.testing.assert_array_equal(z[:, 0], [0, 1, 3, 6])


def test_a_fixed_prior_is_numbers():
    fixed = mixture(tf.float32).fixed()
    assert all(isinstance(v, np.ndarray) for v in (fixed.mean, fixed.stddev, fixed.log_weights))
    np.testing.assert_array_equal(
        fixed.log_prob(codes(tf.float32)), mixture(tf.float32).log_prob(codes(tf.float32))
    )


def test_pseudo_inputs_are_clipped_and_learn_inside_alone():
    head = VampHead(2, (1, 1, 3), components=2)
    assert head.trainable_variables == [head.free]
    assert ((head.images().numpy() > 0.1) & (head.images().numpy() < 0.9)).all()
    head.free.assign([[[[-0.5, 0.25, 1.5]]], [[[0.0, 0.5, 1.0]]]])
    with tf.GradientTape() as tape:
        images = head.images()
    np.testing.assert_array_equal(images[0, 0, 0], [0, 0.25, 1])
    np.testing.assert_array_equal(tape.gradient(images, head.free.value)[0, 0, 0], [0, 1, 0])
