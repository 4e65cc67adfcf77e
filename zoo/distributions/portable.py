"""Log-probabilities in operations that ONNX and LiteRT have and compute well, for inference only.

What TensorFlow offers does not survive the conversions: neither has `erfc`, `log1p` or the sparse
cross-entropy, LiteRT's softplus saturates at 88 and ONNX's log-softmax is the logarithm of a
softmax, minus infinity for improbable classes. Gradients at kinks are wrong here; training uses the
likelihoods' own `log_prob`.
"""

from __future__ import annotations

import math

import tensorflow as tf

from zoo.distributions.grey_levels import BRIGHTEST

# log erfc(x) + x^2 - log t as a polynomial in t = 1 / (1 + x / 2), lowest power first; the relative
# error of erfc is below 1.2e-7 for all x >= 0 (Press et al., "Numerical Recipes", erfcc).
_LOG_ERFC = (
    -1.26551223,
    1.00002368,
    0.37409196,
    0.09678418,
    -0.18628806,
    0.27886807,
    -1.13520398,
    1.48851587,
    -0.82215223,
    0.17087277,
)


def softplus(x: tf.Tensor) -> tf.Tensor:
    """`log(1 + exp(x))`."""
    return tf.maximum(x, 0.0) + tf.math.log(1.0 + tf.exp(-tf.abs(x)))


def log_sum_exp(terms: tf.Tensor) -> tf.Tensor:
    """log of the sum of the exponentials over the last axis, which `tf.reduce_logsumexp` computes
    with operations that exports cannot take."""
    # The gradient of the result is the same whatever is subtracted and added.
    highest = tf.stop_gradient(tf.reduce_max(terms, axis=-1, keepdims=True))
    total = tf.math.log(tf.reduce_sum(tf.exp(terms - highest), axis=-1))
    return total + tf.squeeze(highest, axis=-1)


def log_categorical(levels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """`log softmax(logits)` at whole numbers.

    Args:
        levels: `[...]`, float.
        logits: `[..., classes]`.

    Returns:
        `[...]`, nats.
    """
    highest = tf.reduce_max(logits, axis=-1, keepdims=True)
    shifted = logits - highest
    classes = tf.range(logits.shape[-1], dtype=tf.float32)
    chosen = tf.cast(tf.equal(levels[..., None], classes), tf.float32)
    log_total = tf.math.log(tf.reduce_sum(tf.exp(shifted), axis=-1))
    return tf.reduce_sum(chosen * shifted, axis=-1) - log_total


def log_normal_bin(levels: tf.Tensor, mean: tf.Tensor, stddev: tf.Tensor) -> tf.Tensor:
    """log-mass that N(mean, stddev^2) gives to `[level - 1/2, level + 1/2]`, open at 0 and 255.

    All in grey levels and of one shape. With Q the upper tail of N(0, 1), and the axis mirrored so
    that the far end of the bin lies above the mean,

        log P = log[Q(near) - Q(far)] = log Q(near) + log[1 - exp(log Q(far) - log Q(near))].

    Returns:
        Nats.
    """
    above = levels - mean
    mirrored = above < 0.0
    distance = tf.abs(above)
    near = _log_upper_tail((distance - 0.5) / stddev)
    far = _log_upper_tail((distance + 0.5) / stddev)
    inner = near + _log_complement(far - near)
    # Mirrored, the open end of level 0 lies far and that of 255 near; unmirrored, the reverse.
    first, last = tf.equal(levels, 0.0), tf.equal(levels, float(BRIGHTEST))
    open_far = (first & mirrored) | (last & ~mirrored)
    open_near = (first & ~mirrored) | (last & mirrored)
    return tf.where(open_far, near, tf.where(open_near, _log_complement(far), inner))


def _log_complement(log_p: tf.Tensor) -> tf.Tensor:
    """`log(1 - p)`; the floor keeps branches that are not taken finite."""
    return tf.math.log(tf.maximum(1.0 - tf.exp(log_p), 1e-37))


def _log_upper_tail(x: tf.Tensor) -> tf.Tensor:
    """`log Q(x)` of N(0, 1)."""
    magnitude = tf.abs(x) / math.sqrt(2.0)
    t = 1.0 / (1.0 + 0.5 * magnitude)
    polynomial = tf.zeros_like(t)
    for coefficient in reversed(_LOG_ERFC):
        polynomial = polynomial * t + coefficient
    tail = tf.math.log(0.5 * t) - tf.square(magnitude) + polynomial
    return tf.where(x >= 0.0, tail, _log_complement(tail))
