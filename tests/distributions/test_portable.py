"""Log-probabilities for other runtimes, against float64 and against the likelihoods' own."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

from zoo.distributions import portable
from zoo.registry import LIKELIHOODS, follow


def test_softplus():
    x = np.float32([-200, -50, -1, 0, 1e-3, 1, 20, 50, 89, 1e4])
    wanted = np.logaddexp(0, x.astype(np.float64))
    np.testing.assert_allclose(portable.softplus(x), wanted, rtol=2e-7, atol=1e-7)


def test_log_categorical(rng):
    logits = rng.normal(0, 30, (40, 256)).astype(np.float32)
    logits[0, 7] = 3000
    levels = rng.integers(0, 256, 40).astype(np.float32)
    wanted = special.log_softmax(logits.astype(np.float64), axis=-1)[
        np.arange(40), levels.astype(int)
    ]
    seen = portable.log_categorical(levels, logits)
    np.testing.assert_allclose(seen, wanted, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("stddev", [0.5, 3.0, 40.0, 255.0])
@pytest.mark.parametrize("mean", [-300.0, 0.0, 17.3, 127.5, 255.0, 900.0])
def test_log_normal_bin(mean, stddev):
    levels = np.arange(256.0)
    lower = np.where(levels == 0, -np.inf, (levels - 0.5 - mean) / stddev)
    upper = np.where(levels == 255, np.inf, (levels + 0.5 - mean) / stddev)
    mirrored = np.where(lower + upper > 0, -1, 1)
    low, high = (
        np.minimum(lower * mirrored, upper * mirrored),
        np.maximum(lower * mirrored, upper * mirrored),
    )
    high_tail, low_tail = stats.norm.logcdf(high), stats.norm.logcdf(low)
    wanted = high_tail + np.log1p(-np.exp(low_tail - high_tail))
    seen = portable.log_normal_bin(
        tf.constant(levels, tf.float32), tf.fill(256, mean), tf.fill(256, stddev)
    )
    # float32 bounds of a bin, as narrow as 1/255 of the scale, leave this much.
    np.testing.assert_allclose(seen, wanted, rtol=2e-5, atol=2e-4)
    assert abs(np.sum(np.asarray(seen, np.float64) - wanted)) < 1e-5 * np.abs(wanted).sum()


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_sums_over_pixels_agree_with_the_likelihoods(rng, name):
    likelihood = follow(LIKELIHOODS[name])()
    shape = (4, 6, 6, likelihood.output_channels(3))
    outputs = tf.constant(rng.normal(0, 3, shape), tf.float32)
    images = tf.constant(rng.integers(0, 256, (4, 6, 6, 3)) / 255, tf.float32)
    seen = likelihood.portable_log_prob(outputs, images)
    np.testing.assert_allclose(seen, likelihood.log_prob(outputs, images), rtol=3e-6)
