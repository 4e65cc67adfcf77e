"""The quantised normal against SciPy in float64: masses, gradients, dequantisation."""

import math

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from zoo.distributions.likelihoods import QuantizedNormal
from zoo.errors import UsageError

SHAPE = (3, 4, 5, 2)


class FixedNoise:
    """Uniform noise of one seed."""

    def uniform(self, purpose, shape):
        u = np.random.default_rng(len(purpose)).random((SHAPE[0], *shape))
        return tf.constant(u, tf.float32)


def draw():
    """Decoder outputs and images of whole grey levels, black and white among them."""
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(*SHAPE[:-1], 2 * SHAPE[-1])) * 2
    levels = rng.integers(0, 256, SHAPE)
    levels[:, 0], levels[:, 1] = 0, 255
    return tf.constant(outputs, tf.float32), tf.constant(levels / 255, tf.float32)


def grid_of_masses(mean_output, scale_output):
    """Log-masses of all 256 levels at one pair of outputs."""
    outputs = tf.tile(tf.constant([[[[mean_output, scale_output]]]], tf.float32), [256, 1, 1, 1])
    images = tf.reshape(tf.range(256, dtype=tf.float32) / 255, [256, 1, 1, 1])
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        log_mass = QuantizedNormal().log_prob(outputs, images)
    return log_mass.numpy(), tape.gradient(log_mass, outputs).numpy()[:, 0, 0]


def scipy_masses(mean_output, scale_output):
    """Float64 log-masses and their gradients, each from the tail where nothing cancels."""
    a, b = np.float64(np.float32(mean_output)), np.float64(np.float32(scale_output))
    mean, gate = 0.5 + 4 * np.tanh(a / 4), scipy.special.expit(b)
    stddev = 1 / 512 + (1 - 1 / 512) * gate
    edges = np.concatenate([[-np.inf], np.arange(255) + 0.5, [np.inf]])
    z = (edges - 255 * mean) / (255 * stddev)
    low, high = z[:-1], z[1:]
    flip = low + high > 0
    small = scipy.stats.norm.logcdf(np.where(flip, -high, low))
    big = scipy.stats.norm.logcdf(np.where(flip, -low, high))
    log_mass = big + np.log(-np.expm1(small - big))
    ratio = [np.exp(scipy.stats.norm.logpdf(edge) - log_mass) for edge in (low, high)]
    weighted = [np.where(np.isinf(e), 0, e) * r for e, r in zip((low, high), ratio, strict=True)]
    d_mean = (ratio[0] - ratio[1]) / stddev * (1 - np.tanh(a / 4) ** 2)
    d_scale = (weighted[0] - weighted[1]) / stddev * (1 - 1 / 512) * gate * (1 - gate)
    return log_mass, np.stack([d_mean, d_scale], axis=-1)


OUTPUTS = [(0.0, 0.0), (0.1, -3.0), (-0.503, -8.0), (0.503, -50.0), (1.5, 2.0), (-3.0, -2.0)]


@pytest.mark.parametrize(("mean_output", "scale_output"), OUTPUTS)
def test_masses_and_gradients_against_scipy(mean_output, scale_output):
    log_mass, gradient = grid_of_masses(mean_output, scale_output)
    expected, expected_gradient = scipy_masses(mean_output, scale_output)
    np.testing.assert_allclose(log_mass, expected, rtol=1e-4, atol=1e-4)
    scale = np.abs(expected_gradient).max(axis=0)
    np.testing.assert_allclose(gradient / scale, expected_gradient / scale, rtol=1e-2, atol=1e-4)
    np.testing.assert_allclose(np.exp(log_mass.astype(np.float64)).sum(), 1, atol=2e-5)


def test_finite_at_every_level_and_any_output():
    values = [s * v for s in (-1, 1) for v in (0, 0.3, 1, 3, 10, 100, 1e4)]
    pairs = np.array(np.meshgrid(values, values)).reshape(2, -1).T
    outputs = tf.constant(np.repeat(pairs, 256, axis=0)[:, None, None], tf.float32)
    images = tf.tile(tf.range(256, dtype=tf.float32) / 255, [len(pairs)])[:, None, None, None]
    for jit in (False, True):

        @tf.function(jit_compile=jit)
        def value_and_gradient(outputs, images):
            with tf.GradientTape() as tape:
                tape.watch(outputs)
                log_mass = QuantizedNormal().log_prob(outputs, images)
            return log_mass, tape.gradient(log_mass, outputs)

        for result in value_and_gradient(outputs, images):
            assert np.isfinite(result).all()


def test_stddev_stays_between_half_a_level_and_the_range():
    outputs = tf.constant([-1e4, -20.0, -4.0, 0.0, 20.0, 1e4])[:, None, None, None]
    outputs = tf.concat([tf.zeros_like(outputs), outputs], axis=-1)
    stddev = QuantizedNormal().parameters(outputs)["stddev"].numpy().ravel()
    np.testing.assert_allclose(stddev[[0, -1]], [1 / 512, 1], rtol=1e-6)
    assert (np.diff(stddev) >= 0).all()
    # In between the head is a log-scale.
    np.testing.assert_allclose(stddev[2] - 1 / 512, math.exp(-4), rtol=0.03)


def test_dequantised_value_is_the_papers_density():
    """log N((k + u) / 256) - log 256 per dimension, in float64."""
    outputs, images = draw()
    u = FixedNoise().uniform("dequantization", SHAPE[1:]).numpy().astype(np.float64)
    k = np.round(images.numpy().astype(np.float64) * 255)
    a, b = np.split(outputs.numpy().astype(np.float64), 2, axis=-1)
    mean = (255 * (0.5 + 4 * np.tanh(a / 4)) + 0.5) / 256
    stddev = (1 / 512 + (1 - 1 / 512) * scipy.special.expit(b)) * 255 / 256
    density = scipy.stats.norm.logpdf((k + u) / 256, mean, stddev) - math.log(256)
    value = QuantizedNormal().training_log_prob(outputs, images, FixedNoise())
    np.testing.assert_allclose(value, density.sum((1, 2, 3)), rtol=1e-4)


class EvenNoise:
    """The midpoints of 2000 equal parts of [0, 1): expectations over u become their averages."""

    def uniform(self, purpose, shape):
        u = (np.arange(2000) + 0.5) / 2000
        return tf.constant(np.broadcast_to(u[:, None, None, None], (2000, *shape)), tf.float32)


@pytest.mark.parametrize("k", [0, 130, 255])
@pytest.mark.parametrize(
    ("off", "stddev"),
    [(0, 0.5), (0, 1.0), (0.5, 0.5), (-2, 1.0), (3, 1.0), (19, 20.0), (-19, 20.0)],
)
def test_dequantised_value_never_exceeds_the_mass(k, off, stddev):
    """Jensen, with the gap of closed form: E_u (off + u - 1/2)^2 = off^2 + 1/12, in grey levels."""
    a = 4 * np.arctanh(((k + off) / 255 - 0.5) / 4)
    gate = (stddev / 255 - 1 / 512) / (1 - 1 / 512)
    outputs = tf.constant([[[[a, scipy.special.logit(gate)]]]], tf.float32)
    image = tf.fill([1, 1, 1, 1], np.float32(k / 255))
    mass = QuantizedNormal().log_prob(outputs, image).numpy()[0]
    draws = QuantizedNormal().training_log_prob(outputs, image, EvenNoise()).numpy()
    bound = draws.astype(np.float64).mean()
    expected = scipy.stats.norm.logpdf(0, scale=stddev) - (off**2 + 1 / 12) / (2 * stddev**2)
    np.testing.assert_allclose(bound, expected, atol=3e-4)
    log_mass = scipy_masses(a, scipy.special.logit(gate))[0][k]
    np.testing.assert_allclose(mass - bound, log_mass - expected, atol=3e-4)
    assert bound < mass + 1e-6


def test_images_are_the_normal_mean_clipped_to_the_range():
    outputs = tf.constant([[[[a, -3.0]]] for a in (-2.0, -0.3, 0.0, 0.3, 2.0)])
    images = QuantizedNormal().parameters(outputs)["images"].numpy().ravel()
    np.testing.assert_allclose(images[[0, -1]], [0, 1])
    np.testing.assert_allclose(images[1:-1], [0.2, 0.5, 0.8], atol=1e-3)
    masses = np.exp(grid_of_masses(0.1, -4.0)[0].astype(np.float64))
    clipped = QuantizedNormal().parameters(tf.constant([[[[0.1, -4.0]]]]))["images"].numpy().item()
    np.testing.assert_allclose(masses @ np.arange(256), 255 * clipped, atol=0.02)


def test_without_dequantisation_training_maximises_the_mass():
    outputs, images = draw()
    exact = QuantizedNormal(dequantization="none")
    value = exact.training_log_prob(outputs, images, noise=None)
    np.testing.assert_array_equal(value, exact.log_prob(outputs, images))


def test_unknown_dequantization_is_refused():
    with pytest.raises(UsageError, match="'variational'.*uniform or none"):
        QuantizedNormal(dequantization="variational")
